package tunnel

import (
	"crypto/rand"
	"encoding/binary"
	"math"
)

// frames follows one direction of a WebSocket from frame to frame (RFC 6455 §5.2). It
// reads the heads of the frames, and skips what is in them. Its zero value is at the
// beginning of a direction from a host to a client.
//
//	boundary ──▶ inLength ──▶ inExtended ──▶ inPayload ──▶ boundary
//
// A short frame skips inExtended, and an empty one inPayload. From inLength and inExtended
// it may get lost, for ever.
//
// It is kept small, because each idle terminal has two: 8 bytes.
type frames struct {
	left   uint32 // bytes of the masking key and the payload to come; in inExtended the length so far
	part   part
	length uint8 // bytes of the extended length to come
	masked bool  // the direction is from a client to a host, in which frames are masked
	closed bool  // a close frame has begun, so that no frame may follow it
}

// A part is a part of a frame.
type part uint8

const (
	boundary   part = iota // between two frames
	inLength               // before the second byte
	inExtended             // in the extended length
	inPayload              // in the masking key or the payload
	lost                   // unknown: a head was malformed, or its frame has 4 GiB, or it isn't a WebSocket
)

const (
	opClose    = 8       // RFC 6455 §5.5.1
	final      = 1 << 7  // of a frame's first byte
	masked     = 1 << 7  // of its second byte
	maskLength = 4       // of a masking key
	maxReason  = 125 - 2 // bytes of text in a close frame (RFC 6455 §5.5)
)

// pass follows the bytes that are sent next.
func (f *frames) pass(b []byte) {
	for len(b) > 0 && f.part != lost {
		if f.part != inPayload {
			f.head(b[0])
			b = b[1:]
			continue
		}
		n := min(uint64(f.left), uint64(len(b)))
		f.left -= uint32(n)
		b = b[n:]
		if f.left == 0 {
			f.part = boundary
		}
	}
}

// head follows the next byte of a frame's head.
func (f *frames) head(c byte) {
	switch f.part {
	case boundary:
		f.closed = f.closed || c&0x0f == opClose
		f.part = inLength
	case inLength:
		f.second(c)
	default:
		if f.left > math.MaxUint32>>8 {
			f.part = lost
			return
		}
		f.left = f.left<<8 | uint32(c)
		if f.length--; f.length == 0 {
			f.enter()
		}
	}
}

// second follows a frame's second byte.
func (f *frames) second(c byte) {
	f.left, f.part = 0, inExtended
	switch length := c &^ masked; {
	case (c&masked != 0) != f.masked: // RFC 6455 §5.1
		f.part = lost
	case length == 127:
		f.length = 8
	case length == 126:
		f.length = 2
	default:
		f.left = uint32(length)
		f.enter()
	}
}

// enter enters the payload, whose length is left.
func (f *frames) enter() {
	if f.masked {
		if f.left > math.MaxUint32-maskLength {
			f.part = lost
			return
		}
		f.left += maskLength
	}
	f.part = inPayload
	if f.left == 0 {
		f.part = boundary
	}
}

// missing returns how many bytes of the present frame are still to come, as far as that is
// known. It is 0 between two frames, and if it can't be known.
func (f *frames) missing() uint32 {
	switch f.part {
	case inLength:
		return 1
	case inExtended:
		return uint32(f.length)
	case inPayload:
		return f.left
	}
	return 0
}

// open reports whether a frame may be sent now.
func (f *frames) open() bool { return f.part == boundary && !f.closed }

// appendClose appends a close frame to b. A text that is too long is cut.
func (f *frames) appendClose(b []byte, code uint16, text string) []byte {
	text = text[:min(len(text), maxReason)]
	size := byte(2 + len(text))
	if !f.masked {
		return append(binary.BigEndian.AppendUint16(append(b, final|opClose, size), code), text...)
	}
	var key [maskLength]byte
	_, _ = rand.Read(key[:]) // never fails
	b = append(append(b, final|opClose, masked|size), key[:]...)
	payload := len(b)
	b = append(binary.BigEndian.AppendUint16(b, code), text...)
	for i := range b[payload:] {
		b[payload+i] ^= key[i%maskLength]
	}
	return b
}
