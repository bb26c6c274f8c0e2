package proxy

import (
	"bytes"
	"net/url"
	"time"

	"tokenring/balancer"
)

// An entry is what the access log tells of an exchange or a tunnel. Of the
// request only the path is shown: the query may hold the key, and a key is a
// secret, for which its keyed digest stands.
type entry struct {
	id       []byte
	client   string
	protocol string // that the client speaks
	tls      bool
	method   string // "" for a head that couldn't be read, whose parts mean nothing
	path     []byte
	key      string // its digest
	host     string
	rule     balancer.Rule
	retried  bool

	started             time.Time
	connected, answered time.Duration

	status         int
	received, sent int64
	end            string
}

// record counts the exchange, and writes its line to the access log. Of a key that
// its host has refused at once, nothing is kept.
func (x *exchange) record() {
	m := x.srv.p.opt.Metrics
	if x.first && x.status/100 == 4 {
		x.srv.p.placements.refused(x.key, x.host, x.started)
	}
	if x.handed {
		return // the tunnel does when it ends
	}
	m.answered(x.status)
	m.seconds.Observe(time.Since(x.started).Seconds())
	if x.srv.p.opt.Access == nil || (x.end == endClientGone && len(x.req.Method) == 0) {
		return // a client that goes away between two requests, or amid a head, is no event
	}
	e := x.entry()
	x.srv.p.log(&e, x.reason)
}

// entry returns what can be told of the exchange by now. Its path is a part of
// the request.
func (x *exchange) entry() entry {
	e := entry{
		id: x.id, client: x.client.text, protocol: x.protocol, tls: x.srv.l.TLS != nil, rule: x.rule, retried: x.retried,
		started: x.started, connected: x.connected, answered: x.answered,
		status: x.status, received: x.received, sent: x.sent, end: x.end,
	}
	if x.srv.p.opt.Access == nil {
		return e
	}
	if x.end != endRefused {
		e.method, e.path = shownMethod(x.req.Method), x.redact(x.req.Path)
	}
	if len(x.key) > 0 {
		e.key = x.srv.p.opt.Digest.Digest(x.key)
	}
	if x.host != nil {
		e.host = x.host.Name
	}
	return e
}

// lasting returns e so that it outlives the request.
func (e entry) lasting() entry {
	e.id, e.path = bytes.Clone(e.id), bytes.Clone(e.path)
	return e
}

// log writes e to the access log, if there is one. The reason, a constant text, says
// why it didn't go as it should; "" if it did. It isn't a part of e because idle
// tunnels keep theirs.
func (p *Proxy) log(e *entry, reason string) {
	if p.opt.Access == nil {
		return
	}
	line := p.opt.Access.Info().
		Bytes("id", e.id).
		Str("client", e.client).
		Str("protocol", e.protocol).
		Bool("tls", e.tls)
	if e.end != endRefused {
		line = line.Str("method", e.method).Bytes("path", e.path)
	}
	if e.key != "" {
		line = line.Str("key", e.key)
	}
	if e.host != "" {
		line = line.Str("host", e.host).Dur("connect_ms", e.connected).Dur("answer_ms", e.answered)
	}
	if reason != "" {
		line = line.Str("reason", reason)
	}
	line.Str("why", string(e.rule)).
		Bool("retried", e.retried).
		Int("status", e.status).
		Int64("in", e.received).
		Int64("out", e.sent).
		Dur("took_ms", time.Since(e.started)).
		Str("end", e.end).
		Send()
}

// shownMethod returns a method of RFC 9110 §9.1 or RFC 5789, or none where none
// was read, as it is. Any other is whatever a client has put there, its key
// perhaps, and isn't shown.
func shownMethod(method []byte) string {
	for _, known := range shownMethods {
		if string(method) == known {
			return known
		}
	}
	return "(other)"
}

var shownMethods = []string{"GET", "POST", "HEAD", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", ""}

// redact returns a path as it may be shown. The key doesn't belong there, but
// clients make mistakes: one that encodes the "?" as well sends the key in the
// path, and one that uses ";" does. Such a path isn't shown at all.
func (x *exchange) redact(path []byte) []byte {
	const long = 256
	if x.mayHoldKey(path) {
		return []byte("(redacted)")
	}
	if len(path) > long {
		return append(append([]byte(nil), path[:long]...), "…"...)
	}
	return path
}

// mayHoldKey tells whether a part of a target has, as it is or decoded, the key
// or what somebody might take for the parameter that holds it.
func (x *exchange) mayHoldKey(part []byte) bool {
	for range 4 { // nobody encodes more often by mistake
		if len(x.key) > 0 && bytes.Contains(part, x.key) {
			return true
		}
		for _, rule := range x.srv.p.cfg.Key {
			if rule.Source == balancer.KeyQuery && assigns(part, rule.Name) {
				return true
			}
		}
		if bytes.IndexByte(part, '%') < 0 {
			return false
		}
		decoded, err := url.PathUnescape(string(part))
		if err != nil {
			return true
		}
		part = []byte(decoded)
	}
	return true
}

// assigns tells whether name, in any case, has "=" behind it in part.
func assigns(part []byte, name string) bool {
	for i := 0; i+len(name) < len(part); i++ {
		if part[i+len(name)] == '=' && bytes.EqualFold(part[i:i+len(name)], []byte(name)) {
			return true
		}
	}
	return false
}
