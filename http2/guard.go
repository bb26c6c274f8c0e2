// Package http2 checks the HTTP/2 of clients; net/http serves their frames and streams.
// It bounds the frames that a client may send, and writes requests as HTTP/1.1. It has
// no sockets.
package http2

import (
	"encoding/binary"
	"slices"

	"golang.org/x/net/http2/hpack"
)

// A Guard checks the frames from one client before net/http reads them. It returns an
// error, after which the connection must be closed, for
//
//   - more frames of a kind than a client can need (a Flood),
//   - a malformed field that net/http consumes or overlooks: net/http would answer as
//     if the request were valid (RFC 9113 §8.1.1, §5.4.2).
//
// It changes one thing: if a SETTINGS frame sets a value twice, it forwards only the
// last of the two (RFC 9113 §6.5.3), since net/http would end the connection.
//
// A Guard isn't safe for concurrent use.
type Guard struct {
	usage
	last    uint32    // the highest stream that the client has opened
	preface int       // bytes of the connection preface received so far
	head    frameHead // of the current frame
	have    int       // bytes of head received so far
	left    int       // bytes of payload that are still missing
	payload []byte    // of the current frame, if the guard examines it
	block   []byte    // the current header block
	fields  *hpack.Decoder
	opens   bool   // the block has a pseudo-header field, so it isn't a trailer section
	bad     error  // the fault of the block's fields; nil if there is none
	out     []byte // the bytes that Pass returns
	opening bool   // the block opens a stream
	section section
	refused []Refusal
}

// A frameHead is the head of a frame (RFC 9113 §4.1).
type frameHead [9]byte

func (h *frameHead) length() int        { return int(h[0])<<16 | int(h[1])<<8 | int(h[2]) }
func (h *frameHead) kind() byte         { return h[3] }
func (h *frameHead) stream() uint32     { return binary.BigEndian.Uint32(h[5:]) &^ (1 << 31) }
func (h *frameHead) has(flag byte) bool { return h[4]&flag != 0 }

// Frame types (RFC 9113 §6) and their flags.
const (
	typeData, typeHeaders, typePriority, typeReset, typeSettings = 0, 1, 2, 3, 4
	typePing, typeGoAway, typeWindowUpdate, typeContinuation     = 6, 7, 8, 9

	flagEndStream, flagAck, flagEndHeaders, flagPadded, flagPriority = 0x1, 0x1, 0x4, 0x8, 0x20
)

const (
	prefaceLength = 24 // of "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" (RFC 9113 §3.4)
	settingLength = 6  // RFC 9113 §6.5.1
	maxSettings   = 100 * settingLength
	tableSize     = 4 << 10   // of HPACK; net/http is configured to announce the same
	maxBlock      = 256 << 10 // net/http answers 431 to smaller blocks, and needs the whole block for that
)

// NewGuard returns a guard for a connection that begins with the connection preface.
// maxSection is the largest header section in bytes, as RFC 9113 §6.5.2 counts them;
// net/http answers 431 to a larger one.
func NewGuard(maxSection int) *Guard {
	g := &Guard{section: section{limit: maxSection}}
	g.fields = hpack.NewDecoder(tableSize, g.addField)
	return g
}

// addField checks a field of the current block. CheckField checks it again, unless
// net/http consumes it.
func (g *Guard) addField(f hpack.HeaderField) {
	g.opens = g.opens || f.IsPseudo()
	g.section.add(f)
	switch {
	case isHop(f.Name) || f.Name == "te" && f.Value != "trailers":
		g.bad = errHop
	case f.Name == ":protocol" && f.Value == "": // net/http ignores an empty :protocol
		g.bad = errPseudo
	case isBlank(f.Value) && (!g.opens || isKept(f.Name)):
		g.bad = errField
	}
}

// isKept reports whether net/http doesn't hand over a field of a request unchanged: it
// joins cookies, and consumes the other two.
func isKept(name string) bool { return name == "cookie" || name == "expect" || name == "trailer" }

