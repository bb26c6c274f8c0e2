package socket

import (
	"bytes"
	"crypto/tls"
	"reflect"
	"unsafe"
)

// crypto/tls keeps the buffers of the handshake until the connection is closed. They have
// about 3.5 KB, which is half the memory of a quiet terminal over TLS. crypto/tls has no
// function that frees them, so FreeBuffers does, by the names of tls.Conn's fields. If the
// fields aren't those of go1.26, FreeBuffers does nothing, and a test fails.
var (
	rawInput, haveRawInput = fieldOfConn[bytes.Buffer]("rawInput") // encrypted records
	handshakes, haveHand   = fieldOfConn[bytes.Buffer]("hand")     // handshake messages
	plainInput, haveInput  = fieldOfConn[bytes.Reader]("input")    // data not yet read, inside rawInput
	knowsFields            = haveRawInput && haveHand && haveInput
)

// fieldOfConn finds the field of tls.Conn with a name and the type T.
func fieldOfConn[T any](name string) (offset uintptr, found bool) {
	f, ok := reflect.TypeFor[tls.Conn]().FieldByName(name)
	return f.Offset, ok && f.Type == reflect.TypeFor[T]()
}

// FreeBuffers frees tc's input buffers if they are empty and together hold more
// than spare bytes. It must not be called concurrently with a read.
func FreeBuffers(tc *tls.Conn, spare int) {
	if !knowsFields {
		return
	}
	raw, hand, input := inputs(tc)
	if raw.Len() > 0 || hand.Len() > 0 || input.Len() > 0 || raw.Cap()+hand.Cap() <= spare {
		return
	}
	*raw, *hand = bytes.Buffer{}, bytes.Buffer{}
	input.Reset(nil)
}

// HasBuffered reports whether tc may have bytes from its socket that were not read from tc.
// It must not be called concurrently with a read.
func HasBuffered(tc *tls.Conn) bool {
	if !knowsFields {
		return true
	}
	raw, hand, input := inputs(tc)
	return raw.Len() > 0 || hand.Len() > 0 || input.Len() > 0
}

// HandshakeBuffered returns how many bytes tc has buffered of an incomplete handshake
// message. It must be called by the goroutine that reads.
func HandshakeBuffered(tc *tls.Conn) int {
	if !knowsFields {
		return 0
	}
	_, hand, _ := inputs(tc)
	return hand.Len()
}

// inputs returns the buffers of tc. It must be called only if knowsFields is true.
func inputs(tc *tls.Conn) (raw, hand *bytes.Buffer, input *bytes.Reader) {
	at := unsafe.Pointer(tc)
	return (*bytes.Buffer)(unsafe.Add(at, rawInput)), (*bytes.Buffer)(unsafe.Add(at, handshakes)),
		(*bytes.Reader)(unsafe.Add(at, plainInput))
}
