// Package tlsterm ends TLS: it has the right certificate for each name a
// client asks for, from PEM files or from an ACME directory, keeps them fresh
// while connections go on, and bounds how many handshakes run at once.
package tlsterm

import (
	"context"
	"crypto/tls"
	"time"

	"github.com/rs/zerolog"
)

// Config says which certificates to serve and how.
type Config struct {
	// Certificates are PEM pairs. The first is also the default, for clients
	// that name no server or one that no certificate covers.
	Certificates []Pair `yaml:"certificates"`
	// ACME, if not nil, gets further certificates from an ACME directory.
	ACME *ACME `yaml:"acme"`
	// MaxHandshakes bounds concurrent handshakes (see Gate); 0 means 1024.
	MaxHandshakes int `yaml:"max_handshakes"`
	// MinVersion is "1.2", which is also the default, or "1.3".
	MinVersion string `yaml:"min_version"`
}

// A Pair names the PEM files of a certificate chain, leaf first, and its key.
type Pair struct {
	Cert string `yaml:"cert"`
	Key  string `yaml:"key"`
}

// ACME says where certificates come from and for which names.
type ACME struct {
	// Domains are the names to get a certificate for, one each.
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

// An Expiry tells how long a certificate lasts, and what is wrong with it.
type Expiry struct {
	Names    []string
	NotAfter time.Time // zero: there is no certificate for the names yet
	File     string    // the certificate's file, or where it is cached
	Problem  string    // "" or why the newest file or order isn't in use
}

// A Source has the certificates. Safe for concurrent use.
type Source struct{}

// New loads all certificates of cfg.
func New(cfg Config, log zerolog.Logger) (*Source, error) { return &Source{}, nil }

// Run keeps the certificates fresh until ctx ends.
func (s *Source) Run(ctx context.Context) error { <-ctx.Done(); return nil }

// TLSConfig returns the configuration for all TLS listeners.
func (s *Source) TLSConfig() *tls.Config { return nil }

// Expiries lists the certificates in use.
func (s *Source) Expiries() []Expiry { return nil }

// SelfSigned makes a certificate.
func SelfSigned(names ...string) (certPEM, keyPEM []byte, err error) { return nil, nil, nil }

// A Gate bounds how many handshakes run at once.
type Gate struct{}

// NewGate returns a gate.
func NewGate(n int) *Gate { return &Gate{} }

// Enter waits.
func (g *Gate) Enter(ctx context.Context) error { return nil }

// Leave leaves.
func (g *Gate) Leave() {}

// Waiting counts.
func (g *Gate) Waiting() int { return 0 }
