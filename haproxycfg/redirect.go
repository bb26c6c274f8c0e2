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

// whyChallenges says what becomes of rules that let ACME's challenges through.
const whyChallenges = "lb redirects ACME's challenges like all requests: what orders certificates over HTTP behind this gets none any more. Let lb order them (tls.acme; it answers challenges on its TLS listeners), or use challenges over DNS"

// takeRedirect handles redirect rules, of which lb knows one. Which addresses it
// is for is clear once all of them are known.
func takeRedirect(t *translation, d *directive) {
	if !t.proxy.toHTTPS(d) {
		d.note(Stops, "lb redirects to https only: requests that this rule answers go to a host")
		return
	}
	holds, exempt := conditionOf(t.proxy, d).plain()
	if !holds {
		d.note(Decide, "only under a condition there; lb redirects everything on an address, or nothing. Nothing is written: add redirect_https: true to the plain listener if that is right, for without it tokens are sent in clear")
		return
	}
	if exempt {
		d.note(Stops, whyChallenges)
	}
	if !slices.Contains(d.args(0), "scheme") {
		d.note(Changed, "lb redirects to the host that the client has asked for, and keeps the path")
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
	return slices.Contains(t.unheard, d)
}

// toHTTPS tells whether a rule is a redirect to https, whatever its condition.
// One to a fixed address is, if it is for requests without TLS alone.
func (s *section) toHTTPS(d *directive) bool {
	words := d.args(0)
	if words[0] == "http-request" {
		words = words[1:]
	}
	if len(words) < 3 || words[0] != "redirect" || d.no {
		return false
	}
	at := slices.IndexFunc(words, func(w string) bool { return w == "scheme" || w == "location" || w == "prefix" })
	if at < 1 || at+1 >= len(words) {
		return false
	}
	if words[at] == "scheme" {
		return words[at+1] == "https"
	}
	c := conditionOf(s, d)
	holds, _ := c.plain()
	return strings.HasPrefix(words[at+1], "https://") && holds && (!c.always() || s.front() && !s.hasTLS())
}

// hasTLS tells whether an address of s speaks TLS.
func (s *section) hasTLS() bool {
	return slices.ContainsFunc(s.directives, func(d *directive) bool {
		return d.word(0) == "bind" && !d.no && slices.Contains(d.args(2), "ssl")
	})
}

// redirects tells whether a proxy sends all that comes without TLS to https, but
// perhaps challenges of ACME.
func redirects(s *section) bool {
	return slices.ContainsFunc(s.chain(), func(d *directive) bool {
		if d.word(0) != "redirect" && d.word(1) != "redirect" {
			return false
		}
		holds, _ := conditionOf(s, d).plain()
		return holds && s.toHTTPS(d)
	})
}
