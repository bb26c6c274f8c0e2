package balancer

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
)

// A KeySource is a kind of place in which a request may carry its key.
type KeySource string

// The sources of keys.
const (
	KeyQuery  KeySource = "query"  // a parameter of the query, by QueryValue
	KeyCookie KeySource = "cookie" // a cookie
	KeyHeader KeySource = "header" // a request field
	KeyClient KeySource = "source" // the client's address
)

// A KeyRule is one place in which to look for a key. In YAML it is
// {query: name}, {cookie: name}, {header: name}, or the bare word source.
type KeyRule struct {
	Source KeySource
	Name   string // of the parameter, cookie or field; empty for KeyClient
}

// String returns the rule as it is written in YAML.
func (r KeyRule) String() string {
	if r.Source == KeyClient {
		return string(r.Source)
	}
	return fmt.Sprintf("{%s: %s}", r.Source, r.Name)
}

// UnmarshalYAML reads a rule. Its errors are *yaml.SyntaxError and so carry the
// line and column.
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
			return ruleError(node, fmt.Sprintf("a key rule names one place, not %d", len(n.Values)))
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
		return ruleError(pair.Key, fmt.Sprintf("keys can't be found by %q", source))
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
		Message: what + "; want {query: name}, {cookie: name}, {header: name} or source",
		Token:   at.GetToken(),
	}
}

// named reports whether rules for s have a name.
func (s KeySource) named() bool {
	return s == KeyQuery || s == KeyCookie || s == KeyHeader
}

// problems checks r, which is all[i].
func (r KeyRule) problems(i int, all []KeyRule) []Problem {
	path := fmt.Sprintf("key[%d]", i)
	if r.Source != KeyClient && !r.Source.named() {
		return []Problem{{path, fmt.Sprintf("keys can't be found by %q; want query, cookie, header or source", r.Source)}}
	}
	if r.Source.named() {
		path += "." + string(r.Source)
	}
	switch {
	case r.Source.named() && !validName(r.Source, r.Name):
		return []Problem{{path, fmt.Sprintf("no %s can have the name %q", r.Source, r.Name)}}
	case slices.Contains(all[:i], r):
		return []Problem{{path, "the same rule is in the list twice"}}
	}
	return nil
}

// validName reports whether a request can hold a place of this name at all.
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

// QueryValue returns the raw value of the first parameter that is called
// exactly name in rawQuery, the part of a request target behind the first '?'.
// This is HAProxy's url_param rule: parameters end at '&' alone, nothing is
// decoded, and a name without '=' is not a parameter. Other than there, a first
// match with an empty value means that there is no key (ok is false). The value
// is a part of rawQuery. QueryValue doesn't allocate.
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
