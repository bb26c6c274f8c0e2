package proxy

import (
	"bytes"
	"crypto/tls"
	"reflect"
	"unsafe"
)

// What crypto/tls has read a handshake into, it keeps for as long as the
// connection lives: some 3.5 KB, half of all that a quiet terminal over TLS costs
// and of no use to it. There is no way to ask for it back, so shed takes it, by
// the names of tls.Conn's fields. Where those aren't what they were in go1.26
// it does nothing, and a test fails.
var (
	rawInput, haveRawInput = fieldOfConn[bytes.Buffer]("rawInput") // records as they came
	handshakes, haveHand   = fieldOfConn[bytes.Buffer]("hand")     // handshake messages
	plainInput, haveInput  = fieldOfConn[bytes.Reader]("input")    // data not yet read, inside rawInput
	canShed                = haveRawInput && haveHand && haveInput
)

// fieldOfConn finds the field of that name and type in tls.Conn.
func fieldOfConn[T any](name string) (offset uintptr, found bool) {
	f, ok := reflect.TypeFor[tls.Conn]().FieldByName(name)
	return f.Offset, ok && f.Type == reflect.TypeFor[T]()
}

// shed has tc give its input buffers back if they are empty and together hold
// more than spare bytes. It must not be called concurrently with a read.
func shed(tc *tls.Conn, spare int) {
	if !canShed {
		return
	}
	raw, hand, input := inputs(tc)
	if raw.Len() > 0 || hand.Len() > 0 || input.Len() > 0 || raw.Cap()+hand.Cap() <= spare {
		return
	}
	*raw, *hand = bytes.Buffer{}, bytes.Buffer{}
	input.Reset(nil)
}

// hasRead tells whether tc may hold bytes that it has taken from its socket, and
// that nobody has read.
func hasRead(tc *tls.Conn) bool {
	if !canShed {
		return true
	}
	raw, hand, input := inputs(tc)
	return raw.Len() > 0 || hand.Len() > 0 || input.Len() > 0
}

// handLen returns how many bytes tc has of a handshake message that isn't whole yet.
// It must be called by the goroutine that reads.
func handLen(tc *tls.Conn) int {
	if !canShed {
		return 0
	}
	_, hand, _ := inputs(tc)
	return hand.Len()
}

// inputs returns what tc reads into. It may be called only if canShed is true.
func inputs(tc *tls.Conn) (raw, hand *bytes.Buffer, input *bytes.Reader) {
	at := unsafe.Pointer(tc)
	return (*bytes.Buffer)(unsafe.Add(at, rawInput)), (*bytes.Buffer)(unsafe.Add(at, handshakes)),
		(*bytes.Reader)(unsafe.Add(at, plainInput))
}
