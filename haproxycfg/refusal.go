package haproxycfg

import (
	"path"
	"slices"
)

// finishAccess writes access where the rules that turn clients away ask for it.
func (t *translation) finishAccess() {
	for _, r := range t.refusals {
		here := t.restricts(r)
		if !here && !t.restrictRoutes(r) {
			r.d.note(Stops, whyTurnsAway)
			continue
		}
		for _, d := range r.alloweds {
			d.note(Took, "its networks are in the access that the rules below it become")
		}
		for _, e := range r.exclusions {
			note := "access: " + e.accessPlan.yaml()
			switch {
			case e.auth != "":
				r.d.note(Took, "basic_auth: "+e.auth+", in routes")
			case here && r.status != "":
				r.d.note(Changed, note+": lb closes connections from elsewhere; HAProxy answers requests from there")
			case !here && r.status != "403":
				r.d.note(Changed, note+", in routes: requests from elsewhere get 403")
			default:
				r.d.note(Took, note)
			}
			for _, file := range []string{e.allow.file, e.deny.file} {
				if file != "" && !path.IsAbs(file) {
					r.d.note(Changed, file+" has no whole path: HAProxy reads it where it was started, and lb beside lb.yaml: put it there")
				}
			}
		}
		if n := len(slices.DeleteFunc(slices.Clone(t.fronts), redirectsOnly)); !here && n > 1 {
			r.d.note(Changed, whyAllHear)
		}
	}
}

// restricts has listeners close connections, if a rule of a frontend is for all requests, and no other
// rule answers some before.
func (t *translation) restricts(r refusal) bool {
	answered := r.d.word(0) == "http-request" && slices.ContainsFunc(t.plan.answers, func(one rule) bool { return one.line < r.d.Number })
	if answered || r.proxy.kind == "backend" || slices.ContainsFunc(r.exclusions, func(e exclusion) bool { return e.match != match{} || e.auth != "" }) {
		return false
	}
	before, some := slices.Clone(t.plan.listeners), false
	for i := range t.plan.listeners {
		l := &t.plan.listeners[i]
		if !slices.Contains(l.fronts, r.proxy) {
			continue
		}
		for _, e := range r.exclusions {
			if some = true; !l.access.join(e.accessPlan) {
				t.plan.listeners = before
				return false
			}
		}
	}
	return some
}

// restrictRoutes has routes refuse requests.
func (t *translation) restrictRoutes(r refusal) bool {
	if r.proxy.kind == "frontend" && redirectsOnly(r.proxy) {
		return false
	}
	pool, after := "", 0
	if r.proxy.kind == "backend" {
		pool = t.poolOf(r.proxy.name)
	}
	if r.d.word(0) == "http-request" {
		after = r.d.Number
	}
	before := [][]rule{t.plan.answers, t.plan.uses, t.plan.rest}
	for _, e := range r.exclusions {
		if !t.plan.exclude(e, pool, after, r.d.Number) {
			t.plan.answers, t.plan.uses, t.plan.rest = before[0], before[1], before[2]
			return false
		}
	}
	return true
}

// exclude has the routes to a pool, or to all if it is "", ask for an access where a match holds. It
// leaves out routes that answer by a line before after. line is that of the rule.
func (p *plan) exclude(e exclusion, pool string, after, line int) bool {
	covered := false
	for _, list := range []*[]rule{&p.answers, &p.uses, &p.rest} {
		var all []rule
		for _, r := range *list {
			sum, possible := r.match.and(e.match)
			apart := r.free && pool == ""
			concerned := !covered && possible && !apart && (list != &p.answers || r.line > after) && (pool == "" || r.does == "pool: "+quoteName(pool))
			narrow := r
			if concerned && (!narrow.access.join(e.accessPlan) || !join(&narrow.auth, e.auth)) {
				return false
			}
			narrow.match = sum
			switch {
			case concerned && sum == r.match:
				r = narrow
			case concerned && !slices.ContainsFunc(all, func(above rule) bool { return above.match == sum }):
				all = append(all, narrow)
			}
			all = append(all, r)
			covered = covered || possible && !apart && sum == e.match
		}
		*list = all
	}
	if !covered && p.unmatched == 0 && (pool == "" || pool == mainPool) {
		p.rest = append(p.rest[:len(p.rest):len(p.rest)], rule{match: e.match, does: "pool: " + mainPool, line: line, access: e.accessPlan, auth: e.auth})
	}
	return true
}
