package proxy

import (
	"bytes"
	"net/url"
	"time"

	"tokenring/balancer"
)

// record writes the exchange's line to the access log and counts it. Of the
// request only the path is shown: the query may hold the key, and a key is a
// secret, for which its keyed digest stands.
func (c *conn) record() {
	x, m := &c.x, c.srv.p.opt.Metrics
	took := time.Since(x.started)
	m.answered(x.status)
	if x.status != 101 {
		m.seconds.Observe(took.Seconds())
	}
	if c.srv.p.opt.Access == nil || (x.status == 0 && x.end == endClientGone && x.host == nil) {
		return // a client that went away between two requests is no event
	}
	e := c.srv.p.opt.Access.Info().
		Str("id", x.id).
		Str("client", c.client.text).
		Bool("tls", c.srv.l.TLS != nil)
	if x.end != endRefused { // else the head wasn't read, and its parts mean nothing
		e = e.Str("method", shownMethod(c.req.Method)).Bytes("path", c.redact(c.req.Path))
	}
	if len(x.key) > 0 {
		e = e.Str("key", c.srv.p.opt.Digest.Digest(x.key))
	}
	if x.host != nil {
		e = e.Str("host", x.host.Name).Dur("connect_ms", x.connected).Dur("answer_ms", x.answered)
	}
	e.Str("why", string(x.rule)).
		Bool("retried", x.retried).
		Int("status", x.status).
		Int64("in", x.received).
		Int64("out", x.sent).
		Dur("took_ms", took).
		Str("end", x.end).
		Send()
}

// shownMethod returns a method of RFC 9110 §9.1 or RFC 5789, or none where none
// was read, as it is. Any other is whatever a client has put there, its key
// perhaps, and isn't shown.
func shownMethod(method []byte) string {
	switch m := string(method); m {
	case "", "GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH":
		return m
	}
	return "(other)"
}

// redact returns a path as it may be shown. The key doesn't belong there, but
// clients make mistakes: one that encodes the "?" as well sends the key in the
// path, and one that uses ";" does. Such a path isn't shown at all.
func (c *conn) redact(path []byte) []byte {
	const long = 256
	if c.mayHoldKey(path) {
		return []byte("(redacted)")
	}
	if len(path) > long {
		return append(append([]byte(nil), path[:long]...), "…"...)
	}
	return path
}

// mayHoldKey tells whether a part of a target has, as it is or decoded, the key
// or what somebody might take for the parameter that holds it.
func (c *conn) mayHoldKey(part []byte) bool {
	for range 4 { // nobody encodes more often by mistake
		if len(c.x.key) > 0 && bytes.Contains(part, c.x.key) {
			return true
		}
		for _, rule := range c.srv.p.cfg.Key {
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
