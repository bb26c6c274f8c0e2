package config

import (
	"fmt"
	"net/netip"
	"net/url"
	"path/filepath"
	"strings"

	"tokenring/netaddr"
	"tokenring/proxy"
	"tokenring/tlsterm"
)

func (c *Config) checkTLS(d *document) {
	d.checkTerms("tls", &c.TLS.Terms)
	if c.TLS.MaxHandshakes < 0 {
		d.fail("tls.max_handshakes", fmt.Sprintf("%d is less than 1", c.TLS.MaxHandshakes), "leave it out for the default")
	}
	c.checkACME(d)
}

// checkListenTLS checks that a listener with TLS has a certificate, and what it has of its own.
func (c *Config) checkListenTLS(d *document, path string, l proxy.ListenConfig) {
	own := path + ".own_tls"
	switch {
	case l.OwnTLS != nil && !l.TLS:
		d.fail(own, "this listener speaks no TLS", "add tls: true, or leave own_tls out")
	case l.OwnTLS != nil:
		d.checkTerms(own, l.OwnTLS)
		if len(l.OwnTLS.Certificates) == 0 && l.OwnTLS.Directory == "" && !d.silent(own) && !d.silent(own+".certificates") {
			d.fail(own, "this listener has no certificate to show: the section tls doesn't count for it", "add certificates, or a directory")
		}
	case l.TLS && !c.TLS.HasCertificates() && !d.silent("tls.certificates") && !d.silent("tls.directory") && !d.silent("tls.acme"):
		d.fail(path+".tls", "this listener has no certificate to show", "add tls.certificates, tls.directory or tls.acme")
	}
}

// checkTerms resolves the files that t names, and reports what can't be used.
func (d *document) checkTerms(path string, t *tlsterm.Terms) {
	for i := range t.Certificates {
		d.checkPair(item(path+".certificates", i), &t.Certificates[i])
	}
	d.checkCertificates(path+".directory", &t.Directory)
	if v := t.MinVersion; v != "" {
		d.checkWord(path+".min_version", v, "1.2", "1.3")
	}
	for i, name := range t.CipherSuites {
		if _, err := tlsterm.ParseSuites([]string{name}); err != nil {
			d.fail(item(path+".cipher_suites", i), err.Error(), "leave cipher_suites out for a good choice")
		}
	}
	if len(t.CipherSuites) > 0 && t.MinVersion == "1.3" {
		d.fail(path+".cipher_suites", "these are of TLS 1.2, which min_version excludes", "leave one of the two out")
	}
	if d.checkFile(path+".client_ca", &t.ClientCA) {
		if _, err := tlsterm.ReadRoots(t.ClientCA); err != nil {
			d.fail(path+".client_ca", err.Error(), "name a PEM file with the root certificates of your clients")
		}
	}
	if v := t.ClientCertificates; v != "" {
		d.checkWord(path+".client_certificates", v, tlsterm.ClientsRequired, tlsterm.ClientsOptional)
		if t.ClientCA == "" {
			d.fail(path+".client_certificates", "there is no client_ca by which clients' certificates could be verified", "add client_ca, or leave this out")
		}
	}
}

// checkCertificates resolves *dir, a directory of certificates, and reports if it has none that
// can be used. Those that can't be used beside others are warnings.
func (d *document) checkCertificates(path string, dir *string) {
	if *dir == "" || d.silent(path) {
		return
	}
	d.resolve(dir)
	all, err := tlsterm.ReadDirectory(*dir)
	if err != nil {
		d.fail(path, err.Error(), "name a directory whose files this user may read")
		return
	}
	good := 0
	for _, e := range all {
		if len(e.Names) > 0 {
			good++
		}
	}
	switch {
	case len(all) == 0:
		d.fail(path, "there is no certificate in "+*dir, "put PEM files there: a certificate with its key in one file, or site.crt and site.key")
	case good == 0:
		d.fail(path, fmt.Sprintf("none of the certificates in %s can be used: %s", *dir, all[0].Problem), "mend it, or put another one there")
	}
}

// checkPair resolves the files of a certificate and its key, and reports why they can't be
// used.
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
		d.fail("tls.acme.directory", "the directory is missing; it has no default, because a mistake would use up the rate limit of a real directory", `write for example directory: "https://acme.example.com/directory"`)
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
		d.fail(path, "with challenges over TLS, ACME issues no wildcard certificates", "list each name, or use tls.certificates for the wildcard")
	case err == nil || !netaddr.HostLike(name) || !strings.Contains(name, "."):
		d.fail(path, fmt.Sprintf("%q is no domain name", name), "write for example ide.example.com")
	}
}
