package config

import (
	"tokenring/balancer"
	"tokenring/proxy"
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
