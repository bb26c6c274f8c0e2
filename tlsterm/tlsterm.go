// Package tlsterm has the certificates for TLS termination: it chooses one by the server
// name (SNI), reads them from PEM files or gets them from an ACME directory, and reloads
// and renews them without a restart. It also bounds the number of handshakes at a time.
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
	Terms `yaml:",inline"`
	// ACME configures further certificates from an ACME directory. Default: none.
	ACME *ACME `yaml:"acme"`
	// MaxHandshakes bounds the handshakes that are computed at once (see
	// HandshakeLimit). Default: the number of processors.
	MaxHandshakes int `yaml:"max_handshakes"`
}

// Terms are what clients are shown, and what they must show.
type Terms struct {
	// Certificates are pairs of PEM files. The first is also for clients without a
	// server name, or with a name that no certificate has. Several certificates for one
	// name should differ in the kind of key.
	Certificates []Pair `yaml:"certificates"`
	// Directory has further certificates: see directory. New ones are found while a Source
	// runs.
	Directory string `yaml:"directory"`
	// StrictSNI refuses the handshakes of clients that name no server, or a server for which
	// there is no certificate (RFC 6066 §3, unrecognized_name).
	StrictSNI bool `yaml:"strict_sni"`
	// MinVersion is "1.2", the default, or "1.3".
	MinVersion string `yaml:"min_version"`
	// CipherSuites are the names of the suites of TLS 1.2 that are offered; see Suites.
	// Default: those of crypto/tls. TLS 1.3 isn't concerned.
	CipherSuites []string `yaml:"cipher_suites"`
	// ClientCA is a PEM file of roots. With it, clients need a certificate of one of them. It
	// is read again when it changes.
	ClientCA string `yaml:"client_ca"`
	// ClientCertificates is ClientsRequired, the default with ClientCA, or ClientsOptional:
	// clients without a certificate are served as well, those with a wrong one aren't.
	ClientCertificates string `yaml:"client_certificates"`
}

// HasCertificates reports whether c names any certificates.
func (c Config) HasCertificates() bool {
	return len(c.Certificates) > 0 || c.ACME != nil || c.Directory != ""
}

// A Pair names two PEM files: a certificate chain, leaf first, and its key.
type Pair struct {
	Cert string `yaml:"cert"`
	Key  string `yaml:"key"`
}

// WithDefaults returns c with its zero fields filled in.
func (c Config) WithDefaults() Config {
	if c.MinVersion == "" {
		c.MinVersion = "1.2"
	}
	return c
}

// ParseVersion returns the TLS version for a value of MinVersion.
func ParseVersion(v string) (uint16, error) {
	switch v {
	case "", "1.2":
		return tls.VersionTLS12, nil
	case "1.3":
		return tls.VersionTLS13, nil
	}
	return 0, errors.New(`must be "1.2" or "1.3"`)
}

// ChallengeProto is the ALPN protocol of a connection by which an ACME server validates a
// domain (RFC 8737 §4). After the handshake such a connection must be closed without
// reading from it.
const ChallengeProto = acme.ALPNProto

// pollFiles is the time between two checks of certificate files for changes.
const pollFiles = 2 * time.Second

var errNoCertificate = errors.New("tlsterm: there is no certificate yet")

// A Source holds the certificates. It is safe for concurrent use.
type Source struct {
	log     zerolog.Logger
	strict  bool    // Config.StrictSNI
	issuer  *issuer // nil without ACME
	config  *tls.Config
	clients *clientCA // nil if clients need no certificates
	table   atomic.Pointer[table]
	tickets *tickets

	mu     sync.Mutex
	listed []*pairState // of Config.Certificates
	dir    *directory   // nil without one
	acme   []*domainState
}

// New loads all certificate files of cfg and makes the ACME cache directory. It sends no
// requests to an ACME directory; Run does. The error joins an error for each file that
// can't be used.
func New(cfg Config, log zerolog.Logger) (*Source, error) {
	if !cfg.HasCertificates() {
		return nil, errors.New("TLS needs certificates, a directory of certificates, or acme")
	}
	s := &Source{log: log, strict: cfg.StrictSNI, tickets: newTickets()}
	errs := make([]error, 0, len(cfg.Certificates)+3)
	for _, p := range cfg.Certificates {
		state, err := newPairState(p)
		s.listed = append(s.listed, state)
		errs = append(errs, err)
	}
	errs = append(errs, s.useDirectory(cfg), s.useACME(cfg.ACME))
	var err error
	s.clients, err = newClientCA(cfg)
	errs = append(errs, err)
	s.config, err = s.newTLSConfig(cfg)
	if err := errors.Join(append(errs, err)...); err != nil {
		return nil, err
	}
	s.rebuildLocked()
	return s, nil
}

