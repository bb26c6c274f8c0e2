package http1

import (
	"bytes"
	"net/netip"
)

var (
	errRequestLine = &Error{400, "a malformed request line (RFC 9112 §3)"}
	errVersion     = &Error{400, "a malformed HTTP version (RFC 9112 §2.3)"}
	errOldNew      = &Error{505, "an HTTP version other than 1.0 and 1.1 (RFC 9110 §15.6.6)"}
	errTrace       = &Error{400, "TRACE with a body (RFC 9110 §9.3.8)"}
	errPRI         = &Error{400, "PRI isn't for requests (RFC 9113 §11.6)"}
	errConnect     = &Error{501, "CONNECT isn't supported (RFC 9110 §9.3.6)"}
	errTargetByte  = &Error{400, "a bad character in the request target (RFC 9112 §3.2)"}
	errTargetForm  = &Error{400, "a request target of no known form (RFC 9112 §3.2)"}
	errEscape      = &Error{400, "a bad percent-encoding in the path (RFC 3986 §2.1)"}
	errNUL         = &Error{400, "an encoded NUL in the path (RFC 3986 §7.3)"}
	errScheme      = &Error{400, "a target scheme other than http and https (RFC 9112 §3.2.2)"}
	errAuthority   = &Error{400, "a target authority that differs from Host (RFC 9112 §3.2.2)"}
	errNoHost      = &Error{400, "no Host (RFC 9112 §3.2)"}
	errHosts       = &Error{400, "more than one Host (RFC 9112 §3.2)"}
	errHost        = &Error{400, "a malformed Host (RFC 9110 §7.2)"}
	errExpect      = &Error{417, "an expectation other than 100-continue (RFC 9110 §10.1.1)"}
	errWSMethod    = &Error{400, "a WebSocket handshake needs GET in HTTP/1.1 (RFC 6455 §4.2.1)"}
	errWSBody      = &Error{400, "a WebSocket handshake with a body (RFC 6455 §4.2.1)"}
	errWSKey       = &Error{400, "a WebSocket handshake needs one Sec-WebSocket-Key of 16 bytes (RFC 6455 §4.2.1)"}
	errWSNoVersion = &Error{400, "a WebSocket handshake needs one Sec-WebSocket-Version (RFC 6455 §4.2.1)"}
	errWSVersion   = &Error{426, "a WebSocket version other than 13 (RFC 6455 §4.2.2)"}
)

// firstFields is the initial capacity of the Fields of a Request or Response.
const firstFields = 16

// parseRequest parses a whole head, including its empty line. parseLine has already
// parsed the first line.
func (r *Reader) parseRequest(req *Request, head []byte) *Error {
	fields := req.Fields[:0]
	if fields == nil {
		fields = make([]Field, 0, firstFields)
	}
	m, t := len(req.Method), len(req.Target) // set by parseLine; the head may have moved since
	*req = Request{Fields: fields, Method: head[:m:m], Target: head[m+1 : m+1+t : m+1+t], Minor: req.Minor}
	n := m + t + len("  HTTP/1.1\r\n")
	var err *Error
	if req.Fields, err = r.parseFields(fields, head[n:]); err != nil {
		return err
	}
	f := &r.facts
	authority, err := req.parseTarget()
	if err != nil {
		return err
	}
	if err := req.setHost(f, authority); err != nil {
		return err
	}
	if req.Framing, err = f.framing(req.Minor); err != nil {
		return err
	}
	req.Length = max(f.length, 0)
	if (req.Framing == Chunked || req.Length > 0) && string(req.Method) == "TRACE" {
		return errTrace
	}
	req.Close = f.closes(req.Minor)
	if err := req.setExpect(f); err != nil {
		return err
	}
	return req.setUpgrade(f)
}

// parseLine parses "method SP request-target SP HTTP-version".
func (req *Request) parseLine(line []byte) *Error {
	sp := span(line, inToken)
	if sp == 0 || sp == len(line) || line[sp] != ' ' {
		return errRequestLine
	}
	req.Method = line[:sp:sp]
	rest := line[sp+1:]
	n := span(rest, inTarget)
	if n == len(rest) || n == 0 {
		return errRequestLine
	}
	if rest[n] != ' ' {
		return errTargetByte
	}
	req.Target = rest[:n:n]
	minor, err := parseVersion(rest[n+1:])
	req.Minor = minor
	return err
}

// parseVersion parses HTTP-name "/" DIGIT "." DIGIT.
func parseVersion(v []byte) (minor int, err *Error) {
	switch {
	case string(v) == "HTTP/1.1":
		return 1, nil
	case string(v) == "HTTP/1.0":
		return 0, nil
	case len(v) == 8 && string(v[:5]) == "HTTP/" && v[6] == '.' &&
		classes[v[5]]&classes[v[7]]&inDigit != 0:
		return 0, errOldNew
	}
	return 0, errVersion
}

// parseTarget sets Path and Query. It returns the authority of an absolute-form
// target, and nil for other forms.
func (req *Request) parseTarget() (authority []byte, err *Error) {
	switch t := req.Target; {
	case string(req.Method) == "CONNECT":
		return nil, errConnect
	case string(req.Method) == "PRI":
		return nil, errPRI
	case t[0] == '/':
		return nil, req.setPath(t)
	case string(t) == "*" && string(req.Method) == "OPTIONS":
		req.Path = t
		return nil, nil
	default:
		return req.parseAbsolute(t)
	}
}

// The paths of an absolute-form target that has none.
var (
	rootPath     = []byte("/")
	asteriskPath = []byte("*")
)

