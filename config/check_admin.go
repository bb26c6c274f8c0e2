package config

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
)

func (c *Config) checkAdmin(d *document) {
	a := &c.Admin
	d.checkListenAddress("admin.address", a.Address)
	d.checkAdminToken("admin.token_file", &a.TokenFile)
	if a.TLS != nil {
		d.checkPair("admin.tls", a.TLS)
	}
	if !loopback(a.Address) && !d.silent("admin.address") {
		c.checkReachableAdmin(d)
	}
	if a.TLS != nil && a.Insecure {
		d.fail("admin.insecure", "the endpoint has a certificate, and so isn't insecure", "leave out either tls or insecure")
	}
	if share := *a.ConfirmShare; !(share >= 0 && share <= 1) { // nor NaN
		d.fail("admin.confirm_share", fmt.Sprintf("%g is no share of the keys", share), "use a number from 0, to confirm every change that moves some, to 1, to confirm none")
	}
}

// checkReachableAdmin wants of an endpoint beyond loopback what strangers need:
// a token that the operators have chosen, and TLS, for the token goes with each call.
func (c *Config) checkReachableAdmin(d *document) {
	if c.Admin.TokenFile == "" {
		d.fail("admin.token_file", "an admin endpoint that others can reach needs a token", `set it, or listen on loopback: address: "127.0.0.1:7000"`)
	}
	if c.Admin.TLS == nil && !c.Admin.Insecure {
		d.fail("admin.address", "others can reach this address, and the admin token would cross the network in clear",
			"set admin.tls: {cert: …, key: …}; or say insecure: true if what is between is trusted; or listen on loopback")
	}
}

func loopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	ip, ipErr := netip.ParseAddr(host)
	return err == nil && (strings.EqualFold(host, "localhost") || ipErr == nil && ip.Unmap().IsLoopback())
}
