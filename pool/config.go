package pool

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"time"

	"github.com/rs/zerolog"

	"tokenring/balancer"
	"tokenring/filewatch"
	"tokenring/gossip"
	"tokenring/gossip/announcement"
	"tokenring/hosttls"
	"tokenring/netaddr"
	"tokenring/peers"
	"tokenring/pool/eligibility"
	"tokenring/pool/gossips"
	"tokenring/pool/handed"
	"tokenring/pool/hostlist"
	"tokenring/proxy/fields"
	"tokenring/proxy/queue"
	"tokenring/route"
)

// Config is the section `pool` of the configuration: how hosts are found. Without Bind
// there is no gossip, and only the hosts in Hosts and HostsFile are known.
type Config struct {
	// Config is the gossip of hosts and balancers.
	gossip.Config `yaml:",inline"`
	// AllowedNetworks are the prefixes in which announced service addresses must
	// lie. Without any, a host's service must have the IP address of its gossip.
	// Link-local addresses are never allowed, nor this balancer's own, and loopback only
	// if this balancer's gossip is on loopback itself.
	AllowedNetworks []string `yaml:"allowed_networks"`
	// HostsKeys is a file of the hosts' public keys: see hostkeys.Read. Without it, a host's
	// key is the one with which it was announced first.
	HostsKeys string `yaml:"hosts_keys"`
	// Signatures is SignaturesTolerated, the default, or SignaturesRequired.
	Signatures     string `yaml:"signatures"`
	AnnounceLimits `yaml:",inline"`
	// SlowStart is how long a host that begins to serve takes until it has all its keys:
	// route.MinSlowStart to route.MaxSlowStart. It must be the same on all balancers.
	// Default 0: a host has all its keys at once.
	SlowStart time.Duration `yaml:"slow_start"`
	// Freeze says when the ring freezes because many hosts vanish at once; or it is `off`.
	Freeze      eligibility.FreezeConfig `yaml:"freeze"`
	Connections `yaml:",inline"`
	// Hosts are the hosts without an agent.
	Hosts []hostlist.Host `yaml:"hosts"`
	// HostsFile is a file with more of them, which is read again when it changes: see
	// Options.ReadHosts.
	HostsFile string `yaml:"hosts_file"`
	// DNS makes each address of a name a host; nil: none. The main pool has none.
	DNS *DNSConfig `yaml:"-"`
}

// DNSConfig says by which DNS name hosts are found.
type DNSConfig struct {
	Name string `yaml:"name"` // NAME:PORT; each address of the name is a host
}

// Connections says how checks and the data path connect to hosts. The pool itself connects to
// none.
type Connections struct {
	// TLS is how TLS is spoken with the hosts; nil: it isn't.
	TLS *hosttls.Config `yaml:"tls"`
	// Upgrades are the protocols, besides HTTP, that clients may change to (RFC 9110 §7.8). Default:
	// websocket.
	Upgrades []string `yaml:"upgrades"`
	// SendProxy says how hosts are told the client of a connection: "" (they aren't) or SendProxyV2.
	SendProxy string `yaml:"send_proxy"`
	// Fields are the changes of header fields of requests to the hosts and of their answers; nil for
	// none.
	Fields *fields.Config `yaml:"fields"`
	// MaxConnections is how many requests may be in progress on a host through this balancer, unless
	// the list with the host says otherwise. A terminal counts until the host has agreed to it. 0:
	// any number.
	MaxConnections int `yaml:"max_connections"`
	// Queue is where requests beyond that wait.
	Queue queue.Config `yaml:"queue"`
}

// SendProxyV2 is the value of Connections.SendProxy for a header of the PROXY protocol, version 2, at
// the beginning of each connection.
const SendProxyV2 = "v2"

// The values of Config.Signatures.
const (
	SignaturesTolerated = "tolerate" // a host of which no key is known need not sign
	SignaturesRequired  = "require"  // each host must, and have a key in HostsKeys if that is set
)

// Options are what New needs besides the configuration.
type Options struct {
	Pool     Membership
	Name     string // of this balancer
	Version  string // of this software
	StateDir string // for decisions.json, hosts.json, members.json and rings.json; "" keeps them in memory only
	Hash     balancer.Config
	Logger   zerolog.Logger
	// Own are the addresses where this balancer listens, the gossips' among them. No
	// host may announce one of them. An unspecified IP address stands for all of this
	// machine's.
	Own []netip.AddrPort
	Sockets
	// ReadHosts reads the hosts in Config.HostsFile, with their defaults. It refuses those
	// that can't be there together, or beside Config.Hosts. It is needed if there is a
	// HostsFile.
	ReadHosts func() ([]hostlist.Host, error)
	// Expect is how many balancers there should be, this one among them: see votes.NewRoll. 0
	// stands for those that are known.
	Expect int
	// FenceWait is votes.Fence.Wait if hosts fence themselves; 0 if they don't.
	FenceWait time.Duration
	// AgreeWithin is how long voluntary changes of the ring wait for a balancer that is missing:
	// see the package waits. 0: they don't wait.
	AgreeWithin time.Duration
	// LossWindow is how long gossip must have lost a host, and its checks must have
	// failed, before the host leaves the ring. Checks notice one event at different
	// times, and LossWindow should be longer than the difference: the interval of checks
	// times fall, plus a timeout. Default 5 s.
	LossWindow time.Duration
	// Damping is how long a host that was voted down must pass its checks without a failure
	// until it gets its keys back. 0: no longer than until its checks pass.
	Damping time.Duration
	// Lookup returns the addresses of a DNS name, as net.Resolver.LookupNetIP does. nil
	// stands for the method of net.DefaultResolver.
	Lookup func(ctx context.Context, network, name string) ([]netip.Addr, error)
	// Clock returns what is known of this balancer's clock. It is called from Run's goroutine and
	// must not block. nil: there is no other balancer's to compare it with.
	Clock func() peers.Clock
	Takeover
	// OnSnapshot is called with each snapshot that Run publishes, from Run's goroutine,
	// one call after the other. It must not block. It may be nil.
	OnSnapshot func(*route.Snapshot)
}

