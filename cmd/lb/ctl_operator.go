package main

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

// How long a call may take. What may need a table of many hosts is given more
// than the server takes for it, but only once there is a server.
const (
	dialTime  = 5 * time.Second
	quickCall = 15 * time.Second
	longCall  = 130 * time.Second
)

// maxAnswer bounds an answer: the whole of a region is far below it.
const maxAnswer = 64 << 20

// An operator asks the admin API of one balancer.
type operator struct {
	base      string // without a slash at the end
	token     string // a secret
	tokenFile string // where it is from
	client    *http.Client
}

// newOperator returns a client of the API at base, which it knows by trusted. It
// follows no redirect and uses no proxy: nobody else is to see the token.
func newOperator(base, token, tokenFile string, trusted *trust) *operator {
	return &operator{base: base, token: token, tokenFile: tokenFile, client: &http.Client{
		Transport: &http.Transport{
			DialContext:         (&net.Dialer{Timeout: dialTime}).DialContext,
			TLSClientConfig:     trusted.config(),
			MaxIdleConnsPerHost: 1,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// A refusal is an answer that says no, with problem details (RFC 9457).
type refusal struct {
	Status int    `json:"status"`
	Detail string `json:"detail"`
	body   []byte
}

// Error says what the balancer says.
func (r *refusal) Error() string { return r.Detail }

// get asks for a path.
func (o *operator) get(ctx context.Context, path string) ([]byte, error) {
	return o.call(ctx, http.MethodGet, path, nil, quickCall)
}

// call sends a request, with body as JSON unless it is nil, and returns the
// answer's body. The error is a *refusal if the balancer has understood and
// refused.
func (o *operator) call(ctx context.Context, method, path string, body any, limit time.Duration) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	var content bytes.Buffer
	if body != nil {
		if err := json.NewEncoder(&content).Encode(body); err != nil {
			return nil, err
		}
	}
	req, err := http.NewRequestWithContext(ctx, method, o.base+path, &content)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+o.token)
	req.Header.Set("Content-Type", "application/json")
	resp, err := o.client.Do(req)
	if err != nil {
		return nil, o.unreached(err, limit)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return nil, o.unreached(err, limit)
	}
	return answer, o.judge(resp, answer)
}

// An unanswered error means that a request may have arrived.
type unanswered struct{ error }

func (u unanswered) Unwrap() error { return u.error }

// unreached says why there is no answer, and what to do about it.
func (o *operator) unreached(err error, limit time.Duration) error {
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		err = wrapped.Err // without the method, which says nothing here
	}
	const look = "is lb run running there, and is this its admin.address? Name another with --address"
	var dial *net.OpError
	var stranger untrusted
	switch {
	case errors.As(err, &stranger):
		return fmt.Errorf("%s: %w; name the certificate, or the one of its authority, with --ca", o.base, stranger)
	case errors.Is(err, http.ErrSchemeMismatch):
		return fmt.Errorf("%s speaks no TLS; write http://… with --address if the token may cross the network in clear", o.base)
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("nobody listens at %s; %s", o.base, look)
	case errors.As(err, &dial) && dial.Op == "dial":
		return fmt.Errorf("no connection to %s: %w; %s", o.base, err, look)
	case errors.Is(err, context.DeadlineExceeded):
		return unanswered{fmt.Errorf("no answer from %s within %v; %s", o.base, limit, look)}
	case errors.Is(err, context.Canceled):
		return unanswered{err}
	}
	return unanswered{fmt.Errorf("no answer from %s: %w; %s", o.base, err, look)}
}

// judge turns an answer that isn't a success into an error.
func (o *operator) judge(resp *http.Response, body []byte) error {
	isJSON := strings.Contains(resp.Header.Get("Content-Type"), "json")
	switch {
	case resp.StatusCode == http.StatusUnauthorized:
		return fmt.Errorf("%s refuses the token in %s; the right one is in the file that admin.token_file of its lb.yaml names, or in state_dir/admin.token: name it with --token-file",
			o.base, o.tokenFile)
	case resp.StatusCode == http.StatusOK && isJSON:
		return nil
	case !isJSON && bytes.Contains(body, []byte("HTTP request to an HTTPS server")): // net/http's words
		return fmt.Errorf("%s speaks TLS; write https://… with --address", o.base)
	case !isJSON:
		return fmt.Errorf("%s answers with %s, but not as an admin endpoint; is this the admin.address of a balancer?", o.base, resp.Status)
	}
	r := &refusal{body: body}
	if err := json.Unmarshal(body, r); err != nil || r.Detail == "" {
		r.Detail = "the balancer answers with " + resp.Status
	}
	r.Status = resp.StatusCode
	return r
}

// read decodes an answer. What it doesn't know it ignores, for a balancer may be
// of another version.
func read[T reply](answer []byte, err error) (v T, _ error) {
	if err != nil {
		return v, err
	}
	if err := json.Unmarshal(answer, &v); err != nil {
		return v, fmt.Errorf("the balancer's answer can't be read: %w; is it of another version?", err)
	}
	if !v.sound() {
		return v, errors.New("the answer is none of a balancer's; is this the admin.address of one?")
	}
	return v, nil
}

// show writes an answer: as it came, or as table makes it of what it says.
func show[T reply](ctl *ctlCmd, out io.Writer, answer []byte, table func(io.Writer, T) error) error {
	v, err := read[T](answer, nil)
	switch {
	case err != nil:
		return err
	case ctl.Format == "json":
		_, err := fmt.Fprintf(out, "%s\n", bytes.TrimSpace(answer))
		return err
	}
	return table(out, v)
}
