package haproxycfg

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// A rule is an item of routes.
type rule struct {
	match
	does   string // what becomes of a request, as in YAML
	line   int
	access accessPlan
	auth   string // basic_auth, as in YAML; "" for none
	free   bool   // no rule of a frontend refuses its requests
}

// A poolPlan is one of pools, and the plan that has its hosts and settings.
type poolPlan struct {
	name string
	line int
	*plan
}

const (
	whyNoRoute = "a route of lb asks only for host names, paths that are or begin with something, and methods, and this condition asks for something else"
	whyAllHear = "in lb, routes hold on all listeners, and not for one frontend alone"
)

// takeUseBackend handles use_backend <backend> [if <condition>].
func takeUseBackend(t *translation, d *directive) {
	switch c := conditionOf(t.proxy, d); {
	case t.redirectsOnly() && c.only(term{test: challenge}):
		t.useForChallenges(d, d.word(1))
	case t.redirectsOnly():
		d.note(Took, "HAProxy and lb both redirect all requests before this")
	case t.routeByMap(d):
	default:
		t.route(d, d.word(1))
	}
}

// route adds the routes of a rule that sends requests to a backend.
func (t *translation) route(d *directive, backend string) {
	pool := t.poolOf(backend)
	all, complete := t.proxy.matches(d)
	switch {
	case pool == mainPool && slices.Equal(all, []match{{}}) && t.lastUse(d):
		d.note(Took, "all requests that no route matches go to pool.hosts")
		return
	case pool == "":
		d.note(Stops, "the import finds no hosts for this backend: requests that HAProxy sends there go to pool.hosts, unless another route is for them")
		return
	case len(all) == 0 && pool == mainPool:
		d.note(Changed, "lb sends requests that no route matches to pool.hosts, whatever the condition")
		return
	case !complete:
		d.note(Stops, whyNoRoute+": requests that HAProxy sends to this backend because of that go to pool.hosts, unless another route is for them")
	}
	t.addRoutes(&t.plan.uses, d, all, "pool: "+quoteName(pool))
}

// lastUse reports whether all requests that no rule above d is for go to the main pool anyway.
func (t *translation) lastUse(d *directive) bool {
	last := !slices.ContainsFunc(t.proxy.chain(), func(other *directive) bool {
		return other.Number > d.Number && other.word(0) == "use_backend"
	})
	return last && !slices.ContainsFunc(t.fronts, func(s *section) bool {
		other := s.last("default_backend")
		return !redirectsOnly(s) && other != nil && other.word(1) != t.backend.name
	})
}

// addRoutes adds a route for each match.
func (t *translation) addRoutes(to *[]rule, d *directive, all []match, does string) {
	for _, m := range all {
		*to = append(*to, rule{match: m, does: does, line: d.Number})
	}
	if len(all) == 0 {
		return
	}
	d.note(Took, fmt.Sprintf("routes: %s", does))
	if n := len(slices.DeleteFunc(slices.Clone(t.fronts), redirectsOnly)); n > 1 {
		d.note(Changed, whyAllHear)
	}
}

// takeDefaultBackend handles default_backend.
func takeDefaultBackend(t *translation, d *directive) {
	switch {
	case t.redirectsOnly():
		t.takeRedirectedDefault(d)
	case d.word(1) == t.backend.name:
		d.note(Took, "all requests that no route matches go to pool.hosts")
	default:
		if pool := t.poolOf(d.word(1)); pool != "" {
			t.addRoutes(&t.plan.rest, d, []match{{}}, "pool: "+quoteName(pool))
			return
		}
		d.note(Stops, "the import finds no hosts for this backend: requests that HAProxy sends there go to pool.hosts, unless another route is for them")
	}
}

// unmatched handles frontends whose requests get 503 if no rule is for them. What lb does with
// requests that no route matches is the same on all listeners.
func (t *translation) unmatched() {
	alone := !slices.ContainsFunc(t.fronts, func(s *section) bool {
		return !redirectsOnly(s) && (s == t.backend || s.last("default_backend") != nil)
	})
	for _, s := range t.fronts {
		if redirectsOnly(s) || s == t.backend || s.last("default_backend") != nil {
			continue
		}
		some, all := false, true
		for _, d := range s.chain() {
			if d.word(0) != "use_backend" {
				continue
			}
			found, complete := s.matches(d)
			m, byMap := mappingOf(d.word(1))
			some = some || computed(d.word(1)) && (!byMap || m.rest != "") || !byMap && slices.Contains(found, match{})
			all = all && complete
		}
		switch {
		case some: // a rule is for all requests
		case all && alone:
			t.plan.unmatched = s.head.Number
			s.head.note(Changed, "unmatched: 404: there is no default_backend, so HAProxy answers 503 to requests that no rule is for")
		default:
			s.head.note(Stops, "requests that no use_backend is for get 503 in HAProxy, because there is no default_backend; lb sends them to pool.hosts. Does a condition keep clients out?")
		}
	}
}

