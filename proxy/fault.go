package proxy

import (
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"strconv"
	"strings"
	"time"

	"tokenring/http1"
)

// A fault is an answer of our own instead of a host's. Its detail is one of our
// constant texts: nothing that a client or a host has sent is ever in it.
type fault struct {
	status int
	end    string
	detail string
}

// retryAfter is what a 503 asks a client to wait, in seconds: about what a
// health check needs to see a host again.
const retryAfter = "2"

// fail answers with f, and settles how the exchange ended. The request's body,
// if any, hasn't been read: the connection is used no more.
func (c *conn) fail(f fault) {
	c.x.status, c.x.end = f.status, f.end
	if f.end == endRefused || f.end == endTimeout || c.req.Framing != http1.NoBody || c.req.WebSocket {
		c.x.last = true
	}
	contentType, body := c.page(f)
	b := http1.AppendStatusLine(c.out[:0], f.status, nil)
	b = http1.AppendFieldString(b, "Content-Type", contentType)
	b = http1.AppendFieldString(b, "Content-Length", strconv.Itoa(len(body)))
	b = http1.AppendFieldString(b, "Cache-Control", "no-store")
	b = http1.AppendFieldString(b, "Date", time.Now().UTC().Format("Mon, 02 Jan 2006 15:04:05 GMT"))
	b = http1.AppendFieldString(b, "X-Request-Id", c.x.id)
	switch f.status {
	case 426: // RFC 6455 §4.4
		b = http1.AppendFieldString(b, "Sec-WebSocket-Version", "13")
	case 503:
		b = http1.AppendFieldString(b, "Retry-After", retryAfter)
	}
	if c.x.last {
		b = http1.AppendFieldString(b, "Connection", "close")
	}
	b = append(b, "\r\n"...)
	if string(c.req.Method) != "HEAD" {
		b = append(b, body...)
		c.x.sent += int64(len(body))
	}
	c.out = b
	if c.write(b) != nil {
		c.x.last = true
	}
}

// page is the body of a fault: a short page for browsers, JSON for the rest.
func (c *conn) page(f fault) (contentType, body string) {
	title := http1.StatusText(f.status)
	if c.wantsHTML() {
		return "text/html; charset=utf-8", fmt.Sprintf(pageHTML, f.status, html.EscapeString(title),
			html.EscapeString(sentence(f.detail)), html.EscapeString(c.x.id))
	}
	b, _ := json.Marshal(struct { // strings and an int: can't fail
		Status    int    `json:"status"`
		Error     string `json:"error"`
		Detail    string `json:"detail"`
		RequestID string `json:"request_id"`
	}{f.status, title, f.detail, c.x.id})
	return "application/json", string(b) + "\n"
}

const pageHTML = `<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>%[1]d %[2]s</title>
<style>body{font:16px/1.5 system-ui,sans-serif;max-width:36em;margin:15vh auto;padding:0 1em;color-scheme:light dark}small{opacity:.6}</style>
<h1>%[2]s</h1>
<p>%[3]s</p>
<p><small>%[1]d · request %[4]s</small></p>
`

func sentence(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:] + "."
}

// wantsHTML tells whether the client is a browser that shows a page.
func (c *conn) wantsHTML() bool {
	for i := range c.req.Fields {
		if f := &c.req.Fields[i]; f.Kind == http1.KindAccept && strings.Contains(string(f.Value), "text/html") {
			return true
		}
	}
	return false
}

// hostFailed answers for a host whose own answer didn't come, or was none. It
// returns errStale, and answers nothing, when the request may be sent once more.
func (c *conn) hostFailed(l *link, up *upload, err error) error {
	if fault := up.clientsFault(); fault != nil {
		c.clientFailed(fault)
		return fault
	}
	if l.used && l.in.Buffered() == 0 && cut(err) && repeatable(&c.req) {
		return errStale
	}
	f := fault{status: 502, end: endHostFailed, detail: "the host's answer was cut short"}
	kind := "closed"
	var bad *http1.Error
	switch {
	case timedOut(err):
		f = fault{status: 504, end: endTimeout, detail: "the host took too long to answer"}
		kind = "timeout"
	case errors.As(err, &bad):
		f.detail, kind = "the host's answer was not valid HTTP: "+bad.Reason, "malformed"
	default:
		c.x.host.Gauges.Resets.Add(1)
	}
	c.srv.p.blame(c.x.host.Name, kind)
	c.fail(f)
	return err
}

// clientFailed ends a request whose body the client didn't send as it should.
func (c *conn) clientFailed(err error) {
	var bad *http1.Error
	switch end := clientsEnd(err); {
	case errors.As(err, &bad):
		c.fail(fault{status: bad.Status, end: end, detail: bad.Reason})
	case timedOut(err):
		c.fail(fault{status: 408, end: end, detail: "the request's body took too long"})
	default:
		c.x.last, c.x.end = true, end
	}
}

// clientsEnd says how an exchange ended that the client didn't see through.
func clientsEnd(err error) string {
	var bad *http1.Error
	switch {
	case errors.As(err, &bad):
		return endRefused
	case timedOut(err):
		return endTimeout
	}
	return endClientGone
}

// cut tells whether err is the end of a connection, and not something wrong
// that came over it, or nothing at all.
func cut(err error) bool {
	var bad *http1.Error
	return !timedOut(err) && !errors.As(err, &bad)
}
