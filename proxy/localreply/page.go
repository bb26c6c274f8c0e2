// Package localreply has the answers that a balancer gives itself, without a host: error
// pages, and redirects to https. It opens and writes nothing.
package localreply

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"

	"tokenring/http1"
)

// A Page is an answer that says why there is no other: HTML for browsers, JSON or text for the
// rest. Its texts are constant. It never holds what a client or a host has sent.
type Page struct {
	Status     int
	Detail     string // why, for users and the log; without a capital letter and a full stop
	Kind       Kind
	Challenge  string // of WWW-Authenticate (RFC 9110 §11.6.1); "" for none
	RetryAfter int    // seconds that a client is asked to wait; 0 for a few with a 503, else for nothing
}

// A Kind tells apart pages of the same status.
type Kind uint8

// The kinds.
const (
	Plain       Kind = iota
	Awaited          // the host of the user is expected soon
	Maintenance      // operators have put the service or a part of it into maintenance
)

// A health check needs about as long as shortestRetry to find a host up again. Some wait for
// up to longestRetry, so that not all clients come back at the same time.
const shortestRetry, longestRetry = 2, 5

// waits returns how many seconds the client is asked to wait; 0 if it isn't asked.
func (p *Page) waits() int {
	if p.RetryAfter == 0 && p.Status == 503 {
		return shortestRetry + rand.IntN(longestRetry-shortestRetry+1)
	}
	return p.RetryAfter
}

// Answer returns the fields and the body of the answer to a request with an id. The fields don't
// contain the length of the body. Only browsers that load a page get HTML: what a WebSocket
// handshake gets, nobody is shown.
func (s *Pages) Answer(p Page, r *http1.Request, id []byte) (fields []http1.Field, body string) {
	a := answer{Page: p, id: string(id), wait: p.waits()}
	contentType := "application/json"
	switch {
	case !r.WebSocket && prefersHTML(r.Fields):
		contentType = "text/html; charset=utf-8"
		if body = s.template(&p); body != "" {
			body = a.fill(body)
			break
		}
		body = a.html(string(r.Method) == "GET")
		fields = append(fields, field("Content-Security-Policy", policy))
	case s.plain():
		contentType, body = "text/plain; charset=utf-8", a.text()
	default:
		body = a.json()
	}
	fields = append(fields, field("Content-Type", contentType), field("Cache-Control", "no-store"))
	if p.Status == 426 { // RFC 6455 §4.4
		fields = append(fields, field("Sec-WebSocket-Version", "13"))
	}
	if p.Challenge != "" {
		fields = append(fields, field("WWW-Authenticate", p.Challenge))
	}
	if a.wait > 0 {
		fields = append(fields, field("Retry-After", strconv.Itoa(a.wait)))
	}
	return fields, body
}

func field(name, value string) http1.Field {
	return http1.Field{Name: []byte(name), Value: []byte(value)}
}

// An answer is a page for one request.
type answer struct {
	Page
	id   string
	wait int // in seconds; 0 for none
}

func (a *answer) json() string {
	b, _ := json.Marshal(struct { // strings and an int: can't fail
		Status    int    `json:"status"`
		Error     string `json:"error"`
		Detail    string `json:"detail"`
		RequestID string `json:"request_id"`
	}{a.Status, http1.StatusText(a.Status), a.Detail, a.id})
	return string(b) + "\n"
}

func (a *answer) text() string {
	return fmt.Sprintf("%d %s: %s (request %s)\n", a.Status, http1.StatusText(a.Status), a.Detail, a.id)
}

// sentence returns s with a capital letter and a full stop.
func sentence(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:] + "."
}
