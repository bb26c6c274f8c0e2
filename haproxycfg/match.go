package haproxycfg

import (
	"slices"
	"strings"

	"tokenring/proxy/routing"
)

// A match is what a route asks of a request. A field that is empty asks for nothing.
type match struct {
	host, path, prefix string
	methods            string // as in YAML
}

// mostMatches bounds the routes that one line becomes.
const mostMatches = 256

// matches returns the routes' matches of a rule: the condition holds for a request if one of them
// does. complete is false if the condition also holds for other requests, or can't be a match.
func (s *section) matches(d *directive) (all []match, complete bool) {
	words := d.args(0)
	at := slices.IndexFunc(words, func(w string) bool { return w == "if" || w == "unless" })
	if at < 0 {
		return []match{{}}, true
	}
	if words[at] == "unless" {
		return nil, false
	}
	complete = true
	for _, terms := range alternatives(words[at+1:]) {
		some := []match{{}}
		for _, one := range terms {
			options, ok := s.criterion(one)
			some = both(some, options)
			complete = complete && ok
		}
		all = append(all, some...)
	}
	if len(all) > mostMatches {
		return nil, false
	}
	return all, complete
}

// alternatives cuts a condition into its alternatives, and these into terms. A term is a name of an
// acl, or the words between braces; a term that is negated begins with an exclamation mark.
func alternatives(words []string) [][][]string {
	all := [][][]string{nil}
	negation := ""
	for len(words) > 0 {
		word, n := words[0], 1
		term := []string{word}
		switch bare := strings.TrimLeft(word, "!"); {
		case word == "or" || word == "||":
			all = append(all, nil)
			words = words[1:]
			continue
		case bare == "":
			negation = "!"
			words = words[1:]
			continue
		case bare == "{":
			end := slices.Index(words, "}")
			if end < 0 {
				end = len(words)
			}
			term = append([]string{strings.TrimSuffix(word, "{")}, words[1:end]...)
			n = min(end+1, len(words))
		}
		term[0], negation = negation+term[0], ""
		all[len(all)-1] = append(all[len(all)-1], term)
		words = words[n:]
	}
	return all
}

// namedMethods are the acls that HAProxy has by itself, and that ask only for a method.
var namedMethods = map[string]string{
	"METH_GET": "[GET, HEAD]", "METH_POST": "[POST]", "METH_HEAD": "[HEAD]", "METH_OPTIONS": "[OPTIONS]", "METH_PUT": "[PUT]", "METH_DELETE": "[DELETE]",
}

// criterion returns the matches of a term, any of which must hold.
func (s *section) criterion(term []string) (all []match, ok bool) {
	switch {
	case strings.HasPrefix(term[0], "!"):
		return nil, false
	case len(term) > 1:
		return s.fetched(term[1:])
	case term[0] == "TRUE":
		return []match{{}}, true
	case namedMethods[term[0]] != "":
		return []match{{methods: namedMethods[term[0]]}}, true
	}
	ok = true
	for _, d := range s.chain() {
		if d.word(0) == "acl" && d.word(1) == term[0] {
			some, good := s.fetched(d.args(2))
			all = append(all, some...)
			ok = ok && good
		}
	}
	return all, ok && len(all) > 0
}

// fetched returns the matches of a criterion, such as hdr(host) -i api.example.com.
func (s *section) fetched(words []string) (all []match, ok bool) {
	if len(words) == 1 && words[0] == "ssl_fc" && s.onlyTLS() {
		return []match{{}}, true
	}
	fetch, how, _ := strings.Cut(strings.TrimPrefix(strings.ToLower(first(words)), "req."), ",")
	fetch = strings.TrimSuffix(fetch, "_str")
	if how != "" && how != "lower" && how != "host_only" && how != "field(1,:)" {
		return nil, false
	}
	kind := "str"
	for _, suffix := range []string{"beg", "end", "dom"} {
		name, args, _ := strings.Cut(fetch, "(")
		if bare, is := strings.CutSuffix(name, "_"+suffix); is {
			kind, fetch = suffix, bare
			if args != "" {
				fetch += "(" + args
			}
		}
	}
	values := words[min(1, len(words)):]
	for len(values) > 0 && strings.HasPrefix(values[0], "-") {
		switch flag := values[0]; {
		case flag == "-m" && len(values) > 2:
			kind, values = values[1], values[2:]
		case flag == "-i" && fetch == "hdr(host)", flag == "--":
			values = values[1:]
		default:
			return nil, false
		}
	}
	for _, value := range values {
		some := matchesOf(fetch, kind, value)
		if some == nil {
			return nil, false
		}
		all = append(all, some...)
	}
	return all, len(all) > 0
}

