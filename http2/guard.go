// Package http2 is what this balancer judges itself of HTTP/2 towards clients,
// whose frames and streams net/http serves: whether a client's frames are more
// than it can have a use for, and how a request is said in HTTP/1.1. No sockets.
package http2

import (
	"encoding/binary"
	"slices"

	"golang.org/x/net/http2/hpack"
)

// A Guard stands between one client and net/http. It sees the frames that come,
// and ends a connection of which it finds
//
//   - more frames of a kind than a client can need (a Flood),
//   - a field that makes a request malformed, and that net/http takes for itself
//     or overlooks: it would answer as if the request were in order (RFC 9113 §8.1.1,
//     §5.4.2).
//
// It changes one thing: of a SETTINGS frame that sets a value twice, for which
// net/http would end the connection, only the last one goes on (RFC 9113 §6.5.3).
//
// A Guard isn't safe for concurrent use.
type Guard struct {
	purse
	last    uint32    // the highest stream that the client has opened
	preface int       // bytes of the connection preface that have passed
	head    frameHead // of the frame under way
	have    int       // bytes of head
	left    int       // bytes of payload to come
	payload []byte    // of the frame under way, if it is one that is looked into
	block   []byte    // the header block under way
	fields  *hpack.Decoder
	opens   bool   // the block has a pseudo-header field: it is no trailer section
	bad     error  // what is wrong with the block's fields; nil if nothing is
	out     []byte // what goes on
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
	tableSize     = 4 << 10   // of HPACK, as net/http is told to announce
	maxBlock      = 256 << 10 // net/http answers 431 to less, and must see all of it to go on
)

// NewGuard returns a guard that awaits the connection preface. net/http answers 431
// to header sections of more than maxSection bytes, as RFC 9113 §6.5.2 counts them.
func NewGuard(maxSection int) *Guard {
	g := &Guard{section: section{limit: maxSection}}
	g.fields = hpack.NewDecoder(tableSize, g.see)
	return g
}

// see looks at a field of the block under way. What it lets pass, CheckField sees
// again, unless net/http keeps it.
func (g *Guard) see(f hpack.HeaderField) {
	g.opens = g.opens || f.IsPseudo()
	g.section.see(f)
	switch {
	case isHop(f.Name) || f.Name == "te" && f.Value != "trailers":
		g.bad = errHop
	case f.Name == ":protocol" && f.Value == "": // net/http takes it for none
		g.bad = errPseudo
	case isBlank(f.Value) && (!g.opens || isKept(f.Name)):
		g.bad = errField
	}
}

// isKept tells whether net/http doesn't hand a field of a request over as it came:
// it joins cookies, and reads the others itself.
func isKept(name string) bool { return name == "cookie" || name == "expect" || name == "trailer" }

// Pass takes note of bytes that have come from the client at a time, in seconds
// from any moment on, and returns those that may go on, which are valid until
// the next call. The last bytes of b may have to wait for more. After an error
// the connection has to be closed.
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

// Begun tells whether the connection preface has passed.
func (g *Guard) Begun() bool { return g.preface == prefaceLength }

// LastStream returns the number of the latest stream that the client has opened, 0
// for none.
func (g *Guard) LastStream() uint32 { return g.last }

// GoAway returns a frame that announces the connection's end: all streams so far
// have been served, and later ones won't be (RFC 9113 §6.8).
func (g *Guard) GoAway() []byte {
	frame := []byte{0, 0, 8, typeGoAway, 0, 0, 0, 0, 0}
	frame = binary.BigEndian.AppendUint32(frame, g.last)
	return binary.BigEndian.AppendUint32(frame, 0) // NO_ERROR
}

// Wrote takes note of n bytes that have gone to the client.
func (g *Guard) Wrote(n int) { g.earned += float64(n) / bytesPerUpdate }

// Cancelled takes note of a stream that ended before its answer did, at a time
// as for Pass: the client can have us reset it as well as reset it itself. After
// an error the connection has to be closed.
func (g *Guard) Cancelled(now float64) error { return g.charge(Cancelled, now) }

// passHead takes bytes of a frame's head, which goes on when it is whole.
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

// charged charges the frame whose head is whole.
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

// passPayload takes bytes of a frame's payload. Those of SETTINGS wait for the
// rest.
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

// endFrame looks into a frame that is whole, and gets ready for the next.
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
	g.payload = spare(g.payload)
	return err
}

// fragment returns the part of a HEADERS frame that is of the header block (RFC
// 9113 §6.2). What is malformed there, net/http finds.
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

// endBlock decodes the header block if it is whole. An error of the decoder is
// one that net/http finds as well.
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
	g.block = spare(g.block)
	if g.opening {
		g.foretell()
	}
	g.section.begin()
	return g.bad
}

// foretell keeps the refusal of the request whose block has just been decoded, unless
// the guard itself refuses it.
func (g *Guard) foretell() {
	if r, ok := g.section.refusal(); ok && g.bad == nil {
		g.refused = append(g.refused, r)
	}
}

// End takes note that net/http has ended the connection. It does so amid a header
// section that is far too long, without an answer.
func (g *Guard) End() {
	if len(g.block) > g.section.limit {
		g.refused = append(g.refused, Refusal{Reason: errLarge})
	}
}

// Refusals returns the requests that net/http will have refused once it has seen
// what Pass has returned, and forgets them.
func (g *Guard) Refusals() []Refusal {
	refused := g.refused
	g.refused = nil
	return refused
}

// passSettings lets a SETTINGS frame go on, with the last value of each setting.
func (g *Guard) passSettings() {
	p := g.payload
	if len(p)%settingLength != 0 { // malformed, as net/http finds
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

// sets tells whether one of the settings has that identifier.
func sets(settings []byte, id uint16) bool {
	for s := range slices.Chunk(settings, settingLength) {
		if binary.BigEndian.Uint16(s) == id {
			return true
		}
	}
	return false
}

// spare empties a buffer, and gives back one that an unusual frame has made grow.
func spare(b []byte) []byte {
	const usual = 2 << 10
	if cap(b) > usual {
		return nil
	}
	return b[:0]
}