// parseAbsolute parses scheme "://" authority, path and query.
func (req *Request) parseAbsolute(target []byte) (authority []byte, err *Error) {
	i := bytes.Index(target, []byte("://"))
	if i < 0 {
		return nil, errTargetForm
	}
	if s := target[:i]; !EqualFold(s, "http") && !EqualFold(s, "https") {
		return nil, errScheme
	}
	rest := target[i+3:]
	end := bytes.IndexAny(rest, "/?")
	if end < 0 {
		end = len(rest)
	}
	if err := req.setPath(rest[end:]); err != nil {
		return nil, err
	}
	switch {
	case len(req.Path) > 0:
	case string(req.Method) == "OPTIONS" && !req.HasQuery:
		req.Path = asteriskPath
	default:
		req.Path = rootPath
	}
	return rest[:end:end], nil
}

// setPath splits path and query. It doesn't check the query. In the path it refuses a
// backslash, since some servers treat it as a slash, malformed escapes, and an escaped
// NUL, since it ends a string in C.
func (req *Request) setPath(t []byte) *Error {
	req.Path = t
	for i, c := range t {
		switch {
		case c == '?':
			req.Path, req.Query, req.HasQuery = t[:i:i], t[i+1:], true
			return nil
		case c == '\\':
			return errTargetByte
		case c == '%' && (len(t) < i+3 || classes[t[i+1]]&classes[t[i+2]]&inHex == 0):
			return errEscape
		case c == '%' && t[i+1] == '0' && t[i+2] == '0':
			return errNUL
		}
	}
	return nil
}

// setHost sets the host of the request, and refuses a request with several.
func (req *Request) setHost(f *facts, authority []byte) *Error {
	switch {
	case f.hosts > 1:
		return errHosts
	case f.hosts == 1 && authority != nil && !req.sameAuthority(f.host, authority):
		return errAuthority
	case f.hosts == 1:
		req.Host = f.host
	case req.Minor > 0:
		return errNoHost
	case authority == nil:
		return nil
	default:
		req.Host = authority
	}
	if !validHost(req.Host) {
		return errHost
	}
	return nil
}

// sameAuthority reports whether host and the authority of an absolute-form target are
// equivalent. The default port of the target's scheme and an empty port are the same
// as no port (RFC 9110 §4.2.3).
func (req *Request) sameAuthority(host, authority []byte) bool {
	port := ":80"
	if req.Target[len("http")] != ':' {
		port = ":443"
	}
	return sameFold(withoutPort(host, port), withoutPort(authority, port))
}

// withoutPort returns authority without its port if that is port or empty, and
// otherwise authority. port begins with a colon.
func withoutPort(authority []byte, port string) []byte {
	at := bytes.LastIndexByte(authority, ':')
	if at >= 0 && (at == len(authority)-1 || string(authority[at:]) == port) {
		return authority[:at]
	}
	return authority
}

// maxHost is the length of the longest name in DNS, with a port.
const maxHost = 255 + len(":65535")

// ValidHost reports whether text can be the value of a Host field.
func ValidHost(text string) bool { return validHost([]byte(text)) }

// validHost checks uri-host [ ":" port ] (RFC 9110 §7.2). A reg-name may have only
// unreserved characters: no name in use has others, and the host might read escapes
// and delimiters in another way. As in DNS, only the last label, the root, may be
// empty.
func validHost(h []byte) bool {
	if len(h) == 0 || len(h) > maxHost {
		return false
	}
	if h[0] == '[' {
		end := bytes.IndexByte(h, ']')
		return end > 0 && validIPv6(h[1:end]) && validPort(h[end+1:])
	}
	n := span(h, inHost)
	return n > 0 && h[0] != '.' && !bytes.Contains(h[:n], []byte("..")) && validPort(h[n:])
}

// validIPv6 checks an address without a zone. It is the only part of a request whose
// parsing allocates.
func validIPv6(b []byte) bool {
	a, err := netip.ParseAddr(string(b))
	return err == nil && a.Is6() && a.Zone() == ""
}

// validPort checks a port after a host: b is empty, or a colon and a port number. The
// number may be missing (RFC 3986 §3.2.3).
func validPort(b []byte) bool {
	if len(b) == 0 {
		return true
	}
	n := 0
	for _, c := range b[1:] {
		n = n*10 + int(c-'0')
	}
	return b[0] == ':' && len(b) <= len(":65535") && span(b[1:], inDigit) == len(b)-1 && n <= 65535
}

// setExpect sets Expect100. 100-continue must be ignored in HTTP/1.0, and has no
// meaning without a body (RFC 9110 §10.1.1).
func (req *Request) setExpect(f *facts) *Error {
	if f.expectsBad {
		return errExpect
	}
	body := req.Framing == Chunked || req.Length > 0
	req.Expect100 = f.expects && req.Minor > 0 && body
	return nil
}

// setUpgrade sets Upgrade if the client offers one protocol, and WebSocket for an opening handshake.
// It refuses a handshake of WebSocket that no host could accept. Any other Upgrade is ignored;
// the field is hop-by-hop.
func (req *Request) setUpgrade(f *facts) *Error {
	protocol := f.offered()
	if !EqualFold(protocol, "websocket") {
		if req.Minor > 0 { // RFC 9110 §7.8: in HTTP/1.0 the field must be ignored
			req.Upgrade = protocol
		}
		return nil
	}
	switch {
	case string(req.Method) != "GET" || req.Minor == 0:
		return errWSMethod
	case req.Framing == Chunked || req.Length > 0:
		return errWSBody
	case f.keys != 1 || !f.goodKey:
		return errWSKey
	case f.versions != 1:
		return errWSNoVersion
	case !f.good13:
		return errWSVersion
	}
	req.WebSocket, req.Upgrade = true, protocol
	return nil
}
