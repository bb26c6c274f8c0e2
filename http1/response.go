package http1

import "bytes"

var (
	errStatusLine = &Error{400, "a malformed status line (RFC 9112 §4)"}
	errReason     = &Error{400, "a control character in the status line (RFC 9112 §4)"}
	errNoContent  = &Error{400, "a 1xx or 204 response with a body (RFC 9112 §6.1)"}
)

// parseResponse parses a whole head, the first line of which parseLine has
// taken. The errors have a request's status: the
// caller blames the right side.
func (r *Reader) parseResponse(resp *Response, head []byte, toHEAD bool) *Error {
	fields := resp.Fields[:0]
	if fields == nil {
		fields = make([]Field, 0, firstFields)
	}
	n := bytes.IndexByte(head, '\n') + 1
	*resp = Response{Fields: fields, Status: resp.Status, Minor: resp.Minor, Reason: reason(head[:n-2])}
	var err *Error
	if resp.Fields, err = r.parseFields(fields, head[n:]); err != nil {
		return err
	}
	f := &r.facts
	if err := resp.setFraming(f, toHEAD); err != nil {
		return err
	}
	resp.Length = f.length
	resp.Close = resp.Framing == UntilClose || f.closes(resp.Minor)
	resp.Upgrade = resp.Status == 101 && f.upgrade && f.upgrades == 1 && f.webSocket
	return nil
}

// parseLine parses "HTTP-version SP 3DIGIT SP [ reason-phrase ]". The second
// space may be missing, as many a server leaves it out with the reason.
func (resp *Response) parseLine(line []byte) *Error {
	const status, end = len("HTTP/1.1 "), len("HTTP/1.1 200")
	if len(line) < end || line[status-1] != ' ' || span(line[status:end], inDigit) < 3 {
		return errStatusLine
	}
	minor, err := parseVersion(line[:status-1])
	if err != nil {
		return err
	}
	resp.Minor, resp.Status = minor, 0
	for _, c := range line[status:end] {
		resp.Status = resp.Status*10 + int(c-'0')
	}
	if resp.Status < 100 || resp.Status > 599 {
		return errStatusLine
	}
	rest := line[end:]
	if len(rest) > 0 && rest[0] != ' ' {
		return errStatusLine
	}
	if valueSpan(rest) < len(rest) {
		return errReason
	}
	return nil
}

// reason returns the reason-phrase of a status line, which may be empty.
func reason(line []byte) []byte {
	return line[min(len("HTTP/1.1 200 "), len(line)):]
}

// setFraming follows RFC 9112 §6.3. A 1xx or 204 has no body, and what says
// that it had one is refused, for its sender may go on to send it; a harmless
// "Content-Length: 0" isn't forwarded.
func (resp *Response) setFraming(f *facts, toHEAD bool) *Error {
	framing, err := f.framing(resp.Minor)
	if err != nil {
		return err
	}
	switch {
	case resp.Status < 200 || resp.Status == 204:
		if framing == Chunked || f.length > 0 {
			return errNoContent
		}
		drop(resp.Fields, []byte("content-length"))
		f.length = -1
	case toHEAD || resp.Status == 304:
	case framing == NoBody:
		resp.Framing = UntilClose
	default:
		resp.Framing = framing
	}
	return nil
}
