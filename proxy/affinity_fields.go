package proxy

import (
	"bytes"

	"tokenring/http1"
)

var (
	semicolon = []byte(";")
	equals    = []byte("=")
)

// cutCookie cuts the first cookie off a list as the Cookie field has it (RFC 6265
// §4.2.1). What has no "=" has no name.
func cutCookie(list []byte) (name, value, rest []byte, more bool) {
	pair, rest, more := bytes.Cut(list, semicolon)
	name, value, ok := bytes.Cut(bytes.TrimLeft(pair, " \t"), equals)
	if !ok {
		return nil, nil, rest, more
	}
	return name, value, rest, more
}

// appendOthers appends a Cookie field without the cookies of that name, and
// nothing if there are no others, which stay as they are, byte for byte.
func appendOthers(dst []byte, f *http1.Field, name string) []byte {
	if !hasCookie(f.Value, name) {
		return http1.AppendField(dst, f.Name, f.Value)
	}
	begin := len(dst)
	dst = append(append(dst, f.Name...), ": "...)
	value := len(dst)
	for rest, more := f.Value, true; more; {
		var pair []byte
		n, _, _, _ := cutCookie(rest)
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

// hasCookie tells whether a list has a cookie of that name.
func hasCookie(list []byte, name string) bool {
	for more := true; more; {
		var n []byte
		if n, _, list, more = cutCookie(list); string(n) == name {
			return true
		}
	}
	return false
}

// dropSetCookie drops the fields of an answer that set or clear a cookie of that
// name.
func dropSetCookie(fields []http1.Field, name string) {
	for i := range fields {
		if f := &fields[i]; f.Kind == http1.KindSetCookie {
			if n, _, _, _ := cutCookie(f.Value); string(bytes.TrimRight(n, " \t")) == name {
				f.Hop = true
			}
		}
	}
}
