package config

import (
	"bytes"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
)

func (c *Config) checkAdmin(d *document) {
	a := &c.Admin
	d.checkListenAddress("admin.address", a.Address)
	d.checkAdminToken("admin.token_file", &a.TokenFile)
	d.checkAdminToken("admin.read_token_file", &a.ReadTokenFile)
	if a.ReadTokenFile != "" && a.ReadTokenFile == a.TokenFile || sameContent(a.ReadTokenFile, a.TokenFile) {
		d.fail("admin.read_token_file", "this is the operators' token, which may change everything", "make another one with: head -c 24 /dev/urandom | base64")
	}
	if a.MetricsAddress != "" {
		d.checkListenAddress("admin.metrics_address", a.MetricsAddress)
	}
	if a.TLS != nil {
		d.checkPair("admin.tls", a.TLS)
	}
	if !loopback(a.Address) && !d.silent("admin.address") {
		c.checkReachableAdmin(d)
	}
	if a.TLS != nil && a.Insecure {
		d.fail("admin.insecure", "the endpoint has a certificate, so it isn't insecure", "leave out either tls or insecure")
	}
	if share := *a.ConfirmShare; !(share >= 0 && share <= 1) { // nor NaN
		d.fail("admin.confirm_share", fmt.Sprintf("%g is no share of the keys", share), "use a number from 0 (confirm every change that moves keys) to 1 (confirm none)")
	}
}

// checkReachableAdmin reports what an endpoint needs that others can reach: a token that
// the operators have chosen, and TLS, because each call sends the token.
func (c *Config) checkReachableAdmin(d *document) {
	if c.Admin.TokenFile == "" {
		d.fail("admin.token_file", "an admin endpoint that others can reach needs a token", `set it, or listen on loopback: address: "127.0.0.1:7000"`)
	}
	if c.Admin.TLS == nil && !c.Admin.Insecure {
		d.fail("admin.address", "others can reach this address, and the admin token would cross the network unencrypted",
			"set admin.tls: {cert: …, key: …}; or write insecure: true if you trust the network; or listen on loopback")
	}
}

// sameContent reports whether two files have the same text, but for spaces around it.
func sameContent(a, b string) bool {
	one, err := os.ReadFile(a)
	other, otherErr := os.ReadFile(b)
	return err == nil && otherErr == nil && bytes.Equal(bytes.TrimSpace(one), bytes.TrimSpace(other))
}

func loopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	ip, ipErr := netip.ParseAddr(host)
	return err == nil && (strings.EqualFold(host, "localhost") || ipErr == nil && ip.Unmap().IsLoopback())
}
