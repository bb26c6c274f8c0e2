package tlsterm

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// ACME says where certificates come from and for which names (RFC 8555). Only
// TLS-ALPN-01 challenges are answered (RFC 8737), on the TLS listeners.
type ACME struct {
	// Domains are the names to get a certificate for, one certificate each.
	Domains []string `yaml:"domains"`
	// Email is where the directory's operator may write to; may be empty.
	Email string `yaml:"email"`
	// Directory is the URL of the ACME directory. There is no default: a
	// mistake must not use up a production directory's rate limit.
	Directory string `yaml:"directory"`
	// Cache is a local directory for the account key and the certificates.
	Cache string `yaml:"cache"`
	// RootCAs is a PEM file with the roots to trust a private directory by;
	// the system's if empty.
	RootCAs string `yaml:"root_cas"`
}

// CheckDomain reports why no certificate can be ordered for a name.
func CheckDomain(domain string) error {
	switch {
	case domain == "":
		return errors.New("is empty")
	case strings.Contains(domain, "*"):
		return errors.New("a wildcard can't be proven over TLS-ALPN; list the names")
	case !strings.Contains(strings.Trim(domain, "."), "."):
		return errors.New("must have at least two labels, like ide.example.com")
	case len(domain) > 253 || strings.HasPrefix(domain, ".") || strings.Contains(domain, ".."):
		return errors.New("isn't a host name")
	}
	for _, c := range []byte(domain) {
		switch {
		case c >= 0x80:
			return errors.New("must be written in ASCII (xn--…)")
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-', c == '.':
		default:
			return errors.New("isn't a host name")
		}
	}
	return nil
}

// CheckDirectory reports why a URL can't be that of an ACME directory.
func CheckDirectory(directory string) error {
	u, err := url.Parse(directory)
	switch {
	case directory == "":
		return errors.New("must be given: the https URL of the ACME directory; there is no default")
	case err != nil || u.Host == "":
		return errors.New("isn't a URL")
	case u.Scheme != "https":
		return errors.New("must begin with https://")
	}
	return nil
}

func (c ACME) check() error {
	if len(c.Domains) == 0 {
		return errors.New("domains: none given")
	}
	for _, domain := range c.Domains {
		if err := CheckDomain(domain); err != nil {
			return fmt.Errorf("domain %q: %w", domain, err)
		}
	}
	if err := CheckDirectory(c.Directory); err != nil {
		return fmt.Errorf("directory %q: %w", c.Directory, err)
	}
	if c.Cache == "" {
		return errors.New("cache: must name a local directory, or each restart would order again")
	}
	return nil
}
