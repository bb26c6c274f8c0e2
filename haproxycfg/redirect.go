package haproxycfg

import (
	"fmt"
	"slices"
	"strings"
)

// A redirect is a rule that sends clients to https, and the fronts whose
// requests it answers.
type redirect struct {
	rule   *directive
	fronts []*section
}

// takeRedirect handles redirect rules, of which lb knows one. Which addresses it
// is for is clear once all of them are known.
func takeRedirect(t *translation, d *directive) {
	if !toHTTPS(d) {
		d.note(Decide, "lb redirects to https only: requests that this rule answers go to a host")
		return
	}
	condition := conditionOf(t.proxy, d)
	if !slices.Contains(plainConditions, condition) {
		d.note(Decide, "only under a condition there; lb redirects everything on an address, or nothing. Nothing is written: add redirect_https: true to the plain listener if that is right, for without it tokens are sent in clear")
		return
	}
	at := slices.IndexFunc(t.redirects, func(r redirect) bool { return r.rule == d })
	if at < 0 {
		at = len(t.redirects)
		t.redirects = append(t.redirects, redirect{rule: d})
	}
	t.redirects[at].fronts = append(t.redirects[at].fronts, t.concerned()...)
}

// concerned returns the fronts whose requests the rules of the present proxy see:
// itself, or those that lead to it.
func (t *translation) concerned() []*section {
	if t.proxy != t.backend {
		return []*section{t.proxy}
	}
	var fronts []*section
	for _, s := range t.fronts {
		if s == t.backend || t.leads(s) {
			fronts = append(fronts, s)
		}
	}
	return fronts
}

// finishRedirects marks the listeners of fronts that redirect.
func (t *translation) finishRedirects() {
	for _, r := range t.redirects {
		count, missing := 0, false
		for i := range t.plan.listeners {
			l := &t.plan.listeners[i]
			if !l.tls && slices.ContainsFunc(l.fronts, func(s *section) bool { return slices.Contains(r.fronts, s) }) {
				l.redirect = true
				count++
			}
		}
		for _, s := range r.fronts {
			missing = missing || slices.ContainsFunc(s.directives, func(d *directive) bool { return t.plainUnheard(d) })
		}
		if count > 0 {
			r.rule.note(Changed, "redirect_https, with 301 (308 unless it is GET or HEAD). The token isn't repeated in the answer, which is a 307 then; redirect_keep_key: true repeats it")
		}
		if missing {
			r.rule.note(Decide, "a plain address that it redirects from isn't in listen: where you add it, add redirect_https: true, or tokens are sent in clear")
		}
		if count == 0 && !missing {
			r.rule.note(LeftOut, fmt.Sprintf("%s has no plain address: there is nothing to redirect", r.fronts[0]))
		}
	}
}

// plainUnheard tells whether a directive binds a plain address that lb doesn't
// listen on.
func (t *translation) plainUnheard(d *directive) bool {
	if d.word(0) != "bind" || d.no || slices.Contains(d.args(2), "ssl") {
		return false
	}
	return d.variable() != "" || slices.Contains(t.unheard, d)
}

// plainConditions are those that hold for every request without TLS.
var plainConditions = []string{"", "if !{ ssl_fc }", "unless { ssl_fc }", "if { ssl_fc,not }"}

// conditionOf returns the condition of a rule of s as text. Names for whether a
// connection has TLS are written out.
func conditionOf(s *section, d *directive) string {
	words := d.args(0)
	at := slices.IndexFunc(words, func(w string) bool { return w == "if" || w == "unless" })
	if at < 0 {
		return ""
	}
	for i, w := range words {
		if name, negated := strings.CutPrefix(w, "!"); i > at && s.meansTLS(name) {
			words[i] = "{ ssl_fc }"
			if negated {
				words[i] = "!{ ssl_fc }"
			}
		}
	}
	return strings.ReplaceAll(strings.Join(words[at:], " "), "! {", "!{")
}

// meansTLS tells whether an acl is called name, and says that a connection has
// TLS and nothing else.
func (s *section) meansTLS(name string) bool {
	means := false
	for _, d := range s.chain() {
		if d.word(0) == "acl" && d.word(1) == name {
			if means = slices.Equal(d.args(2), []string{"ssl_fc"}); !means {
				return false
			}
		}
	}
	return means
}