// useDirectory reads the directory of cfg, if there is one. It must have a certificate, unless
// there are others.
func (s *Source) useDirectory(cfg Config) error {
	if cfg.Directory == "" {
		return nil
	}
	s.dir = newDirectory(cfg.Directory)
	if s.dir.scan(s.log); s.dir.unread != "" {
		return errors.New(s.dir.unread)
	}
	if len(s.dir.pairs) == 0 && len(cfg.Certificates) == 0 && cfg.ACME == nil {
		return fmt.Errorf("directory of certificates %s: it has none that can be served%s", cfg.Directory, firstProblem(s.dir.problems()))
	}
	return nil
}

// firstProblem returns the first of some problems, for an error.
func firstProblem(all []Expiry) string {
	if len(all) == 0 {
		return ""
	}
	return ": " + all[0].Problem
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

// Run maintains the certificates until ctx ends, and then returns nil: it reloads changed
// files, and orders and renews ACME certificates. The ACME server connects to the TLS
// listeners to validate a domain, so they should accept before Run is called. Run must be
// called once. During an order it takes a few seconds to end.
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
			s.reload()
		}
	}
}

// TLSConfig returns the configuration for all TLS listeners. A session ticket of one is valid
// for all, also if they use clones. Callers must not change it.
func (s *Source) TLSConfig() *tls.Config { return s.config }

func (s *Source) newTLSConfig(c Config) (*tls.Config, error) {
	version, err := ParseVersion(c.MinVersion)
	if err != nil {
		return nil, fmt.Errorf("min_version: %w", err)
	}
	suites, err := ParseSuites(c.CipherSuites)
	if err != nil {
		return nil, fmt.Errorf("cipher_suites: %w", err)
	}
	protos := []string{"http/1.1"}
	if s.issuer != nil {
		protos = append(protos, ChallengeProto)
	}
	cfg := &tls.Config{
		GetCertificate: s.getCertificate, MinVersion: version, CipherSuites: suites, NextProtos: protos,
		// Otherwise the first records are small, and each costs a system call. A browser
		// would gain a few milliseconds for the first page.
		DynamicRecordSizingDisabled: true,
	}
	s.tickets.use(cfg)
	if s.clients == nil {
		return cfg, nil
	}
	open := cfg.Clone()
	s.clients.use(cfg)
	if s.issuer != nil {
		cfg.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
			if isChallenge(hello) { // an ACME server has no certificate of ours
				return open, nil
			}
			return nil, nil
		}
	}
	return cfg, nil
}

// Expiries returns an Expiry for each certificate in use, and for each domain that has no
// certificate yet.
func (s *Source) Expiries() []Expiry {
	return slices.Clone(s.table.Load().expiries)
}

// Covers reports whether a certificate in use is for a host name.
func (s *Source) Covers(name string) bool { return s.table.Load().covers(name) }

// getCertificate returns the certificate from the table, or for an ACME server that of its
// challenge. It never waits for an ACME directory.
func (s *Source) getCertificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	if s.issuer != nil && isChallenge(hello) {
		return s.issuer.challengeCertificate(hello)
	}
	if c := s.table.Load().find(hello); c != nil {
		return c, nil
	}
	if s.strict {
		return nil, nil // crypto/tls answers with unrecognized_name
	}
	return nil, errNoCertificate
}

// pairsLocked returns all pairs of files, the listed ones first.
func (s *Source) pairsLocked() []*pairState { return append(slices.Clone(s.listed), s.dir.states()...) }

// reload reads the pairs whose files have changed, and makes a new table if one of them,
// or the validity of a certificate, has changed.
func (s *Source) reload() {
	s.mu.Lock()
	defer s.mu.Unlock()
	changed := s.table.Load().outdated(time.Now())
	changed = s.dir.scan(s.log) || changed
	changed = s.clients.refresh(s.log) || changed
	for _, p := range s.pairsLocked() {
		if slices.Contains(s.listed, p) || s.dir.follows(p) {
			changed = p.refresh(s.log, func(name string) bool { return s.othersCoverLocked(p, name) }) || changed
		}
		p.warn(s.log)
	}
	if changed {
		s.rebuildLocked()
	}
}

// othersCoverLocked reports whether a valid certificate other than that of a pair is for name.
func (s *Source) othersCoverLocked(pair *pairState, name string) bool {
	var others []*certificate
	for _, p := range s.pairsLocked() {
		if p != pair {
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

// issued sets the certificate and the problem of a domain; the issuer calls it. Both are
// set if the certificate should have been renewed by now.
func (s *Source) issued(domain string, cert *tls.Certificate, problem string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, d := range s.acme {
		if d.domain == domain && d.update(cert, problem, s.issuer.file(domain)) {
			s.rebuildLocked()
		}
	}
}

// rebuildLocked makes a new table of the present certificates. For one name ACME
// certificates come before those of files, which may be placeholders until the first
// order is complete.
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
	for i, p := range s.pairsLocked() {
		if i == 0 {
			standard = p.cert
		}
		all = append(all, p.cert)
		expiries = append(expiries, p.expiry())
	}
	expiries = append(append(expiries, s.dir.problems()...), s.clients.problems()...)
	if s.strict {
		standard = nil
	}
	t := newTable(all, standard, time.Now())
	t.expiries = expiries
	s.table.Store(t)
}
