// Package accesslog writes a line for each request, and two for each tunnel: when it opens
// and when it ends. A line is JSON, or looks like HAProxy's. A key is a secret: a line has the keyed digest of the key
// instead.
package accesslog

import (
	"slices"
	"time"

	"github.com/rs/zerolog"

	"tokenring/balancer"
	"tokenring/http1"
	"tokenring/proxy/hashkey"
)

// A Log writes lines. The zero Log writes none. The fields must not be changed once it is
// in use. It is safe for concurrent use.
type Log struct {
	Out     *zerolog.Logger // nil for no lines of JSON. It must not block
	HAProxy HAProxy
	Keys    hashkey.Rules // where requests have their key

	Fields   []string // of MoreFields: which of them lines have
	Balancer string   // the name of this one

	Redispatched balancer.Rule // by which a host is chosen after another one has failed
}

// Enabled reports whether lines are written.
func (l *Log) Enabled() bool { return l.Out != nil || l.HAProxy.Out != nil }

// Describe sets the method, the path and the key of e from a request, its key, the digest of the
// key, and the rule by which it was found. These are empty, and the rule is nil, if there is no key. It is
// the only way from a request to the log, and hides a method or path that may contain the key. Afterwards e
// refers to bytes of r; see Entry.Keep.
func (l *Log) Describe(e *Entry, r *http1.Request, key []byte, digest balancer.Digest, by *balancer.KeyRule) {
	if !e.Refused {
		e.Method, e.Path = shownMethod(r.Method), l.Keys.RedactPath(r.Path, key)
	}
	e.Key = digest
	if by != nil {
		e.keyRule = uint16(slices.Index(l.Keys, *by) + 1) // few rules, and nearly always the first
	}
}

// Write writes a line, unless the log is disabled. The reason, a constant text, says why the
// request failed; it is "" if it didn't. It isn't a field of Entry, so that the entry of an
// idle tunnel stays small.
func (l *Log) Write(e *Entry, reason string) {
	if l.HAProxy.Out != nil {
		l.writeHAProxy(e, reason)
	}
	if l.Out == nil {
		return
	}
	line := l.Out.Info().
		Bytes("id", e.ID).
		Str("client", e.Client).
		Str("protocol", e.Protocol).
		Bool("tls", e.TLS)
	if !e.Refused {
		line = line.Str("method", e.Method).Bytes("path", e.Path)
	}
	if e.Key != (balancer.Digest{}) {
		var shown [shownKey]byte
		line = line.Bytes("key", e.Key.Append(shown[:0]))
	}
	if e.keyRule > 0 {
		var rule [64]byte
		line = line.Bytes("key_rule", l.Keys[e.keyRule-1].Append(rule[:0]))
	}
	if e.More != nil {
		line = l.writeMore(line, e.More)
	}
	if e.Host != "" {
		line = line.Str("host", e.Host).Dur("connect_ms", e.Connected).Dur("answer_ms", e.Answered)
	}
	if e.GaveAway != nil {
		line = line.Str("gave_away", *e.GaveAway)
	}
	if reason != "" {
		line = line.Str("reason", reason)
	}
	line.Str("why", string(e.Rule)).
		Bool("retried", e.Retried).
		Int16("status", e.Status).
		Int64("in", e.Received).
		Int64("out", e.Sent).
		Dur("took_ms", time.Since(e.Started)).
		Str("end", e.End).
		Send()
}

// shownKey is the length of a digest in the log.
const shownKey = 12

// shownMethod returns the method if it is one of RFC 9110 §9.1 or RFC 5789, or empty. Any
// other method isn't shown, because a client may have put its key there.
func shownMethod(method []byte) string {
	for _, known := range shownMethods {
		if string(method) == known {
			return known
		}
	}
	return "(other)"
}

var shownMethods = []string{"GET", "POST", "HEAD", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", ""}
