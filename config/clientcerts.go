package config

import (
	"tokenring/balancer"
	"tokenring/proxy"
	"tokenring/proxy/fields"
)

// asksForCertificates reports whether a listener asks its clients for certificates.
func (c *Config) asksForCertificates(l *proxy.ListenConfig) bool {
	terms := &c.TLS.Terms
	if l.OwnTLS != nil {
		terms = l.OwnTLS
	}
	return l.TLS && terms.ClientCA != ""
}

// anyAsksForCertificates reports whether some listener does.
func (c *Config) anyAsksForCertificates() bool {
	for i := range c.Listen {
		if c.asksForCertificates(&c.Listen[i]) {
			return true
		}
	}
	return false
}

// checkCertificateKeys reports keys from certificates for which no listener asks.
func (c *Config) checkCertificateKeys(d *document) {
	if c.anyAsksForCertificates() {
		return
	}
	for i, rule := range c.Hash.Key {
		if rule.Source == balancer.KeyCertificate {
			d.fail(item("hash.key", i), "no listener asks clients for certificates, so that no request would have this key", "name the roots of your clients' certificates in tls.client_ca, or in own_tls of a listener")
		}
	}
}

// warnOfCertificateKeys warns of listeners on which requests have no key, because it is in certificates
// alone.
func (c *Config) warnOfCertificateKeys(d *document) {
	last := len(c.Hash.Key) - 1
	if last < 0 || c.Hash.Key[last].Source != balancer.KeyCertificate {
		return
	}
	for i := range c.Listen {
		if l := &c.Listen[i]; !l.RedirectHTTPS && !c.asksForCertificates(l) {
			d.warn(item("hash.key", last), item("listen", i)+" asks for no certificates: requests there have no key by this rule, and go to the hosts in turn",
				"set client_ca for this listener, too, or add another rule after this one")
			return
		}
	}
}

// warnOfProofs warns of fields with the subject of clients' certificates where none asks for these.
func (c *Config) warnOfProofs(d *document) {
	warn := func(path string, f *fields.Config, asks bool) {
		if !asks && f.Proves() {
			d.warn(path, "a field with {client_certificate_subject} is always left out here: clients aren't asked for certificates", "set client_ca, in tls or in own_tls of a listener, or remove the field")
		}
	}
	some := c.anyAsksForCertificates()
	warn("fields", c.Fields, some)
	warn("pool.fields", c.Pool.Fields, some)
	for i := range c.Listen {
		warn(item("listen", i)+".fields", c.Listen[i].Fields, c.asksForCertificates(&c.Listen[i]))
	}
	for i := range c.Routes {
		warn(item("routes", i)+".fields", c.Routes[i].Fields, some)
	}
	for _, name := range c.PoolNames() {
		warn(under("pools", name)+".fields", c.Pools[name].Fields, some)
	}
}
