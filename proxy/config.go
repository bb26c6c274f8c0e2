package proxy

import (
	"cmp"
	"net/netip"
	"time"

	"tokenring/balancer"
	"tokenring/hosttls"
	"tokenring/http1"
	"tokenring/proxy/access"
	"tokenring/proxy/affinity"
	"tokenring/proxy/fields"
	"tokenring/proxy/hashkey"
	"tokenring/proxy/limit"
	"tokenring/proxy/localreply"
	"tokenring/proxy/pools"
	"tokenring/proxy/queue"
	"tokenring/proxy/quota"
	"tokenring/proxy/routing"
	"tokenring/proxy/secondchance"
	"tokenring/tlsterm"
)

// Timeouts bound every phase of a connection. The default of a field is at the end of its
// comment; zero means the default.
type Timeouts struct {
	Handshake time.Duration `yaml:"handshake"` // from accept to the end of the TLS handshake; 5s
	Head      time.Duration `yaml:"head"`      // from a request's first byte to the end of its head; 10s
	Body      time.Duration `yaml:"body"`      // a client that neither sends nor takes a byte of a body; 30s
	Connect   time.Duration `yaml:"connect"`   // a TCP connection to a host; 2s
	Response  time.Duration `yaml:"response"`  // a host that sends no byte of its answer; 60s
	HostIdle  time.Duration `yaml:"host_idle"` // a connection to a host between two requests; 3s
	Idle      time.Duration `yaml:"idle"`      // a keep-alive connection between two requests; 60s
	Tunnel    time.Duration `yaml:"tunnel"`    // a WebSocket on which nothing moves in either direction; 1h
}

// WithDefaults returns t with its zero fields set.
func (t Timeouts) WithDefaults() Timeouts {
	for _, f := range []struct {
		field *time.Duration
		value time.Duration
	}{
		{&t.Handshake, 5 * time.Second},
		{&t.Head, 10 * time.Second},
		{&t.Body, 30 * time.Second},
		{&t.Connect, 2 * time.Second},
		{&t.Response, 60 * time.Second},
		{&t.HostIdle, 3 * time.Second}, // common servers close theirs after 5s
		{&t.Idle, 60 * time.Second},
		{&t.Tunnel, time.Hour},
	} {
		if *f.field == 0 {
			*f.field = f.value
		}
	}
	return t
}

// tick is the period of the pollers. A registered connection or a tunnel times out up to
// one period, a quarter of its timeout, late.
func (c *Config) tick() time.Duration {
	const shortest, longest = time.Millisecond, 5 * time.Second
	first := min(c.Timeouts.Idle, c.Timeouts.Tunnel)
	for _, p := range c.Pools {
		first = min(first, cmp.Or(p.Timeouts.Tunnel, first))
	}
	return min(max(first/4, shortest), longest)
}

// Limits bound what clients may send, what hosts may answer, and how many connections
// there may be. A zero field means its default.
type Limits struct {
	Line   int   `yaml:"line"`   // bytes of the request line and of each header field; as many as of a head
	Head   int   `yaml:"head"`   // bytes of a whole head; 32768
	Fields int   `yaml:"fields"` // header fields; 100
	Body   int64 `yaml:"body"`   // bytes of a body; 0 means no limit, for bodies are streamed

	Response ResponseLimits `yaml:"response"`

	// Connections bounds the open connections of all clients together. While it is
	// reached, new connections wait in the kernel's queue. The default follows from the
	// number of files that the process may open.
	Connections int `yaml:"connections"`

	// Streams bounds the requests of HTTP/2 that are sent to hosts at the same time. The
	// first request of each connection doesn't count; each further one also counts as one
	// of Connections. One source may have a quarter of Streams. The default is a quarter
	// of Connections.
	Streams int `yaml:"streams"`

	PerSource *quota.SourceConfig `yaml:"per_source"` // what one source may use; nil: see Streams
	PerKey    *quota.KeyConfig    `yaml:"per_key"`    // what one key may use; nil: no limits
}

