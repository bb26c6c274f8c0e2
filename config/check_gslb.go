package config

import (
	"slices"

	"tokenring/gslb"
)

// sectionsOfDNS are the keys that the configuration of a server of names has.
var sectionsOfDNS = []string{"name", "admin", "log", "state_dir", "gslb"}

// checkGSLB checks the configuration of a server of names. It has none of a balancer's sections:
// the two are programs of their own, mostly on machines of their own.
func (c *Config) checkGSLB(d *document) {
	for key := range d.keys {
		if parent(key) == "" && !slices.Contains(sectionsOfDNS, key) {
			d.fail(key, "this section is for a balancer, and the file is for a server of names, since it has gslb", "give the balancer a file of its own")
		}
	}
	if c.GSLB.Probe.CA != "" {
		d.checkFile("gslb.probe.ca", &c.GSLB.Probe.CA)
	}
	gslb.NewPlan(c.GSLB, func(key, message, hint string) { d.fail("gslb."+key, message, hint) })
	c.checkAdmin(d)
	d.checkWord("log.level", c.Log.Level, "debug", "info", "warn", "error")
	d.checkWord("log.format", c.Log.Format, "json", "console")
	d.checkOutput("log.output", &c.Log.Output)
	d.checkDirectory("state_dir", &c.StateDir)
}
