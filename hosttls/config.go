// Package hosttls speaks TLS to hosts: it verifies their certificates, and shows them one if
// they want it. Checks and the data path use it alike.
package hosttls

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"

	"tokenring/tlsterm"
)

// Config is the section `tls` of a pool. The zero Config is TLS with the roots that the system
// trusts.
type Config struct {
	// CA is a PEM file with the root certificates that hosts' certificates must come from.
	// Default: the roots that the system trusts.
	CA string `yaml:"ca"`
	// ServerName is the name that the certificates of all hosts must have, and that they are
	// asked for (SNI). Default: the name or IP address in the host's address, which a unix
	// socket doesn't have.
	ServerName string `yaml:"server_name"`
	// Cert and Key are PEM files with the certificate that is shown to hosts that ask for one.
	Cert string `yaml:"cert"`
	Key  string `yaml:"key"`
	// Verify is whether hosts' certificates are verified. Default true.
	Verify *bool `yaml:"verify"`
}

// Verifies reports whether hosts' certificates are verified.
func (c *Config) Verifies() bool { return c.Verify == nil || *c.Verify }

// Files returns the files that c names.
func (c *Config) Files() (all []string) {
	for _, file := range []string{c.CA, c.Cert, c.Key} {
		if file != "" {
			all = append(all, file)
		}
	}
	return all
}

// A Material is what the files of a Config hold.
type Material struct {
	roots        *x509.CertPool    // nil for those of the system
	certificates []tls.Certificate // one or none
}

var errNoPair = errors.New("a certificate needs its key, and a key its certificate")

// Read reads the files that c names.
func (c *Config) Read() (m Material, err error) {
	if c.CA != "" {
		if m.roots, err = tlsterm.ReadRoots(c.CA); err != nil {
			return Material{}, err
		}
	}
	switch {
	case c.Cert == "" && c.Key == "":
		return m, nil
	case c.Cert == "" || c.Key == "":
		return Material{}, errNoPair
	}
	if _, err := tlsterm.ReadPair(tlsterm.Pair{Cert: c.Cert, Key: c.Key}); err != nil {
		return Material{}, err
	}
	pair, err := tls.LoadX509KeyPair(c.Cert, c.Key)
	if err != nil { // it was replaced just now
		return Material{}, fmt.Errorf("certificate %s: %w", c.Cert, err)
	}
	m.certificates = []tls.Certificate{pair}
	return m, nil
}
