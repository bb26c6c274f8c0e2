package pool

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"tokenring/balancer"
)

// Config is the `pool` section: how hosts are found. Without Bind there is no
// gossip, and Hosts are all there are.
type Config struct {
	// Bind is the IP address and port, for TCP and UDP both, on which gossip
	// listens. Without an IP address it is all of them; port 0 is any free one.
	Bind string `yaml:"bind"`
	// Advertise is the IP address and port at which others reach Bind. Default:
	// Bind, or if that is no single address the one from which the first seed is
	// reached, or else the machine's only one. Never a floating address.
	Advertise string `yaml:"advertise"`
	// Join are the seeds: host:port of members, of which one is enough. Names
	// are looked up again at each attempt.
	Join []string `yaml:"join"`
	// SecretFile holds the 32 bytes of the key that all members share.
	SecretFile string `yaml:"secret_file"`
	// Label tells pools apart. Default "tokenring-pool".
	Label string `yaml:"label"`
	// AllowedNetworks are the prefixes in which announced service addresses must
	// lie. Without any, all are allowed but loopback and link-local ones; those
	// only if this balancer's gossip is on loopback itself.
	AllowedNetworks []string `yaml:"allowed_networks"`
	// SlowStart is how long a host that comes into service takes until it has all
	// its keys; MinSlowStart to MaxSlowStart. All balancers need the same. Default 0:
	// it has them at once.
	SlowStart time.Duration `yaml:"slow_start"`
	// Freeze is when the ring freezes because many hosts vanish at once, or `off`.
	Freeze FreezeConfig `yaml:"freeze"`
	// Hosts are the hosts that run no agent.
	Hosts []StaticHost `yaml:"hosts"`
}

// A StaticHost is a host of the config file.
type StaticHost struct {
	Name string `yaml:"name"`
	ID   uint32 `yaml:"id"`
	// Address is host:port. A DNS name is looked up again every few seconds, and
	// must be that of one machine: see docs/hosts.md.
	Address string `yaml:"address"`
	// Weight is 0..256; default 1. 0 stands for no keys until an operator gives it
	// some. It is nil before WithDefaults.
	Weight *int   `yaml:"weight"`
	Zone   string `yaml:"zone"`
}

// PeersConfig is the `peers` section: the gossip among balancers only, under
// another key. Without Bind there is none. The fields are those of Config.
type PeersConfig struct {
	Bind       string   `yaml:"bind"`
	Advertise  string   `yaml:"advertise"`
	Join       []string `yaml:"join"`
	SecretFile string   `yaml:"secret_file"`
	Label      string   `yaml:"label"` // default "tokenring-peers"
}

// AgentConfig is what an agent needs to announce its host.
type AgentConfig struct {
	Name       string
	ID         uint32
	Address    string     // ip:port of the host's service, as balancers reach it
	Weight     *int       // 0..256, nil for 1; 0 stands for no keys
	Weights    <-chan int // later weights; never closed, nil if Weight stays
	Zone       string
	Version    string
	Bind       string // the fields from here on are those of Config
	Advertise  string
	Join       []string
	SecretFile string
	Label      string
}

// Options are what New needs beside the configuration.
type Options struct {
	Name     string // of this balancer
	Version  string // of this software
	StateDir string // for decisions.json and members.json; "" keeps them in memory only
	Hash     balancer.Config
	Logger   zerolog.Logger
	// Settle is how long a host must be lost to gossip and checks before it
	// leaves the ring. It should exceed the time by which checks may notice the
	// same event differently: interval, times fall, and a timeout. Default 5 s.
	Settle time.Duration
	// Lookup returns the addresses of a name in Config.Hosts, as
	// net.Resolver.LookupNetIP does; nil stands for that of net.DefaultResolver.
	Lookup func(ctx context.Context, network, name string) ([]netip.Addr, error)
	// OnSnapshot, if not nil, is called with each snapshot, the first included,
	// one call after the other, from Run's goroutine. It must not block.
	OnSnapshot func(*Snapshot)
}

const (
	defaultPoolLabel  = "tokenring-pool"
	defaultPeersLabel = "tokenring-peers"
)

