package http1

import (
	"bytes"
	"math"
)

// facts holds the values of the special fields of a head. parseFields collects them.
type facts struct {
	*repairer

	hosts int
	host  []byte
	bodyFields
	connection
	handshake
	expects    bool // Expect: 100-continue
	expectsBad bool // any other Expect
}

// bodyFields are the fields that say where a body ends.
type bodyFields struct {
	lengths int
	length  int64 // -1 without Content-Length
	codings int   // Transfer-Encoding fields, each of them exactly "chunked"
}

// connection is what the Connection fields say.
type connection struct {
	close, keepAlive, upgrade bool // options of Connection
	named                     int  // the number of other options of Connection
	connections               int
	options                   [maxConnections][]byte // the values of the Connection fields
}

// handshake are the fields of a WebSocket handshake.
type handshake struct {
	upgrades        int
	protocol        []byte // the value of the last Upgrade
	keys, versions  int    // Sec-WebSocket-Key, -Version
	goodKey, good13 bool
}

var (
	errFields      = &Error{431, "too many field lines (RFC 6585 §5)"}
	errFold        = &Error{400, "a field line begins with white space (RFC 9112 §5.2)"}
	errNoName      = &Error{400, "a field line without a name (RFC 9112 §5)"}
	errName        = &Error{400, "a bad character in a field name, or no colon (RFC 9112 §5)"}
	errColon       = &Error{400, "white space before a field's colon (RFC 9112 §5.1)"}
	errBareCR      = &Error{400, "a CR without LF (RFC 9112 §2.2)"}
	errValue       = &Error{400, "a control character in a field value (RFC 9110 §5.5)"}
	errLength      = &Error{400, "a Content-Length that isn't a plain number (RFC 9110 §8.6)"}
	errLengthTwice = &Error{400, "more than one Content-Length (RFC 9112 §6.3)"}
	errCoding      = &Error{400, "a Transfer-Encoding other than chunked (RFC 9112 §6.1)"}
	errCodingTwice = &Error{400, "more than one Transfer-Encoding (RFC 9112 §6.1)"}
	errCodingAndCL = &Error{400, "both Transfer-Encoding and Content-Length (RFC 9112 §6.3)"}
	errCodingIn10  = &Error{400, "Transfer-Encoding in HTTP/1.0 (RFC 9112 §6.1)"}
	errOption      = &Error{400, "a Connection option that isn't a token (RFC 9110 §7.6.1)"}
	errManyOptions = &Error{400, "too many Connection options"}
)

// Bounds of the Connection fields and of the names in them. They are needed because
// each name is compared with all fields of the message.
const (
	maxConnections = 4
	maxNamed       = 32
)

// parseFields appends the fields of the section b to dst, and sets r.facts. b ends in
// the empty line.
func (r *Reader) parseFields(dst []Field, b []byte) ([]Field, *Error) {
	f := &r.facts
	*f = facts{repairer: &r.repairer, bodyFields: bodyFields{length: -1}}
	for len(b) > r.eol {
		if len(dst) == r.lim.Fields {
			return dst, errFields
		}
		name, value, rest, err := parseField(b)
		if err != nil {
			name, value, rest, err = r.repairField(b, err)
		}
		if err != nil {
			return dst, err
		}
		b = rest
		t := lookUp(name)
		dst = append(dst, Field{Name: name, Value: value, Kind: t.kind, Hop: t.hop})
		if err := f.note(t.kind, value); err != nil {
			return dst, err
		}
	}
	f.markNamed(dst)
	return dst, nil
}

// parseField parses the first line of b. b must have a line that ends in CRLF.
func parseField(b []byte) (name, value, rest []byte, err *Error) {
	colon := span(b, inToken)
	if b[colon] != ':' || colon == 0 {
		return nil, nil, nil, nameError(b, colon)
	}
	value = b[colon+1:]
	n := valueSpan(value)
	if value[n] != '\r' { // only the end of the line has a CR
		return nil, nil, nil, errValue
	}
	return b[:colon:colon], trim(value[:n:n]), value[n+2:], nil
}

// nameError returns the error for a malformed line whose name ends at b[end].
func nameError(b []byte, end int) *Error {
	blank := b[end] == ' ' || b[end] == '\t'
	switch {
	case blank && end == 0:
		return errFold
	case b[end] == ':':
		return errNoName
	case blank:
		return errColon
	}
	return errName
}

