package tlsterm

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"
)

const (
	maxReply   = 1 << 20 // bytes of a directory's reply
	maxPolling = 3       // seconds that the ACME client may sleep between questions
	askTimeout = 30 * time.Second
)

// A directory is the way to the ACME server. All that autocert does goes
// through it, so it is here that its silent failures become visible, and that
// it is stopped.
type directory struct {
	log  zerolog.Logger
	base *http.Transport
	life context.Context // set by open, before the first request

	mu       sync.Mutex
	refusals map[string]refusal // by domain: its last one
}

// A refusal is why a directory didn't accept the proof for a domain.
type refusal struct{ authorization, why string }

var errClosed = errors.New("the balancer is stopping")

func newDirectory(rootsFile string, log zerolog.Logger) (*directory, error) {
	roots, err := loadRoots(rootsFile)
	if err != nil {
		return nil, err
	}
	base := &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		TLSClientConfig:     &tls.Config{RootCAs: roots},
		TLSHandshakeTimeout: 10 * time.Second,
		IdleConnTimeout:     time.Minute,
	}
	return &directory{log: log, base: base, refusals: map[string]refusal{}}, nil
}

// CheckRoots reports why a file can't serve as the roots of a private ACME
// directory; the empty name, for the system's roots, can.
func CheckRoots(file string) error {
	_, err := loadRoots(file)
	return err
}

func loadRoots(file string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil // crypto/tls takes the system's
	}
	data, err := readPEM(file, "root_cas")
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(data) {
		return nil, fmt.Errorf("root_cas %s: no certificate in the file", file)
	}
	return pool, nil
}

// open lets requests through until ctx ends.
func (d *directory) open(ctx context.Context) { d.life = ctx }

func (d *directory) close() { d.base.CloseIdleConnections() }

func (d *directory) client() *http.Client {
	return &http.Client{Transport: d, Timeout: askTimeout}
}

// RoundTrip implements http.RoundTripper. It reads the whole reply, so that a
// stop can't find it half read.
func (d *directory) RoundTrip(req *http.Request) (*http.Response, error) {
	if d.life.Err() != nil {
		return nil, errClosed
	}
	ctx, cancel := context.WithCancel(req.Context())
	defer cancel()
	stop := context.AfterFunc(d.life, cancel)
	defer stop()

	resp, body, err := d.exchange(req.WithContext(ctx))
	if err != nil {
		if d.life.Err() == nil {
			d.log.Error().Err(err).Str("url", req.URL.String()).Msg("ACME directory can't be reached")
		}
		return nil, err
	}
	d.note(req.URL.Path, resp.StatusCode, body)
	resp.Body = io.NopCloser(bytes.NewReader(body))
	shorten(resp)
	return resp, nil
}

func (d *directory) exchange(req *http.Request) (*http.Response, []byte, error) {
	resp, err := d.base.RoundTrip(req)
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxReply))
	return resp, body, err
}

// A reply is what a directory's replies may say that an operator should know:
// a problem document (RFC 8555 §6.7), or an authorization (§7.1.4).
type reply struct {
	problem
	Status     json.RawMessage `json:"status"` // a number in a problem document
	Identifier struct {
		Value string `json:"value"`
	} `json:"identifier"`
	Challenges []struct {
		Error *problem `json:"error"`
	} `json:"challenges"`
}

type problem struct {
	Type   string `json:"type"`
	Detail string `json:"detail"`
}

func (p problem) String() string {
	return strings.TrimPrefix(p.Type, "urn:ietf:params:acme:error:") + ": " + p.Detail
}

// note logs a refusal. A bad nonce is none: the client tries again by itself
// (RFC 8555 §6.5).
func (d *directory) note(path string, status int, body []byte) {
	var r reply
	if json.Unmarshal(body, &r) != nil && status < 400 {
		return // a certificate, say
	}
	if status >= 400 {
		if !strings.HasSuffix(r.Type, ":badNonce") {
			d.log.Error().Int("status", status).Str("type", r.Type).Str("detail", r.Detail).Msg("ACME directory refused a request")
		}
		return
	}
	if string(r.Status) != `"invalid"` {
		return
	}
	for _, c := range r.Challenges {
		if c.Error != nil {
			d.refuse(r.Identifier.Value, refusal{path, c.Error.String()})
		}
	}
}

// refuse remembers why a domain's proof wasn't accepted; autocert would only
// say that it has no further kind of challenge to try. It reads a failed
// authorization more than once, but that is one line in the log.
func (d *directory) refuse(domain string, r refusal) {
	d.mu.Lock()
	known := d.refusals[domain] == r
	d.refusals[domain] = r
	d.mu.Unlock()
	if !known {
		d.log.Error().Str("domain", domain).Str("why", r.why).Msg("ACME directory didn't accept the proof")
	}
}

func (d *directory) refusal(domain string) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.refusals[domain].why
}

func (d *directory) forget(domain string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.refusals, domain)
}

// shorten bounds the time that the ACME client sleeps before it asks again how
// an order is going: nothing can wake it, so a stop would have to wait for it.
func shorten(resp *http.Response) {
	after := resp.Header.Get("Retry-After")
	if resp.StatusCode >= 300 || after == "" {
		return
	}
	if n, err := strconv.Atoi(after); err != nil || n > maxPolling {
		resp.Header.Set("Retry-After", strconv.Itoa(maxPolling))
	}
}

// retryNonces makes the ACME client try again at once when only its nonce was
// stale, five times, and leaves everything else to our own back-off: by itself
// it would try for ever when told 429 or 503.
func retryNonces(n int, _ *http.Request, resp *http.Response) time.Duration {
	if resp.StatusCode != http.StatusBadRequest || n > 5 {
		return -1
	}
	return 100 * time.Millisecond
}
