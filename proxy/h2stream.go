package proxy

import (
	"bytes"
	"context"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/textproto"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"tokenring/http1"
	"tokenring/http2"
)

// A stream is one exchange of an HTTP/2 connection, and the client's side of it.
// Its methods are called as those of a side are.
type stream struct {
	x    exchange
	conn *h2conn
	w    http.ResponseWriter
	ctl  *http.ResponseController
	r    *http.Request
	in   *http1.Reader // of the head as HTTP/1.1
	up   streamBody

	readBy, writeBy  deadline
	reading, writing streamDeadline // what they set
	broken           bool           // the client must not take what it has for the whole
}

// serveStream is the handler of all streams.
func serveStream(w http.ResponseWriter, r *http.Request) {
	h := r.Context().Value(h2Key{}).(*h2conn)
	if !h.retain() {
		return
	}
	defer h.finished()
	s := &stream{conn: h, w: w, ctl: http.NewResponseController(w), r: r}
	s.reading.expire, s.writing.expire = s.stopReading, s.stopWriting
	s.readBy, s.writeBy = deadline{set: s.reading.set}, deadline{set: s.writing.set}
	defer s.reading.stop()
	defer s.writing.stop()
	s.x.srv, s.x.client, s.x.side = h.srv, &h.client, s
	s.serve()
	if s.broken {
		panic(http.ErrAbortHandler) // how net/http is told to reset the stream
	}
}

func (s *stream) serve() {
	x := &s.x
	x.start(s.conn.nextID(), "HTTP/2")
	x.out = *buffers.Get().(*[]byte)
	defer s.free()
	defer func() {
		if cause := recover(); cause != nil {
			x.srv.reportPanic(cause, x.id)
			s.cut()
			x.abort()
		}
	}()
	defer s.settle()
	if err := s.readRequest(); err != nil {
		x.refuse(err)
		return
	}
	stop := context.AfterFunc(s.r.Context(), x.abort)
	defer stop()
	if x.srv.l.Redirect != "" {
		x.redirect()
		return
	}
	place := s.conn.takePlace(s.r.Context())
	defer s.conn.givePlace(place)
	switch {
	case place != noPlace:
		x.forward()
	case s.r.Context().Err() != nil: // it has left while it waited
		_ = x.leave(errAborted)
	default:
		x.fail(crowded)
	}
}

// settle ends the exchange, and counts it against a client that leaves too many
// of its requests, or has us leave them.
func (s *stream) settle() {
	if s.x.end != endDone && s.r.Context().Err() != nil {
		s.conn.cancelled()
	}
	s.x.record()
}

func (s *stream) free() {
	if s.in != nil {
		s.in.Release()
	}
	s.up.free()
	putBuffer(s.x.out)
}

// readRequest says the request in HTTP/1.1 and reads it as strictly as if it had
// come so.
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
	if err := s.checkEmpty(); err != nil {
		return err
	}
	return s.x.admit()
}

// checkEmpty waits for the end of a body that is to have no data.
func (s *stream) checkEmpty() error {
	if s.r.ContentLength != 0 || len(s.r.Header["Content-Length"]) == 0 {
		return nil
	}
	s.readWithin(s.x.srv.p.cfg.Timeouts.Body)
	var b [1]byte
	switch n, err := s.r.Body.Read(b[:]); {
	case errors.Is(err, io.EOF) && n == 0:
		return nil
	case n > 0 || isLengthError(err):
		return errBodyLength
	default:
		return err
	}
}

func (s *stream) readWithin(d time.Duration) { s.readBy.within(d) }
func (s *stream) stopReading()               { _ = s.ctl.SetReadDeadline(time.Unix(1, 0)) }
func (s *stream) stopWriting()               { _ = s.ctl.SetWriteDeadline(time.Unix(1, 0)) }

// early is true of a body that the host hears of when all of it is there. Of any
// other it hears at once, because the client may want its answer's head first.
func (s *stream) early() bool { return s.waits() }

// waits tells whether the body is short enough to be waited for.
func (s *stream) waits() bool { return s.r.ContentLength >= 0 && s.r.ContentLength <= wholeBody }

func (s *stream) body() body {
	s.up = streamBody{s: s, left: s.r.ContentLength}
	return &s.up
}

// interim sends a 1xx. net/http sends 100 itself, and any other as soon as it is
// told. It must not be flushed: net/http would make up a final head for that.
func (s *stream) interim(resp *http1.Response) error {
	if resp.Status == 100 {
		return nil
	}
	h := s.w.Header()
	addFields(h, resp.Fields)
	s.writeBy.within(s.x.srv.p.cfg.Timeouts.Body)
	s.w.WriteHeader(resp.Status)
	clear(h)
	return nil
}

