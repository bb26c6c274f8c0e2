package http1

import (
	"bytes"
	"iter"
	"math/bits"
)

// Repairs is a set of faults of responses that have been set right. Each is one
// that has a single reading, by the RFC or because only we read it: what goes on
// to the client is written anew. A request is never repaired.
type Repairs uint16

// The faults that are set right.
const (
	RepairedLengths    Repairs = 1 << iota // several equal lengths are one
	RepairedBoth                           // chunked goes before a length
	RepairedCoding                         // empty elements of the list are left out
	RepairedCodingIn10                     // chunked counts all the same
	RepairedNoContent                      // 204 and 101 have no body, whatever they say
	RepairedStatusLine                     // white space counts as one blank
	RepairedVersion                        // HTTP/1.2, HTTP/2.0 and the like are read as HTTP/1.1
	RepairedEmptyLine                      // it is skipped
	RepairedLF                             // LF ends a line, if it ends all lines of the head
	RepairedFold                           // it becomes blanks
	RepairedColon                          // the white space is left out
	RepairedControl                        // control characters become blanks
	RepairedOption                         // what isn't a token names no field
	RepairedChunk                          // padding of a chunk's first line is left out
)

// repairTexts are in the order of the constants.
var repairTexts = [...]string{
	"equal Content-Lengths (RFC 9112 §6.3)",
	"Content-Length beside chunked (RFC 9112 §6.3)",
	"empty elements in Transfer-Encoding (RFC 9110 §5.6.1)",
	"Transfer-Encoding in HTTP/1.0 (RFC 9112 §6.1)",
	"a 101 or 204 that declares a body (RFC 9112 §6.3)",
	"white space in the status line (RFC 9112 §4)",
	"an HTTP version other than 1.0 and 1.1 in the status line (RFC 9110 §2.5)",
	"an empty line before the status line (RFC 9112 §2.2)",
	"lines that end in LF without CR (RFC 9112 §2.2)",
	"a folded field line (RFC 9112 §5.2)",
	"white space before a field's colon (RFC 9112 §5.1)",
	"a control character in a field value or reason (RFC 9110 §5.5)",
	"a Connection option that isn't a token (RFC 9110 §7.6.1)",
	"padding in a chunk's first line (RFC 9112 §7.1)",
}

// Texts returns a constant text for each fault in the set.
func (s Repairs) Texts() iter.Seq[string] {
	return func(yield func(string) bool) {
		for ; s != 0; s &= s - 1 {
			if !yield(repairTexts[bits.TrailingZeros16(uint16(s))]) {
				return
			}
		}
	}
}

// RepairTexts returns the texts of all faults that are set right.
func RepairTexts() []string { return repairTexts[:] }

// A mender decides whether faults are set right, and keeps which were.
type mender struct {
	response bool // the last head was a response's
	repairs  Repairs
}

// mends reports whether the fault is set right: it is in a response.
func (m *mender) mends(fault Repairs) bool {
	if m.response {
		m.repairs |= fault
	}
	return m.response
}

// Repaired returns the faults of the source's responses, and of their bodies, that
// have been set right so far. After one, whoever sent it may be out of step: its
// connection shouldn't be used for another request.
func (r *Reader) Repaired() Repairs { return r.repairs }

// mendField parses the first line of b, in which parseField has found a fault, and
// returns the fault if it can't be set right. Control characters in its value become
// blanks where they stand, but not where the end of the body depends on it.
func (r *Reader) mendField(b []byte, fault *Error) (name, value, rest []byte, err *Error) {
	n := span(b, inToken)
	colon := n + blanks(b[n:])
	if !r.response || n == 0 || b[colon] != ':' {
		return nil, nil, nil, fault
	}
	if colon > n {
		r.mends(RepairedColon)
	}
	end := colon + bytes.IndexByte(b[colon:], '\n') + 1 - r.eol
	value = b[colon+1 : end : end]
	if kind := lookUp(b[:n]).kind; valueSpan(value) < len(value) && (kind == KindContentLength || kind == KindTransferEncoding) {
		return nil, nil, nil, errValue
	}
	r.mendText(value)
	return b[:n:n], trim(value), b[end+r.eol:], nil
}

// mendText makes blanks of the control characters in b.
func (m *mender) mendText(b []byte) {
	for i := valueSpan(b); i < len(b); i += valueSpan(b[i:]) {
		m.mends(RepairedControl)
		b[i] = ' '
	}
}

// mendFold makes blanks of the line's end before at, behind which a line begins
// that continues the one before it.
func (r *Reader) mendFold(at int) {
	r.mends(RepairedFold)
	for i := at - r.eol; i < at; i++ {
		r.unread()[i] = ' '
	}
}

// mendLength takes a Content-Length that isn't the only one or no plain number. A
// list of equal numbers is that number.
func (f *facts) mendLength(list []byte) *Error {
	fault := errLength
	if f.lengths > 1 {
		fault = errLengthTwice
	}
	if !f.response || len(list) == 0 {
		return fault
	}
	for len(list) > 0 {
		var element []byte
		element, list = nextElement(list)
		n, ok := parseLength(withoutZeros(element))
		switch {
		case !ok:
			return errLength
		case f.length >= 0 && n != f.length:
			return errLengthTwice
		}
		f.length = n
	}
	f.mends(RepairedLengths)
	return nil
}

// mendCoding reports whether a Transfer-Encoding is chunked but for empty elements
// of its list.
func (f *facts) mendCoding(list []byte) bool {
	chunked := 0
	for len(list) > 0 {
		var element []byte
		element, list = nextElement(list)
		switch {
		case len(element) == 0:
		case !EqualFold(element, "chunked"):
			return false
		default:
			chunked++
		}
	}
	return chunked == 1 && f.mends(RepairedCoding)
}

// mendChunk reports whether what stands behind a chunk's size is padding, or an
// extension that nobody needs to understand to find its end.
func (m *mender) mendChunk(ext []byte) bool {
	ext = ext[blanks(ext):]
	return (len(ext) == 0 || ext[0] == ';' && valueSpan(ext) == len(ext)) && m.mends(RepairedChunk)
}

// blanks returns how many SP and HTAB are at the start of b.
func blanks(b []byte) int {
	n := 0
	for n < len(b) && (b[n] == ' ' || b[n] == '\t') {
		n++
	}
	return n
}

// withoutZeros cuts off the zeros that say nothing at the start of a number.
func withoutZeros(digits []byte) []byte {
	for len(digits) > 1 && digits[0] == '0' {
		digits = digits[1:]
	}
	return digits
}
