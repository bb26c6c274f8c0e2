package routing

import (
	"bytes"
	"errors"
	"strconv"
	"strings"
)

// A path can be read in several ways: programs decode it never, once or twice, with or without
// its encoded slashes; they drop parameters after ";", take "\" for "/", merge slashes, and
// resolve dots, each of them or not. A host may read it in another way than this balancer. So
// each reading must match the same route: else a rule for /admin could be passed by /%61dmin,
// //admin or /static/../admin. Nothing is rewritten: the host gets the path as it was sent.

// maxAmbiguous is the length of such a path from which it isn't read but refused.
const maxAmbiguous = 4096

// ambiguous reports whether a path may have several readings.
func ambiguous(path []byte) bool {
	for i, c := range path {
		switch c {
		case '%', ';', '\\':
			return true
		case '/':
			if i+1 < len(path) && (path[i+1] == '/' || path[i+1] == '.') {
				return true
			}
		}
	}
	return false
}

// steps are what programs do to a path, in an order that includes the usual ones.
var steps = [...]func([]byte) []byte{withoutParameters, withSlashes, withoutDoubleSlashes, withoutDots, withoutDoubleSlashes}

// eachReading calls same with the readings of a path, until it returns false. It reports whether
// same has returned true for all of them.
func eachReading(path []byte, same func([]byte) bool) bool {
	seen := [][]byte{path}
	for _, slashes := range []bool{true, false} {
		once := decoded(path, slashes)
		seen = append(seen, once, decoded(once, slashes))
	}
	for i, reading := range seen {
		if (i == 0 || !bytes.Equal(reading, path)) && !eachAfter(reading, steps[:], same) {
			return false
		}
	}
	return true
}

// eachAfter calls same with the readings of a path after each choice of steps.
func eachAfter(path []byte, left []func([]byte) []byte, same func([]byte) bool) bool {
	if len(left) == 0 {
		return same(path)
	}
	if next := left[0](path); !bytes.Equal(next, path) && !eachAfter(next, left[1:], same) {
		return false
	}
	return eachAfter(path, left[1:], same)
}

// decoded returns a path without percent-encodings (RFC 3986 §2.1). slashes says whether encoded
// slashes are decoded as well.
func decoded(path []byte, slashes bool) []byte {
	out := make([]byte, 0, len(path))
	for i := 0; i < len(path); i++ {
		if path[i] == '%' && i+2 < len(path) {
			c, err := strconv.ParseUint(string(path[i+1:i+3]), 16, 8)
			if err == nil && (slashes || c != '/') {
				out = append(out, byte(c))
				i += 2
				continue
			}
		}
		out = append(out, path[i])
	}
	return out
}

// withoutParameters returns a path whose segments end before their ";" (RFC 3986 §3.3).
func withoutParameters(path []byte) []byte {
	segments := bytes.Split(path, slash)
	for i, s := range segments {
		segments[i], _, _ = bytes.Cut(s, []byte{';'})
	}
	return bytes.Join(segments, slash)
}

var slash = []byte{'/'}

// withSlashes returns a path with "/" for "\".
func withSlashes(path []byte) []byte { return bytes.ReplaceAll(path, []byte{'\\'}, slash) }

// withoutDoubleSlashes returns a path in which slashes that follow each other are one.
func withoutDoubleSlashes(path []byte) []byte {
	out := make([]byte, 0, len(path))
	for _, c := range path {
		if c != '/' || len(out) == 0 || out[len(out)-1] != '/' {
			out = append(out, c)
		}
	}
	return out
}

// withoutDots resolves the segments "." and ".." of a path (RFC 3986 §5.2.4).
func withoutDots(path []byte) []byte {
	var out [][]byte
	segments := bytes.Split(path, slash)
	for i, s := range segments {
		last := i == len(segments)-1
		switch string(s) {
		case "..":
			out = out[:max(min(len(out), 1), len(out)-1)]
		case ".":
		default:
			out = append(out, s)
			continue
		}
		if last {
			out = append(out, nil) // what ends in a dot segment ends in a slash
		}
	}
	return bytes.Join(out, slash)
}

// CheckPath returns why a path or prefix of a route can't match, nil if it can.
func CheckPath(path string) error {
	switch {
	case !strings.HasPrefix(path, "/"):
		return errors.New("a path begins with /")
	case strings.ContainsAny(path, "?#"):
		return errors.New("a path ends before its ? or #")
	case strings.ContainsFunc(path, func(c rune) bool { return c <= ' ' || c > '~' || strings.ContainsRune(`%;\`, c) }):
		return errors.New(`a path of a route has none of %, ;, \, spaces and letters beyond ASCII: requests with these can be read in several ways`)
	case string(withoutDots(withoutDoubleSlashes([]byte(path)))) != path:
		return errors.New("a path of a route has no double slashes and no . or .. between slashes")
	}
	return nil
}
