package http1

import "bytes"

var (
	errStatusLine = &Error{400, "a malformed status line (RFC 9112 §4)"}
	errNoContent  = &Error{400, "an interim response with a body (RFC 9112 §6.3)"}
)

// parseResponse parses a whole head. parseStatusLine has already parsed the first
// line. The errors have the status for a request; the caller changes it (forResponse).
func (r *Reader) parseResponse(resp *Response, head []byte, toHEAD bool) *Error {
	fields := resp.Fields[:0]
	if fields == nil {
		fields = make([]Field, 0, firstFields)
	}
	n := bytes.IndexByte(head, '\n') + 1
	line := head[:n-r.eol]
	reason := line[len(line)-len(resp.Reason):] // set by parseStatusLine; the head may have moved since
	*resp = Response{Fields: fields, Status: resp.Status, Minor: resp.Minor, Reason: reason}
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
	if resp.Status == 101 {
		resp.Upgrade = f.offered()
	}
	return nil
}

// parseStatusLine parses "HTTP-version SP 3DIGIT SP [ reason-phrase ]". The second
// space may be missing, since many servers leave it out together with the reason.
func (r *Reader) parseStatusLine(resp *Response, line []byte) *Error {
	const version, digits = len("HTTP/1.1"), len("200")
	if len(line) <= version {
		return errStatusLine
	}
	minor, err := r.parseStatusVersion(line[:version])
	if err != nil {
		return err
	}
	rest := line[version:]
	n := blanks(rest)
	if n == 0 || (n > 1 || rest[0] != ' ') && !r.repair(RepairedStatusLine) {
		return errStatusLine
	}
	rest = rest[n:]
	if span(rest[:min(digits, len(rest))], inDigit) < digits || rest[0] == '0' {
		return errStatusLine
	}
	resp.Minor, resp.Status = minor, int(rest[0]-'0')*100+int(rest[1]-'0')*10+int(rest[2]-'0')
	return r.parseReason(resp, rest[digits:])
}

// parseStatusVersion parses the version of a status line. Versions above 1.1 are
// repaired: they are read as HTTP/1.1.
func (r *Reader) parseStatusVersion(v []byte) (minor int, err *Error) {
	minor, err = parseVersion(v)
	if err == errOldNew && v[5] != '0' && r.repair(RepairedVersion) {
		return 1, nil
	}
	return minor, err
}

// parseReason parses "[ SP reason-phrase ]", the end of a status line.
func (r *Reader) parseReason(resp *Response, rest []byte) *Error {
	resp.Reason = nil
	if len(rest) == 0 {
		return nil
	}
	if rest[0] != ' ' && (rest[0] != '\t' || !r.repair(RepairedStatusLine)) {
		return errStatusLine
	}
	r.repairText(rest)
	resp.Reason = rest[1:]
	return nil
}

// setFraming follows RFC 9112 §6.3. A 1xx or 204 has no body. An interim response that
// declares a body is refused, since the sender may send that body before the final
// response. A "Content-Length: 0" is harmless, and isn't forwarded.
func (resp *Response) setFraming(f *facts, toHEAD bool) *Error {
	framing, err := f.framing(resp.Minor)
	if err != nil {
		return err
	}
	if framing == Chunked {
		f.length = -1
	}
	switch {
	case resp.Status < 200 || resp.Status == 204:
		declared := framing == Chunked || f.length > 0
		if declared && (resp.Status != 101 && resp.Status != 204 || !f.repair(RepairedNoContent)) {
			return errNoContent
		}
		markHop(resp.Fields, []byte("content-length"))
		f.length = -1
	case toHEAD || resp.Status == 304:
	case framing == NoBody:
		resp.Framing = UntilClose
	default:
		resp.Framing = framing
	}
	return nil
}
