package config

import (
	"strings"

	"tokenring/balancer"
)

// checkHash reports the errors of package balancer at their places. Its messages have
// the hint after a semicolon.
func (c *Config) checkHash(d *document) {
	if at, ok := d.values[d.path("hash.seed")]; ok {
		d.mask(at)
	}
	if c.Hash.Keyless() && d.pool == "" {
		d.fail("hash.policy", "with the policy "+c.Hash.Policy+" a token would have several hosts at once", "it is for pools beside the main one: their hosts must be able to serve any request")
	}
	for i, rule := range c.Hash.Key {
		if rule.Source == balancer.KeyTrusted && len(c.TrustedNetworks) == 0 {
			d.fail(item("hash.key", i), "the field is taken from trusted networks only, and there are none", "add the addresses of the proxies in front to trusted_networks")
		}
	}
	c.checkCertificateKeys(d)
	for _, p := range c.Hash.Validate() {
		message, hint, _ := strings.Cut(p.Message, "; ")
		d.fail("hash."+p.Path, message, hint)
	}
}