// WithDefaults returns c with its zero fields filled in.
func (c Config) WithDefaults() Config {
	c.Label = cmp.Or(c.Label, defaultPoolLabel)
	c.Freeze = c.Freeze.WithDefaults()
	hosts := make([]StaticHost, len(c.Hosts))
	for i, h := range c.Hosts {
		h.Weight = cmp.Or(h.Weight, new(1))
		hosts[i] = h
	}
	c.Hosts = hosts
	return c
}

// WithDefaults returns c with its zero fields filled in.
func (c PeersConfig) WithDefaults() PeersConfig {
	c.Label = cmp.Or(c.Label, defaultPeersLabel)
	return c
}

// WithDefaults returns c with its zero fields filled in.
func (c AgentConfig) WithDefaults() AgentConfig {
	c.Label = cmp.Or(c.Label, defaultPoolLabel)
	c.Weight = cmp.Or(c.Weight, new(1))
	return c
}

// Bounds of what a host may be called, announce and weigh. They keep the
// metadata of a node under the 512 bytes that memberlist allows.
const (
	maxName    = 64
	maxAddress = 128
	maxZone    = 64
	maxVersion = 64
	maxWeight  = 256
)

// CheckName says what is wrong with the name of a host or balancer, nil if
// nothing: it has 1 to 64 letters, digits, '.', '_' and '-', and begins with a
// letter or a digit.
func CheckName(name string) error {
	if name == "" {
		return errors.New("the name is empty")
	}
	if len(name) > maxName {
		return fmt.Errorf("the name has %d bytes, at most %d are possible", len(name), maxName)
	}
	for i := range len(name) {
		c := name[i]
		alphanumeric := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !alphanumeric && (i == 0 || !strings.ContainsRune("._-", rune(c))) {
			return fmt.Errorf("the name %q must begin with a letter or a digit and consist of letters, digits, '.', '_' and '-'", name)
		}
	}
	return nil
}

// CheckAddress says what is wrong with the address of a host's service or a
// seed, nil if nothing: it is host:port with a port of 1 to 65535.
func CheckAddress(address string) error {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("the address %q is not host:port", address)
	}
	if host == "" || strings.ContainsAny(host, "/ \t") {
		return fmt.Errorf("the address %q names no host", address)
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return fmt.Errorf("the address %q needs a port of 1 to 65535", address)
	}
	return nil
}

// CheckBind says what is wrong with a bind address, nil if nothing.
func CheckBind(bind string) error {
	_, err := parseBind(bind)
	return err
}

// parseBind reads "ip:port" or ":port". Without an IP address, Addr is the zero
// value. A name is refused: memberlist would take it for all addresses.
func parseBind(bind string) (netip.AddrPort, error) {
	host, port, err := net.SplitHostPort(bind)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("the address %q is not ip:port or :port", bind)
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("the address %q needs a port of 0 to 65535", bind)
	}
	var ip netip.Addr
	if host != "" {
		if ip, err = netip.ParseAddr(host); err != nil {
			return netip.AddrPort{}, fmt.Errorf("the address %q needs an IP address, not a name", bind)
		}
	}
	return netip.AddrPortFrom(ip.Unmap(), uint16(n)), nil
}

// ParseNetworks reads prefixes such as "10.0.0.0/8"; a bare IP address is a
// prefix of one.
func ParseNetworks(texts []string) ([]netip.Prefix, error) {
	var networks []netip.Prefix
	for _, text := range texts {
		prefix, err := netip.ParsePrefix(text)
		if err != nil {
			ip, ipErr := netip.ParseAddr(text)
			if ipErr != nil {
				return nil, fmt.Errorf("%q is no network such as 10.0.0.0/8", text)
			}
			prefix = netip.PrefixFrom(ip, ip.BitLen())
		}
		networks = append(networks, prefix.Masked())
	}
	return networks, nil
}

// check says what is wrong with a host of the config file.
func (h StaticHost) check() error {
	if err := CheckName(h.Name); err != nil {
		return err
	}
	if err := CheckAddress(h.Address); err != nil {
		return err
	}
	if *h.Weight < 0 || *h.Weight > maxWeight {
		return fmt.Errorf("the weight %d is not in 0..%d", *h.Weight, maxWeight)
	}
	return nil
}
