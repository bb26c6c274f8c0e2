package rewrite

import (
	"bytes"

	"tokenring/http1"
)

var semicolon = []byte(";")

// appendOtherCookies appends a Cookie field without the cookies of a name. The other cookies
// stay as they are, byte for byte. If there are none, it appends nothing.
func appendOtherCookies(dst []byte, f *http1.Field, name string) []byte {
	if !hasCookie(f.Value, name) {
		return http1.AppendField(dst, f.Name, f.Value)
	}
	begin := len(dst)
	dst = append(append(dst, f.Name...), ": "...)
	value := len(dst)
	for rest, more := f.Value, true; more; {
		var pair []byte
		n, _, _, _ := http1.CutCookie(rest)
		pair, rest, more = bytes.Cut(rest, semicolon)
		switch {
		case string(n) == name:
		case len(dst) == value:
			dst = append(dst, bytes.TrimLeft(pair, " \t")...)
		default:
			dst = append(append(dst, ';'), pair...)
		}
	}
	if len(dst) == value {
		return dst[:begin]
	}
	return append(dst, "\r\n"...)
}

// hasCookie reports whether a list has a cookie with a name.
func hasCookie(list []byte, name string) bool {
	for more := true; more; {
		var n []byte
		if n, _, list, more = http1.CutCookie(list); string(n) == name {
			return true
		}
	}
	return false
}
