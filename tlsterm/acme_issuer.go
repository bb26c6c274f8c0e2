package tlsterm

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/crypto/acme"
	"golang.org/x/crypto/acme/autocert"

	"tokenring/statefile"
)

const (
	refreshEvery = time.Minute      // the longest time between two reads of autocert's certificate
	firstRetry   = 90 * time.Second // autocert caches a failure for 60 s
	lastRetry    = time.Hour
)

// An issuer maintains one certificate per domain with autocert. Handshakes of users
// never call autocert: it would order a certificate during a handshake, under locks that
// all handshakes share, and would order a second, RSA certificate for clients with only
// TLS 1.3. So the issuer itself gets the certificates from autocert, and passes them to
// found.
type issuer struct {
	cfg     ACME
	log     zerolog.Logger
	domains []string // lower case, without trailing dots, each once
	manager *autocert.Manager
	client  *acmeClient
	found   func(domain string, cert *tls.Certificate, problem string)
}

func newIssuer(cfg ACME, log zerolog.Logger, found func(string, *tls.Certificate, string)) (*issuer, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	client, err := newACMEClient(cfg.RootCAs, log)
	if err != nil {
		return nil, err
	}
	if err := statefile.MakeDir(cfg.Cache); err != nil {
		return nil, fmt.Errorf("cache: %w", err)
	}
	i := &issuer{cfg: cfg, log: log, client: client, found: found}
	for _, domain := range cfg.Domains {
		domain = strings.ToLower(strings.TrimSuffix(domain, "."))
		if !slices.Contains(i.domains, domain) {
			i.domains = append(i.domains, domain)
		}
	}
	i.manager = &autocert.Manager{
		Prompt:     autocert.AcceptTOS,
		Cache:      newKeyCache(cfg.Cache),
		HostPolicy: autocert.HostWhitelist(i.domains...),
		Email:      cfg.Email,
		Client: &acme.Client{
			DirectoryURL: cfg.Directory,
			HTTPClient:   client.httpClient(),
			RetryBackoff: retryNonces,
			UserAgent:    "tokenring",
		},
	}
	return i, nil
}

// run maintains the certificates of all domains until ctx ends. autocert's renewal
// timers go on after that, but their requests fail.
func (i *issuer) run(ctx context.Context) {
	i.client.start(ctx)
	defer i.client.close()
	var running sync.WaitGroup
	defer running.Wait()
	for _, domain := range i.domains {
		running.Go(func() { i.maintain(ctx, domain) })
	}
}

// maintain gets the certificate of one domain from autocert at intervals. autocert reads
// it from its cache, orders it, or returns the one that it has renewed since.
func (i *issuer) maintain(ctx context.Context, domain string) {
	var overdue notice
	for failures := 0; ; {
		cert, err := i.ask(domain)
		if ctx.Err() != nil {
			return
		}
		var wait time.Duration
		if err != nil {
			failures++
			wait = retryAfter(failures)
			i.found(domain, nil, err.Error())
			i.log.Error().Err(err).Str("domain", domain).Dur("retry_in", wait.Round(time.Second)).Msg("certificate wasn't issued")
		} else {
			failures = 0
			wait = refreshAfter(cert.Leaf.NotAfter.Sub(cert.Leaf.NotBefore))
			i.found(domain, cert, i.late(cert, domain, &overdue))
		}
		if !pause(ctx, wait) {
			return
		}
	}
}

// ask gets the certificate of a domain from autocert, for a client that supports ECDSA,
// so that autocert uses an ECDSA key. It returns within five minutes.
func (i *issuer) ask(domain string) (*tls.Certificate, error) {
	i.client.forget(domain)
	cert, err := i.manager.GetCertificate(&tls.ClientHelloInfo{
		ServerName:   domain,
		CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256},
	})
	if why := i.client.refusal(domain); err != nil && why != "" {
		return nil, fmt.Errorf("%s (%w)", why, err)
	}
	return cert, err
}