// note adds one special field to the facts. It refuses values that no message may have.
func (f *facts) note(k Kind, value []byte) *Error {
	switch k {
	case KindHost:
		f.hosts++
		f.host = value
	case KindContentLength:
		return f.noteLength(value)
	case KindTransferEncoding:
		return f.noteCoding(value)
	case KindConnection:
		return f.noteOptions(value)
	case KindUpgrade:
		f.upgrades++
		f.protocol = value
	case KindExpect:
		if EqualFold(value, "100-continue") {
			f.expects = true
		} else {
			f.expectsBad = true
		}
	case KindSecWebSocketKey:
		f.keys++
		f.goodKey = validKey(value)
	case KindSecWebSocketVersion:
		f.versions++
		f.good13 = string(value) == "13"
	}
	return nil
}

func (f *facts) noteLength(value []byte) *Error {
	f.lengths++
	n, ok := parseLength(value)
	if !ok || f.lengths > 1 {
		return f.repairLength(value)
	}
	f.length = n
	return nil
}

// parseLength parses one to nineteen digits that fit an int64.
func parseLength(value []byte) (int64, bool) {
	if len(value) == 0 || len(value) > 19 || span(value, inDigit) < len(value) {
		return 0, false
	}
	var n uint64 // nineteen digits fit
	for _, c := range value {
		n = n*10 + uint64(c-'0')
	}
	return int64(n), n <= math.MaxInt64
}

func (f *facts) noteCoding(value []byte) *Error {
	if f.codings++; f.codings > 1 {
		return errCodingTwice
	}
	if !EqualFold(value, "chunked") && !f.repairCoding(value) {
		return errCoding
	}
	return nil
}

func (f *facts) noteOptions(list []byte) *Error {
	if f.connections == maxConnections {
		return errManyOptions
	}
	f.options[f.connections] = list
	f.connections++
	for len(list) > 0 {
		var option []byte
		option, list = nextElement(list)
		switch {
		case len(option) == 0: // RFC 9110 §5.6.1.2
		case !isToken(option):
			if !f.repair(RepairedOption) {
				return errOption
			}
		case EqualFold(option, "close"):
			f.close = true
		case EqualFold(option, "keep-alive"):
			f.keepAlive = true
		case EqualFold(option, "upgrade"):
			f.upgrade = true
		default:
			f.named++
		}
	}
	if f.named > maxNamed {
		return errManyOptions
	}
	return nil
}

// markNamed sets Hop for the fields that Connection names. Known fields keep their
// Hop, since Connection must not name end-to-end fields.
func (f *facts) markNamed(fields []Field) {
	if f.named == 0 {
		return
	}
	for _, list := range f.options[:f.connections] {
		for len(list) > 0 {
			var option []byte
			option, list = nextElement(list)
			if len(option) > 0 && !lookUp(option).known {
				markHop(fields, option)
			}
		}
	}
}

// markHop sets Hop for the fields with that name.
func markHop(fields []Field, name []byte) {
	for i := range fields {
		if sameFold(fields[i].Name, name) {
			fields[i].Hop = true
		}
	}
}

// framing returns the framing that the fields declare. It is NoBody if no field
// declares one.
func (f *facts) framing(minor int) (Framing, *Error) {
	switch {
	case f.codings > 0 && minor == 0 && !f.repair(RepairedCodingIn10):
		return NoBody, errCodingIn10
	case f.codings > 0 && f.lengths > 0 && !f.repair(RepairedBoth):
		return NoBody, errCodingAndCL
	case f.codings > 0:
		return Chunked, nil
	case f.lengths > 0:
		return Length, nil
	}
	return NoBody, nil
}

// closes reports whether the connection ends after the message (RFC 9112 §9.3).
func (f *facts) closes(minor int) bool {
	return f.close || minor == 0 && !f.keepAlive
}

// validKey reports whether key is sixteen bytes in base64 (RFC 6455 §4.2.1).
func validKey(key []byte) bool {
	if len(key) != 24 || string(key[22:]) != "==" {
		return false
	}
	return span(key[:22], inBase64) == 22
}

// FieldValue returns the value of the first field with that name, in any case. It
// returns nil if there is none.
func FieldValue(fields []Field, name string) []byte {
	for i := range fields {
		if len(fields[i].Name) == len(name) && bytes.EqualFold(fields[i].Name, []byte(name)) {
			return fields[i].Value
		}
	}
	return nil
}
