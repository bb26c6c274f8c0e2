package config

import (
	"cmp"
	"net"
	"net/netip"
	"os"
	"slices"

	"tokenring/proxy"
	"tokenring/proxy/routing"
)

// setDefaults fills in the values that the file leaves out. It runs after decoding and
// before the checks, so that these find contradictions with defaults, too.
func (c *Config) setDefaults(d *document) {
	if c.Name == "" && !d.has("name") {
		c.Name = hostName()
	}
	if c.GSLB != nil {
		own := c.GSLB.WithDefaults()
		c.GSLB = &own
	}
	c.setPoolDefaults(d)
	c.setPoolsDefaults(d)
	if again := c.Sessions.SecondChance; again != nil {
		*again = again.WithDefaults()
	}
	c.Timeouts = c.Timeouts.WithDefaults()
	c.Unmatched = cmp.Or(c.Unmatched, routing.UnmatchedPool)
	c.Shutdown.Grace = cmp.Or(c.Shutdown.Grace, proxy.DefaultShutdownGrace)
	c.Generations = c.Generations.WithDefaults()
	if !d.has("sessions.linger") {
		c.Sessions.Linger = defaultLinger
	}
	if !d.has("sessions.strict_lease") {
		c.Sessions.StrictLease = defaultLease
	}
	c.Admin = c.Admin.WithDefaults()
	c.Log.Level = cmp.Or(c.Log.Level, "info")
	c.Log.Format = cmp.Or(c.Log.Format, "json")
	if !d.has("log.access") {
		c.Log.Access = true
	}
	c.StateDir = cmp.Or(c.StateDir, defaultStateDir)
	c.setPeersDefaults(d)
}

// setPoolDefaults fills in what belongs to the main pool, or to another one.
func (c *Config) setPoolDefaults(d *document) {
	c.Hash = c.Hash.WithDefaults()
	c.Pool = c.Pool.WithDefaults()
	c.Health.setDefaults(d)
	if c.Affinity.Cookie != nil {
		c.Affinity.Cookie.SetDefaults(slices.ContainsFunc(c.Listen, func(l proxy.ListenConfig) bool { return l.TLS }))
	}
}

func hostName() string {
	name, err := os.Hostname()
	if err != nil {
		return ""
	}
	return name
}

// unspecified reports whether an address to listen on means all addresses.
func unspecified(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	ip, err := netip.ParseAddr(host)
	return host == "" || err == nil && ip.Unmap().IsUnspecified()
}
