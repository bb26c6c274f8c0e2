package http2

import (
	"cmp"
	"net/url"
	"slices"
	"strings"

	"golang.org/x/net/http/httpguts"
	"golang.org/x/net/http2/hpack"
)

// A Refusal is a request that net/http refuses without calling its handler.
type Refusal struct {
	Status int // of the response; 0 if net/http resets the stream or ends the connection
	Reason Error
}

// Why net/http refuses requests.
const (
	errPseudoPlace   = Error("a pseudo-header field after a regular one, or twice (RFC 9113 §8.3)")
	errPseudoMissing = Error("a pseudo-header field is missing or empty, or isn't allowed in a CONNECT (RFC 9113 §8.3.1)")
	errLarge         = Error("the header section is too long (RFC 9113 §10.5.1)")
)

// A section predicts whether net/http refuses a request, from its header section. The
// fields are added in their order; those after the first fault are ignored.
type section struct {
	limit   int // of size
	size    int // as RFC 9113 §6.5.2 counts it
	regular bool
	large   bool
	fault   Error
	seen    [len(pseudoNames)]bool
	values  [len(pseudoNames)]string
	host    string
}

var pseudoNames = [...]string{":method", ":scheme", ":path", ":authority", ":protocol"}

const method, scheme, path, authority, protocol = 0, 1, 2, 3, 4

// begin starts a new section.
func (s *section) begin() { *s = section{limit: s.limit} }

// add adds the next field.
func (s *section) add(f hpack.HeaderField) {
	switch {
	case s.fault != "" || s.large:
	case !httpguts.ValidHeaderFieldValue(f.Value), !f.IsPseudo() && !validName(f.Name):
		s.fault = errField
	case f.IsPseudo() && s.regular:
		s.fault = errPseudoPlace
	default:
		s.addValid(f)
	}
}

// addValid adds a well-formed field.
func (s *section) addValid(f hpack.HeaderField) {
	s.regular = !f.IsPseudo()
	if s.size += int(f.Size()); s.size > s.limit {
		s.large = true
		return
	}
	if f.Name == "host" {
		s.host = f.Value
	}
	if s.regular {
		return
	}
	switch at := slices.Index(pseudoNames[:], f.Name); {
	case at < 0:
		s.fault = errPseudo
	case s.seen[at]:
		s.fault = errPseudoPlace
	default:
		s.seen[at], s.values[at] = true, f.Value
	}
}

// refusal returns the Refusal of the request. ok is false if net/http doesn't refuse it.
func (s *section) refusal() (r Refusal, ok bool) {
	v := &s.values
	connect := v[method] == "CONNECT"
	switch {
	case s.fault != "":
		return Refusal{Reason: s.fault}, true
	case v[protocol] != "":
		return Refusal{Reason: errPseudo}, true
	case s.misses(connect) && s.large: // net/http stopped before it could read the missing fields
		return Refusal{Reason: errLarge}, true
	case s.misses(connect):
		return Refusal{Reason: errPseudoMissing}, true
	case !connect && strings.Contains(cmp.Or(v[authority], s.host), "@"):
		return Refusal{Reason: errAuthority}, true
	case !connect && !parses(v[path]):
		return Refusal{Reason: errPath}, true
	case s.large:
		return Refusal{Status: 431, Reason: errLarge}, true
	}
	return Refusal{}, false
}

// misses reports whether a request lacks a pseudo-header field that it needs, or has one
// that CONNECT forbids (RFC 9113 §8.3.1, §8.5).
func (s *section) misses(connect bool) bool {
	v := &s.values
	if connect {
		return v[path] != "" || v[scheme] != "" || v[authority] == ""
	}
	return v[method] == "" || v[path] == "" || v[scheme] != "http" && v[scheme] != "https"
}

// parses reports whether net/http can parse a path. Usual paths need no parser.
func parses(path string) bool {
	if path[0] == '/' && !strings.ContainsAny(path, "%\t") {
		return true
	}
	_, err := url.ParseRequestURI(path)
	return err == nil
}

// validName reports whether name is a valid field name in HTTP/2 (RFC 9113 §8.2.1).
func validName(name string) bool {
	return httpguts.ValidHeaderFieldName(name) && name == strings.ToLower(name)
}
