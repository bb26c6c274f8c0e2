package http2

import (
	"slices"
	"strconv"
	"strings"
)

// A Request is the head of a request as net/http hands it over.
type Request struct {
	Method, Path, Authority string
	Header                  map[string][]string
	Length                  int64 // -1 for a body whose length isn't declared
}

// An Error says why a request can't be said in HTTP/1.1, or could be read in two
// ways there. It is a constant text.
type Error string

func (e Error) Error() string { return string(e) }

// Why requests are refused.
const (
	errPseudo    = Error("a pseudo-header field that requests don't have (RFC 9113 §8.3)")
	errControl   = Error("a control character or space in a pseudo-header field (RFC 9113 §8.3.1)")
	errPath      = Error("a :path that doesn't begin with a slash (RFC 9113 §8.3.1)")
	errAuthority = Error("a malformed :authority (RFC 9113 §8.3.1)")
	errHost      = Error("a Host that differs from :authority (RFC 9113 §8.3.1)")
	errField     = Error("a malformed header field (RFC 9113 §8.2.1)")
	errHop       = Error("a connection-specific header field (RFC 9113 §8.2.2)")
	errLength    = Error("a Content-Length that isn't that of the body (RFC 9113 §8.1.1)")
)

// AppendHead appends the request as an HTTP/1.1 head, which remains to be parsed
// as strictly as one that came as such. It refuses what would become something
// else by being written that way. The order of fields of different names is
// that of their names.
func (r *Request) AppendHead(dst []byte) ([]byte, error) {
	if err := r.check(); err != nil {
		return dst, err
	}
	dst = append(dst, r.Method...)
	dst = append(append(append(dst, ' '), r.Path...), " HTTP/1.1\r\nHost: "...)
	dst = append(append(dst, r.Authority...), "\r\n"...)
	names := make([]string, 0, len(r.Header))
	for name := range r.Header {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		if strings.EqualFold(name, "Host") || strings.EqualFold(name, "Content-Length") {
			continue // said by Authority and Length
		}
		for _, value := range r.Header[name] {
			dst = append(append(append(dst, name...), ": "...), value...)
			dst = append(dst, "\r\n"...)
		}
	}
	switch {
	case r.Length < 0:
		dst = append(dst, "Transfer-Encoding: chunked\r\n"...)
	case r.Length > 0 || len(r.Header["Content-Length"]) > 0:
		dst = append(dst, "Content-Length: "...)
		dst = strconv.AppendInt(dst, r.Length, 10)
		dst = append(dst, "\r\n"...)
	}
	return append(dst, "\r\n"...), nil
}

func (r *Request) check() error {
	switch {
	case !plain(r.Method) || !plain(r.Path) || !plain(r.Authority):
		return errControl
	case r.Method != "CONNECT" && !strings.HasPrefix(r.Path, "/") && (r.Path != "*" || r.Method != "OPTIONS"):
		return errPath
	case strings.ContainsAny(r.Authority, "/@?#\\,") || r.Authority == "":
		return errAuthority
	}
	for _, host := range r.Header["Host"] {
		if len(r.Header["Host"]) > 1 || !strings.EqualFold(withoutPort(host), withoutPort(r.Authority)) {
			return errHost
		}
	}
	for name, values := range r.Header {
		if err := CheckField(name, values); err != nil {
			return err
		}
	}
	return r.checkLength()
}

// withoutPort cuts the port off an authority if it is empty or the default of https,
// which HTTP/2 is spoken by here: for a proxy the two are the same (RFC 9113 §8.3.1,
// RFC 3986 §6.2.3).
func withoutPort(authority string) string {
	if name, ok := strings.CutSuffix(authority, ":443"); ok {
		return name
	}
	return strings.TrimSuffix(authority, ":")
}

// plain tells whether s has nothing in it that ends a word or a line.
func plain(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] == 0x7f {
			return false
		}
	}
	return true
}

// CheckField returns an Error unless a header or trailer field of HTTP/2 can be
// one of HTTP/1.1, byte for byte (RFC 9113 §8.2).
func CheckField(name string, values []string) error {
	if isHop(strings.ToLower(name)) {
		return errHop
	}
	if name == "" || !plain(name) || strings.Contains(name, ":") {
		return errField
	}
	for _, v := range values {
		if strings.ContainsAny(v, "\r\n\x00") || isBlank(v) {
			return errField
		}
	}
	return nil
}

// isBlank tells whether a field's value begins or ends with a blank, as it must not
// in HTTP/2 (RFC 9113 §8.2.1).
func isBlank(value string) bool { return strings.Trim(value, " \t") != value }

// isHop tells whether a field, named in lower case, is of one connection of
// HTTP/1.1 (RFC 9113 §8.2.2).
func isHop(name string) bool {
	switch name {
	case "connection", "proxy-connection", "keep-alive", "transfer-encoding", "upgrade", "http2-settings":
		return true
	}
	return false
}

// checkLength compares what the fields say with what Length does: net/http takes
// the first of several, and forgets the length of a request that ends with its
// head.
func (r *Request) checkLength() error {
	said := r.Header["Content-Length"]
	if len(said) == 0 {
		if r.Length > 0 {
			return errLength
		}
		return nil
	}
	if len(said) > 1 || said[0] != strconv.FormatInt(r.Length, 10) {
		return errLength
	}
	return nil
}
