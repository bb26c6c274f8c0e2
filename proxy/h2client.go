package proxy

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/textproto"
	"strconv"
	"sync/atomic"
	"time"

	"tokenring/http1"
	"tokenring/http2"
	"tokenring/poller"
	"tokenring/proxy/accesslog"
	"tokenring/proxy/deadline"
	"tokenring/proxy/fields"
	"tokenring/proxy/h2server"
	"tokenring/proxy/limit"
	"tokenring/proxy/localreply"
	"tokenring/proxy/metrics"
	"tokenring/proxy/rewrite"
)

// An h2conn is a client's connection that speaks HTTP/2.
type h2conn struct {
	*h2server.Conn
	srv      *server
	client   clientAddr
	base     string // of the request ids
	requests atomic.Uint64
	source   *limit.Source // nil for a trusted client
	streams  limit.ConnStreams
}

// becomeH2 hands the connection to net/http's server.
func (c *conn) becomeH2() {
	h := &h2conn{srv: c.srv, client: c.client, base: c.base}
	h.Conn = c.srv.h2.NewConn(c.nc, c.tcp, h)
	if from, ok := c.client.source(); ok {
		h.source = c.srv.p.sources.Add(from, time.Now())
	}
	h.streams = c.srv.p.streams.Of(h.source)
	c.srv.track(h)
	c.srv.p.cfg.Quotas.Move(c, h)
	c.srv.h2.Hand(h.Conn)
}

// Failed implements h2server.Owner.
func (h *h2conn) Failed(err error) {
	var flood http2.Flood
	var malformed http2.Error
	switch {
	case errors.As(err, &flood):
		h.source.Cancelled(limit.FloodCost, time.Now())
		h.srv.p.opt.Metrics.Streams.Floods.WithLabelValues(http2.Kind(flood).String()).Inc()
		h.logRefused(0, err.Error())
	case errors.As(err, &malformed):
		h.Refused(http2.Refusal{Reason: malformed})
	case deadline.Exceeded(err):
		h.srv.p.opt.Metrics.Connections.Timeout(metrics.PhaseStart)
	}
}

// Refused implements h2server.Owner.
func (h *h2conn) Refused(all ...http2.Refusal) {
	for _, r := range all {
		h.srv.p.opt.Metrics.Requests.Refused.Inc()
		h.srv.p.opt.Metrics.Requests.Answered(r.Status)
		h.logRefused(r.Status, string(r.Reason))
	}
}

// logRefused writes the access line of a request or connection that was refused before it
// became an exchange. status is 0 if there was no answer.
func (h *h2conn) logRefused(status int, reason string) {
	h.srv.p.access.Write(&accesslog.Entry{
		Request: accesslog.Request{ID: h.nextID(), Client: h.client.text, Protocol: "HTTP/2"},
		TLS:     h.client.secure, Refused: true,
		Rule: ruleNone, Started: time.Now(), Status: int16(status), End: endRefused,
		More: h.srv.more(h.client.port, h.srv.p.pools.Main),
	}, reason)
}

// Ended implements h2server.Owner.
func (h *h2conn) Ended() {
	if from, ok := h.client.source(); ok {
		h.srv.p.sources.Remove(from, h.source, time.Now())
	}
	h.srv.untrack(h)
}

// acquire returns a place for a stream of the connection, or the reason why there is
// none. It waits for Timeouts.Connect at most. The caller must call giveBack.
func (h *h2conn) acquire(ctx context.Context) limit.Place {
	place := h.streams.Acquire(ctx, h.srv.p.cfg.Timeouts.Connect)
	switch place {
	case limit.Further:
		h.srv.p.opt.Metrics.Streams.Further.Inc()
	case limit.Refused:
		h.srv.p.opt.Metrics.Streams.Refused.Inc()
	}
	return place
}

// giveBack gives a place back.
func (h *h2conn) giveBack(place limit.Place) {
	h.streams.Release(place)
	if place == limit.Further {
		h.srv.p.opt.Metrics.Streams.Further.Dec()
	}
}

// endIfIdle implements trackedConn. It does nothing: server.shutdown stops net/http's
// server, which ends all idle connections.
func (h *h2conn) endIfIdle() {}

