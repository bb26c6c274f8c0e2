// Package tlsterm ends TLS: it has the right certificate for each name a
// client asks for, from PEM files or from an ACME directory, keeps them fresh
// while connections go on, and bounds how many handshakes run at once.
package tlsterm

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/crypto/acme"
)

// Config says which certificates to serve and how.
type Config struct {
	// Certificates are PEM pairs. The first is also for clients that name no
	// server, or one that no certificate covers. Several for one name should
	// differ in the kind of key.
	Certificates []Pair `yaml:"certificates"`
	// ACME, if not nil, gets further certificates from an ACME directory.
	ACME *ACME `yaml:"acme"`
	// MaxHandshakes bounds the handshakes that are computed at once (see Gate); 0
	// means one for each processor.
	MaxHandshakes int `yaml:"max_handshakes"`
	// MinVersion is "1.2", which is also the default, or "1.3".
	MinVersion string `yaml:"min_version"`
}

// A Pair names the PEM files of a certificate chain, leaf first, and its key.
type Pair struct {
	Cert string `yaml:"cert"`
	Key  string `yaml:"key"`
}

// WithDefaults returns c with every field that has its zero value filled in.
func (c Config) WithDefaults() Config {
	if c.MinVersion == "" {
		c.MinVersion = "1.2"
	}
	return c
}

// ParseVersion returns the TLS version that MinVersion names.
func ParseVersion(v string) (uint16, error) {
	switch v {
	case "", "1.2":
		return tls.VersionTLS12, nil
	case "1.3":
		return tls.VersionTLS13, nil
	}
	return 0, errors.New(`must be "1.2" or "1.3"`)
}

// ChallengeProto is what ALPN has agreed on after the handshake of an ACME
// server that checks a domain (RFC 8737 §4). Such a connection has done its
// work and must be closed without reading from it.
const ChallengeProto = acme.ALPNProto

// pollFiles is how often certificate files are looked at.
const pollFiles = 2 * time.Second

var errNoCertificate = errors.New("tlsterm: there is no certificate yet")

// A Source has the certificates. Safe for concurrent use.
type Source struct {
	log     zerolog.Logger
	version uint16
	issuer  *issuer // nil without ACME
	config  *tls.Config
	table   atomic.Pointer[table]

	mu    sync.Mutex
	pairs []*pairState
	acme  []*domainState
}

// New loads all certificate files of cfg and makes the ACME cache directory,
// but asks no directory for anything: Run does. The error holds one error per
// file that can't be used.
func New(cfg Config, log zerolog.Logger) (*Source, error) {
	version, err := ParseVersion(cfg.MinVersion)
	if err != nil {
		return nil, fmt.Errorf("min_version: %w", err)
	}
	if len(cfg.Certificates) == 0 && cfg.ACME == nil {
		return nil, errors.New("TLS needs certificates or acme")
	}
	s := &Source{log: log, version: version}
	errs := make([]error, 0, len(cfg.Certificates)+1)
	for _, p := range cfg.Certificates {
		state, err := newPairState(p)
		s.pairs = append(s.pairs, state)
		errs = append(errs, err)
	}
	errs = append(errs, s.useACME(cfg.ACME))
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	s.rebuildLocked()
	s.config = s.newTLSConfig()
	return s, nil
}

func (s *Source) useACME(cfg *ACME) error {
	if cfg == nil {
		return nil
	}
	var err error
	if s.issuer, err = newIssuer(*cfg, s.log, s.issued); err != nil {
		return fmt.Errorf("acme: %w", err)
	}
	for _, domain := range s.issuer.domains {
		s.acme = append(s.acme, &domainState{domain: domain, problem: "not issued yet"})
	}
	return nil
}

// Run looks after the certificates until ctx ends, and then returns nil: it
// reloads files that changed, and gets and renews those of ACME. The ACME
// server asks our TLS listeners for a proof, so they should accept before Run
// is called. It must be called once; ending takes a few seconds if an order is
// under way.
func (s *Source) Run(ctx context.Context) error {
	var running sync.WaitGroup
	defer running.Wait()
	if s.issuer != nil {
		running.Go(func() { s.issuer.run(ctx) })
	}
	tick := time.NewTicker(pollFiles)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			s.look()
		}
	}
}

// TLSConfig returns the configuration for all TLS listeners. It is shared, so
// that a session ticket of one is good for the others; don't change it.
func (s *Source) TLSConfig() *tls.Config { return s.config }

func (s *Source) newTLSConfig() *tls.Config {
	protos := []string{"http/1.1"}
	if s.issuer != nil {
		protos = append(protos, ChallengeProto)
	}
	return &tls.Config{
		GetCertificate: s.getCertificate, MinVersion: s.version, NextProtos: protos,
		// Records begin small otherwise, and each is a system call. What a browser
		// would gain by them is a few milliseconds of the first page.
		DynamicRecordSizingDisabled: true,
	}
}

// Expiries lists the certificates in use, and the names that still lack one.
func (s *Source) Expiries() []Expiry {
	return slices.Clone(s.table.Load().expiries)
}

// Covers reports whether a certificate in use is for a host name.
func (s *Source) Covers(name string) bool { return s.table.Load().covers(name) }

// getCertificate answers from the table, or proves to an ACME server that a
// domain is ours. It never waits for an ACME directory.
func (s *Source) getCertificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	if s.issuer != nil && isChallenge(hello) {
		return s.issuer.answer(hello)
	}
	if c := s.table.Load().find(hello); c != nil {
		return c, nil
	}
	return nil, errNoCertificate
}

// look reloads the pairs whose files changed, and lets those serve that have become
// valid while others have ended.
func (s *Source) look() {
	s.mu.Lock()
	defer s.mu.Unlock()
	changed := s.table.Load().outdated(time.Now())
	for i, p := range s.pairs {
		changed = p.refresh(s.log, func(name string) bool { return s.othersCoverLocked(i, name) }) || changed
		p.warn(s.log)
	}
	if changed {
		s.rebuildLocked()
	}
}

// othersCoverLocked reports whether a client that asks for name would get a valid
// certificate for it without the pair that has this index.
func (s *Source) othersCoverLocked(pair int, name string) bool {
	var others []*certificate
	for i, p := range s.pairs {
		if i != pair {
			others = append(others, p.cert)
		}
	}
	for _, d := range s.acme {
		if d.cert != nil {
			others = append(others, d.cert)
		}
	}
	return covered(others, name, time.Now())
}

// issued hears from the issuer what has become of a domain: a certificate, a
// problem, or both when the certificate should have been renewed.
func (s *Source) issued(domain string, cert *tls.Certificate, problem string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, d := range s.acme {
		if d.domain == domain && d.hear(cert, problem, s.issuer.file(domain)) {
			s.rebuildLocked()
		}
	}
}

// rebuildLocked puts a table of what there is now in force. ACME's come before
// the files' for the same name: those may be a makeshift until the first order
// is done.
func (s *Source) rebuildLocked() {
	var all []*certificate
	var expiries []Expiry
	var standard *certificate
	for _, d := range s.acme {
		if d.cert != nil {
			all = append(all, d.cert)
		}
		expiries = append(expiries, d.expiry(s.issuer.file(d.domain)))
	}
	if len(all) > 0 {
		standard = all[0]
	}
	for i, p := range s.pairs {
		if i == 0 {
			standard = p.cert
		}
		all = append(all, p.cert)
		expiries = append(expiries, p.expiry())
	}
	t := newTable(all, standard, time.Now())
	t.expiries = expiries
	s.table.Store(t)
}
