package config

import (
	"strings"

	"tokenring/netaddr"
	"tokenring/proxy/access"
	"tokenring/proxy/basicauth"
)

// checkAccess reports networks that are none, at all levels, and files of them that can't be used.
func (c *Config) checkAccess(d *document) {
	d.checkNetworks("access", c.Access)
	for i := range c.Listen {
		d.checkNetworks(item("listen", i)+".access", c.Listen[i].Access)
	}
	for i := range c.Routes {
		d.checkNetworks(item("routes", i)+".access", c.Routes[i].Access)
		d.checkUsers(item("routes", i)+".basic_auth", c.Routes[i].BasicAuth)
	}
}

// checkUsers reports a file of users that can't be used, and a realm that can't be in a field.
func (d *document) checkUsers(path string, b *basicauth.Config) {
	if b == nil || d.silent(path) {
		return
	}
	const hint = "make it with: htpasswd -cB admin.htpasswd NAME"
	if b.File == "" {
		d.fail(path, "the file of the users is missing", hint)
	}
	if d.checkFile(path+".file", &b.File) {
		if _, err := basicauth.ReadFile(b.File); err != nil {
			d.fail(path+".file", err.Error(), hint)
		}
	}
	if strings.ContainsFunc(b.Realm, func(r rune) bool { return r < ' ' || r > '~' || r == '"' || r == '\\' }) {
		d.fail(path+".realm", "it can't be in a field of an answer", "write plain letters, digits and spaces")
	}
}

func (d *document) checkNetworks(path string, a *access.Config) {
	if a == nil {
		return
	}
	for key, list := range map[string][]string{".allow": a.Allow, ".deny": a.Deny} {
		for i, text := range list {
			if _, err := netaddr.ParseNetworks([]string{text}); err != nil {
				d.fail(item(path+key, i), err.Error(), "write an address or a prefix such as 10.0.0.0/8")
			}
		}
	}
	for key, file := range map[string]*string{".allow_file": &a.AllowFile, ".deny_file": &a.DenyFile} {
		if !d.checkFile(path+key, file) {
			continue
		}
		if _, err := access.ReadFile(*file); err != nil {
			d.fail(path+key, err.Error(), "write one address or prefix such as 10.0.0.0/8 a line, with comments after #")
		}
	}
	if len(a.Allow)+len(a.Deny) == 0 && a.AllowFile == "" && a.DenyFile == "" && !d.failedBelow(path) {
		d.fail(path, "it neither allows nor denies anything", "write for example {deny: [192.0.2.7]}, or remove it")
	}
}
