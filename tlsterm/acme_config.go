package tlsterm

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// ACME configures certificates from an ACME directory (RFC 8555). Only TLS-ALPN-01
// challenges are answered (RFC 8737), on the TLS listeners.
type ACME struct {
	// Domains are the names to order certificates for, one certificate for each name.
	Domains []string `yaml:"domains"`
	// Email is the address of the account, for the directory's operator. May be empty.
	Email string `yaml:"email"`
	// Directory is the URL of the ACME directory. There is no default, so that a
	// mistake doesn't use up the rate limit of a production directory.
	Directory string `yaml:"directory"`
	// Cache is a local directory for the account key and the certificates.
	Cache string `yaml:"cache"`
	// RootCAs is a PEM file with the root certificates of a private directory. Default:
	// those of the system.
	RootCAs string `yaml:"root_cas"`
}

// CheckDomain returns an error if no certificate can be ordered for domain.
func CheckDomain(domain string) error {
	switch {
	case domain == "":
		return errors.New("is empty")
	case strings.Contains(domain, "*"):
		return errors.New("a wildcard isn't possible with TLS-ALPN; list the names")
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

// CheckDirectory returns an error if directory can't be the URL of an ACME directory.
func CheckDirectory(directory string) error {
	u, err := url.Parse(directory)
	switch {
	case directory == "":
		return errors.New("is missing; give the https URL of the ACME directory, which has no default")
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
		return errors.New("cache: must name a local directory; without it each restart would order new certificates")
	}
	return nil
}