// abort implements trackedConn.
func (h *h2conn) abort() { h.Abort() }

// nextID returns the id of the connection's next request.
func (h *h2conn) nextID() []byte {
	return strconv.AppendUint([]byte(h.base), h.requests.Add(1), 10)
}

// A stream is one exchange of an HTTP/2 connection, and the downstream of that exchange.
type stream struct {
	x    exchange
	conn *h2conn
	w    http.ResponseWriter
	ctl  *http.ResponseController
	r    *http.Request
	in   *http1.Reader // of the head as HTTP/1.1
	up   h2server.Body

	readBy, writeBy  deadline.Lazy
	reading, writing deadline.Timer // set by readBy and writeBy
	broken           bool           // the answer isn't whole: the stream is to be reset
}

// ServeStream implements h2server.Owner.
func (h *h2conn) ServeStream(w http.ResponseWriter, r *http.Request) {
	s := &stream{conn: h, w: w, ctl: http.NewResponseController(w), r: r}
	s.reading.Expire, s.writing.Expire = s.stopReading, s.stopWriting
	s.readBy, s.writeBy = deadline.New(s.reading.Set), deadline.New(s.writing.Set)
	defer s.reading.Stop()
	defer s.writing.Stop()
	s.x.srv, s.x.client, s.x.downstream, s.x.bound = h.srv, &h.client, s, true
	s.serve()
	if s.broken {
		panic(http.ErrAbortHandler) // makes net/http reset the stream
	}
}

func (s *stream) serve() {
	x := &s.x
	x.start(s.conn.nextID(), "HTTP/2")
	x.out = *buffers.Get().(*[]byte)
	defer s.free()
	defer x.recoverPanic()
	defer s.record()
	if err := s.readRequest(); err != nil {
		x.refuse(err)
		return
	}
	stop := context.AfterFunc(s.r.Context(), x.abort)
	defer stop()
	if x.answersHere() {
		return
	}
	place := s.conn.acquire(s.r.Context())
	defer s.conn.giveBack(place)
	switch {
	case place.Granted():
		x.forward()
	case s.r.Context().Err() != nil: // the client has left while the stream waited
		_ = x.endAborted(errAborted)
	default:
		x.fail(endRefused, tooManyStreams)
	}
}

// tooManyStreams is the page for a stream that got no place.
var tooManyStreams = localreply.Page{Status: 503, Detail: "too many requests are under way; it is worth trying again"}

// record records the exchange. If it was cancelled, record counts that for the client's
// source and connection, which may not cancel too many.
func (s *stream) record() {
	if s.x.end != endDone && s.r.Context().Err() != nil {
		s.conn.source.Cancelled(1, time.Now())
		s.conn.Cancelled()
	}
	s.x.record()
}

func (s *stream) free() {
	if s.in != nil {
		s.in.Release()
	}
	s.up.Free()
	putBuffer(s.x.out)
}

// readRequest writes the request as HTTP/1.1 and reads that, so that requests of HTTP/2
// go through the same strict parser.
func (s *stream) readRequest() error {
	r := s.r
	head := http2.Request{Method: r.Method, Path: r.RequestURI, Authority: r.Host, Header: r.Header, Length: r.ContentLength}
	var err error
	var malformed http2.Error
	if s.x.out, err = head.AppendHead(s.x.out[:0]); errors.As(err, &malformed) {
		return &http1.Error{Status: 400, Reason: string(malformed)}
	}
	s.in = http1.NewReader(bytes.NewReader(s.x.out), s.x.srv.p.cfg.Limits.heads())
	if err := s.in.ReadRequest(&s.x.req); err != nil {
		return err
	}
	if h2server.DeclaresNone(r) {
		s.readWithin(s.x.pool.Timeouts.Body)
		if err := h2server.CheckEmpty(r); err != nil {
			return err
		}
	}
	return s.x.admit()
}

func (s *stream) readWithin(d time.Duration) { s.readBy.Within(d) }
func (s *stream) passOn() bool               { return false }
func (s *stream) rewindBody() bool           { return false } // net/http reads no further after stopReading
func (s *stream) stopReading()               { _ = s.ctl.SetReadDeadline(time.Unix(1, 0)) }
func (s *stream) stopWriting()               { _ = s.ctl.SetWriteDeadline(time.Unix(1, 0)) }

