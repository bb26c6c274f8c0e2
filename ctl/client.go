// Package ctl is how operators watch and control a running balancer from a shell: a
// client of the admin API that writes the answers as tables. It shares no types with the
// API, because the balancer may have another version.
package ctl

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"time"
)

// How long a call may take. If the server may have to build a table of many hosts, the
// limit is longer than the server's own. The limit for connecting is always the same.
const (
	dialTime  = 5 * time.Second
	quickCall = 15 * time.Second
	longCall  = 130 * time.Second
)

// maxAnswer bounds an answer in bytes. The answers about a large region are far smaller.
const maxAnswer = 64 << 20

// A Client asks the admin API of one balancer.
type Client struct {
	base      string // without a slash at the end
	token     string // a secret
	tokenFile string // the file of the token
	socket    string // the control socket of the balancer's parent, "" if it isn't known
	client    *http.Client
}

// newClient returns a client of the API at base. It checks the endpoint's certificate
// with trusted. It follows no redirect and uses no proxy, because no other server may
// see the token.
func newClient(base, token, tokenFile string, trusted *trust) *Client {
	return &Client{base: base, token: token, tokenFile: tokenFile, client: &http.Client{
		Transport: &http.Transport{
			DialContext:         (&net.Dialer{Timeout: dialTime}).DialContext,
			TLSClientConfig:     trusted.config(),
			MaxIdleConnsPerHost: 1,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// A refusal is an error that the balancer answers, as problem details (RFC 9457).
type refusal struct {
	Status int    `json:"status"`
	Detail string `json:"detail"`
	body   []byte
}

// Error returns the balancer's text.
func (r *refusal) Error() string { return r.Detail }

// get sends a GET request for a path.
func (c *Client) get(ctx context.Context, path string) ([]byte, error) {
	return c.call(ctx, http.MethodGet, path, nil, quickCall)
}

// call sends a request and returns the body of the answer. It sends body as JSON unless
// body is nil. The error is a *refusal if the balancer has answered with an error.
func (c *Client) call(ctx context.Context, method, path string, body any, limit time.Duration) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	var content bytes.Buffer
	if body != nil {
		if err := json.NewEncoder(&content).Encode(body); err != nil {
			return nil, err
		}
	}
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, &content)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+c.token)
	req.Header.Set("Content-Type", "application/json")
	resp, err := c.client.Do(req)
	if err != nil {
		return nil, c.unreached(err, limit)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return nil, c.unreached(err, limit)
	}
	return answer, c.check(resp, answer)
}

// An unanswered error means that there is no answer, but the request may have arrived.
type unanswered struct{ error }

func (u unanswered) Unwrap() error { return u.error }

// errNobodyListens is the error of a connection that is refused.
var errNobodyListens = errors.New("nothing listens")

// unreached returns an error that says why there is no answer, and what to do.
func (c *Client) unreached(err error, limit time.Duration) error {
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		err = wrapped.Err // without the method and the URL
	}
	const look = "is lb run running there, and is this its admin.address? Name another address with --address"
	var dial *net.OpError
	var stranger untrusted
	switch {
	case errors.As(err, &stranger):
		return fmt.Errorf("%s: %w; name its certificate, or that of its authority, with --ca", c.base, stranger)
	case errors.Is(err, http.ErrSchemeMismatch):
		return fmt.Errorf("%s speaks no TLS; write http://… with --address if the token may cross the network unencrypted", c.base)
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("%w at %s; %s", errNobodyListens, c.base, look)
	case errors.As(err, &dial) && dial.Op == "dial":
		return fmt.Errorf("no connection to %s: %w; %s", c.base, err, look)
	case errors.Is(err, context.DeadlineExceeded):
		return unanswered{fmt.Errorf("no answer from %s within %v; %s", c.base, limit, look)}
	case errors.Is(err, context.Canceled):
		return unanswered{err}
	}
	return unanswered{fmt.Errorf("no answer from %s: %w; %s", c.base, err, look)}
}

// check turns an answer that isn't a success into an error.
func (c *Client) check(resp *http.Response, body []byte) error {
	isJSON := strings.Contains(resp.Header.Get("Content-Type"), "json")
	switch {
	case resp.StatusCode == http.StatusUnauthorized:
		return fmt.Errorf("%s refuses the token in %s; the right token is in the file that admin.token_file of its lb.yaml names, or in state_dir/admin.token: name that file with --token-file",
			c.base, c.tokenFile)
	case resp.StatusCode == http.StatusOK && isJSON:
		return nil
	case !isJSON && bytes.Contains(body, []byte("HTTP request to an HTTPS server")): // net/http's text
		return fmt.Errorf("%s speaks TLS; write https://… with --address", c.base)
	case !isJSON:
		return fmt.Errorf("%s answers with %s, but not like an admin endpoint; is this the admin.address of a balancer?", c.base, resp.Status)
	}
	r := &refusal{body: body}
	if err := json.Unmarshal(body, r); err != nil || r.Detail == "" {
		r.Detail = "the balancer answers with " + resp.Status
	}
	r.Status = resp.StatusCode
	return r
}

// read decodes an answer. It ignores fields that it doesn't know, because the balancer
// may have another version.
func read[T reply](answer []byte, err error) (v T, _ error) {
	if err != nil {
		return v, err
	}
	if err := json.Unmarshal(answer, &v); err != nil {
		return v, fmt.Errorf("the balancer's answer can't be read: %w; has it another version?", err)
	}
	if !v.sound() {
		return v, errors.New("this isn't the answer of a balancer; is this the admin.address of a balancer?")
	}
	return v, nil
}
