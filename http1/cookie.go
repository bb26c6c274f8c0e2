package http1

import "bytes"

var (
	semicolon = []byte(";")
	equals    = []byte("=")
)

// CookieValue returns the value of the first cookie with that name, the raw text
// between "=" and ";" (RFC 6265 §4.2.1). It returns nil if there is none.
func CookieValue(fields []Field, name string) []byte {
	for i := range fields {
		if fields[i].Kind != KindCookie {
			continue
		}
		for rest, more := fields[i].Value, true; more; {
			var n, value []byte
			if n, value, rest, more = CutCookie(rest); string(n) == name {
				return value
			}
		}
	}
	return nil
}

// CutCookie returns the first cookie of list, the value of a Cookie field (RFC 6265
// §4.2.1), and the rest of the list. A cookie without "=" has no name. more says that
// rest has at least one more cookie.
func CutCookie(list []byte) (name, value, rest []byte, more bool) {
	pair, rest, more := bytes.Cut(list, semicolon)
	name, value, ok := bytes.Cut(bytes.TrimLeft(pair, " \t"), equals)
	if !ok {
		return nil, nil, rest, more
	}
	return name, value, rest, more
}