// Membership says which of a balancer's pools it is. The zero value is for the main pool of a
// balancer that has no other.
type Membership struct {
	Name   string             // "" for the main pool
	Main   *Pool              // whose gossips the pool shares; nil for the main pool itself
	Others []gossips.PoolName // of the main pool: all others. Each must be made before Run of the main pool
}

// Sockets are where a Pool meets its peers and hosts.
type Sockets struct {
	// Gossip and Peers are the sockets of the two gossips, if these are configured. See
	// gossip.Listen.
	Gossip, Peers gossip.Sockets
	// Stream is where this balancer accepts the streams of its peers, which are told of it;
	// zero if it accepts none.
	Stream announcement.Stream
}

// Takeover is how a Pool takes the place of that of another process.
type Takeover struct {
	// Handed is what another process knows, whose place this one takes; nil if there is
	// none. Then Ready waits for nothing but the tables, and the first one is that of the
	// other process, if its hosts are the same by this configuration.
	Handed *handed.State
	// Begin is closed when the other process has let go of the gossips and of StateDir. Until
	// then they aren't touched, and Update may bring a later State. nil if there is no need
	// to wait. Without Handed, the Pool isn't ready before Begin.
	Begin <-chan struct{}
}

// WithDefaults returns c with its zero fields set to their defaults.
func (c Config) WithDefaults() Config {
	c.Config = c.WithLabel(gossip.PoolLabel)
	c.Freeze = c.Freeze.WithDefaults()
	c.Queue = c.Queue.WithDefaults()
	c.Signatures = cmp.Or(c.Signatures, SignaturesTolerated)
	c.MaxHostsPerAddress = cmp.Or(c.MaxHostsPerAddress, maxHostsPerAddress)
	hosts := make([]hostlist.Host, len(c.Hosts))
	for i, h := range c.Hosts {
		hosts[i] = h.WithDefaults()
	}
	c.Hosts = hosts
	return c
}

func settingsOf(cfg Config, o Options) settings {
	s := settings{name: o.Name, hash: o.Hash, delays: eligibility.DefaultDelays, slowStart: cfg.SlowStart, damping: o.Damping, limits: cfg.AnnounceLimits}
	for _, own := range o.Own {
		s.ports = append(s.ports, own.Port())
	}
	s.dns, s.maxConnections = cfg.DNS != nil, cfg.MaxConnections
	s.streams = o.Stream != announcement.Stream{}
	s.expected, s.within, s.fenceWait, s.delays.Freeze = o.Expect, o.AgreeWithin, o.FenceWait, cfg.Freeze
	s.delays.LossWindow = cmp.Or(o.LossWindow, s.delays.LossWindow)
	return s
}

// openHostsFile reads the hosts of pool.hosts_file, if it is configured.
func openHostsFile(cfg Config, o Options) (*filewatch.Watch[[]hostlist.Host], []hostlist.Host, error) {
	var paths []string
	if cfg.HostsFile != "" {
		paths = []string{cfg.HostsFile}
	}
	w, hosts, err := filewatch.Open(o.ReadHosts, paths...)
	if err != nil {
		return nil, nil, fmt.Errorf("pool.hosts_file: %w", err)
	}
	return w, hosts, nil
}

// checkHosts checks the hosts of the config file, and returns the filter for hosts of the
// gossip.
func checkHosts(cfg Config) (gossip.Filter, error) {
	networks, err := netaddr.ParseNetworks(cfg.AllowedNetworks)
	if err != nil {
		return gossip.Filter{}, fmt.Errorf("allowed networks: %w", err)
	}
	twice := map[string]bool{}
	for _, h := range cfg.Hosts {
		if err := h.Check(); err != nil {
			return gossip.Filter{}, fmt.Errorf("host %q: %w", h.Name, err)
		}
		if twice[h.Name] {
			return gossip.Filter{}, fmt.Errorf("host %q is listed twice", h.Name)
		}
		twice[h.Name] = true
	}
	return gossip.Filter{Networks: networks}, nil
}
