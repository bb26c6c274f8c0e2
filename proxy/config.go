package proxy

import (
	"cmp"
	"net/netip"
	"time"

	"tokenring/balancer"
	"tokenring/http1"
)

// Timeouts bound every phase of a connection. A zero field means its default.
type Timeouts struct {
	Handshake time.Duration `yaml:"handshake"` // from accept to the end of the TLS handshake; 5s
	Head      time.Duration `yaml:"head"`      // from a request's first byte to the end of its head; 10s
	Body      time.Duration `yaml:"body"`      // a client that neither sends nor takes a byte of a body; 30s
	Connect   time.Duration `yaml:"connect"`   // a TCP connection to a host; 2s
	Response  time.Duration `yaml:"response"`  // a host that sends no byte of its answer; 60s
	HostIdle  time.Duration `yaml:"host_idle"` // a connection to a host between two requests; 3s
	Idle      time.Duration `yaml:"idle"`      // a keep-alive connection between two requests; 60s
	Tunnel    time.Duration `yaml:"tunnel"`    // a WebSocket on which nothing moves in either direction; 1h
	Shutdown  time.Duration `yaml:"shutdown"`  // what is still open that long after a stop is closed; 10s
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
		{&t.Shutdown, 10 * time.Second},
	} {
		if *f.field == 0 {
			*f.field = f.value
		}
	}
	return t
}

// tick is how often what waits in a lot is asked whether its time has passed. A
// timeout there takes up to a quarter longer than it says.
func (t Timeouts) tick() time.Duration {
	const shortest, longest = time.Millisecond, 5 * time.Second
	return min(max(min(t.Idle, t.Tunnel)/4, shortest), longest)
}

// Limits bound what clients may send, how many there may be, and what hosts may
// answer. A zero field means its default.
type Limits struct {
	Line   int   `yaml:"line"`   // bytes of the request line and of each header field; as many as of a head
	Head   int   `yaml:"head"`   // bytes of a whole head; 32768
	Fields int   `yaml:"fields"` // header fields; 100
	Body   int64 `yaml:"body"`   // bytes of a body; 0 means no limit, for bodies are streamed

	Response ResponseLimits `yaml:"response"`

	// Connections bounds what all clients have open together. While it is reached,
	// new connections wait in the kernel's queue. The default follows from the
	// number of files that the process may open.
	Connections int `yaml:"connections"`

	// Streams bounds the requests of HTTP/2 connections that are with hosts at once,
	// beyond the first of each. They count among Connections. One source may have a
	// quarter of them. The default is a quarter of Connections.
	Streams int `yaml:"streams"`
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
	HTTP2         *bool  `yaml:"http2"`          // whether TLS clients are offered it; true
	RedirectHTTPS bool   `yaml:"redirect_https"` // answer every request with a redirect to https
	HalfClose     string `yaml:"half_close"`     // what the bare end of a plain client means: HalfCloseServe (default) or HalfCloseAbort

	RedirectKeepKey bool `yaml:"redirect_keep_key"` // redirects repeat the parameters that hold the key; false
}

// What a client means that ends its direction of a plain connection (a FIN)
// while a request of it is under way.
const (
	HalfCloseServe = "serve" // it still reads: its request is served
	HalfCloseAbort = "abort" // it has left: its request is given up
)

// Config is what the data path needs to know. The zero value is a working
// default: the token is the query parameter "token", nobody is trusted.
type Config struct {
	Timeouts        Timeouts
	Limits          Limits
	Key             []balancer.KeyRule
	TrustedNetworks []netip.Prefix // whose X-Forwarded-* and X-Request-Id are kept
	Affinity        AffinityConfig // nothing keeps a client without a key on its host, unless it says so
	AffinitySecrets [][]byte       // what is in its secret files; none: a key of this proxy's own

	// DownGrace is how long a request that can't be sent to another host still waits
	// for one that checks have found down; 6s.
	DownGrace time.Duration

	// lingering is for how long a goroutine waits for the next request before
	// its connection is parked; 0 for the default, which only tests change.
	lingering time.Duration
}

func (c Config) withDefaults() Config {
	c.Timeouts = c.Timeouts.WithDefaults()
	if len(c.Key) == 0 {
		c.Key = []balancer.KeyRule{{Source: balancer.KeyQuery, Name: "token"}}
	}
	if c.Affinity.Cookie != nil {
		filled := *c.Affinity.Cookie
		filled.SetDefaults(false)
		c.Affinity.Cookie = &filled
	}
	if c.Limits.Connections == 0 {
		c.Limits.Connections = connectionsFor(maxFiles())
	}
	if c.Limits.Streams == 0 {
		c.Limits.Streams = c.Limits.Connections / 4
	}
	c.DownGrace = cmp.Or(c.DownGrace, 6*time.Second)
	if c.lingering == 0 {
		c.lingering = 2 * time.Second
	}
	return c
}

// trusts tells whether addr lies in a trusted network.
func (c *Config) trusts(addr netip.Addr) bool {
	for _, n := range c.TrustedNetworks {
		if n.Contains(addr) {
			return true
		}
	}
	return false
}

// head returns the largest head of a request in bytes.
func (l Limits) head() int { return cmp.Or(l.Head, 32768) }

// Heads returns the limits for a reader of hosts' answers.
func (l ResponseLimits) Heads() http1.Limits {
	return http1.Limits{Line: l.Line, Head: cmp.Or(l.Head, 65536), Fields: cmp.Or(l.Fields, 256)}
}

// heads returns the limits for a reader of requests.
func (l Limits) heads() http1.Limits {
	return http1.Limits{Line: l.Line, Head: l.Head, Fields: l.Fields}
}
