package gslb

import (
	"cmp"
	"net/netip"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"

	"tokenring/health"
)

// Config is the section gslb of lb.yaml.
type Config struct {
	// Listen are the addresses, IP:PORT, at which queries are answered, by UDP and by TCP.
	Listen []string   `yaml:"listen"`
	Zone   ZoneConfig `yaml:"zone"`
	// Regions are the places with balancers, by name.
	Regions  map[string]*RegionConfig `yaml:"regions"`
	Services []ServiceConfig          `yaml:"services"`
	Map      MapConfig                `yaml:"map"`
	Probe    ProbeConfig              `yaml:"probe"`
	Limits   LimitsConfig             `yaml:"limits"`
}

// ZoneConfig says what the zone is.
type ZoneConfig struct {
	Name string `yaml:"name"`
	// Contact is the mail address of whoever is responsible for the zone.
	Contact string `yaml:"contact"`
	// NegativeTTL is for how long resolvers remember that there is no such name or record; default 30s.
	NegativeTTL time.Duration `yaml:"negative_ttl"`
	// TTL is for how long resolvers keep the records of the zone itself; default 1h.
	TTL time.Duration `yaml:"ttl"`
	// Nameservers are the servers of the zone with their addresses. A name without a dot is
	// relative to the zone; one that isn't in the zone has no addresses here.
	Nameservers map[string][]string `yaml:"nameservers"`
	// Records are what else is in the zone.
	Records []RecordConfig `yaml:"records"`
}

// RecordConfig is a record of the zone that doesn't depend on regions.
type RecordConfig struct {
	Name  string        `yaml:"name"`  // relative to the zone; @ is its apex
	Type  string        `yaml:"type"`  // such as TXT
	TTL   time.Duration `yaml:"ttl"`   // default: that of the zone
	Value string        `yaml:"value"` // as in a zone file
}

// RegionConfig is a place with balancers.
type RegionConfig struct {
	Addresses []AddressConfig `yaml:"addresses"`
	// Mode says what counts: obey (its checks, the default), always or no.
	Mode string `yaml:"mode"`
	// Failover are the regions that get its users first when it doesn't serve.
	Failover []string `yaml:"failover"`
	// MinHealthy is how many of its addresses of each family must be up for it to serve; default 1.
	MinHealthy int `yaml:"min_healthy"`
}

// AddressConfig is where users of a region are sent to.
type AddressConfig struct {
	Address string `yaml:"address"`
	// Mode is as that of a region.
	Mode string `yaml:"mode"`
	// Weight is its share of the region's networks, 1 to 255; default 1. An address with 0 is in
	// every answer.
	Weight *int `yaml:"weight"`
}

// ServiceConfig is what regions serve under a name.
type ServiceConfig struct {
	Name    string   `yaml:"name"` // relative to the zone; @ is its apex
	Regions []string `yaml:"regions"`
	// Serve is how many addresses of each family an answer has at most; default 1.
	Serve int       `yaml:"serve"`
	TTL   TTLConfig `yaml:"ttl"`
}

// TTLConfig is for how long resolvers keep an answer.
type TTLConfig struct {
	Normal time.Duration `yaml:"normal"` // default 1m
	Change time.Duration `yaml:"change"` // while it may change, and some time afterwards; default 20s
}

// MapConfig says which regions a network prefers.
type MapConfig struct {
	Networks Networks `yaml:"networks"`
	// Default are the regions, by preference, of all other networks; default: all regions of a
	// service, in its order.
	Default []string `yaml:"default"`
	// ClientSubnet says that a resolver's word counts for whom it asks (RFC 7871).
	ClientSubnet bool `yaml:"client_subnet"`
}

// Networks are networks with their regions. In YAML each network is a key, and its value a list of
// regions by preference, or one alone.
type Networks []NetworkConfig

// NetworkConfig is a network with its regions.
type NetworkConfig struct {
	Network string
	Regions []string
}

