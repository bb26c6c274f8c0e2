package lease

import (
	"bytes"
	"net/textproto"
)

// InHead returns the value of Field in the head of a request, "" if it has none. ended reports
// whether b has the whole head; without it, more bytes may bring the field.
func InHead(b []byte) (value string, ended bool) {
	for first := true; ; first = false {
		line, rest, ok := bytes.Cut(b, []byte("\n"))
		if !ok {
			return "", false
		}
		line = bytes.TrimSuffix(line, []byte("\r"))
		if len(line) == 0 && !first { // empty lines before a request are no end (RFC 9112 §2.2)
			return value, true
		}
		name, text, _ := bytes.Cut(line, []byte(":"))
		if value == "" && !first && textproto.CanonicalMIMEHeaderKey(string(name)) == Field {
			value = string(bytes.TrimSpace(text))
		}
		b = rest
	}
}
