package http1

import (
	"bytes"
	"io"
	"math"
)

// Body is the body that follows the head read last. It belongs to its Reader.
type Body struct {
	r        *Reader
	framing  Framing
	step     step
	left     int64 // bytes to come: of the body, or of the current chunk
	waste    int   // bytes of chunked framing that the data so far doesn't justify
	trailers []Field
	err      error // an *Error or io.ErrUnexpectedEOF, which every Next repeats
}

// A step is where in a chunked body the next byte stands. The other framings
// know only atData and atEnd.
//
//	atSize → atData → atDataEnd → atSize → … → atTrailer → atEnd
type step uint8

const (
	atData step = iota
	atDataEnd
	atSize
	atTrailer
	atEnd
)

// Body returns the body that begins where the last head ended, framed as the
// head said. It is valid until the next call of Body.
func (r *Reader) Body(f Framing, length int64) *Body {
	b := &r.body
	*b = Body{r: r, framing: f, trailers: b.trailers[:0]}
	switch {
	case f == Chunked:
		b.step = atSize
	case f == Length && length > 0:
		b.left = length
	case f == UntilClose:
		b.left = math.MaxInt64
	default:
		b.step = atEnd
	}
	return b
}

// Next returns the next data of the body, at least one byte, as a slice of
// the Reader's buffer that is valid until the next call. It doesn't read from
// the source while data is buffered. At the clean end it returns io.EOF, at an
// early one io.ErrUnexpectedEOF, for malformed chunks an *Error, and else the
// source's error, after which it can be called again.
func (b *Body) Next() ([]byte, error) {
	if b.err != nil {
		return nil, b.err
	}
	part, err := b.advance()
	if err == nil || err == io.EOF && b.step == atEnd {
		return part, err
	}
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
		b.err = err
	} else if e, ok := err.(*Error); ok {
		err = b.r.blame(e)
		b.err = err
	}
	return nil, err
}

// Done reports whether the whole body has been returned.
func (b *Body) Done() bool { return b.step == atEnd }

// Ahead returns how many bytes the source will give that are the body's as they
// are, without any framing, as far as that is known; 0 while some of them are
// buffered. A caller may take them from the source itself, and tell Took.
func (b *Body) Ahead() int64 {
	if b.framing != Length || b.err != nil || b.r.Buffered() > 0 || b.r.window.err != nil {
		return 0
	}
	return b.left
}

// Took tells that n bytes, at most Ahead, were taken from the source.
func (b *Body) Took(n int64) {
	if b.left -= n; b.left == 0 {
		b.step = atEnd
	}
}

// Trailers returns the trailer fields, once Next has returned io.EOF. They
// live as long as the slices of a head. Fields that must not come in trailers
// (RFC 9110 §6.5.1) are left out; those that the head's Connection named are
// marked.
func (b *Body) Trailers() []Field { return b.trailers }

// advance takes steps until one of them has data.
func (b *Body) advance() (part []byte, err error) {
	for err == nil && part == nil {
		switch b.step {
		case atSize:
			err = b.readSize()
		case atData:
			part, err = b.readData()
		case atDataEnd:
			err = b.readDataEnd()
		case atTrailer:
			err = b.readTrailers()
		case atEnd:
			err = io.EOF
		}
	}
	return part, err
}

func (b *Body) readData() ([]byte, error) {
	r := b.r
	if r.Buffered() == 0 {
		if err := r.fillBody(b.left); err != nil {
			if err == io.EOF && b.framing == UntilClose {
				b.step = atEnd
			}
			return nil, err
		}
	}
	n := min(b.left, int64(r.Buffered()))
	if b.framing != UntilClose {
		b.left -= n
	}
	if b.left == 0 {
		b.step = atEnd
		if b.framing == Chunked {
			b.step = atDataEnd
		}
	}
	return r.take(int(n)), nil
}

var (
	errChunkSize  = &Error{400, "a malformed chunk size (RFC 9112 §7.1)"}
	errChunkBig   = &Error{400, "a chunk size beyond all bounds (RFC 9112 §7.1)"}
	errChunkExt   = &Error{400, "a malformed chunk extension (RFC 9112 §7.1.1)"}
	errChunkLine  = &Error{400, "a chunk extension that is too long (RFC 9112 §7.1.1)"}
	errChunkWaste = &Error{400, "more chunk extensions than data (RFC 9112 §7.1.1)"}
	errChunkEnd   = &Error{400, "chunk data without CRLF behind it (RFC 9112 §7.1)"}
)

