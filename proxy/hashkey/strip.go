package hashkey

import (
	"bytes"
	"strconv"
	"strings"
)

var ampersand = []byte{'&'}

// Strip returns the query without the parameters that hold the key, and whether there were
// any. The other parameters stay as they are, byte for byte.
func (rules Rules) Strip(query, key []byte) (rest []byte, keyed bool) {
	var kept [][]byte
	for parameter := range bytes.SplitSeq(query, ampersand) {
		if rules.holds(parameter, key) {
			keyed = true
			continue
		}
		kept = append(kept, parameter)
	}
	if !keyed {
		return query, false
	}
	return bytes.Join(kept, ampersand), true
}

// holds reports whether a parameter, as it is or decoded, is the parameter of the key, or
// contains that parameter or the key itself. A key shorter than 8 bytes is found by the
// name of its parameter only, because other values may contain it by chance.
func (rules Rules) holds(parameter, key []byte) bool {
	const long = 8
	for range maxDecodings {
		if len(key) >= long && bytes.Contains(parameter, key) || rules.namedIn(parameter, names) {
			return true
		}
		decoded := unescaped(parameter)
		if bytes.Equal(decoded, parameter) {
			return false
		}
		parameter = decoded
	}
	return true
}

// names reports whether part contains name, in upper or lower case, as a whole name followed
// by "=".
func names(part []byte, name string) bool {
	for i := 0; i+len(name) < len(part); i++ {
		if part[i+len(name)] == '=' && bytes.EqualFold(part[i:i+len(name)], []byte(name)) && (i == 0 || !inName(part[i-1])) {
			return true
		}
	}
	return false
}

// inName reports whether c may be a part of a longer name: it is unreserved (RFC 3986 §2.3).
func inName(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'z' || strings.IndexByte("-._~", c) >= 0
}

// unescaped decodes the escapes of b (RFC 3986 §2.1). It leaves malformed escapes as they
// are.
func unescaped(b []byte) []byte {
	out := make([]byte, 0, len(b))
	for i := 0; i < len(b); i++ {
		if b[i] == '%' && i+2 < len(b) {
			if c, err := strconv.ParseUint(string(b[i+1:i+3]), 16, 8); err == nil {
				out = append(out, byte(c))
				i += 2
				continue
			}
		}
		out = append(out, b[i])
	}
	return out
}
