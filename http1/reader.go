package http1

import (
	"bytes"
	"io"
)

// Reader reads the messages of one connection: a head, its body, the next head and so
// on. It owns its buffers. It takes the first from a pool when it waits for the first
// byte. A buffer doesn't grow beyond the size that Limits.Head needs. A Reader isn't
// safe for concurrent use.
type Reader struct {
	window
	repairer
	lim   Limits
	eol   int // the length of the line ends of the section: 2 for CRLF, 1 for LF
	facts facts
	body  Body
	whole int // where the last request begins in the buffer
}

// NewReader returns a Reader of the messages in src.
func NewReader(src io.Reader, lim Limits) *Reader {
	return &Reader{window: window{src: src}, lim: lim.withDefaults()}
}

// Reset makes r read from src as if it were new, with the same Limits.
func (r *Reader) Reset(src io.Reader) {
	r.Release()
	r.src = src
}

// Release returns the buffers to the pool. All slices that r has returned become
// invalid. The caller must call Reset before it reads from r again.
func (r *Reader) Release() {
	r.release()
	r.repairer = repairer{}
	r.facts = facts{}
	r.body = Body{trailers: r.body.trailers[:0]}
}

// Wait blocks until at least one byte is buffered. Its error is that of the source;
// io.EOF is the clean end of the connection. If nothing is buffered, Wait invalidates
// the slices of the last head, so that an idle connection costs at most one small
// buffer.
func (r *Reader) Wait() error {
	if r.Buffered() > 0 {
		return nil
	}
	r.begin()
	return r.fill()
}

// Idle invalidates all slices that r has returned, and frees what its messages have
// made grow, so that an idle connection costs at most one small buffer. The caller
// must not call it while bytes are buffered.
func (r *Reader) Idle() {
	const many = 16
	r.begin()
	if cap(r.body.trailers) > many {
		r.body.trailers = nil
	}
}

// Buffered returns how many bytes can be read without the source.
func (r *Reader) Buffered() int { return r.end - r.at }

// Unread returns the bytes that are buffered after the messages read so far, such as
// the first bytes of a tunnel. r owns them; they are valid until the next use of r.
func (r *Reader) Unread() []byte { return r.unread() }

// ReadAhead reads from the source until the buffer is full or the source returns an
// error, which ReadAhead returns. Bytes that were read before don't move.
func (r *Reader) ReadAhead() error {
	for r.now != nil && r.end < len(r.now.b) {
		n, err := r.src.Read(r.now.b[r.end:])
		r.end += n
		if err != nil {
			return err
		}
	}
	return nil
}

// ReadRequest reads a request head. Its error is io.EOF if the connection ended
// before the first byte, io.ErrUnexpectedEOF if it ended within the head, an *Error if
// the head was refused, and otherwise that of the source. After a temporary error of
// the source, such as a deadline, ReadRequest can be called again.
func (r *Reader) ReadRequest(req *Request) error {
	r.begin()
	r.response = false
	n, err := r.section(requestHead, req.parseLine)
	if err != nil {
		*req = Request{Fields: req.Fields[:0]} // the slices that parseLine has set may be in a buffer that was freed
		return r.readError(err)
	}
	if e := r.parseRequest(req, r.take(n)); e != nil {
		return e
	}
	r.pin, r.whole = r.at, r.at-n
	return nil
}

// Request returns all that has come from the last request on, as it came. It may be called
// after ReadRequest, until something of the body is read. r owns the bytes, as with Unread.
func (r *Reader) Request() []byte { return r.now.b[r.whole:r.end:r.end] }

// BodyBegun reports whether anything was read of the body that Body has returned last. If
// nothing was, Body can return it once more.
func (r *Reader) BodyBegun() bool { return r.body.begun }

// ReadFirst makes r read b before what its source has. r must be new.
func (r *Reader) ReadFirst(b []byte) {
	if len(b) > 0 {
		r.now = getBuffer(max(headBuffer, len(b)))
		r.end = copy(r.now.b, b)
	}
}

// ReadResponse reads a response head. After an interim response (1xx) the caller reads
// the next one. method is the method of the request; the framing depends on it. Errors
// are those of ReadRequest, but an *Error has the Status 502.
func (r *Reader) ReadResponse(resp *Response, method []byte) error {
	r.begin()
	r.response = true
	n, err := r.section(responseHead, func(line []byte) *Error { return r.parseStatusLine(resp, line) })
	if err != nil {
		return r.readError(err)
	}
	if e := r.parseResponse(resp, r.take(n), string(method) == "HEAD"); e != nil {
		return r.forResponse(e)
	}
	r.pin = r.at
	return nil
}

// readError returns the error of ReadRequest and ReadResponse for err: if a head has
// begun, the end of the source is unexpected.
func (r *Reader) readError(err error) error {
	if e, ok := err.(*Error); ok {
		return r.forResponse(e)
	}
	if err == io.EOF && r.Buffered() > 0 {
		return io.ErrUnexpectedEOF
	}
	return err
}

// forResponse returns e for the message that is being read. The client of a malformed
// response gets 502 (Bad Gateway).
func (r *Reader) forResponse(e *Error) *Error {
	if r.response {
		return &Error{Status: 502, Reason: e.Reason}
	}
	return e
}

// A section is a sequence of lines that ends in an empty line.
type section uint8

const (
	requestHead section = iota
	responseHead
	trailerSection
)

// maxEmptyLines is the number of empty lines that are skipped before a head: old
// clients send one after a body (RFC 9112 §2.2), and so do some hosts.
const maxEmptyLines = 2

