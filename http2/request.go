package http2

import (
	"slices"
	"strconv"
	"strings"
)

// A Request is the head of a request as net/http passes it to a handler.
type Request struct {
	Method, Path, Authority string
	Header                  map[string][]string
	Length                  int64 // of the body in bytes; -1 if it isn't declared
}

// An Error says why a request can't be written in HTTP/1.1, or could be read in two ways
// there. It is a constant text.
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

// AppendHead appends the request as an HTTP/1.1 head. The caller must still parse it as
// strictly as a received head. AppendHead refuses a request that would have another
// meaning in HTTP/1.1. Fields are sorted by name; the order of values of one name stays.
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
			continue // written from Authority and Length
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
	case !isWord(r.Method) || !isWord(r.Path) || !isWord(r.Authority):
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

// withoutPort returns an authority without its port if that is empty or 443, the
// default of https, which is the scheme of all HTTP/2 here: the two forms are equivalent
// (RFC 9113 §8.3.1, RFC 3986 §6.2.3).
func withoutPort(authority string) string {
	if name, ok := strings.CutSuffix(authority, ":443"); ok {
		return name
	}
	return strings.TrimSuffix(authority, ":")
}

// isWord reports whether s has no character that ends a word or a line in HTTP/1.1.
func isWord(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] == 0x7f {
			return false
		}
	}
	return true
}

// CheckField returns an Error if a header or trailer field of HTTP/2 can't be written in
// HTTP/1.1 byte for byte (RFC 9113 §8.2).
func CheckField(name string, values []string) error {
	if isHop(strings.ToLower(name)) {
		return errHop
	}
	if name == "" || !isWord(name) || strings.Contains(name, ":") {
		return errField
	}
	for _, v := range values {
		if strings.ContainsAny(v, "\r\n\x00") || isBlank(v) {
			return errField
		}
	}
	return nil
}

// isBlank reports whether a field's value begins or ends with a blank, which HTTP/2
// forbids (RFC 9113 §8.2.1).
func isBlank(value string) bool { return strings.Trim(value, " \t") != value }

// isHop reports whether a field is connection-specific in HTTP/1.1 (RFC 9113 §8.2.2).
// name is in lower case.
func isHop(name string) bool {
	switch name {
	case "connection", "proxy-connection", "keep-alive", "transfer-encoding", "upgrade", "http2-settings":
		return true
	}
	return false
}

// checkLength compares Content-Length fields with Length. net/http uses the first of
// several fields, and ignores the field if the request ends with its head.
func (r *Request) checkLength() error {
	declared := r.Header["Content-Length"]
	if len(declared) == 0 {
		if r.Length > 0 {
			return errLength
		}
		return nil
	}
	if len(declared) > 1 || declared[0] != strconv.FormatInt(r.Length, 10) {
		return errLength
	}
	return nil
}
