package hashkey

import (
	"bytes"
	"net/url"
	"slices"

	"tokenring/balancer"
)

// Redact returns a path as it may be shown. A client may send its key in the path by
// mistake, for example if it encodes the "?" of the query or uses ";" instead. Such a path
// isn't shown at all.
func (rules Rules) Redact(path, key []byte) []byte {
	const long = 256
	if rules.MayHold(path, key) {
		return []byte("(redacted)")
	}
	if len(path) > long {
		return append(append([]byte(nil), path[:long]...), "…"...)
	}
	return path
}

// RedactPath returns a path as it may be shown: as Redact does, without the segments in which
// requests have their key.
func (rules Rules) RedactPath(path, key []byte) []byte {
	for _, rule := range rules {
		if begin, end := balancer.PathSegment(path, rule.Segment()); begin < end {
			path = slices.Concat(path[:begin], hiddenSegment, path[end:])
		}
	}
	return rules.Redact(path, key)
}

var hiddenSegment = []byte("*")

// MayHold reports whether a part of a request's target may contain the key: it contains the
// key itself, or text like the query parameter of the key, as it is or decoded. key is
// empty if the request has none.
func (rules Rules) MayHold(part, key []byte) bool {
	for range maxDecodings {
		if len(key) > 0 && bytes.Contains(part, key) || rules.namedIn(part, assigns) {
			return true
		}
		if bytes.IndexByte(part, '%') < 0 {
			return false
		}
		decoded, err := url.PathUnescape(string(part))
		if err != nil {
			return true
		}
		part = []byte(decoded)
	}
	return true
}

// maxDecodings is how often a part of a target is decoded to find the key in it. A part that
// is still encoded then is taken to contain the key.
const maxDecodings = 4

// namedIn reports whether is returns true for part and the name of a query parameter that
// holds the key.
func (rules Rules) namedIn(part []byte, is func(part []byte, name string) bool) bool {
	for _, rule := range rules {
		if rule.Source == balancer.KeyQuery && is(part, rule.Name) {
			return true
		}
	}
	return false
}

// assigns reports whether part contains name, in upper or lower case, followed by "=".
func assigns(part []byte, name string) bool {
	for i := 0; i+len(name) < len(part); i++ {
		if part[i+len(name)] == '=' && bytes.EqualFold(part[i:i+len(name)], []byte(name)) {
			return true
		}
	}
	return false
}