// late returns a problem if cert should have been renewed by now, and logs it once a day,
// since autocert doesn't report it.
func (i *issuer) late(cert *tls.Certificate, domain string, n *notice) string {
	due := renewalDue(cert.Leaf.NotBefore, cert.Leaf.NotAfter)
	if time.Now().Before(due) {
		return ""
	}
	if n.due(24 * time.Hour) {
		i.log.Error().Str("domain", domain).Time("due", due).Time("not_after", cert.Leaf.NotAfter).Msg("certificate's renewal is overdue")
	}
	return "renewal is overdue since " + due.UTC().Format(time.RFC3339)
}

// challengeCertificate returns the certificate that answers the TLS-ALPN-01 challenge of
// an ACME server. The domain must be configured.
func (i *issuer) challengeCertificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	if !slices.Contains(i.domains, strings.ToLower(hello.ServerName)) {
		return nil, errors.New("tlsterm: a challenge for a domain that isn't configured")
	}
	return i.manager.GetCertificate(hello)
}

// file returns the path of the file in which autocert caches a domain's certificate.
func (i *issuer) file(domain string) string { return filepath.Join(i.cfg.Cache, domain) }

// isChallenge reports whether a handshake is the challenge of an ACME server: it offers
// only ChallengeProto (RFC 8737 §3).
func isChallenge(hello *tls.ClientHelloInfo) bool {
	return len(hello.SupportedProtos) == 1 && hello.SupportedProtos[0] == ChallengeProto
}

// renewalDue returns the time by which a certificate should have been renewed. autocert
// begins when a third of the lifetime is left, but at most 30 days; half of that time is
// for its retries.
func renewalDue(notBefore, notAfter time.Time) time.Time {
	left := min(notAfter.Sub(notBefore)/3, 30*24*time.Hour)
	return notAfter.Add(-left / 2)
}

// refreshAfter returns the time until the next read of autocert's certificate: a
// twentieth of the lifetime, but at most a minute and at least a second.
func refreshAfter(lifetime time.Duration) time.Duration {
	return max(time.Second, min(lifetime/20, refreshEvery))
}

// retryAfter returns the wait after n failures in a row: 90 s after the first, then
// twice as long each time, at most an hour. It adds a random part of up to a tenth, so
// that balancers don't retry at the same time.
func retryAfter(n int) time.Duration {
	d := lastRetry
	if n < 7 {
		d = min(firstRetry<<(n-1), lastRetry)
	}
	return d + rand.N(d/10)
}

// A notice limits a log line that repeats.
type notice struct{ last time.Time }

// due reports whether the line may be logged now: every is the least time between two
// lines.
func (n *notice) due(every time.Duration) bool {
	if now := time.Now(); n.last.IsZero() || now.Sub(n.last) >= every {
		n.last = now
		return true
	}
	return false
}

// pause returns true after d, and false at once when ctx ends.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// A domainState holds the certificate of one domain, or why there is none.
type domainState struct {
	domain  string
	cert    *certificate // nil until there is one
	problem string
}

// update sets the certificate and the problem of the domain, and reports whether one of
// them has changed. If cert is nil, it keeps the present certificate. file is the file
// of the certificate.
func (d *domainState) update(cert *tls.Certificate, problem, file string) (changed bool) {
	fresh := cert != nil && (d.cert == nil || d.cert.Leaf != cert.Leaf)
	if !fresh && problem == d.problem {
		return false
	}
	d.problem = problem
	if fresh {
		d.cert = &certificate{Certificate: cert, names: namesOf(cert.Leaf), file: file}
	}
	return true
}

func (d *domainState) expiry(file string) Expiry {
	e := Expiry{File: file}
	if d.cert != nil {
		e = d.cert.expiry(acmeMargin)
	}
	e.Names, e.Problem = []string{d.domain}, d.problem
	return e
}
