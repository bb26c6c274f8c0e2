package config

import (
	"fmt"

	"tokenring/proxy/fields"
)

// checkFields reports changes of header fields that can't be made, at all levels, and an hsts that
// does nothing.
func (c *Config) checkFields(d *document) {
	d.checkChanges("fields", c.Fields)
	d.checkChanges("pool.fields", c.Pool.Fields)
	tls := false
	for i := range c.Listen {
		tls = tls || c.Listen[i].TLS
		d.checkChanges(item("listen", i)+".fields", c.Listen[i].Fields)
	}
	for i := range c.Routes {
		d.checkChanges(item("routes", i)+".fields", c.Routes[i].Fields)
	}
	switch h := c.HSTS; {
	case h == nil:
	case h.MaxAge == nil:
		d.fail("hsts", "max_age is missing", fmt.Sprintf("write for example {max_age: %d}, a year in seconds", fields.Preloads))
	case *h.MaxAge < 0:
		d.fail("hsts.max_age", fmt.Sprintf("%d is no time", *h.MaxAge), "write seconds; 0 makes browsers forget it")
	case h.Preload && (*h.MaxAge < fields.Preloads || !h.IncludeSubdomains):
		d.fail("hsts.preload", "browsers' lists don't take this name", fmt.Sprintf("they want max_age: %d or more, and include_subdomains: true", fields.Preloads))
	case !tls:
		d.fail("hsts", "it has no effect: no listener has TLS, and answers without TLS don't carry it", "remove it, or set tls for a listener")
	}
}

func (d *document) checkChanges(path string, c *fields.Config) {
	if c == nil {
		return
	}
	for _, m := range c.Check() {
		d.fail(path+"."+m.Path, m.What, m.Remedy)
	}
}