// early implements downstream. It is true for a short body, which is sent when all of it
// is there. For any other body the head is sent at once, because the client may wait for
// the head of the answer.
func (s *stream) early() bool { return h2server.Whole(s.r) }

func (s *stream) body() body {
	s.up = h2server.NewBody(s.r)
	return &s.up
}

// gone implements downstream. It is false: when a client leaves, net/http ends the context
// of its streams, which aborts their exchanges.
func (s *stream) gone(bool) bool { return false }

// watch implements downstream.
func (s *stream) watch(poller.Handler, bool) (stop func()) { return func() {} }

// interim sends a 1xx. net/http sends 100 by itself, and any other 1xx in WriteHeader. A
// flush would make net/http send a final head.
func (s *stream) interim(resp *http1.Response) error {
	if resp.Status == 100 {
		return nil
	}
	h := s.w.Header()
	addFields(h, resp.Fields, nil)
	s.writeBy.Within(s.x.pool.Timeouts.Body)
	s.w.WriteHeader(resp.Status)
	clear(h)
	return nil
}

// head leaves out the Content-Length of a 304. A 304 may have it (RFC 9110 §8.6), but some
// clients, such as net/http's, then wait for a body.
func (s *stream) head(resp *http1.Response) {
	h := s.w.Header()
	h["Content-Type"] = nil // or net/http guesses one
	change := s.x.plan().Response()
	addFields(h, resp.Fields, change)
	vars := s.x.fieldVars()
	change.Each(&vars, func(name, value []byte) {
		key := textproto.CanonicalMIMEHeaderKey(string(name))
		h[key] = append(h[key], string(value))
	})
	h["X-Request-Id"] = []string{string(s.x.id)}
	if resp.Framing == http1.Length || resp.Framing == http1.NoBody && resp.Length >= 0 && resp.Status != 304 {
		h["Content-Length"] = []string{strconv.FormatInt(resp.Length, 10)}
	}
	s.w.WriteHeader(resp.Status)
	clear(h) // or net/http sends the fields that Trailer names again after the body
}

// addFields adds to h those fields of an answer that are for the client, and that change doesn't hide.
func addFields(h http.Header, all []http1.Field, change *fields.Program) {
	for i := range all {
		if f := &all[i]; rewrite.EndToEnd(f) && !change.Hides(f.Name) {
			name := textproto.CanonicalMIMEHeaderKey(string(f.Name))
			h[name] = append(h[name], string(f.Value))
		}
	}
}

func (s *stream) piece(data []byte) error {
	s.writeBy.Within(s.x.pool.Timeouts.Body)
	if _, err := s.w.Write(data); err != nil {
		return err
	}
	return s.ctl.Flush()
}

func (s *stream) flush() error {
	s.writeBy.Within(s.x.pool.Timeouts.Body)
	return s.ctl.Flush()
}

// keptAtEnd is how many bytes of an answer net/http buffers, and sends together with the
// end of the answer when the stream's handler has returned.
const keptAtEnd = 4 << 10

// boundRest bounds how long the client may take for what net/http has buffered. net/http
// sends that after our own deadlines have ended, so boundRest sets a deadline of net/http.
func (s *stream) boundRest() {
	if s.r.Context().Err() == nil { // otherwise nothing would stop the timer of the deadline
		_ = s.ctl.SetWriteDeadline(time.Now().Add(s.x.pool.Timeouts.Body))
	}
}

func (s *stream) end(data []byte, trailers []http1.Field) error {
	if s.x.sent > keptAtEnd {
		if err := s.piece(data); err != nil {
			return err
		}
	} else if len(data) > 0 {
		s.boundRest()
		if _, err := s.w.Write(data); err != nil { // into net/http's buffer
			return err
		}
	}
	for i := range trailers {
		f := &trailers[i]
		if !f.Hop {
			s.w.Header().Add(http.TrailerPrefix+string(f.Name), string(f.Value))
		}
	}
	return nil
}

// cut makes the stream end with a reset when its exchange returns.
func (s *stream) cut() { s.broken = true }
