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
	maxReply   = 1 << 20 // bytes of a directory's response
	maxPolling = 3       // seconds that package acme may sleep between two requests for a status
	askTimeout = 30 * time.Second
)

// An acmeClient is the HTTP transport of all requests of autocert to the ACME directory.
// It logs failures that autocert doesn't report, and fails all requests after the end of
// its context.
type acmeClient struct {
	log  zerolog.Logger
	base *http.Transport
	ctx  context.Context // set by start, before the first request

	mu       sync.Mutex
	refusals map[string]refusal // the last one of each domain
}

// A refusal says why the directory refused an authorization of a domain.
type refusal struct{ authorization, why string }

var errClosed = errors.New("the balancer is stopping")

func newACMEClient(rootsFile string, log zerolog.Logger) (*acmeClient, error) {
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
	return &acmeClient{log: log, base: base, refusals: map[string]refusal{}}, nil
}

// loadRoots returns the roots of a private ACME directory; nil for the empty name, which
// stands for the system's.
func loadRoots(file string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil // crypto/tls then uses the system's roots
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

// start allows requests until ctx ends.
func (d *acmeClient) start(ctx context.Context) { d.ctx = ctx }

func (d *acmeClient) close() { d.base.CloseIdleConnections() }

func (d *acmeClient) httpClient() *http.Client {
	return &http.Client{Transport: d, Timeout: askTimeout}
}

// RoundTrip implements http.RoundTripper. It reads the whole response before it returns,
// so that the end of the context can't interrupt the caller's reading.
func (d *acmeClient) RoundTrip(req *http.Request) (*http.Response, error) {
	if d.ctx.Err() != nil {
		return nil, errClosed
	}
	ctx, cancel := context.WithCancel(req.Context())
	defer cancel()
	stop := context.AfterFunc(d.ctx, cancel)
	defer stop()

	resp, body, err := d.exchange(req.WithContext(ctx))
	if err != nil {
		if d.ctx.Err() == nil {
			d.log.Error().Err(err).Str("url", req.URL.String()).Msg("ACME directory can't be reached")
		}
		return nil, err
	}
	d.note(req.URL.Path, resp.StatusCode, body)
	resp.Body = io.NopCloser(bytes.NewReader(body))
	boundRetryAfter(resp)
	return resp, nil
}

func (d *acmeClient) exchange(req *http.Request) (*http.Response, []byte, error) {
	resp, err := d.base.RoundTrip(req)
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxReply))
	return resp, body, err
}

// A reply holds the parts of a directory's response that are logged: those of a problem
// document (RFC 8555 §6.7) or of an authorization (§7.1.4).
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

// note logs a refusal. It ignores a bad nonce, since package acme tries again with a new
// one (RFC 8555 §6.5).
func (d *acmeClient) note(path string, status int, body []byte) {
	var r reply
	if json.Unmarshal(body, &r) != nil && status < 400 {
		return // for example a certificate
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

// refuse records why the authorization of a domain was refused; the error of autocert
// doesn't contain the reason. autocert reads a failed authorization several times, but
// it is logged once.
func (d *acmeClient) refuse(domain string, r refusal) {
	d.mu.Lock()
	known := d.refusals[domain] == r
	d.refusals[domain] = r
	d.mu.Unlock()
	if !known {
		d.log.Error().Str("domain", domain).Str("why", r.why).Msg("ACME directory refused the authorization")
	}
}

func (d *acmeClient) refusal(domain string) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.refusals[domain].why
}

func (d *acmeClient) forget(domain string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.refusals, domain)
}

// boundRetryAfter bounds the time that package acme sleeps before it requests the status
// of an order again. The sleep can't be interrupted, so Run would have to wait for it.
func boundRetryAfter(resp *http.Response) {
	after := resp.Header.Get("Retry-After")
	if resp.StatusCode >= 300 || after == "" {
		return
	}
	if n, err := strconv.Atoi(after); err != nil || n > maxPolling {
		resp.Header.Set("Retry-After", strconv.Itoa(maxPolling))
	}
}

// retryNonces makes package acme repeat a request with a stale nonce at once, at most
// five times. It repeats no other request; the issuer's back-off does. Without it package
// acme would repeat requests for ever after 429 or 503.
func retryNonces(n int, _ *http.Request, resp *http.Response) time.Duration {
	if resp.StatusCode != http.StatusBadRequest || n > 5 {
		return -1
	}
	return 100 * time.Millisecond
}
