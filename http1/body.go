package http1

import (
	"bytes"
	"io"
	"math"
)

// Body is the body that follows the last head. Its Reader owns it.
type Body struct {
	r        *Reader
	framing  Framing
	step     step
	left     int64 // bytes to come: of the body, or of the current chunk
	overhead int   // bytes of chunk lines beyond what the data so far allows
	begun    bool  // something of it was taken from the Reader
	trailers []Field
	err      error // an *Error or io.ErrUnexpectedEOF, which every Next repeats
}

// A step is the place of the next byte in a chunked body. Other framings use only
// atData and atEnd.
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

// Body returns the body after the last head. f and length are the framing of that head.
// The Body is valid until the next call of this method.
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

// Next returns the next data of the body, at least one byte, as a slice of the Reader's
// buffer that is valid until the next call. It doesn't read from the source while data
// is buffered. Its error is io.EOF at the end of the body, io.ErrUnexpectedEOF if the
// source ended before, an *Error for malformed chunks, and otherwise that of the
// source. After an error of the source it can be called again.
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
		err = b.r.forResponse(e)
		b.err = err
	}
	return nil, err
}

// Done reports whether the whole body has been returned.
func (b *Body) Done() bool { return b.step == atEnd }

// Ahead returns how many of the next bytes of the source are known to be data of the
// body, without framing. It is 0 while data is buffered. The caller may read these
// bytes directly from the source, and must then call Took.
func (b *Body) Ahead() int64 {
	if b.framing != Length || b.err != nil || b.r.Buffered() > 0 || b.r.window.err != nil {
		return 0
	}
	return b.left
}

// Took tells b that the caller has read n bytes, at most Ahead, from the source.
func (b *Body) Took(n int64) {
	if b.left -= n; b.left == 0 {
		b.step = atEnd
	}
}

// Trailers returns the trailer fields after Next has returned io.EOF. They are valid as
// long as the slices of a head. Fields that aren't allowed in trailers (RFC 9110
// §6.5.1) are left out. Fields that Connection of the head names have Hop set.
func (b *Body) Trailers() []Field { return b.trailers }

// advance takes steps until a step returns data or an error.
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
		b.begun = b.begun || err == nil
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
	errChunkSize     = &Error{400, "a malformed chunk size (RFC 9112 §7.1)"}
	errChunkBig      = &Error{400, "a chunk size that is too large (RFC 9112 §7.1)"}
	errChunkExt      = &Error{400, "a malformed chunk extension (RFC 9112 §7.1.1)"}
	errChunkLine     = &Error{400, "a chunk extension that is too long (RFC 9112 §7.1.1)"}
	errChunkOverhead = &Error{400, "more chunk extensions than data (RFC 9112 §7.1.1)"}
	errChunkEnd      = &Error{400, "chunk data without CRLF after it (RFC 9112 §7.1)"}
)

// Bounds of a chunk's first line.
const (
	maxSizeDigits = 16
	maxChunkLine  = 256 // with its CRLF

	// Small chunks with long extensions cost a receiver much for little data. A line
	// of fairChunkLine bytes, and two more bytes for each byte of data, don't count as
	// overhead.
	fairChunkLine    = 14
	maxChunkOverhead = 16 << 10
)

// readSize reads the line that begins a chunk.
func (b *Body) readSize() error {
	line, err := b.sizeLine()
	if err != nil {
		return err
	}
	n := span(line, inHex)
	digits := line[:n]
	if n > maxSizeDigits && b.r.repair(RepairedChunk) {
		digits = withoutZeros(digits)
	}
	if n == 0 || len(digits) > maxSizeDigits {
		return errChunkSize
	}
	length := parseHex(digits)
	if length > math.MaxInt64 {
		return errChunkBig
	}
	if err := checkExtensions(line[n:]); err != nil && !b.r.repairChunk(line[n:]) {
		return err
	}
	if b.overhead = max(0, b.overhead+len(line)-fairChunkLine-int(min(2*length, 2*maxChunkOverhead))); b.overhead > maxChunkOverhead {
		return errChunkOverhead
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

// checkExtensions checks *( ";" name [ "=" value ] ). It refuses the bad white space
// that the RFC tolerates, since receivers treat it in different ways.
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

// readDataEnd reads the CRLF after a chunk's data.
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

// readTrailers reads the section after the last chunk. The limits are those of a head.
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
			name, value, rest, e = b.r.repairField(line, e)
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
	b.r.facts.markNamed(b.trailers)
	b.step = atEnd
	return nil
}