// ResponseLimits bound the heads of hosts' answers. A zero field means its
// default.
type ResponseLimits struct {
	Line   int `yaml:"line"`   // bytes of the status line and of each header field; as many as of a head
	Head   int `yaml:"head"`   // bytes of a whole head; 65536
	Fields int `yaml:"fields"` // header fields; 256
}

// ListenConfig is one item of `listen` in lb.yaml.
type ListenConfig struct {
	Address       string `yaml:"address"`
	TLS           bool   `yaml:"tls"`
	HTTP2         *bool  `yaml:"http2"`          // offer HTTP/2 to TLS clients; true
	RedirectHTTPS bool   `yaml:"redirect_https"` // answer every request with a redirect to https
	HalfClose     string `yaml:"half_close"`     // without TLS: HalfCloseServe (default) or HalfCloseAbort

	// ProxyProtocol says whether connections begin with a header of the PROXY protocol: "" (they
	// don't) or ProxyProtocolRequired. Then they must come from trusted networks.
	ProxyProtocol string `yaml:"proxy_protocol"`

	RedirectKeepKey bool `yaml:"redirect_keep_key"` // redirects repeat the parameters that hold the key; false

	// Access says from where connections may come, beside access at the top; nil: from everywhere.
	Access *access.Config `yaml:"access"`

	// Fields are changes of header fields on this listener, after those of all; nil for none.
	Fields *fields.Config `yaml:"fields"`

	// OwnTLS, if not nil, replaces what the section tls says for this listener.
	OwnTLS *tlsterm.Terms `yaml:"own_tls"`
}

// ProxyProtocolRequired is the value of ListenConfig.ProxyProtocol for such a header.
const ProxyProtocolRequired = "required"

// What happens to a request in progress when its client ends its direction (FIN) of a
// connection without TLS.
const (
	HalfCloseServe = "serve" // the client is taken to still read: the request is served
	HalfCloseAbort = "abort" // the client is taken to have left: the request is aborted
)

// DefaultShutdownGrace is the default of Config.ShutdownGrace.
const DefaultShutdownGrace = 10 * time.Second

// Config configures the data path. The zero value works: the token is the query parameter
// "token", and no network is trusted.
type Config struct {
	Timeouts        Timeouts
	Limits          Limits
	Quotas          *quota.Quotas // of Limits.PerSource and Limits.PerKey; nil for none
	Key             hashkey.Rules
	TrustedNetworks []netip.Prefix  // X-Forwarded-* and X-Request-Id of clients in them are kept
	Affinity        affinity.Config // keeps clients without a key on their hosts
	AffinitySecrets [][]byte        // the contents of Affinity's secret files; empty for a random key

	// SecondChance says what a host's answer looks like that gives the request away, and how
	// other hosts are asked then; nil for no second chances.
	SecondChance *secondchance.Config

	Pools     []pools.Config   // beside the main one; a zero field of their Timeouts means that of Timeouts
	Fields    *fields.Config   // changes of fields, for all listeners; nil for none
	Routes    []routing.Config // the first that matches a request says what becomes of it
	Unmatched int              // the status for a request that none matches, if there are routes; 0: the main pool serves it

	Upgrades pools.Upgrades // that clients of the main pool may ask for
	// HostFields are the changes of fields of the main pool; nil for none.
	HostFields *fields.Config

	// Queue is that of the main pool.
	Queue queue.Config

	// HostTLS does the TLS handshakes with the hosts of the main pool; nil if they speak no TLS.
	HostTLS *hosttls.Client
	// SendProxy tells hosts of the main pool the client of each connection: see upstream.Config.
	SendProxy bool

	Pages localreply.Config // what the answers look like that the proxy gives itself

	// ShutdownGrace is how long Serve waits for open connections when it stops;
	// DefaultShutdownGrace.
	ShutdownGrace time.Duration

	// DownGrace is how long a request still waits for a host that checks have found down,
	// if it can't be sent to another host; 6s.
	DownGrace time.Duration

	// Linger is for how long a key keeps its host after its last terminal has ended, and
	// after its last request; 0: it doesn't.
	Linger time.Duration

	// lingering is how long a goroutine waits for the next request before it registers
	// its connection with a poller; 2s. Only tests change it.
	lingering time.Duration
}