// ProbeConfig says how the addresses of regions are checked.
type ProbeConfig struct {
	// Protocol is https, http or tcp; default https.
	Protocol string `yaml:"protocol"`
	Port     int    `yaml:"port"` // default 443, 80 for http
	Path     string `yaml:"path"` // default /.well-known/lb-region
	// Host is the name in requests and, by https, in the certificate; default: the first service.
	Host     string        `yaml:"host"`
	CA       string        `yaml:"ca"`       // a file with the certificates of those who may sign; default: the machine's
	Interval time.Duration `yaml:"interval"` // default 3s
	Timeout  time.Duration `yaml:"timeout"`  // default 2s
	Rise     int           `yaml:"rise"`     // default 4
	Fall     int           `yaml:"fall"`     // default 3
	Expect   health.Expect `yaml:"expect"`
}

// LimitsConfig bounds what clients may use.
type LimitsConfig struct {
	TCP     int           `yaml:"tcp"`      // connections at a time; default 1000
	TCPIdle time.Duration `yaml:"tcp_idle"` // after which a quiet connection is closed; default 10s
	// Cookies says that clients get cookies if they have one (RFC 7873), by which they know our
	// answers from forged ones; default true.
	Cookies *bool `yaml:"cookies"`
}

// The protocols of probes.
const (
	ProtocolHTTPS = "https"
	ProtocolHTTP  = "http"
	ProtocolTCP   = "tcp"
)

// WithDefaults returns c with its zero fields filled in.
func (c Config) WithDefaults() Config {
	c.Zone.NegativeTTL = cmp.Or(c.Zone.NegativeTTL, 30*time.Second)
	c.Zone.TTL = cmp.Or(c.Zone.TTL, time.Hour)
	for i := range c.Services {
		s := &c.Services[i]
		s.Serve = cmp.Or(s.Serve, 1)
		s.TTL.Normal, s.TTL.Change = cmp.Or(s.TTL.Normal, time.Minute), cmp.Or(s.TTL.Change, 20*time.Second)
	}
	p := &c.Probe
	p.Protocol = cmp.Or(p.Protocol, ProtocolHTTPS)
	p.Port = cmp.Or(p.Port, map[string]int{ProtocolHTTPS: 443, ProtocolHTTP: 80}[p.Protocol])
	p.Path = cmp.Or(p.Path, "/.well-known/lb-region")
	p.Interval, p.Timeout = cmp.Or(p.Interval, 3*time.Second), cmp.Or(p.Timeout, 2*time.Second)
	p.Rise, p.Fall = cmp.Or(p.Rise, 4), cmp.Or(p.Fall, 3)
	if c.Limits.Cookies == nil {
		yes := true
		c.Limits.Cookies = &yes
	}
	c.Limits.TCP, c.Limits.TCPIdle = cmp.Or(c.Limits.TCP, 1000), cmp.Or(c.Limits.TCPIdle, 10*time.Second)
	return c
}

// UnmarshalYAML reads networks with their regions. Its errors are *yaml.SyntaxError, which have
// the line and column.
func (n *Networks) UnmarshalYAML(node ast.Node) error {
	mapping, ok := node.(ast.MapNode)
	if !ok {
		return &yaml.SyntaxError{Message: "not networks with their regions; write for example {192.0.2.0/24: [eu, us]}", Token: node.GetToken()}
	}
	seen := map[netip.Prefix]bool{}
	for pairs := mapping.MapRange(); pairs.Next(); {
		key, value := pairs.Key().GetToken(), pairs.Value()
		network, err := netip.ParsePrefix(key.Value)
		switch {
		case err != nil:
			return &yaml.SyntaxError{Message: "not a network; write for example 192.0.2.0/24", Token: key}
		case network != network.Masked():
			return &yaml.SyntaxError{Message: "a network with bits behind its length; write " + network.Masked().String(), Token: key}
		case seen[network]:
			return &yaml.SyntaxError{Message: "the network is here twice; remove one of them", Token: key}
		}
		seen[network] = true
		regions, err := names(value)
		if err != nil {
			return err
		}
		*n = append(*n, NetworkConfig{key.Value, regions})
	}
	return nil
}

// names reads a list of names, or one alone.
func names(node ast.Node) ([]string, error) {
	all := []ast.Node{node}
	if list, ok := node.(*ast.SequenceNode); ok {
		all = list.Values
	}
	var found []string
	for _, n := range all {
		name, ok := n.(*ast.StringNode)
		if !ok {
			return nil, &yaml.SyntaxError{Message: "not a region; write one such as eu, or a list of them", Token: n.GetToken()}
		}
		found = append(found, name.Value)
	}
	return found, nil
}