// takeMonitor handles monitor-uri <path>. HAProxy answers it before all other rules.
func takeMonitor(t *translation, d *directive) {
	if all := matchesOf("path", "str", d.word(1)); len(all) > 0 {
		var monitor []rule
		t.addRoutes(&monitor, d, all, "respond: {status: 200}")
		monitor[0].free = true
		t.plan.answers = append(monitor, t.plan.answers...)
		return
	}
	d.note(Stops, "no route of lb can have this path: a monitor that asks this may take lb for dead; let it ask /readyz at admin.address")
}

// answer handles the rules of http-request that answer by themselves: deny and return. It reports
// false if the rule can't be a route.
func (t *translation) answer(d *directive, action string) bool {
	all, complete := t.proxy.matches(d)
	if _, excepted, _ := t.excepted(d); t.pool != "" || t.proxy.kind == "backend" || !complete || len(all) == 0 || len(excepted) > 0 {
		return false
	}
	status, usual := "status", 200
	if action == "deny" {
		status, usual = "deny_status", 403
	}
	code := usual
	if text := d.option(status); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || http.StatusText(n) == "" || n < 200 {
			return false
		}
		code = n
	}
	does := fmt.Sprintf("status: %d", code)
	for _, key := range []string{"lf-file", "lf-string", "errorfile", "errorfiles"} {
		if d.option(key) != "" {
			return false
		}
	}
	if file := d.option("file"); file != "" {
		does = fmt.Sprint(does, ", file: ", quote(file))
		if kind := d.option("content-type"); kind != "" {
			does = fmt.Sprint(does, ", type: ", quote(kind))
		}
	}
	if d.option("string") != "" {
		d.note(Changed, "lb answers without the text: write it to a file, and name the file in respond.file of the route")
	}
	t.addRoutes(&t.plan.answers, d, all, "respond: {"+does+"}")
	return true
}

// redirectRoute handles redirects that aren't to https. It reports false if the rule can't be a
// route.
func (t *translation) redirectRoute(d *directive) bool {
	all, complete := t.proxy.matches(d)
	to, isPrefix := d.option("location"), false
	if to == "" {
		to, isPrefix = d.option("prefix"), true
	}
	scheme, rest, absolute := strings.Cut(to, "://")
	bare := !strings.ContainsAny(rest, "/?#")
	switch {
	case t.pool != "", t.proxy.kind == "backend", !complete, len(all) == 0, computed(to), !absolute, scheme != "http" && scheme != "https":
		return false
	case isPrefix && !bare:
		return false
	case !isPrefix && bare:
		to += "/"
	}
	code := 302
	if n, err := strconv.Atoi(d.option("code")); err == nil {
		code = n
	}
	t.addRoutes(&t.plan.answers, d, all, fmt.Sprintf("redirect: {to: %s, status: %d}", quote(to), code))
	if isPrefix {
		d.note(Changed, "lb leaves the token out of the query that it repeats, unless the route says keep_key: true")
	}
	return true
}

// option returns the word after a keyword of a rule, "" if there is none. It doesn't look into the
// condition.
func (d *directive) option(key string) string {
	words := d.args(1)
	if at := slices.IndexFunc(words, func(w string) bool { return w == "if" || w == "unless" }); at >= 0 {
		words = words[:at]
	}
	if at := slices.Index(words, key); at >= 0 && at+1 < len(words) {
		return words[at+1]
	}
	return ""
}

// mainPool is the name of the section pool in routes.
const mainPool = "pool"

// writeRoutes writes pools and routes.
func (p *plan) writeRoutes(w *writer) {
	if len(p.pools) > 0 {
		w.line("pools:")
	}
	for _, one := range p.pools {
		w.line("  %s:%s", quoteName(one.name), from(one.line))
		var own writer
		one.writePool(&own)
		w.indent(own.String(), "    ")
	}
	all := slices.Concat(p.answers, p.uses, p.rest)
	if len(all) > 0 {
		w.line("routes:  # the first that matches a request; all other requests go to pool")
	}
	for _, r := range all {
		access := ""
		if !r.access.empty() {
			access = ", access: " + r.access.yaml()
		}
		if r.auth != "" {
			access += ", basic_auth: " + r.auth
		}
		w.line("  - {%s, %s%s}%s", r.match.yaml(), r.does, access, from(r.line))
	}
	if p.unmatched > 0 {
		w.line("unmatched: \"404\"%s", from(p.unmatched))
	}
}

// writePool writes the section of a pool beside the main one.
func (p *plan) writePool(w *writer) {
	if p.key.value != "" {
		p.writeHash(w)
	} else {
		w.line("hash: {policy: %s}%s", p.turns.value, from(p.turns.line))
	}
	if p.cookie.value != "" {
		w.line("affinity:")
		w.set("cookie", p.cookie)
	}
	if p.dns.value != "" {
		w.line("dns: {name: %s}%s", p.dns.value, from(p.dns.line))
	} else {
		w.line("hosts:")
		w.WriteString(p.hostLines("  "))
	}
	p.writeRoads(w)
	p.ofPool.write(w)
	p.writeHealth(w)
	if len(p.timeouts) > 0 {
		w.line("timeouts:")
	}
	for _, name := range []string{"connect", "response", "tunnel"} {
		w.set(name, p.timeouts[name])
	}
}

// indent writes lines behind an indentation.
func (w *writer) indent(text, by string) {
	for line := range strings.Lines(text) {
		w.WriteString(by + line)
	}
}
