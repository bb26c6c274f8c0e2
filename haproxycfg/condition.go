package haproxycfg

import (
	"slices"
	"strings"
)

// A test is the question of one term of a condition about a request.
type test int

const (
	other     test = iota
	overTLS        // does the request come over TLS?
	challenge      // is the request an ACME challenge (RFC 8555 §8.3)?
)

// A term is a test, or its opposite.
type term struct {
	test
	negated bool
}

// A condition is what follows if or unless. It holds if all terms of one of the
// alternatives hold.
type condition struct {
	word         string // if or unless; "" for a rule without a condition
	alternatives [][]term
}

// conditionOf reads the condition of a rule of s.
func conditionOf(s *section, d *directive) condition {
	words := d.args(0)
	at := slices.IndexFunc(words, func(w string) bool { return w == "if" || w == "unless" })
	if at < 0 {
		return condition{}
	}
	c := condition{word: words[at], alternatives: [][]term{nil}}
	for words = words[at+1:]; len(words) > 0; {
		if words[0] == "||" || words[0] == "or" {
			c.alternatives = append(c.alternatives, nil)
			words = words[1:]
			continue
		}
		one, n := s.term(words)
		words = words[n:]
		last := len(c.alternatives) - 1
		c.alternatives[last] = append(c.alternatives[last], one)
	}
	return c
}

// term reads the first term of words. n is the number of its words.
func (s *section) term(words []string) (one term, n int) {
	for n < len(words)-1 && words[n] == "!" {
		one.negated = !one.negated
		n++
	}
	text := words[n]
	for strings.HasPrefix(text, "!") {
		one.negated = !one.negated
		text = text[1:]
	}
	n++
	var negated bool
	if text != "{" {
		one.test, negated = s.named(text)
	} else if end := slices.Index(words[n:], "}"); end < 0 {
		return term{}, len(words)
	} else {
		one.test, negated = testOf(words[n : n+end])
		n += end + 1
	}
	one.negated = one.negated != negated
	return one, n
}

// named returns the test of an acl by its name, if all its lines have the same test.
func (s *section) named(name string) (what test, negated bool) {
	first := true
	for _, d := range s.chain() {
		if d.word(0) != "acl" || d.word(1) != name {
			continue
		}
		one, not := testOf(d.args(2))
		if !first && (one != what || not != negated) {
			return other, false
		}
		what, negated, first = one, not, false
	}
	return what, negated
}

// testOf returns the test of a criterion, such as path_beg /.well-known/acme-challenge/.
func testOf(words []string) (what test, negated bool) {
	switch {
	case len(words) == 1 && words[0] == "ssl_fc":
		return overTLS, false
	case len(words) == 1 && words[0] == "ssl_fc,not":
		return overTLS, true
	case len(words) < 2 || !strings.HasPrefix(words[0], "path") && !strings.HasPrefix(words[0], "url"):
		return other, false
	}
	for _, w := range words[1:] {
		flag := strings.HasPrefix(w, "-") || slices.Contains([]string{"beg", "str", "dir", "sub"}, w)
		if !flag && !strings.HasPrefix(w, "/.well-known/acme-challenge") {
			return other, false
		}
	}
	return challenge, false
}

// always reports whether a rule has no condition.
func (c condition) always() bool { return c.word == "" }

// only reports whether exactly the requests for which want holds meet the condition.
func (c condition) only(want term) bool {
	return c.word == "if" && len(c.alternatives) == 1 && slices.Equal(c.alternatives[0], []term{want}) ||
		c.word == "unless" && len(c.alternatives) == 1 && slices.Equal(c.alternatives[0], []term{{want.test, !want.negated}})
}

// plain reports whether the condition holds for every request without TLS. exempt reports
// whether ACME challenges are an exception.
func (c condition) plain() (holds, exempt bool) {
	terms := slices.Concat(c.alternatives...)
	for i := range terms {
		if c.word == "unless" {
			terms[i].negated = !terms[i].negated
		}
		exempt = exempt || terms[i] == term{challenge, true}
		if !terms[i].negated || terms[i].test == other {
			return false, false
		}
	}
	switch c.word {
	case "if":
		return len(c.alternatives) == 1, exempt
	case "unless": // none of several alternatives holds, which is simple only for single terms
		return !slices.ContainsFunc(c.alternatives, func(terms []term) bool { return len(terms) != 1 }), exempt
	}
	return true, false
}
