package config

import (
	"fmt"
	"slices"
	"strings"

	"tokenring/http1"
	"tokenring/netaddr"
	"tokenring/pool"
	"tokenring/route"
	"tokenring/tlsterm"
)

// checkConnections checks how hosts are connected to.
func (c *Config) checkConnections(d *document) {
	c.checkHostTLS(d)
	c.checkUpgrades(d)
	if s := c.Pool.SendProxy; s != "" && s != pool.SendProxyV2 {
		d.fail("pool.send_proxy", fmt.Sprintf("%q is no version of the PROXY protocol that lb sends", s), "write v2, or leave it out if the hosts don't expect a header")
	}
	c.checkQueue(d)
}

// checkHostTLS resolves the files of pool.tls, and reports what can't be used.
func (c *Config) checkHostTLS(d *document) {
	t := c.Pool.TLS
	if t == nil {
		return
	}
	if d.checkFile("pool.tls.ca", &t.CA) {
		if _, err := tlsterm.ReadRoots(t.CA); err != nil {
			d.fail("pool.tls.ca", err.Error(), "name a PEM file with the root certificates of your hosts")
		}
	}
	if t.CA != "" && !t.Verifies() {
		d.fail("pool.tls.ca", "hosts' certificates aren't verified: "+d.path("pool.tls.verify")+" is false", "leave one of the two out")
	}
	if name := t.ServerName; name != "" && !netaddr.HostLike(name) {
		d.fail("pool.tls.server_name", fmt.Sprintf("%q is no host name", name), "write for example ide.internal")
	}
	if t.Cert != "" || t.Key != "" {
		pair := tlsterm.Pair{Cert: t.Cert, Key: t.Key}
		d.checkPair("pool.tls", &pair)
		t.Cert, t.Key = pair.Cert, pair.Key
	}
	c.checkServerName(d)
}

// checkServerName reports hosts whose certificates can't be verified, because nothing says a name.
func (c *Config) checkServerName(d *document) {
	t := c.Pool.TLS
	if t.ServerName != "" || !t.Verifies() {
		return
	}
	for i, h := range c.Pool.Hosts {
		if _, ok := netaddr.UnixPath(h.Address); ok && route.CheckUnix(h.Address) == nil {
			d.fail(item("pool.hosts", i)+".address", "the address has no name that the host's certificate could be for", "set "+d.path("pool.tls.server_name"))
		}
	}
}

const maxUpgrades = 16

// checkUpgrades reports upgrades that can't be.
func (c *Config) checkUpgrades(d *document) {
	all := c.Pool.Upgrades
	if len(all) > maxUpgrades {
		d.fail("pool.upgrades", fmt.Sprintf("there are %d upgrades", len(all)), fmt.Sprintf("at most %d are possible", maxUpgrades))
	}
	for i, name := range all {
		path := item("pool.upgrades", i)
		lower := strings.ToLower(name)
		switch {
		case !http1.ValidProtocol(name):
			d.fail(path, fmt.Sprintf("%q is no name of a protocol (RFC 9110 §7.8)", name), "write for example websocket, tcp or spdy/3.1")
		case lower == "h2c" || strings.HasPrefix(lower, "http/") || strings.HasPrefix(lower, "tls/"):
			d.fail(path, "clients could send requests in the tunnel, which lb wouldn't see", "leave it out: hosts get HTTP/1.1 from lb")
		case slices.ContainsFunc(all[:i], func(other string) bool { return strings.EqualFold(other, name) }):
			d.fail(path, name+" is here twice", "remove it")
		}
	}
}
