package proxy

import (
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"strings"

	"tokenring/http1"
)

// A fault is an answer of our own instead of a host's. Its detail is one of our
// constant texts: nothing that a client or a host has sent is ever in it.
type fault struct {
	status int
	end    string
	detail string
}

// short is the fault of a balancer that can open no more connections or files.
var short = fault{status: 503, end: endFault, detail: "this balancer is short of file descriptors; it is worth trying again"}

// goingOut is the fault of a handshake that its host mustn't answer any more.
func goingOut(end string) fault {
	return fault{status: 503, end: end, detail: "the host of this session is going out of service; it is worth trying again"}
}

// retryAfter is what a 503 asks a client to wait, in seconds: about what a
// health check needs to see a host again.
const retryAfter = "2"

// fail answers with f, and settles how the exchange ended. The request's body,
// if any, hasn't been read: the connection is used no more.
func (x *exchange) fail(f fault) {
	x.status, x.end, x.reason = f.status, f.end, f.detail
	if f.end == endRefused || f.end == endTimeout || hasBody(&x.req) || x.req.WebSocket {
		x.last = true
	}
	contentType, body := x.page(f)
	fields := []http1.Field{
		field("Content-Type", contentType),
		field("Cache-Control", "no-store"),
	}
	switch f.status {
	case 426: // RFC 6455 §4.4
		fields = append(fields, field("Sec-WebSocket-Version", "13"))
	case 503:
		fields = append(fields, field("Retry-After", retryAfter))
	}
	if x.answer(f.status, fields, body) != nil {
		x.last = true
	}
}

// answer sends an answer of our own.
func (x *exchange) answer(status int, fields []http1.Field, body string) error {
	resp := http1.Response{Status: status, Minor: 1, Fields: fields, Framing: http1.Length, Length: int64(len(body))}
	if string(x.req.Method) == "HEAD" {
		resp.Framing, body = http1.NoBody, ""
	}
	x.sent += int64(len(body))
	x.side.head(&resp)
	return x.side.end([]byte(body), nil)
}

func field(name, value string) http1.Field {
	return http1.Field{Name: []byte(name), Value: []byte(value)}
}

// page is the body of a fault: a short page for browsers, JSON for the rest.
func (x *exchange) page(f fault) (contentType, body string) {
	title := http1.StatusText(f.status)
	if x.wantsHTML() {
		return "text/html; charset=utf-8", fmt.Sprintf(pageHTML, f.status, html.EscapeString(title),
			html.EscapeString(sentence(f.detail)), html.EscapeString(string(x.id)))
	}
	b, _ := json.Marshal(struct { // strings and an int: can't fail
		Status    int    `json:"status"`
		Error     string `json:"error"`
		Detail    string `json:"detail"`
		RequestID string `json:"request_id"`
	}{f.status, title, f.detail, string(x.id)})
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
func (x *exchange) wantsHTML() bool {
	for i := range x.req.Fields {
		if f := &x.req.Fields[i]; f.Kind == http1.KindAccept && strings.Contains(string(f.Value), "text/html") {
			return true
		}
	}
	return false
}

// hostFailed answers for a host whose own answer didn't come, or was none. It
// returns errStale or errDown, and answers nothing, when the request may be sent
// once more.
func (x *exchange) hostFailed(l *link, up *upload, err error) error {
	if fault := up.clientsFault(); fault != nil {
		x.clientFailed(fault)
		return fault
	}
	if x.aborted.Load() {
		return x.leave(err)
	}
	switch {
	case errors.Is(err, errDown):
		return err
	case errors.Is(err, errMaint):
		x.fail(goingOut(endMaint))
		return err
	}
	if l.upstream.retired() {
		return x.hostMoved(err)
	}
	if l.used && l.in.Buffered() == 0 && cut(err) { // while the request was on its way to it
		l.upstream.trusted.closed(l.idle)
		if repeatable(&x.req) {
			return errStale
		}
	}
	f, kind := hostFault(err)
	if kind == kindClosed {
		x.host.Gauges.Resets.Add(1)
	}
	x.srv.p.blame(x.host.Name, kind)
	x.refusedAnswer(err)
	x.fail(f)
	return err
}

// Kinds of failures of hosts, as a metric says them.
const (
	kindClosed    = "closed"
	kindTimeout   = "timeout"
	kindMalformed = "malformed"
	kindDown      = "down"
)

// hostFault returns the fault, and its kind, of a host whose answer has ended with
// err.
func hostFault(err error) (f fault, kind string) {
	var bad *http1.Error
	switch {
	case timedOut(err):
		return fault{status: 504, end: endTimeout, detail: "the host took too long to answer"}, kindTimeout
	case errors.Is(err, errGivenUp):
		return fault{status: 504, end: endTimeout, detail: "the host has failed its health checks while its answer was awaited"}, kindDown
	case errors.As(err, &bad):
		return fault{status: 502, end: endHostFailed, detail: "the host's answer was not valid HTTP: " + bad.Reason}, kindMalformed
	}
	return fault{status: 502, end: endHostFailed, detail: "the host's answer was cut short"}, kindClosed
}

const reasonMoved = "the host of this session has moved to another machine meanwhile"

// hostMoved ends a request whose host has got another address meanwhile, before
// anything of the answer was out. It returns errStale, and answers nothing, when the
// request may be sent once more, which is to the new address.
func (x *exchange) hostMoved(err error) error {
	switch {
	case x.req.WebSocket:
		x.fail(fault{status: 503, end: endMoved, detail: "the host of this session has moved to another machine; it is worth trying again"})
	case repeatable(&x.req):
		return errStale
	default:
		x.fail(fault{status: 502, end: endMoved, detail: reasonMoved})
	}
	return err
}

// leave ends an exchange that was aborted: nobody is there to be answered, and
// the host isn't to blame.
func (x *exchange) leave(err error) error {
	x.last, x.end = true, endClientGone
	if x.srv.hard.Err() != nil {
		x.end = endShutdown
	}
	x.side.cut()
	return err
}

// clientFailed ends a request whose body the client didn't send as it should.
func (x *exchange) clientFailed(err error) {
	f := clientFault(err)
	if f.status == 0 {
		x.last, x.end = true, f.end
		return
	}
	x.fail(f)
}

// clientFault returns the fault of a client whose request's body has ended with err.
// Its status is 0 for a client that has left.
func clientFault(err error) fault {
	var bad *http1.Error
	switch {
	case errors.As(err, &bad):
		return fault{status: bad.Status, end: endRefused, detail: bad.Reason}
	case timedOut(err):
		return fault{status: 408, end: endTimeout, detail: "the request's body took too long"}
	}
	return fault{end: endClientGone}
}

// cut tells whether err is the end of a connection, and not something wrong
// that came over it, or nothing at all.
func cut(err error) bool {
	var bad *http1.Error
	return !timedOut(err) && !errors.Is(err, errGivenUp) && !errors.As(err, &bad)
}
