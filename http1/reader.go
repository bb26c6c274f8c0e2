package http1

import (
	"bytes"
	"io"
)

// Reader reads the messages of one connection, in turn heads and bodies. It
// owns its buffers, which come from a pool when the first byte is awaited and
// grow no further than Limits.Head asks for. Not safe for concurrent use.
type Reader struct {
	window
	mender
	lim   Limits
	eol   int // the length of what ends a line of the section: CRLF, or LF alone
	facts facts
	body  Body
}

// NewReader returns a Reader of the messages that come from src.
func NewReader(src io.Reader, lim Limits) *Reader {
	return &Reader{window: window{src: src}, lim: lim.withDefaults()}
}

// Reset makes r read from src as if it were new, with the same Limits.
func (r *Reader) Reset(src io.Reader) {
	r.Release()
	r.src = src
}

// Release gives the buffers back: all slices that came from r are void. Until
// a Reset, r must not be read from.
func (r *Reader) Release() {
	r.release()
	r.mender = mender{}
	r.facts = facts{}
	r.body = Body{trailers: r.body.trailers[:0]}
}

// Wait blocks until at least one byte is buffered. Its error is the source's:
// io.EOF is the clean end of the connection. With nothing buffered, Wait ends
// the life of the last head's slices, so that an idle connection costs no more
// than one small buffer.
func (r *Reader) Wait() error {
	if r.Buffered() > 0 {
		return nil
	}
	r.begin()
	return r.fill()
}

// Idle ends the life of all slices that came from r, and gives back what its
// messages have made grow, so that an idle connection costs no more than one small
// buffer. Nothing may be buffered.
func (r *Reader) Idle() {
	const many = 16
	r.begin()
	if cap(r.body.trailers) > many {
		r.body.trailers = nil
	}
}

// Buffered returns how many bytes can be read without the source.
func (r *Reader) Buffered() int { return r.end - r.at }

// Unread returns what is buffered beyond the messages read so far: the early
// bytes of a tunnel. They stay r's, and valid until its next use or Release.
func (r *Reader) Unread() []byte { return r.unread() }

// ReadAhead reads from the source behind what is buffered, until there is no more
// room or the source returns an error, which is ReadAhead's. Whatever else was read
// stays where it is.
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

// ReadRequest reads a request head. Its error is io.EOF if the connection
// ended before the first byte, io.ErrUnexpectedEOF if it ended amid the head,
// an *Error if the head was refused, and else the source's; after an error of
// the source that passes, such as a deadline, ReadRequest can be called again.
func (r *Reader) ReadRequest(req *Request) error {
	r.begin()
	r.response = false
	n, err := r.section(requestHead, req.parseLine)
	if err != nil {
		*req = Request{Fields: req.Fields[:0]} // what parseLine found is gone with the buffer
		return r.readError(err)
	}
	if e := r.parseRequest(req, r.take(n)); e != nil {
		return e
	}
	r.pin = r.at
	return nil
}

// ReadResponse reads a response head, and any response counts: after an
// interim one (1xx) the caller reads again. The method of the request decides
// on the framing. Errors are as those of ReadRequest, with Status 502.
func (r *Reader) ReadResponse(resp *Response, method []byte) error {
	r.begin()
	r.response = true
	n, err := r.section(responseHead, func(line []byte) *Error { return r.parseStatusLine(resp, line) })
	if err != nil {
		return r.readError(err)
	}
	if e := r.parseResponse(resp, r.take(n), string(method) == "HEAD"); e != nil {
		return r.blame(e)
	}
	r.pin = r.at
	return nil
}

// readError turns the source's EOF into an unexpected one if a head had begun.
func (r *Reader) readError(err error) error {
	if e, ok := err.(*Error); ok {
		return r.blame(e)
	}
	if err == io.EOF && r.Buffered() > 0 {
		return io.ErrUnexpectedEOF
	}
	return err
}

// blame makes an error in a response what it is to the client: a bad gateway.
func (r *Reader) blame(e *Error) *Error {
	if r.response {
		return &Error{Status: 502, Reason: e.Reason}
	}
	return e
}

// A section is a run of lines that an empty line ends.
type section uint8

const (
	requestHead section = iota
	responseHead
	trailerSection
)

// maxEmptyLines is how many empty lines before a head are skipped: clients of old
// send one after a body (RFC 9112 §2.2), and so do some hosts.
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

// section reads until a whole section is unread and returns its length, with
// the empty line. Of all but the first line it checks the end and the length
// only, so that the parser has one pass over memory that doesn't move. Each byte is
// looked at once, however slowly it comes, and every refusal depends on the
// bytes up to one position only, not on how they were cut up on their way.
//
// The first line of a head is parsed as soon as it has ended: who doesn't speak
// HTTP/1 waits for an answer to it, and not behind an empty line.
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
				r.mendFold(line)
			} else {
				field = line
			}
			if next-field > r.lim.Line+len("\r\n") { // of a folded line the parts together
				return 0, errLineLength
			}
			line = next
		case line > 0 || s == trailerSection:
			return next, nil
		case skipped < maxEmptyLines && (s == requestHead || r.mends(RepairedEmptyLine)):
			skipped++
			r.take(next)
		default:
			return 0, errEmptyLines
		}
	}
}

// line reads until the line that begins at the given offset of what is unread
// is there as a whole, and returns the offset behind it.
func (r *Reader) line(s section, begin int) (int, error) {
	for seen := begin; ; {
		have := r.unread()
		if begin == 0 && len(have) > 0 {
			if err := checkFirst(s, have[0]); err != nil {
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
			return last + 1, r.noteEnd(s, begin, end)
		}
		seen = len(have)
		if err := r.fill(); err != nil {
			return 0, err
		}
	}
}

// noteEnd judges what ends a line. A response may have LF alone, if all lines of
// its head have: where only some have, a host may have put into one field what a
// user wrote.
func (r *Reader) noteEnd(s section, begin int, end ending) error {
	switch {
	case end == crlf && r.eol == len("\n"):
		return errMixedLF
	case end == crlf || r.eol == len("\n"):
		return nil
	case s == responseHead && begin > 0:
		return errMixedLF
	case s == responseHead && r.mends(RepairedLF):
		r.eol = len("\n")
		return nil
	}
	return errBareLF
}

// An ending is what ends a line.
type ending uint8

const (
	unended ending = iota
	crlf
	bareLF
	bareCR // a CR, and not an LF behind it
)

// lineEnd looks for the end of a line from b[from] on, and returns the offset
// of the byte that settles it, which is the last one if nothing does.
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

// checkFirst refuses at once what can't be HTTP, such as a TLS handshake on a
// plain port, instead of waiting for the end of a line.
func checkFirst(s section, c byte) error {
	switch {
	case s == requestHead && classes[c]&inToken == 0 && c != '\r' && c != '\n':
		return errNotRequest
	case s == responseHead && c != 'H' && c != '\r':
		return errNotResponse
	}
	return nil
}

// checkLength judges a line that reaches from begin to last, which is its LF
// if ended is true, or else the last byte that has come so far.
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
