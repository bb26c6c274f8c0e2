package http1

import (
	"bytes"
	"iter"
	"math/bits"
)

// Repairs is a set of faults of responses that have been repaired. Each fault can be
// read in only one way, by the RFC or because no other receiver reads it: the message
// to the client is written anew. Requests are never repaired.
type Repairs uint16

// The faults that are repaired, each with its repair.
const (
	RepairedLengths    Repairs = 1 << iota // several equal lengths are taken as one
	RepairedBoth                           // chunked overrides a length
	RepairedCoding                         // empty elements of the list are ignored
	RepairedCodingIn10                     // chunked is accepted in HTTP/1.0
	RepairedNoContent                      // a body that a 204 or 101 declares is ignored
	RepairedStatusLine                     // white space is read as one blank
	RepairedVersion                        // HTTP/1.2, HTTP/2.0 and the like are read as HTTP/1.1
	RepairedEmptyLine                      // the line is skipped
	RepairedLF                             // LF ends a line, if it ends all lines of the head
	RepairedFold                           // the line end within the value becomes blanks
	RepairedColon                          // the white space is removed
	RepairedControl                        // control characters become blanks
	RepairedOption                         // an option that isn't a token is ignored
	RepairedChunk                          // padding of a chunk's first line is ignored
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

// RepairTexts returns the texts of all faults that are repaired.
func RepairTexts() []string { return repairTexts[:] }

// A repairer decides whether faults are repaired, and records those that were.
type repairer struct {
	response bool // the last head was that of a response
	repairs  Repairs
}

// repair reports whether fault may be repaired, which is so in a response, and records
// it.
func (p *repairer) repair(fault Repairs) bool {
	if p.response {
		p.repairs |= fault
	}
	return p.response
}

// Repaired returns the faults of responses and their bodies that r has repaired so far.
// After a repair the sender may disagree about where a message ends: the caller should
// not use the connection for another request.
func (r *Reader) Repaired() Repairs { return r.repairs }

// repairField parses the first line of b, in which parseField has found fault. It
// returns fault if it can't repair the line. Control characters in the value become
// blanks, but not in fields on which the end of the body depends.
func (r *Reader) repairField(b []byte, fault *Error) (name, value, rest []byte, err *Error) {
	n := span(b, inToken)
	colon := n + blanks(b[n:])
	if !r.response || n == 0 || b[colon] != ':' {
		return nil, nil, nil, fault
	}
	if colon > n {
		r.repair(RepairedColon)
	}
	end := colon + bytes.IndexByte(b[colon:], '\n') + 1 - r.eol
	value = b[colon+1 : end : end]
	if kind := lookUp(b[:n]).kind; valueSpan(value) < len(value) && (kind == KindContentLength || kind == KindTransferEncoding) {
		return nil, nil, nil, errValue
	}
	r.repairText(value)
	return b[:n:n], trim(value), b[end+r.eol:], nil
}

// repairText replaces the control characters in b by blanks.
func (p *repairer) repairText(b []byte) {
	for i := valueSpan(b); i < len(b); i += valueSpan(b[i:]) {
		p.repair(RepairedControl)
		b[i] = ' '
	}
}

// repairFold replaces the line end before the offset at by blanks. The line at that
// offset continues the line before it.
func (r *Reader) repairFold(at int) {
	r.repair(RepairedFold)
	for i := at - r.eol; i < at; i++ {
		r.unread()[i] = ' '
	}
}

// repairLength handles a Content-Length that is repeated or isn't a plain number. It
// takes a list of equal numbers as one number.
func (f *facts) repairLength(list []byte) *Error {
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
	f.repair(RepairedLengths)
	return nil
}

// repairCoding reports whether a Transfer-Encoding is chunked and may be repaired: it
// ignores empty elements of the list.
func (f *facts) repairCoding(list []byte) bool {
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
	return chunked == 1 && f.repair(RepairedCoding)
}

// repairChunk reports whether the rest of a line after a chunk's size may be repaired:
// it is padding, or an extension whose end is that of the line.
func (p *repairer) repairChunk(ext []byte) bool {
	ext = ext[blanks(ext):]
	return (len(ext) == 0 || ext[0] == ';' && valueSpan(ext) == len(ext)) && p.repair(RepairedChunk)
}

// blanks returns the number of SP and HTAB at the start of b.
func blanks(b []byte) int {
	n := 0
	for n < len(b) && (b[n] == ' ' || b[n] == '\t') {
		n++
	}
	return n
}

// withoutZeros returns digits without leading zeros. It keeps the last digit.
func withoutZeros(digits []byte) []byte {
	for len(digits) > 1 && digits[0] == '0' {
		digits = digits[1:]
	}
	return digits
}
