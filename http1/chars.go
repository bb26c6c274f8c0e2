package http1

import (
	"bytes"
	"encoding/binary"
)

// classes holds for each byte the set of classes to which it belongs.
var classes = makeClasses()

const (
	inToken  uint8 = 1 << iota // tchar, RFC 9110 §5.6.2
	inValue                    // VCHAR, obs-text, SP and HTAB, RFC 9110 §5.5
	inTarget                   // visible ASCII without '#', RFC 9112 §3.2
	inHost                     // unreserved, RFC 3986 §2.3
	inHex
	inDigit
	inBase64
)

func makeClasses() (table [256]uint8) {
	mark := func(class uint8, chars string) {
		for i := range len(chars) {
			table[chars[i]] |= class
		}
	}
	const digits, letters = "0123456789", "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	mark(inToken, digits+letters+"!#$%&'*+-.^_`|~")
	mark(inHost, digits+letters+"-._~")
	mark(inHex, digits+"abcdefABCDEF")
	mark(inDigit, digits)
	mark(inBase64, digits+letters+"+/")
	for c := range 256 {
		if c >= ' ' && c != 0x7f || c == '\t' {
			table[c] |= inValue
		}
		if c > ' ' && c < 0x7f && c != '#' {
			table[c] |= inTarget
		}
	}
	return table
}

// span returns how many bytes at the start of b are of the class.
func span(b []byte, class uint8) int {
	for i, c := range b {
		if classes[c]&class == 0 {
			return i
		}
	}
	return len(b)
}

// valueSpan returns span(b, inValue). It examines eight bytes at a time, since values
// are the largest part of a head.
func valueSpan(b []byte) int {
	const low, high = 0x0101010101010101, 0x8080808080808080
	i := 0
	for ; i+8 <= len(b); i += 8 {
		x := binary.LittleEndian.Uint64(b[i:])
		control := (x - low*' ') &^ x & high
		y := x ^ low*0x7f
		del := (y - low) &^ y & high
		if control|del == 0 {
			continue
		}
		if n := span(b[i:i+8], inValue); n < 8 {
			return i + n
		}
	}
	return i + span(b[i:], inValue)
}

func isToken(b []byte) bool { return len(b) > 0 && span(b, inToken) == len(b) }

// trim removes optional white space, SP and HTAB, from both ends.
func trim(b []byte) []byte {
	for len(b) > 0 && (b[0] == ' ' || b[0] == '\t') {
		b = b[1:]
	}
	for len(b) > 0 && (b[len(b)-1] == ' ' || b[len(b)-1] == '\t') {
		b = b[:len(b)-1]
	}
	return b
}

// EqualFold reports whether a and lower are equal without regard to the case of ASCII
// letters. lower must be in lower case.
func EqualFold(a []byte, lower string) bool {
	if len(a) != len(lower) {
		return false
	}
	for i, c := range a {
		if lowered(c) != lower[i] {
			return false
		}
	}
	return true
}

// sameFold reports whether a and b are equal without regard to the case of ASCII
// letters.
func sameFold(a, b []byte) bool {
	if len(a) != len(b) {
		return false
	}
	for i, c := range a {
		if lowered(c) != lowered(b[i]) {
			return false
		}
	}
	return true
}

func lowered(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

// nextElement returns the first element of a comma-separated list and the rest of the
// list. The element is trimmed and may be empty.
func nextElement(list []byte) (element, rest []byte) {
	if i := bytes.IndexByte(list, ','); i >= 0 {
		return trim(list[:i]), list[i+1:]
	}
	return trim(list), nil
}
