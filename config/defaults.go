package config

import (
	"cmp"
	"net"
	"net/netip"
	"os"
	"slices"

	"tokenring/proxy"
)

// setDefaults fills in what the file leaves out. It comes after decoding and
// before checking, so that contradictions with defaults are found too.
func (c *Config) setDefaults(d *document) {
	if c.Name == "" && !d.has("name") {
		c.Name = hostName()
	}
	c.Hash = c.Hash.WithDefaults()
	c.Pool = c.Pool.WithDefaults()
	c.Peers = c.Peers.WithDefaults()
	c.Health = c.Health.WithDefaults()
	if c.Affinity.Cookie != nil {
		c.Affinity.Cookie.SetDefaults(slices.ContainsFunc(c.Listen, func(l proxy.ListenConfig) bool { return l.TLS }))
	}
	c.Timeouts = c.Timeouts.WithDefaults()
	c.Admin = c.Admin.WithDefaults()
	c.Log.Level = cmp.Or(c.Log.Level, "info")
	c.Log.Format = cmp.Or(c.Log.Format, "json")
	if !d.has("log.access") {
		c.Log.Access = true
	}
	c.StateDir = cmp.Or(c.StateDir, defaultStateDir)
	c.setAdvertise()
}

// setAdvertise gives the peers the address that the pool advertises, if they
// are bound to all addresses and have none of their own.
func (c *Config) setAdvertise() {
	if c.Peers.Advertise != "" || !unspecified(c.Peers.Bind) {
		return
	}
	host, _, err := net.SplitHostPort(c.Pool.Advertise)
	_, port, bindErr := net.SplitHostPort(c.Peers.Bind)
	if err == nil && bindErr == nil {
		c.Peers.Advertise = net.JoinHostPort(host, port)
	}
}

func hostName() string {
	name, err := os.Hostname()
	if err != nil {
		return ""
	}
	return name
}

// unspecified tells whether an address to listen on stands for all addresses.
func unspecified(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	ip, err := netip.ParseAddr(host)
	return host == "" || err == nil && ip.Unmap().IsUnspecified()
}
