package config

import (
	"fmt"
	"net/netip"
	"net/url"
	"path/filepath"
	"strings"

	"tokenring/tlsterm"
)

func (c *Config) checkTLS(d *document) {
	for i := range c.TLS.Certificates {
		d.checkPair(item("tls.certificates", i), &c.TLS.Certificates[i])
	}
	if v := c.TLS.MinVersion; v != "" {
		d.checkWord("tls.min_version", v, "1.2", "1.3")
	}
	if c.TLS.MaxHandshakes < 0 {
		d.fail("tls.max_handshakes", fmt.Sprintf("%d is less than 1", c.TLS.MaxHandshakes), "leave it out for the default")
	}
	c.checkACME(d)
}

// checkPair resolves the files of a certificate and its key, and wants them to be
// usable.
func (d *document) checkPair(path string, pair *tlsterm.Pair) {
	certOK := d.checkNamedFile(path+".cert", &pair.Cert, "a PEM file with the certificate chain")
	keyOK := d.checkNamedFile(path+".key", &pair.Key, "a PEM file with the certificate's private key")
	if !certOK || !keyOK {
		return
	}
	if _, err := tlsterm.ReadPair(*pair); err != nil {
		d.fail(path, "the certificate and its key can't be used: "+err.Error(), "both must be PEM, and belong together")
	}
}

// checkNamedFile is checkFile for a file that must be named.
func (d *document) checkNamedFile(path string, file *string, what string) bool {
	if *file == "" {
		d.fail(path, "the file is missing", "name "+what)
		return false
	}
	return d.checkFile(path, file)
}

func (c *Config) checkACME(d *document) {
	a := c.TLS.ACME
	if a == nil {
		return
	}
	if a.Directory == "" {
		d.fail("tls.acme.directory", "the directory is missing, and it has no default: a mistake would use up a real one's rate limit", `write for example directory: "https://acme.example.com/directory"`)
	} else if u, err := url.Parse(a.Directory); err != nil || u.Scheme != "https" || u.Host == "" {
		d.fail("tls.acme.directory", "this is no https URL", `write for example "https://acme.example.com/directory"`)
	}
	if len(a.Domains) == 0 {
		d.fail("tls.acme.domains", "there is no name to get a certificate for", "write for example domains: [ide.example.com]")
	}
	for i, name := range a.Domains {
		d.checkDomain(item("tls.acme.domains", i), name)
	}
	if a.Email != "" && !strings.Contains(strings.Trim(a.Email, "@"), "@") {
		d.fail("tls.acme.email", fmt.Sprintf("%q is no e-mail address", a.Email), "write for example ops@example.com")
	}
	if a.Cache == "" {
		a.Cache = filepath.Join(c.StateDir, "acme")
	}
	d.checkDirectory("tls.acme.cache", &a.Cache)
	d.checkFile("tls.acme.root_cas", &a.RootCAs)
}

func (d *document) checkDomain(path, name string) {
	_, err := netip.ParseAddr(name)
	switch {
	case strings.HasPrefix(name, "*."):
		d.fail(path, "ACME gives no wildcard certificate over TLS", "list each name, or use tls.certificates for the wildcard")
	case err == nil || !hostLike(name) || !strings.Contains(name, "."):
		d.fail(path, fmt.Sprintf("%q is no domain name", name), "write for example ide.example.com")
	}
}
