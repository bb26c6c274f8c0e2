package haproxycfg

import (
	"fmt"
	"slices"
	"strings"
)

// A redirect is a rule that redirects clients to https, with the frontends whose requests it
// answers.
type redirect struct {
	rule   *directive
	exempt bool // ACME challenges aren't redirected
	fronts []*section
}

// takeRedirect handles redirect rules. lb has only the redirect to https. finishRedirects
// finds the addresses that it is for.
func takeRedirect(t *translation, d *directive) {
	if !t.proxy.toHTTPS(d) {
		if !t.redirectRoute(d) {
			d.note(Stops, "requests that this rule redirects go to a host: a route redirects to a whole URL, and "+whyNoRoute)
		}
		return
	}
	holds, exempt := conditionOf(t.proxy, d).plain()
	if !holds {
		d.note(Decide, "HAProxy redirects only under a condition; lb redirects everything on an address, or nothing. The import writes no redirect: if lb may redirect everything, add redirect_https: true to the plain listener. Without it, clients send tokens unencrypted")
		return
	}
	if !slices.Contains(d.args(0), "scheme") {
		d.note(Changed, "lb redirects to the host name that the client has asked for, and keeps the path")
	}
	at := slices.IndexFunc(t.redirects, func(r redirect) bool { return r.rule == d })
	if at < 0 {
		at = len(t.redirects)
		t.redirects = append(t.redirects, redirect{rule: d, exempt: exempt})
	}
	t.redirects[at].fronts = append(t.redirects[at].fronts, t.concerned()...)
}

// concerned returns the frontends whose requests reach the rules of the present proxy: the
// proxy itself, or those that lead to it.
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

// finishRedirects marks the listeners of frontends that redirect.
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
			r.rule.note(Changed, "redirect_https, with 301, or 308 for methods other than GET and HEAD. lb leaves the token out of the answer, which is then a 307; redirect_keep_key: true keeps it")
		}
		if count > 0 && r.exempt && !t.plan.routesChallenges() {
			r.rule.note(Stops, whyChallenges)
		}
		if missing {
			r.rule.note(Decide, "this rule redirects from a plain address that isn't in listen: if you add the address, add redirect_https: true as well, or clients send tokens unencrypted")
		}
		if count == 0 && !missing {
			r.rule.note(LeftOut, fmt.Sprintf("%s has no plain address: there is nothing to redirect", r.fronts[0]))
		}
	}
}

// plainUnheard reports whether a directive binds a plain address that lb doesn't listen on.
func (t *translation) plainUnheard(d *directive) bool {
	if d.word(0) != "bind" || d.no || slices.Contains(d.args(2), "ssl") {
		return false
	}
	return slices.Contains(t.unheard, d)
}

// toHTTPS reports whether a rule is a redirect to https, under any condition. A redirect to a
// fixed address counts only if it is for requests without TLS alone.
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

// hasTLS reports whether an address of s has TLS.
func (s *section) hasTLS() bool {
	return slices.ContainsFunc(s.directives, func(d *directive) bool {
		return d.word(0) == "bind" && !d.no && slices.Contains(d.args(2), "ssl")
	})
}

// redirects reports whether a proxy redirects all requests without TLS to https. ACME
// challenges may be an exception.
func redirects(s *section) bool {
	return slices.ContainsFunc(s.chain(), func(d *directive) bool {
		if d.word(0) != "redirect" && d.word(1) != "redirect" {
			return false
		}
		holds, _ := conditionOf(s, d).plain()
		return holds && s.toHTTPS(d)
	})
}