// Pass checks bytes that the client has sent, and returns the bytes for net/http. They
// are valid until the next call. Pass may keep the last bytes of b until a later call.
// now is the time in seconds since a fixed moment. After an error the connection must
// be closed.
func (g *Guard) Pass(b []byte, now float64) ([]byte, error) {
	g.out = g.out[:0]
	if n := min(prefaceLength-g.preface, len(b)); n > 0 {
		g.preface += n
		g.out = append(g.out, b[:n]...)
		b = b[n:]
	}
	for len(b) > 0 {
		var n int
		var err error
		if g.have < len(g.head) {
			n, err = g.passHead(b, now)
		} else {
			n = min(g.left, len(b))
			g.passPayload(b[:n])
		}
		b = b[n:]
		if err == nil && g.have == len(g.head) && g.left == 0 {
			err = g.endFrame(now)
		}
		if err != nil {
			return nil, err
		}
	}
	return g.out, nil
}

// Begun reports whether the whole connection preface has passed.
func (g *Guard) Begun() bool { return g.preface == prefaceLength }

// LastStream returns the highest number of the streams that the client has opened, or 0
// if it has opened none.
func (g *Guard) LastStream() uint32 { return g.last }

// GoAway returns a frame that announces the end of the connection: all streams so far
// are served, and later streams are not (RFC 9113 §6.8).
func (g *Guard) GoAway() []byte {
	frame := []byte{0, 0, 8, typeGoAway, 0, 0, 0, 0, 0}
	frame = binary.BigEndian.AppendUint32(frame, g.last)
	return binary.BigEndian.AppendUint32(frame, 0) // NO_ERROR
}

// TurnAway returns the frames that tell a new client that none of its requests is served on
// this connection: SETTINGS, with which a server begins, and GOAWAY.
func TurnAway() []byte {
	return append([]byte{0, 0, 0, typeSettings, 0, 0, 0, 0, 0}, new(Guard).GoAway()...)
}

// Wrote tells g that n bytes have been written to the client.
func (g *Guard) Wrote(n int) { g.earned += float64(n) / bytesPerUpdate }

// Cancelled tells g that a stream has ended before the end of its response. The client
// may have reset it, or have made this side reset it. now is as for Pass. After an
// error the connection must be closed.
func (g *Guard) Cancelled(now float64) error { return g.charge(Cancelled, now) }

// passHead consumes bytes of a frame's head, and forwards the head when it is complete.
func (g *Guard) passHead(b []byte, now float64) (n int, err error) {
	n = copy(g.head[g.have:], b)
	if g.have += n; g.have < len(g.head) {
		return n, nil
	}
	g.left = g.head.length()
	if g.head.kind() == typeHeaders {
		g.opening = g.head.stream() > g.last
		g.last = max(g.last, g.head.stream())
	}
	switch {
	case g.head.kind() != typeSettings:
		g.out = append(g.out, g.head[:]...)
	case g.left > maxSettings:
		return n, Flood(Settings)
	}
	return n, g.charged(now)
}

// charged counts the current frame, whose head is complete, against its budget.
func (g *Guard) charged(now float64) error {
	switch h := &g.head; {
	case g.left == 0 && (h.kind() == typeData && !h.has(flagEndStream) || h.kind() == typeHeaders || h.kind() == typeContinuation):
		return g.charge(Empty, now)
	case h.kind() == typeContinuation:
		return g.charge(Continuation, now)
	case h.kind() == typePriority:
		return g.charge(Priority, now)
	case h.kind() == typeReset:
		return g.charge(Reset, now)
	case h.kind() == typeSettings && !h.has(flagAck):
		return g.charge(Settings, now)
	case h.kind() == typePing && !h.has(flagAck):
		return g.charge(Ping, now)
	case h.kind() == typeWindowUpdate && g.earned >= 1:
		g.earned--
	case h.kind() == typeWindowUpdate:
		return g.charge(WindowUpdate, now)
	case h.kind() > typeContinuation:
		return g.charge(Unknown, now)
	}
	return nil
}

