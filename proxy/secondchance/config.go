// Package secondchance has what a balancer needs to ask another host for a request that a
// host has given away: a host that doesn't hold the container of a user answers 421
// (Misdirected Request, RFC 9110 §15.5.20) with a field that says so. The package knows the
// field, and bounds how often a host may do that. It opens and writes nothing.
package secondchance

import "cmp"

// Config is `second_chance` in lb.yaml. A zero field means its default.
type Config struct {
	Header  string `yaml:"header"`   // the field that marks a 421 as ours; X-Lb-Second-Chance
	PerHost int    `yaml:"per_host"` // how many requests a host may give away in a second; 10
	Tries   int    `yaml:"tries"`    // how many other hosts are asked for one request; 3

	// FencedOnly says that hosts give no requests away, and that those that are fenced refuse
	// them.
	FencedOnly bool `yaml:"-"`
}

// WithDefaults returns c with its zero fields set.
func (c Config) WithDefaults() Config {
	return Config{
		Header:  cmp.Or(c.Header, "X-Lb-Second-Chance"),
		PerHost: cmp.Or(c.PerHost, 10),
		Tries:   cmp.Or(c.Tries, 3),

		FencedOnly: c.FencedOnly,
	}
}