// Bounds of a chunk's first line.
const (
	maxSizeDigits = 16
	maxChunkLine  = 256 // with its CRLF

	// Small chunks with long extensions cost a receiver much and bring it
	// nothing. A line of fairChunkLine and two bytes for each of data are free.
	fairChunkLine = 14
	maxChunkWaste = 16 << 10
)

// readSize reads the line that begins a chunk.
func (b *Body) readSize() error {
	line, err := b.sizeLine()
	if err != nil {
		return err
	}
	n := span(line, inHex)
	digits := line[:n]
	if n > maxSizeDigits && b.r.mends(RepairedChunk) {
		digits = withoutZeros(digits)
	}
	if n == 0 || len(digits) > maxSizeDigits {
		return errChunkSize
	}
	length := parseHex(digits)
	if length > math.MaxInt64 {
		return errChunkBig
	}
	if err := checkExtensions(line[n:]); err != nil && !b.r.mendChunk(line[n:]) {
		return err
	}
	if b.waste = max(0, b.waste+len(line)-fairChunkLine-int(min(2*length, 2*maxChunkWaste))); b.waste > maxChunkWaste {
		return errChunkWaste
	}
	b.left, b.step = int64(length), atData
	if length == 0 {
		b.step = atTrailer
	}
	return nil
}

// sizeLine returns the next line without its CRLF.
func (b *Body) sizeLine() ([]byte, error) {
	for {
		have := b.r.unread()
		have = have[:min(len(have), maxChunkLine)]
		if n := bytes.IndexByte(have, '\n') + 1; n > 0 {
			if n < 2 || have[n-2] != '\r' {
				return nil, errBareLF
			}
			return b.r.take(n)[:n-2], nil
		}
		if len(have) == maxChunkLine {
			return nil, errChunkLine
		}
		if err := b.r.fillBody(maxChunkLine); err != nil {
			return nil, err
		}
	}
}

// parseHex parses up to sixteen hexadecimal digits.
func parseHex(digits []byte) uint64 {
	var n uint64
	for _, c := range digits {
		d := c - '0'
		if d > 9 {
			d = c&0xf + 9
		}
		n = n<<4 | uint64(d)
	}
	return n
}

// checkExtensions checks *( ";" name [ "=" value ] ). The bad white space that
// the RFC puts up with is refused: receivers differ in where they find it.
func checkExtensions(ext []byte) error {
	for len(ext) > 0 {
		n := span(ext[1:], inToken) + 1
		if ext[0] != ';' || n == 1 {
			return errChunkExt
		}
		ext = ext[n:]
		if len(ext) == 0 || ext[0] != '=' {
			continue
		}
		if n = valueLength(ext[1:]); n == 0 {
			return errChunkExt
		}
		ext = ext[1+n:]
	}
	return nil
}

// valueLength returns the length of the token or quoted-string at the start
// of b, or 0.
func valueLength(b []byte) int {
	if len(b) == 0 || b[0] != '"' {
		return span(b, inToken)
	}
	for i := 1; i < len(b) && classes[b[i]]&inValue != 0; i++ {
		switch {
		case b[i] == '"':
			return i + 1
		case b[i] == '\\' && i+1 < len(b) && classes[b[i+1]]&inValue != 0:
			i++
		}
	}
	return 0
}

// readDataEnd reads the CRLF behind a chunk's data.
func (b *Body) readDataEnd() error {
	for {
		have := b.r.unread()
		switch {
		case len(have) > 0 && have[0] != '\r', len(have) > 1 && have[1] != '\n':
			return errChunkEnd
		case len(have) > 1:
			b.r.take(2)
			b.step = atSize
			return nil
		}
		if err := b.r.fillBody(2); err != nil {
			return err
		}
	}
}

// readTrailers reads the section behind the last chunk. It is held to the
// limits of a head.
func (b *Body) readTrailers() error {
	n, err := b.r.section(trailerSection, nil)
	if err != nil {
		return err
	}
	for rest := b.r.take(n); len(rest) > 2; {
		var name, value []byte
		var e *Error
		line := rest
		if name, value, rest, e = parseField(line); e != nil {
			name, value, rest, e = b.r.mendField(line, e)
		}
		if e != nil {
			return e
		}
		if len(b.trailers) == b.r.lim.Fields {
			return errFields
		}
		if !lookUp(name).known {
			b.trailers = append(b.trailers, Field{Name: name, Value: value})
		}
	}
	b.r.facts.dropNamed(b.trailers)
	b.step = atEnd
	return nil
}
