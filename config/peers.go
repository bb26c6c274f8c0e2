package config

import (
	"cmp"
	"fmt"
	"net"
	"strconv"
	"time"

	"tokenring/gossip"
)

// PeersConfig says how the balancers of a region know of one another.
type PeersConfig struct {
	gossip.Config `yaml:",inline"`
	// Stream is the ip:port on which the streams of other balancers are accepted, by TCP.
	// Default: Bind, one port up. Others reach it at the IP address that Advertise has.
	Stream string `yaml:"stream"`
	// Expect is how many balancers there should be, this one among them: a host is down when
	// more than half of them say so. It is 1 to gossip.MaxBalancers. Default 0: those that are
	// known.
	Expect int `yaml:"expect"`
	// AgreeWithin is how long changes of the ring that can wait do so for a balancer that is
	// missing. Default: sessions.linger.
	AgreeWithin Agreement `yaml:"agree_within"`
}

// An Agreement is how long changes of the ring wait for a balancer that is missing. 0 means that
// they don't; `off` stands for it.
type Agreement time.Duration

// Bounds of an Agreement: one that is shorter hardly outlasts a restart.
const (
	shortestAgreement = Agreement(10 * time.Second)
	longestAgreement  = Agreement(24 * time.Hour)
)

// SetOff sets a as `off` does.
func (a *Agreement) SetOff() { *a = 0 }

// String returns the duration, or "off".
func (a Agreement) String() string {
	if a == 0 {
		return "off"
	}
	return time.Duration(a).String()
}

// setPeersDefaults runs after the defaults of pool and sessions. Peers that are bound to all addresses
// advertise the pool's, if the file sets none.
func (c *Config) setPeersDefaults(d *document) {
	if !d.has("peers.agree_within") {
		c.Peers.AgreeWithin = Agreement(c.Sessions.Linger)
	}
	c.Peers.Config = c.Peers.WithLabel(gossip.PeersLabel)
	c.Peers.Stream = cmp.Or(c.Peers.Stream, onePortUp(c.Peers.Bind))
	if c.Peers.Advertise != "" || !unspecified(c.Peers.Bind) {
		return
	}
	host, _, err := net.SplitHostPort(c.Pool.Advertise)
	_, port, bindErr := net.SplitHostPort(c.Peers.Bind)
	if err == nil && bindErr == nil {
		c.Peers.Advertise = net.JoinHostPort(host, port)
	}
}

// onePortUp returns the address on which streams are accepted by default: that of a gossip,
// one port up. It is any free port if the gossip's is, and "" if there is no such address.
func onePortUp(bind string) string {
	host, text, err := net.SplitHostPort(bind)
	if err != nil {
		return ""
	}
	port, err := strconv.ParseUint(text, 10, 16)
	switch {
	case err != nil || port == 1<<16-1:
		return ""
	case port > 0:
		port++
	}
	return net.JoinHostPort(host, strconv.FormatUint(port, 10))
}

func (c *Config) checkPeers(d *document) {
	p := &c.Peers
	d.checkGossip("peers", &p.Config)
	if p.SecretFile != "" && p.SecretFile == c.Pool.SecretFile {
		d.fail("peers.secret_file", "this is the pool's secret, which every host has", "peers need a secret of their own, because hosts must not be able to forge the messages between balancers")
	}
	c.checkStream(d)
	c.checkExpect(d)
	c.checkAgreement(d)
}

// checkAgreement checks how long changes wait for a balancer.
func (c *Config) checkAgreement(d *document) {
	const path = "peers.agree_within"
	switch a := c.Peers.AgreeWithin; {
	case !d.has(path) || a == 0:
	case a < shortestAgreement || a > longestAgreement:
		d.fail(path, fmt.Sprintf("%s is out of bounds", a), fmt.Sprintf("use a time from %s to %s, or off", shortestAgreement, longestAgreement))
	case c.Peers.Bind == "":
		d.fail(path, "other balancers are found by gossip, and without peers.bind there is none", "set peers.bind, such as 0.0.0.0:7947, or remove this")
	}
}

// checkExpect checks how many balancers there should be.
func (c *Config) checkExpect(d *document) {
	const path = "peers.expect"
	switch n := c.Peers.Expect; {
	case !d.has(path):
	case n < 1 || n > gossip.MaxBalancers:
		d.fail(path, fmt.Sprintf("%d is not in 1..%d", n, gossip.MaxBalancers), "write how many balancers the region has, this one among them, or leave it out: then those count that are known")
	case c.Peers.Bind == "" && n > 1:
		d.fail(path, "other balancers are found by gossip, and without peers.bind there is none", "set peers.bind, such as 0.0.0.0:7947, or remove this")
	}
}

// checkStream checks where the streams of peers are accepted.
func (c *Config) checkStream(d *document) {
	const path = "peers.stream"
	switch {
	case c.Peers.Bind == "" && d.has(path):
		d.fail(path, "streams are between balancers that know of one another by gossip, and without peers.bind there is none", "set peers.bind, such as 0.0.0.0:7947, or remove this")
	case c.Peers.Bind == "":
	case c.Peers.Stream == "":
		d.fail(path, "the default is one port above that of peers.bind, and there is none", "write the ip:port on which the other balancers' streams are accepted, such as 0.0.0.0:7948")
	case d.has(path):
		if err := gossip.CheckBind(c.Peers.Stream); err != nil {
			d.fail(path, err.Error(), "write for example 10.0.0.2:7948 or 0.0.0.0:7948")
		}
	}
}
