package balancer

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
)

// A KeySource is a kind of place in which a request may have its key.
type KeySource string

// The sources of keys.
const (
	KeyQuery  KeySource = "query"  // a parameter of the query, by QueryValue
	KeyCookie KeySource = "cookie" // a cookie
	KeyHeader KeySource = "header" // a request field
	KeyClient KeySource = "source" // the client's address

	KeyPath    KeySource = "path_segment"   // a part of the path, by PathSegment
	KeyTrusted KeySource = "trusted_header" // a request field, from trusted networks only

	KeyCertificate KeySource = "client_certificate" // a part of the certificate that the client has shown
)

const maxSegment = 64

// The parts of a client's certificate that may be keys.
const (
	CertificateSubject     = "subject"     // the name of the subject, as package clientcert writes it
	CertificateFingerprint = "fingerprint" // the SHA-256, in 64 hexadecimal digits
)

// A KeyRule is one place of a request that may hold the key. In YAML it is
// {query: name}, {cookie: name}, {header: name}, {trusted_header: name}, {path_segment: number},
// {client_certificate: part}, or the bare word source.
type KeyRule struct {
	Source KeySource
	// Name is that of the parameter, cookie or field, the number of the segment, or the part of the
	// certificate; empty for KeyClient.
	Name string
}

// Segment returns the number of a rule of KeyPath, 0 for others.
func (r KeyRule) Segment() int {
	if r.Source != KeyPath {
		return 0
	}
	n, _ := strconv.Atoi(r.Name) // fails only for a rule with problems
	return n
}

// String returns the rule as it is written in YAML.
func (r KeyRule) String() string { return string(r.Append(nil)) }

// Append appends the rule as it is written in YAML. The zero KeyRule is no text.
func (r KeyRule) Append(dst []byte) []byte {
	if r.Name == "" {
		return append(dst, r.Source...)
	}
	dst = append(append(dst, '{'), r.Source...)
	return append(append(append(dst, ": "...), r.Name...), '}')
}

// UnmarshalYAML reads a rule. Its errors are *yaml.SyntaxError, which has the line
// and column.
func (r *KeyRule) UnmarshalYAML(node ast.Node) error {
	switch n := node.(type) {
	case *ast.StringNode:
		if n.Value == string(KeyClient) {
			*r = KeyRule{Source: KeyClient}
			return nil
		}
		return ruleError(node, fmt.Sprintf("%q is not a key rule", n.Value))
	case *ast.MappingNode:
		if len(n.Values) != 1 {
			return ruleError(node, fmt.Sprintf("a key rule names one place; this one names %d", len(n.Values)))
		}
		return r.fromPair(n.Values[0])
	case *ast.MappingValueNode:
		return r.fromPair(n)
	}
	return ruleError(node, "not a key rule")
}

func (r *KeyRule) fromPair(pair *ast.MappingValueNode) error {
	source := KeySource(pair.Key.GetToken().Value)
	if !source.named() {
		return ruleError(pair.Key, fmt.Sprintf("%q is not a source of keys", source))
	}
	if source == KeyPath {
		number, ok := pair.Value.(*ast.IntegerNode)
		if !ok {
			return ruleError(pair.Key, fmt.Sprintf("%s needs a number: 2 is b in /a/b/c", source))
		}
		*r = KeyRule{Source: source, Name: number.GetToken().Value}
		return nil
	}
	name, ok := pair.Value.(*ast.StringNode)
	if !ok || name.Value == "" {
		return ruleError(pair.Key, fmt.Sprintf("%s needs a name that is a text", source))
	}
	*r = KeyRule{Source: source, Name: name.Value}
	return nil
}

func ruleError(at ast.Node, what string) error {
	return &yaml.SyntaxError{
		Message: what + "; use {query: name}, {cookie: name}, {header: name}, {path_segment: 2}, {trusted_header: name}, {client_certificate: subject} or source",
		Token:   at.GetToken(),
	}
}

// named reports whether rules for s have a name.
func (s KeySource) named() bool {
	return slices.Contains([]KeySource{KeyQuery, KeyCookie, KeyHeader, KeyPath, KeyTrusted, KeyCertificate}, s)
}

