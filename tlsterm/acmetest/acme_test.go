package acmetest

import (
	"context"
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"tokenring/tlsterm"
)

const (
	domain = "ide.tokenring.example"
	year   = 365 * 24 * time.Hour
)

// A site is a TLS listener whose source can be replaced, as by a restart.
type site struct {
	ln     net.Listener
	source atomic.Pointer[tlsterm.Source]
}

func newSite(t *testing.T) *site {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	s := &site{ln: ln}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			serving.Go(func() { s.serve(conn) })
		}
	})
	t.Cleanup(func() { ln.Close(); serving.Wait() })
	return s
}

// serve does what the proxy does with a connection, as far as TLS is concerned.
func (s *site) serve(conn net.Conn) {
	defer conn.Close()
	source := s.source.Load()
	if source == nil {
		return
	}
	_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
	user := tls.Server(conn, source.TLSConfig())
	if user.Handshake() == nil && user.ConnectionState().NegotiatedProtocol != tlsterm.ChallengeProto {
		_, _ = user.Write([]byte("x"))
	}
}

func (s *site) port() int { return s.ln.Addr().(*net.TCPAddr).Port }

// start puts a new source of cfg in place and runs it; stop ends it.
func (s *site) start(t *testing.T, cfg tlsterm.Config) (source *tlsterm.Source, log *output, stop func()) {
	t.Helper()
	log = &output{}
	source, err := tlsterm.New(cfg, zerolog.New(log))
	must(t, err)
	s.source.Store(source)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- source.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	t.Cleanup(stop)
	return source, log, stop
}

// visit connects as a client, and returns the certificate that it gets.
func (s *site) visit(t *testing.T, client *tls.Config) *x509.Certificate {
	t.Helper()
	client.ServerName = domain
	conn, err := tls.DialWithDialer(&net.Dialer{Timeout: 5 * time.Second}, "tcp", s.ln.Addr().String(), client)
	must(t, err)
	defer conn.Close()
	return conn.ConnectionState().PeerCertificates[0]
}

func acmeConfig(t *testing.T, p *pebble) tlsterm.Config {
	return tlsterm.Config{ACME: &tlsterm.ACME{
		Domains: []string{domain}, Email: "ops@tokenring.example",
		Directory: p.directory, RootCAs: p.rootsFile, Cache: filepath.Join(t.TempDir(), "acme"),
	}}
}

func untilIssued(t *testing.T, s *tlsterm.Source, log *output) {
	t.Helper()
	defer func() {
		if t.Failed() {
			t.Logf("log:\n%s", log)
		}
	}()
	until(t, "the certificate is there", func() bool { return !s.Expiries()[0].NotAfter.IsZero() })
}

func TestCertificateIsThereBeforeTheFirstUser(t *testing.T) {
	s := newSite(t)
	p := startPebble(t, s.port(), year)
	cfg := acmeConfig(t, p)
	source, log, _ := s.start(t, cfg)
	untilIssued(t, source, log)

	leaf := s.visit(t, &tls.Config{RootCAs: p.roots()})
	e := source.Expiries()[0]
	if !e.NotAfter.Equal(leaf.NotAfter) || e.Problem != "" || e.Names[0] != domain {
		t.Errorf("got %+v, want it to be about %v", e, leaf.NotAfter)
	}
	info, err := os.Stat(e.File)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the cached key: %v, %v; want mode 0600", info, err)
	}
	if n := p.issued(); n != 1 {
		t.Errorf("%d certificates issued, want 1", n)
	}
}

func TestAllClientsShareOneECDSACertificate(t *testing.T) {
	s := newSite(t)
	p := startPebble(t, s.port(), year)
	source, log, _ := s.start(t, acmeConfig(t, p))
	untilIssued(t, source, log)
	roots := p.roots()

	first := s.visit(t, &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS13}) // offers no suite of TLS 1.2
	if _, ok := first.PublicKey.(*ecdsa.PublicKey); !ok {
		t.Errorf("a client of TLS 1.3 only got a %T", first.PublicKey)
	}
	for range 5 {
		for _, client := range []*tls.Config{
			{RootCAs: roots, MinVersion: tls.VersionTLS13},
			{RootCAs: roots, MaxVersion: tls.VersionTLS12},
		} {
			if !s.visit(t, client).Equal(first) {
				t.Error("got another certificate")
			}
		}
	}
	if n := p.issued(); n != 1 {
		t.Errorf("%d certificates issued, want 1", n)
	}
}