// passPayload forwards bytes of a frame's payload. It keeps those of a SETTINGS frame
// until the frame is complete.
func (g *Guard) passPayload(b []byte) {
	g.left -= len(b)
	kind := g.head.kind()
	if kind != typeSettings {
		g.out = append(g.out, b...)
	}
	if kind == typeSettings || kind == typeHeaders || kind == typeContinuation {
		g.payload = append(g.payload, b...)
	}
	if kind == typeData && g.head.has(flagPadded) && len(g.payload) == 0 {
		g.payload = append(g.payload, b[0]) // the length of the padding (RFC 9113 §6.1)
	}
}

// endFrame checks a frame that is complete, and prepares for the next one.
func (g *Guard) endFrame(now float64) error {
	var err error
	switch g.head.kind() {
	case typeData:
		if len(g.payload) > 0 && int(g.payload[0]) >= g.head.length()-1 && !g.head.has(flagEndStream) {
			err = g.charge(Empty, now)
		}
	case typeSettings:
		g.passSettings()
	case typeHeaders:
		g.block = append(g.block[:0], g.fragment()...)
		err = g.endBlock()
	case typeContinuation:
		g.block = append(g.block, g.payload...)
		err = g.endBlock()
	}
	g.have = 0
	g.payload = reuse(g.payload)
	return err
}

// fragment returns the part of a HEADERS frame that belongs to the header block (RFC
// 9113 §6.2). net/http refuses malformed frames.
func (g *Guard) fragment() []byte {
	p, padding := g.payload, 0
	if g.head.has(flagPadded) && len(p) > 0 {
		padding, p = int(p[0]), p[1:]
	}
	if g.head.has(flagPriority) {
		p = p[min(5, len(p)):]
	}
	return p[:max(0, len(p)-padding)]
}

// endBlock decodes the header block if it is complete. It ignores errors of the
// decoder, since net/http finds them as well.
func (g *Guard) endBlock() error {
	if len(g.block) > maxBlock {
		g.block = nil
		return Flood(Continuation)
	}
	if !g.head.has(flagEndHeaders) {
		return nil
	}
	g.opens = false
	_, _ = g.fields.Write(g.block)
	_ = g.fields.Close()
	g.block = reuse(g.block)
	if g.opening {
		g.predict()
	}
	g.section.begin()
	return g.bad
}

// predict appends to refused if net/http will refuse the request whose block has just
// been decoded, unless the guard itself refuses it.
func (g *Guard) predict() {
	if r, ok := g.section.refusal(); ok && g.bad == nil {
		g.refused = append(g.refused, r)
	}
}

// End tells g that net/http has ended the connection. net/http does so, without a
// response, in the middle of a header section that is far too long.
func (g *Guard) End() {
	if len(g.block) > g.section.limit {
		g.refused = append(g.refused, Refusal{Reason: errLarge})
	}
}

// Refusals returns the requests that net/http refuses when it reads the bytes that
// Pass has returned. Each is returned once.
func (g *Guard) Refusals() []Refusal {
	refused := g.refused
	g.refused = nil
	return refused
}

// passSettings forwards a SETTINGS frame with only the last value of each setting.
func (g *Guard) passSettings() {
	p := g.payload
	if len(p)%settingLength != 0 { // malformed; net/http refuses it
		g.out = append(append(g.out, g.head[:]...), p...)
		return
	}
	kept := p[:0]
	for rest := p; len(rest) > 0; rest = rest[settingLength:] {
		if !sets(rest[settingLength:], binary.BigEndian.Uint16(rest)) {
			kept = append(kept, rest[:settingLength]...)
		}
	}
	h := g.head
	h[0], h[1], h[2] = byte(len(kept)>>16), byte(len(kept)>>8), byte(len(kept))
	g.out = append(append(g.out, h[:]...), kept...)
}

// sets reports whether one of the settings has that identifier.
func sets(settings []byte, id uint16) bool {
	for s := range slices.Chunk(settings, settingLength) {
		if binary.BigEndian.Uint16(s) == id {
			return true
		}
	}
	return false
}

// reuse returns b without its content. It returns nil for a buffer that an unusual frame
// has made grow, so that the memory is freed.
func reuse(b []byte) []byte {
	const usual = 2 << 10
	if cap(b) > usual {
		return nil
	}
	return b[:0]
}