// noun returns what has the name in a rule for s.
func (s KeySource) noun() string {
	switch s {
	case KeyQuery:
		return "query parameter"
	case KeyTrusted:
		return "header"
	}
	return string(s)
}

// problems returns the problems of r, which is all[i].
func (r KeyRule) problems(i int, all []KeyRule) []Problem {
	path := fmt.Sprintf("key[%d]", i)
	if r.Source != KeyClient && !r.Source.named() {
		return []Problem{{path, fmt.Sprintf("%q is not a source of keys; use query, cookie, header, path_segment, trusted_header, client_certificate or source", r.Source)}}
	}
	if r.Source.named() {
		path += "." + string(r.Source)
	}
	switch {
	case r.Source == KeyPath && (r.Segment() < 1 || r.Segment() > maxSegment || strconv.Itoa(r.Segment()) != r.Name):
		return []Problem{{path, fmt.Sprintf("%s is not in 1..%d; 2 is b in /a/b/c", r.Name, maxSegment)}}
	case r.Source == KeyCertificate && r.Name != CertificateSubject && r.Name != CertificateFingerprint:
		return []Problem{{path, fmt.Sprintf("%q is no part of a certificate that can be a key; use %s or %s", r.Name, CertificateSubject, CertificateFingerprint)}}
	case r.Source.named() && !validName(r.Source, r.Name):
		return []Problem{{path, fmt.Sprintf("%q can't be the name of a %s", r.Name, r.Source.noun())}}
	case slices.Contains(all[:i], r):
		return []Problem{{path, "the same rule is in the list twice"}}
	}
	return nil
}

// validName reports whether name can be the name of a parameter, cookie or field, as
// s says.
func validName(s KeySource, name string) bool {
	if name == "" {
		return false
	}
	for _, c := range []byte(name) {
		switch {
		case c <= ' ' || c >= 0x7f:
			return false
		case s == KeyQuery && (c == '&' || c == '=' || c == '#'):
			return false
		case s != KeyQuery && !tokenChar(c):
			return false
		}
	}
	return true
}

// tokenChar reports whether c may be in the name of a field or a cookie
// (RFC 9110 §5.6.2).
func tokenChar(c byte) bool {
	letter := 'a' <= c|0x20 && c|0x20 <= 'z'
	digit := '0' <= c && c <= '9'
	return letter || digit || strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0
}

// PathSegment returns where a segment of a raw path begins and ends, the first one for number 1: it is
// between two slashes, or after the last one. Nothing is decoded, as in QueryValue. Both are 0 if there
// is no such segment.
func PathSegment(path []byte, number int) (begin, end int) {
	for range number {
		at := bytes.IndexByte(path[begin:], '/')
		if at < 0 {
			return 0, 0
		}
		begin += at + 1
	}
	if begin == 0 {
		return 0, 0
	}
	if at := bytes.IndexByte(path[begin:], '/'); at >= 0 {
		return begin, begin + at
	}
	return begin, len(path)
}

// QueryValue returns the raw value of the first parameter in rawQuery whose name is
// exactly name. rawQuery is the part of a request target after the first '?'. This
// is HAProxy's url_param rule: only '&' ends a parameter, nothing is decoded, and a
// name without '=' is not a parameter. Unlike in HAProxy, an empty value of the first
// match means that there is no key (ok is false). The value is a slice of rawQuery.
// QueryValue doesn't allocate.
func QueryValue(rawQuery []byte, name string) (value []byte, ok bool) {
	for {
		piece, rest, more := bytes.Cut(rawQuery, ampersand)
		if len(piece) > len(name) && piece[len(name)] == '=' && string(piece[:len(name)]) == name {
			value = piece[len(name)+1:]
			return value, len(value) > 0
		}
		if !more {
			return nil, false
		}
		rawQuery = rest
	}
}

var ampersand = []byte{'&'}

// PrintableKey returns key for output on a terminal. It quotes a key that holds
// unprintable characters, so that the terminal doesn't interpret them. The output is
// only for users who may see keys.
func PrintableKey(key string) string {
	unprintable := func(r rune) bool { return !unicode.IsPrint(r) }
	if !utf8.ValidString(key) || strings.ContainsFunc(key, unprintable) {
		return strconv.Quote(key)
	}
	return key
}