func TestRestartUsesTheCache(t *testing.T) {
	s := newSite(t)
	p := startPebble(t, s.port(), year)
	cfg := acmeConfig(t, p)
	source, log, stop := s.start(t, cfg)
	untilIssued(t, source, log)
	before := s.visit(t, &tls.Config{RootCAs: p.roots()})
	stop()

	source, log, _ = s.start(t, cfg)
	untilIssued(t, source, log)
	if !s.visit(t, &tls.Config{RootCAs: p.roots()}).Equal(before) {
		t.Error("the restart changed the certificate")
	}
	if n := p.issued(); n != 1 {
		t.Errorf("%d certificates issued, want 1", n)
	}
}

func TestRenewalReachesUsersWithoutARestart(t *testing.T) {
	s := newSite(t)
	p := startPebble(t, s.port(), 20*time.Second)
	source, log, _ := s.start(t, acmeConfig(t, p))
	untilIssued(t, source, log)
	roots := p.roots()
	first := s.visit(t, &tls.Config{RootCAs: roots})
	until(t, "the renewed certificate is in force", func() bool {
		return source.Expiries()[0].NotAfter.After(first.NotAfter)
	})
	if second := s.visit(t, &tls.Config{RootCAs: roots}); second.Equal(first) {
		t.Error("users still get the old one")
	}
}

func TestFailedProofIsExplained(t *testing.T) {
	s := newSite(t)
	p := startPebble(t, 1, year) // it connects to a port on which nothing listens
	source, log, stop := s.start(t, acmeConfig(t, p))
	until(t, "the problem is set", func() bool { return strings.Contains(source.Expiries()[0].Problem, "Failed to connect") })
	until(t, "it is logged", func() bool { return log.count("retry_in") == 1 })
	if n := log.count("refused the authorization"); n != 1 {
		t.Errorf("the reason was logged %d times, want once:\n%s", n, log)
	}
	start := time.Now()
	stop()
	if d := time.Since(start); d > 5*time.Second {
		t.Errorf("Run took %v to end", d)
	}
}

func TestBadDirectoryHoldsNothingElseUp(t *testing.T) {
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "crt"), filepath.Join(dir, "key")
	certPEM, keyPEM, err := tlsterm.SelfSigned(domain)
	must(t, err)
	must(t, os.WriteFile(cert, certPEM, 0o600))
	must(t, os.WriteFile(key, keyPEM, 0o600))
	s := newSite(t)
	_, log, stop := s.start(t, tlsterm.Config{ACME: &tlsterm.ACME{
		Domains:   []string{domain, "second.tokenring.example"},
		Directory: "https://" + ownLoopback() + ":14000/dir", RootCAs: cert, Cache: filepath.Join(dir, "acme"),
	}, Terms: tlsterm.Terms{Certificates: []tlsterm.Pair{{Cert: cert, Key: key}}}})
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(certPEM)
	s.visit(t, &tls.Config{RootCAs: roots})
	until(t, "both orders have failed once", func() bool { return log.count("retry_in") == 2 })
	s.visit(t, &tls.Config{RootCAs: roots})
	start := time.Now()
	stop()
	if d := time.Since(start); d > time.Second {
		t.Errorf("Run took %v to end while it backed off", d)
	}
}

func TestStopDuringAnOrderIsPrompt(t *testing.T) {
	s := newSite(t)
	p := startPebble(t, s.port(), year)
	_, _, stop := s.start(t, acmeConfig(t, p))
	until(t, "an account is being made", func() bool {
		return p.output.count("new-acct") > 0 || p.output.count("newAccount") > 0 || p.output.count("sign-me-up") > 0
	})
	start := time.Now()
	stop()
	if d := time.Since(start); d > 5*time.Second {
		t.Errorf("Run took %v to end during an order", d)
	}
}