// head leaves the length out of a 304, which may have it (RFC 9110 §8.6): some
// clients, net/http's among them, then miss the body.
func (s *stream) head(resp *http1.Response) {
	h := s.w.Header()
	h["Content-Type"] = nil // or net/http guesses one
	addFields(h, resp.Fields)
	h["X-Request-Id"] = []string{string(s.x.id)}
	if resp.Framing == http1.Length || resp.Framing == http1.NoBody && resp.Length >= 0 && resp.Status != 304 {
		h["Content-Length"] = []string{strconv.FormatInt(resp.Length, 10)}
	}
	s.w.WriteHeader(resp.Status)
	clear(h) // or net/http sends what Trailer names behind the body once more
}

// addFields adds the fields of an answer that are for the client.
func addFields(h http.Header, fields []http1.Field) {
	for i := range fields {
		f := &fields[i]
		switch f.Kind {
		case http1.KindContentLength, http1.KindTransferEncoding, http1.KindXRequestID:
			continue
		}
		if !f.Hop {
			name := textproto.CanonicalMIMEHeaderKey(string(f.Name))
			h[name] = append(h[name], string(f.Value))
		}
	}
}

func (s *stream) piece(data []byte) error {
	s.writeBy.within(s.x.srv.p.cfg.Timeouts.Body)
	if _, err := s.w.Write(data); err != nil {
		return err
	}
	return s.ctl.Flush()
}

func (s *stream) flush() error {
	s.writeBy.within(s.x.srv.p.cfg.Timeouts.Body)
	return s.ctl.Flush()
}

// keptAtEnd is how much of an answer net/http keeps, to send it together with its
// end when the stream's handler has returned.
const keptAtEnd = 4 << 10

// boundRest bounds the time in which the client takes what net/http keeps of an
// answer. That is after the end of our own deadlines, so it is one of net/http's.
func (s *stream) boundRest() {
	if s.r.Context().Err() == nil { // else its timer would be stopped by nobody
		_ = s.ctl.SetWriteDeadline(time.Now().Add(s.x.srv.p.cfg.Timeouts.Body))
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

// cut has the stream reset when its exchange returns.
func (s *stream) cut() { s.broken = true }

// A streamBody is the body of a stream's request.
type streamBody struct {
	s        *stream
	buf      *[]byte
	left     int64 // of a declared length; -1 without one
	done     bool
	trailers []http1.Field
	excess   [1]byte // room for what is more than was declared
}

// wholeBody is how long a body may be for the host to hear nothing of the
// request before all of it is there, which shows whether its length is the one
// declared.
const wholeBody = 16 << 10

var streamPieces = sync.Pool{New: func() any { b := make([]byte, wholeBody); return &b }}

// Next returns the next piece, until an error. After the last one Done is true. The
// last one of a declared length waits for the stream's end, which may show that the
// request is malformed: the host must not have all of it by then.
func (b *streamBody) Next() ([]byte, error) {
	if b.done {
		return nil, io.EOF
	}
	if b.buf == nil {
		b.buf = streamPieces.Get().(*[]byte)
	}
	room := *b.buf
	n := 0
	for {
		m, err := b.read(room[n:])
		n += m
		switch {
		case errors.Is(err, io.EOF):
			err = b.readTrailers()
			b.done = err == nil
			return room[:n], err
		case err != nil:
			return room[:n], b.fault(err)
		case b.left != 0 && (!b.s.waits() || n == len(room)):
			return room[:n], nil
		}
	}
}

// read reads what has come, or waits. Behind a declared length there must be
// nothing.
func (b *streamBody) read(p []byte) (n int, err error) {
	if b.left < 0 {
		return b.s.r.Body.Read(p)
	}
	if b.left == 0 {
		if n, err = b.s.r.Body.Read(b.excess[:]); n > 0 {
			return 0, errBodyLength
		}
		return 0, err
	}
	n, err = b.s.r.Body.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	return n, err
}

// fault makes a refusal of what is wrong with the body itself. Of a wrong length
// net/http tells by its text only.
func (b *streamBody) fault(err error) error {
	if isLengthError(err) {
		return errBodyLength
	}
	return err
}

var errBodyLength = &http1.Error{Status: 400, Reason: "a body whose length isn't the one declared (RFC 9113 §8.1.1)"}

func isLengthError(err error) bool { return strings.Contains(err.Error(), "Content-Length") }

// readTrailers takes over what may follow a body. net/http knows only those
// trailers that the request's Trailer field announced.
func (b *streamBody) readTrailers() error {
	for _, name := range slices.Sorted(maps.Keys(b.s.r.Trailer)) {
		values := b.s.r.Trailer[name]
		var malformed http2.Error
		if errors.As(http2.CheckField(name, values), &malformed) {
			return &http1.Error{Status: 400, Reason: string(malformed)}
		}
		for _, v := range values {
			if f := field(name, v); http1.MayTrail(f.Name) {
				b.trailers = append(b.trailers, f)
			}
		}
	}
	return nil
}

func (b *streamBody) Done() bool              { return b.done }
func (b *streamBody) Trailers() []http1.Field { return b.trailers }

func (b *streamBody) free() {
	if b.buf != nil {
		streamPieces.Put(b.buf)
		b.buf = nil
	}
}