func (c Config) withDefaults() Config {
	c.Timeouts = c.Timeouts.WithDefaults()
	if len(c.Key) == 0 {
		c.Key = hashkey.Rules{{Source: balancer.KeyQuery, Name: "token"}}
	}
	if c.Affinity.Cookie != nil {
		filled := *c.Affinity.Cookie
		filled.SetDefaults(false)
		c.Affinity.Cookie = &filled
	}
	if c.Limits.Connections == 0 {
		c.Limits.Connections = limit.ConnectionsFor(limit.MaxFiles())
	}
	if c.Limits.Streams == 0 {
		c.Limits.Streams = c.Limits.Connections / 4
	}
	c.ShutdownGrace = cmp.Or(c.ShutdownGrace, DefaultShutdownGrace)
	c.DownGrace = cmp.Or(c.DownGrace, 6*time.Second)
	if c.lingering == 0 {
		c.lingering = 2 * time.Second
	}
	return c
}

// main returns the configuration of the main pool.
func (c *Config) main() pools.Config {
	return pools.Config{Key: c.Key, Affinity: c.Affinity.Cookie, Secrets: c.AffinitySecrets, Timeouts: c.Timeouts.ofHosts(), TLS: c.HostTLS, Upgrades: c.Upgrades, SendProxy: c.SendProxy, Queue: c.Queue}
}

// fieldsOf returns the changes of fields of a pool, nil for none. "" is no pool.
func (c *Config) fieldsOf(pool string) *fields.Config {
	if pool == routing.MainPool {
		return c.HostFields
	}
	for _, p := range c.Pools {
		if p.Name == pool {
			return p.Fields
		}
	}
	return nil
}

// plansFor returns the changes of fields on a listener: see server.plans.
func (p *Proxy) plansFor(l Listener) []*fields.Plan {
	some := false
	planOf := func(route, pool *fields.Config) *fields.Plan {
		levels := append([]*fields.Config{p.cfg.Fields}, l.Fields...)
		plan := fields.NewPlan(append(levels, route, pool)...)
		some = some || plan != nil
		return plan
	}
	plans := []*fields.Plan{planOf(nil, p.cfg.fieldsOf(routing.MainPool))}
	for _, r := range p.routing.Routes() {
		plans = append(plans, planOf(r.Fields, p.cfg.fieldsOf(r.Pool)))
	}
	if !some {
		return nil
	}
	return plans
}

// ofHosts returns those that a pool may have of its own.
func (t Timeouts) ofHosts() pools.Timeouts {
	return pools.Timeouts{Connect: t.Connect, Response: t.Response, Body: t.Body, Tunnel: t.Tunnel, HostIdle: t.HostIdle}
}

// trusts reports whether addr lies in a trusted network.
func (c *Config) trusts(addr netip.Addr) bool {
	for _, n := range c.TrustedNetworks {
		if n.Contains(addr) {
			return true
		}
	}
	return false
}

// head returns how many bytes the head of a request may have.
func (l Limits) head() int { return cmp.Or(l.Head, 32768) }

// Heads returns the limits for a reader of hosts' answers.
func (l ResponseLimits) Heads() http1.Limits {
	return http1.Limits{Line: l.Line, Head: cmp.Or(l.Head, 65536), Fields: cmp.Or(l.Fields, 256)}
}

// heads returns the limits for a reader of requests.
func (l Limits) heads() http1.Limits {
	return http1.Limits{Line: l.Line, Head: l.Head, Fields: l.Fields}
}