// matchesOf returns the matches of one value of a criterion, nil if there are none.
func matchesOf(fetch, kind, value string) []match {
	name, _, _ := strings.Cut(strings.ToLower(value), ":")
	switch {
	case fetch == "hdr(host)" && routing.CheckHost(strings.TrimPrefix(name, ".")) != nil,
		fetch == "path" && routing.CheckPath(value) != nil,
		fetch == "method" && strings.Trim(value, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "":
		return nil
	}
	switch fetch + " " + kind {
	case "hdr(host) str":
		return []match{{host: name}}
	case "hdr(host) dom":
		return []match{{host: name}, {host: "*." + name}}
	case "hdr(host) end":
		if strings.HasPrefix(name, ".") {
			return []match{{host: "*" + name}}
		}
	case "path str":
		return []match{{path: value}}
	case "path beg":
		if value+"/" == routing.Challenges {
			value = routing.Challenges
		}
		return []match{{prefix: value}}
	case "method str":
		return []match{{methods: "[" + value + "]"}}
	}
	return nil
}

// both returns the matches that ask for what one of a and one of b ask for.
func both(a, b []match) []match {
	var all []match
	for _, one := range a {
		for _, other := range b {
			if m, ok := one.and(other); ok {
				all = append(all, m)
			}
		}
	}
	return all
}

// and returns the match that asks for what m and other ask for. ok is false if no request can be that.
func (m match) and(other match) (sum match, ok bool) {
	hosts, paths, methods := false, false, false
	sum.host, hosts = narrowerHost(m.host, other.host)
	sum.path, sum.prefix, paths = narrowerPath(m, other)
	sum.methods, methods = bothMethods(m.methods, other.methods)
	return sum, hosts && paths && methods
}

// narrowerHost returns the one of two names, or names with *, that asks for more.
func narrowerHost(a, b string) (host string, ok bool) {
	switch {
	case a == "" || strings.HasPrefix(a, "*") && strings.HasSuffix(b, a[1:]):
		return b, true
	case b == "" || a == b || strings.HasPrefix(b, "*") && strings.HasSuffix(a, b[1:]):
		return a, true
	}
	return "", false
}

func narrowerPath(a, b match) (path, prefix string, ok bool) {
	if a.path == "" && (b.path != "" || len(b.prefix) > len(a.prefix)) {
		a, b = b, a
	}
	if a.path != "" {
		return a.path, "", (b.path == "" || b.path == a.path) && strings.HasPrefix(a.path, b.prefix)
	}
	return "", a.prefix, strings.HasPrefix(a.prefix, b.prefix)
}

// bothMethods returns the methods that are in two lists, as in YAML.
func bothMethods(a, b string) (methods string, ok bool) {
	if a == "" || b == "" {
		return a + b, true
	}
	others := strings.Split(strings.Trim(b, "[]"), ", ")
	both := slices.DeleteFunc(strings.Split(strings.Trim(a, "[]"), ", "), func(one string) bool { return !slices.Contains(others, one) })
	return "[" + strings.Join(both, ", ") + "]", len(both) > 0
}

func join(to *string, value string) (ok bool) {
	if *to == "" {
		*to = value
	}
	return value == "" || *to == value
}

// onlyTLS reports whether all addresses of s have TLS.
func (s *section) onlyTLS() bool {
	return s.hasTLS() && !slices.ContainsFunc(s.directives, func(d *directive) bool {
		return d.word(0) == "bind" && !d.no && !slices.Contains(d.args(2), "ssl")
	})
}

func first(words []string) string {
	if len(words) == 0 {
		return ""
	}
	return words[0]
}

// yaml returns the match as the first keys of a route. A match of all requests asks for the path /
// and all below it.
func (m match) yaml() string {
	var parts []string
	for _, part := range []struct{ key, value string }{{"host", m.host}, {"path", m.path}, {"path_prefix", m.prefix}} {
		if part.value != "" {
			parts = append(parts, part.key+": "+quote(part.value))
		}
	}
	if m.methods != "" {
		parts = append(parts, "method: "+m.methods)
	}
	if len(parts) == 0 {
		return `path_prefix: "/"`
	}
	return strings.Join(parts, ", ")
}
