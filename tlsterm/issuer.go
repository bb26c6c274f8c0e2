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
	refreshEvery = time.Minute      // how often, at least, autocert is asked what it has by now
	firstRetry   = 90 * time.Second // autocert remembers a failure for 60 s
	lastRetry    = time.Hour
)

// An issuer keeps one certificate per domain by way of autocert. Users'
// handshakes never reach autocert: it would order in the midst of one, under
// locks that all of them share, and a second, RSA certificate for clients of
// TLS 1.3 only. So the issuer asks for them itself, and hands them on.
type issuer struct {
	cfg       ACME
	log       zerolog.Logger
	domains   []string // lower case, without trailing dots, each once
	manager   *autocert.Manager
	directory *directory
	found     func(domain string, cert *tls.Certificate, problem string)
}

func newIssuer(cfg ACME, log zerolog.Logger, found func(string, *tls.Certificate, string)) (*issuer, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	dir, err := newDirectory(cfg.RootCAs, log)
	if err != nil {
		return nil, err
	}
	if err := statefile.MakeDir(cfg.Cache); err != nil {
		return nil, fmt.Errorf("cache: %w", err)
	}
	i := &issuer{cfg: cfg, log: log, directory: dir, found: found}
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
			HTTPClient:   dir.client(),
			RetryBackoff: retryNonces,
			UserAgent:    "tokenring",
		},
	}
	return i, nil
}

// run keeps all domains supplied until ctx ends. autocert's renewal timers
// outlive it, but without the directory they can do nothing.
func (i *issuer) run(ctx context.Context) {
	i.directory.open(ctx)
	defer i.directory.close()
	var running sync.WaitGroup
	defer running.Wait()
	for _, domain := range i.domains {
		running.Go(func() { i.keep(ctx, domain) })
	}
}

// keep asks for the certificate of one domain again and again: autocert takes
// it from its cache, orders it, or returns what it has, renewed meanwhile.
func (i *issuer) keep(ctx context.Context, domain string) {
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

// ask speaks to autocert for a client that knows ECDSA: that, too, decides
// which of its certificates it is about. It returns within five minutes.
func (i *issuer) ask(domain string) (*tls.Certificate, error) {
	i.directory.forget(domain)
	cert, err := i.manager.GetCertificate(&tls.ClientHelloInfo{
		ServerName:   domain,
		CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256},
	})
	if why := i.directory.refusal(domain); err != nil && why != "" {
		return nil, fmt.Errorf("%s (%w)", why, err)
	}
	return cert, err
}

// late returns what to show when a certificate should have been renewed by
// now, and logs it once a day: autocert keeps silent about it.
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

// answer proves to an ACME server that a domain is ours, for configured ones.
func (i *issuer) answer(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	if !slices.Contains(i.domains, strings.ToLower(hello.ServerName)) {
		return nil, errors.New("tlsterm: a challenge for a domain that isn't configured")
	}
	return i.manager.GetCertificate(hello)
}

// file is where autocert caches a domain's certificate.
func (i *issuer) file(domain string) string { return filepath.Join(i.cfg.Cache, domain) }

// isChallenge recognises an ACME server's handshake: it offers this protocol
// and no other (RFC 8737 §3).
func isChallenge(hello *tls.ClientHelloInfo) bool {
	return len(hello.SupportedProtos) == 1 && hello.SupportedProtos[0] == ChallengeProto
}

// renewalDue is the latest that a certificate should have been renewed:
// autocert begins when a third of its lifetime is left, but at most 30 days,
// and half of that time is granted to its retries.
func renewalDue(notBefore, notAfter time.Time) time.Time {
	left := min(notAfter.Sub(notBefore)/3, 30*24*time.Hour)
	return notAfter.Add(-left / 2)
}

// refreshAfter is how soon a renewed certificate is noticed: within a twentieth
// of the lifetime, or a minute if that is sooner.
func refreshAfter(lifetime time.Duration) time.Duration {
	return max(time.Second, min(lifetime/20, refreshEvery))
}

// retryAfter is how long to wait after n failures in a row: 90 s doubled each
// time, up to an hour, and up to a tenth more so that balancers don't call
// together.
func retryAfter(n int) time.Duration {
	d := lastRetry
	if n < 7 {
		d = min(firstRetry<<(n-1), lastRetry)
	}
	return d + rand.N(d/10)
}

// A notice is something that is worth a line in the log now and then.
type notice struct{ last time.Time }

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