var (
	errNotRequest   = &Error{400, "a request line begins with a method (RFC 9112 §3)"}
	errNotResponse  = &Error{400, "a status line begins with HTTP/ (RFC 9112 §4)"}
	errEmptyLines   = &Error{400, "empty lines in place of a head (RFC 9112 §2.2)"}
	errBareLF       = &Error{400, "a line ends in LF without CR (RFC 9112 §2.2)"}
	errMixedLF      = &Error{400, "lines of one head end in CRLF and in LF alone (RFC 9112 §2.2)"}
	errTargetLength = &Error{414, "the request line is too long (RFC 9112 §3)"}
	errLineLength   = &Error{431, "a field line is too long (RFC 6585 §5)"}
	errHeadLength   = &Error{431, "the header section is too long (RFC 6585 §5)"}
)

// section reads until a whole section is unread. It returns the section's length,
// which includes the empty line. Of each line but the first it checks only the end and
// the length; the caller then parses the section in memory that doesn't move. Each
// byte is examined once, even if bytes come one by one. A refusal depends only on the
// bytes up to one position, not on the sizes of the reads.
//
// It calls first for the first line of a head as soon as that line is complete: a peer
// that doesn't speak HTTP/1 waits for an answer and sends no empty line.
func (r *Reader) section(s section, first func(line []byte) *Error) (int, error) {
	line, fields, field, skipped := 0, 0, 0, 0
	r.eol = len("\r\n")
	for {
		next, err := r.line(s, line)
		if err != nil {
			return 0, err
		}
		switch {
		case next-line > r.eol && line == 0 && s != trailerSection:
			if err := first(r.unread()[:next-r.eol]); err != nil {
				return 0, err
			}
			line, fields = next, next
		case next-line > r.eol:
			if r.response && line > fields && blanks(r.unread()[line:next]) > 0 {
				r.repairFold(line)
			} else {
				field = line
			}
			if next-field > r.lim.Line+len("\r\n") { // counts all parts of a folded line
				return 0, errLineLength
			}
			line = next
		case line > 0 || s == trailerSection:
			return next, nil
		case skipped < maxEmptyLines && (s == requestHead || r.repair(RepairedEmptyLine)):
			skipped++
			r.take(next)
		default:
			return 0, errEmptyLines
		}
	}
}

// line reads until the line that begins at the offset begin of the unread bytes is
// complete, and returns the offset after it.
func (r *Reader) line(s section, begin int) (int, error) {
	for seen := begin; ; {
		have := r.unread()
		if begin == 0 && len(have) > 0 {
			if err := checkFirstByte(s, have[0]); err != nil {
				return 0, err
			}
		}
		last, end := lineEnd(have, max(seen-1, begin))
		if err := r.checkLength(s, begin, last, end == crlf || end == bareLF); err != nil {
			return 0, err
		}
		switch end {
		case bareCR:
			return 0, errBareCR
		case bareLF, crlf:
			return last + 1, r.checkLineEnd(s, begin, end)
		}
		seen = len(have)
		if err := r.fill(); err != nil {
			return 0, err
		}
	}
}

// checkLineEnd checks the end of a line. The lines of a response head may end in LF
// alone if all of them do. If only some do, the host may have written a user's text
// into a field.
func (r *Reader) checkLineEnd(s section, begin int, end ending) error {
	switch {
	case end == crlf && r.eol == len("\n"):
		return errMixedLF
	case end == crlf || r.eol == len("\n"):
		return nil
	case s == responseHead && begin > 0:
		return errMixedLF
	case s == responseHead && r.repair(RepairedLF):
		r.eol = len("\n")
		return nil
	}
	return errBareLF
}

// An ending is a kind of line end.
type ending uint8

const (
	unended ending = iota
	crlf
	bareLF
	bareCR // a CR without an LF after it
)

// lineEnd searches for the end of a line from b[from] on. It returns the kind of end
// and the offset of its last byte. If there is no end it returns unended and the
// offset of the last byte of b.
func lineEnd(b []byte, from int) (int, ending) {
	last, end := len(b)-1, unended
	if lf := bytes.IndexByte(b[from:], '\n'); lf >= 0 {
		last, end = from+lf, bareLF
	}
	cr := bytes.IndexByte(b[from:last+1], '\r')
	switch {
	case cr < 0 || from+cr == last:
	case from+cr+1 == last && end == bareLF:
		end = crlf
	default:
		last, end = from+cr+1, bareCR
	}
	return last, end
}

// checkFirstByte refuses bytes that can't be HTTP, such as a TLS handshake on a plain
// port, without waiting for the end of the line.
func checkFirstByte(s section, c byte) error {
	switch {
	case s == requestHead && classes[c]&inToken == 0 && c != '\r' && c != '\n':
		return errNotRequest
	case s == responseHead && c != 'H' && c != '\r':
		return errNotResponse
	}
	return nil
}

// checkLength refuses a line that is too long. begin and last are the offsets of its
// first byte and of its LF; if ended is false, last is the last byte received so far.
func (r *Reader) checkLength(s section, begin, last int, ended bool) error {
	tooLong := begin + r.lim.Line + 1 // the byte here isn't the CR any more
	switch {
	case ended && last <= tooLong && last < r.lim.Head:
		return nil
	case last >= tooLong && tooLong < r.lim.Head:
		if begin == 0 && s == requestHead {
			return errTargetLength
		}
		return errLineLength
	case last >= r.lim.Head-1 && begin == 0 && s == requestHead:
		return errTargetLength
	case last >= r.lim.Head-1:
		return errHeadLength
	}
	return nil
}
