package haproxycfg

import (
	"slices"
	"strings"

	"tokenring/proxy/routing"
)

// whyChallenges is the note at rules that let ACME challenges through, if lb doesn't.
const whyChallenges = "lb redirects ACME's challenges like all requests, so a program behind lb can't order certificates over HTTP any more. Let lb order them (tls.acme; it answers challenges on its TLS listeners), or use challenges over DNS"

// exempts reports whether the present proxy redirects to https, but lets ACME challenges through.
func (t *translation) exempts() bool {
	some := false
	for _, d := range t.proxy.chain() {
		if d.word(0) != "redirect" && d.word(1) != "redirect" || !t.proxy.toHTTPS(d) {
			continue
		}
		holds, exempt := conditionOf(t.proxy, d).plain()
		if holds && !exempt {
			return false
		}
		some = some || holds
	}
	return some
}

// useForChallenges handles the rules of a frontend that only redirects: ACME challenges may go to a
// backend all the same.
func (t *translation) useForChallenges(d *directive, backend string) {
	if !t.exempts() {
		d.note(Took, "HAProxy and lb both redirect all requests before this")
		return
	}
	pool := t.poolOf(backend)
	if pool == "" {
		d.note(Stops, whyChallenges)
		return
	}
	t.addRoutes(&t.plan.uses, d, []match{{prefix: routing.Challenges}}, "pool: "+quoteName(pool))
	t.plan.uses[len(t.plan.uses)-1].free = true
	d.note(Changed, "lb sends challenges to hosts that pass their checks: a program that listens only while it orders certificates must begin some seconds earlier, or a web server must answer for it")
}

// takeRedirectedDefault handles default_backend of such a frontend. Only challenges get there, if anything does.
func (t *translation) takeRedirectedDefault(d *directive) {
	before := slices.ContainsFunc(t.plan.uses, func(r rule) bool { return r.prefix == routing.Challenges })
	if d.word(1) == t.backend.name || before || !t.exempts() {
		d.note(Took, "HAProxy and lb both redirect all requests before this")
		return
	}
	t.useForChallenges(d, d.word(1))
}

// answerChallenge handles return and deny in such a frontend. A rule above the redirect counts, whatever
// the redirect's condition is.
func (t *translation) answerChallenge(d *directive, action string) {
	above := !slices.ContainsFunc(t.proxy.chain(), func(other *directive) bool {
		return other.Number < d.Number && t.proxy.toHTTPS(other)
	})
	before := len(t.plan.answers)
	if !above && !t.exempts() || !t.answer(d, action) {
		d.note(Stops, whyChallenges)
	}
	for i := range t.plan.answers[before:] {
		t.plan.answers[before+i].free = true
	}
}

// routesChallenges reports whether a route of lb is for ACME challenges.
func (p *plan) routesChallenges() bool {
	return slices.ContainsFunc(slices.Concat(p.answers, p.uses), func(r rule) bool {
		return strings.HasPrefix(r.path+r.prefix, routing.Challenges)
	})
}
