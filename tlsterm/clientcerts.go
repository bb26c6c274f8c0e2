package tlsterm

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/rs/zerolog"
)

// Values of Config.ClientCertificates.
const (
	ClientsRequired = "required"
	ClientsOptional = "optional"
)

// A clientCA verifies the certificates of clients by the roots in a file, which is read again
// when it changes.
type clientCA struct {
	file     string
	required bool
	roots    atomic.Pointer[x509.CertPool]
	seen     stamp  // of the file when it was last read; used by reload alone
	problem  string // why the content of the file isn't in use; likewise
}

// newClientCA returns the verifier of cfg, nil if clients need no certificates.
func newClientCA(cfg Config) (*clientCA, error) {
	if cfg.ClientCA == "" {
		if cfg.ClientCertificates != "" {
			return nil, errors.New("client_certificates needs client_ca")
		}
		return nil, nil
	}
	c := &clientCA{file: cfg.ClientCA, required: cfg.ClientCertificates != ClientsOptional, seen: stampOf(cfg.ClientCA)}
	roots, err := ReadRoots(cfg.ClientCA)
	if err != nil {
		return nil, fmt.Errorf("client_ca: %w", err)
	}
	c.roots.Store(roots)
	return c, nil
}

// ReadRoots reads a PEM file of root certificates. The error names the file.
func ReadRoots(file string) (*x509.CertPool, error) {
	data, err := readPEM(file, "certificate")
	if err != nil {
		return nil, err
	}
	if err := checkChain(file, data); err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(data)
	return roots, nil
}

// use has cfg ask clients for certificates.
func (c *clientCA) use(cfg *tls.Config) {
	if c == nil {
		return
	}
	cfg.ClientAuth = tls.RequestClientCert
	if c.required {
		cfg.ClientAuth = tls.RequireAnyClientCert
	}
	cfg.VerifyConnection = c.verify // also of a session that is resumed
}

// verify returns an error if a client's certificate isn't one of ours.
func (c *clientCA) verify(state tls.ConnectionState) error {
	if len(state.PeerCertificates) == 0 {
		return nil // crypto/tls has refused it if one is required
	}
	options := x509.VerifyOptions{Roots: c.roots.Load(), Intermediates: x509.NewCertPool(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	for _, intermediate := range state.PeerCertificates[1:] {
		options.Intermediates.AddCert(intermediate)
	}
	if _, err := state.PeerCertificates[0].Verify(options); err != nil {
		return fmt.Errorf("the client's certificate: %w", err)
	}
	return nil
}

// refresh reads the file if it has changed, and reports whether the problem has. A file that
// can't be used leaves the roots as they are.
func (c *clientCA) refresh(log zerolog.Logger) (changed bool) {
	if c == nil {
		return false
	}
	now := stampOf(c.file)
	if now == c.seen {
		return false
	}
	before := c.problem
	c.seen, c.problem = now, ""
	roots, err := ReadRoots(c.file)
	if err != nil {
		c.problem = err.Error()
		log.Error().Str("file", c.file).Str("why", c.problem).Msg("changed roots of clients' certificates aren't used, the old ones stay")
	} else {
		c.roots.Store(roots)
		log.Info().Str("file", c.file).Msg("roots of clients' certificates reloaded")
	}
	return c.problem != before
}

// problems returns an Expiry with the problem, if there is one.
func (c *clientCA) problems() []Expiry {
	if c == nil || c.problem == "" {
		return nil
	}
	return []Expiry{{File: c.file, Problem: "the changed file isn't used: " + c.problem}}
}
