package proxy

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	h2 "golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"tokenring/proxy/deadline"
)

// An h2wire is a client's end of an HTTP/2 connection of which a test decides
// every frame. What is written waits until it is sent. It isn't safe for
// concurrent use.
type h2wire struct {
	*h2.Framer // writes to out, reads from the connection
	t          testing.TB
	nc         *tls.Conn
	out        bytes.Buffer
	block      bytes.Buffer // what enc writes
	enc        *hpack.Encoder
	last       uint32 // the latest stream
	mute       bool   // it gives no credit for the data that it gets
	goneAway   *h2.ErrCode
	ended      string // how the connection ended, once it is known to have
}

// dialH2 connects to the lab, which has to speak HTTP/2, with settings of the
// client's own.
func (l *lab) dialH2(settings ...h2.Setting) *h2wire {
	l.t.Helper()
	dialer := &net.Dialer{Timeout: 10 * time.Second}
	cheap := []tls.CurveID{tls.X25519}
	nc, err := tls.DialWithDialer(dialer, "tcp", l.addr, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}, CurvePreferences: cheap})
	if err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() { nc.NetConn().Close() })
	return l.overH2(nc, settings...)
}

// overH2 begins HTTP/2 on a connection for which it was agreed.
func (l *lab) overH2(nc *tls.Conn, settings ...h2.Setting) *h2wire {
	l.t.Helper()
	_ = nc.SetDeadline(time.Now().Add(30 * time.Second))
	w := &h2wire{t: l.t, nc: nc}
	w.Framer = h2.NewFramer(&w.out, nc)
	w.AllowIllegalWrites = true
	w.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	w.enc = hpack.NewEncoder(&w.block)
	w.out.WriteString(h2.ClientPreface)
	w.check(w.WriteSettings(settings...))
	return w
}

func (w *h2wire) check(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// next opens the next stream, by its number alone.
func (w *h2wire) next() uint32 {
	if w.last == 0 {
		w.last = 1
	} else {
		w.last += 2
	}
	return w.last
}

// usual is the head of a plain request.
func usual(method, path, authority string) []hpack.HeaderField {
	return []hpack.HeaderField{
		{Name: ":method", Value: method},
		{Name: ":scheme", Value: "https"},
		{Name: ":path", Value: path},
		{Name: ":authority", Value: authority},
	}
}

// headers writes a header block, in as many frames as it takes.
func (w *h2wire) headers(id uint32, end bool, fields ...hpack.HeaderField) {
	w.t.Helper()
	const most = 16 << 10
	w.block.Reset()
	for _, f := range fields {
		w.check(w.enc.WriteField(f))
	}
	block := w.block.Bytes()
	first := block[:min(len(block), most)]
	block = block[len(first):]
	w.check(w.WriteHeaders(h2.HeadersFrameParam{
		StreamID: id, BlockFragment: first, EndStream: end, EndHeaders: len(block) == 0,
	}))
	for len(block) > 0 {
		piece := block[:min(len(block), most)]
		block = block[len(piece):]
		w.check(w.WriteContinuation(id, len(block) == 0, piece))
	}
}

// get opens a stream for a request without a body.
func (w *h2wire) get(path string) uint32 {
	w.t.Helper()
	id := w.next()
	w.headers(id, true, usual("GET", path, "ide.example")...)
	return id
}

// send sends what waits. Errors show in what is read later.
func (w *h2wire) send(cuts func([]byte) [][]byte) {
	writeAll(w.nc, cuts(w.out.Bytes()))
	w.out.Reset()
}

// A reply is what has come on one stream.
type reply struct {
	interim []*message
	final   *message // nil if there was none
	end     string   // "" if it is whole, else what ended it
}

func (r reply) status() string {
	if r.final == nil {
		return ""
	}
	return strings.TrimSpace(r.final.line)
}

func (r reply) String() string {
	if r.final == nil {
		return fmt.Sprintf("no answer (%s)", r.end)
	}
	return fmt.Sprintf("%s%q %.100q (%s)", r.final.line, r.final.fields, r.final.body, r.end)
}

// reply reads until the stream has ended, or the connection has.
func (w *h2wire) reply(id uint32) (r reply) {
	for {
		f, ok := w.read()
		if !ok {
			r.end = w.ended
			return r
		}
		if f.Header().StreamID != id {
			continue
		}
		switch f := f.(type) {
		case *h2.MetaHeadersFrame:
			r.hear(f)
		case *h2.DataFrame:
			if r.final != nil {
				r.final.body += string(f.Data())
			}
		case *h2.RSTStreamFrame:
			r.end = "reset: " + f.ErrCode.String()
			return r
		}
		if ends, ok := f.(interface{ StreamEnded() bool }); ok && ends.StreamEnded() {
			return r
		}
	}
}

// hear takes a header block, which may be an interim head, the head or the
// trailers.
func (r *reply) hear(f *h2.MetaHeadersFrame) {
	var fields []string
	for _, field := range f.RegularFields() {
		fields = append(fields, field.Name+": "+field.Value)
	}
	status := f.PseudoValue("status")
	switch {
	case status == "":
		r.final.trailers = fields
	case status[0] == '1':
		r.interim = append(r.interim, &message{line: status + " ", fields: fields})
	default:
		r.final = &message{line: status + " ", fields: fields}
	}
}

// read returns the next frame that isn't about the connection, answering those
// that are. False: the connection has ended, as ended says.
func (w *h2wire) read() (h2.Frame, bool) {
	for w.ended == "" {
		f, err := w.ReadFrame()
		if err != nil {
			w.ended = "connection ended: " + err.Error()
			if deadline.Exceeded(err) {
				w.t.Errorf("nothing came for too long: %v", err)
			}
			return nil, false
		}
		switch f := f.(type) {
		case *h2.SettingsFrame:
			if !f.IsAck() {
				w.answer(w.WriteSettingsAck())
			}
		case *h2.PingFrame:
			if !f.IsAck() {
				w.answer(w.WritePing(true, f.Data))
			}
		case *h2.GoAwayFrame:
			w.goneAway = &f.ErrCode
			if f.ErrCode != h2.ErrCodeNo {
				w.ended = "GOAWAY: " + f.ErrCode.String()
			}
		case *h2.WindowUpdateFrame:
		case *h2.DataFrame:
			w.credit(f)
			return f, true
		default:
			return f, true
		}
	}
	return nil, false
}

// answer sends the frame that has just been written.
func (w *h2wire) answer(err error) {
	w.check(err)
	w.send(atOnce)
}

// credit gives back the window that a frame has used.
func (w *h2wire) credit(f *h2.DataFrame) {
	if n := f.Header().Length; n > 0 && !w.mute {
		w.check(w.WriteWindowUpdate(0, n))
		w.answer(w.WriteWindowUpdate(f.Header().StreamID, n))
	}
}

// wantGet checks that a request on this connection gets its own answer.
func (w *h2wire) wantGet(path string) {
	w.t.Helper()
	id := w.get(path)
	w.send(atOnce)
	if r := w.reply(id); r.status() != "200" || r.end != "" {
		w.t.Errorf("GET %s got %s", path, r)
	}
}
