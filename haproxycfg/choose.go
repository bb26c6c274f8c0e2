package haproxycfg

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// choose finds the backend to take over and the frontends that lead to it.
func (t *translation) choose(name string) {
	t.backend = t.pick(name)
	if t.backend == nil {
		return
	}
	if t.mode(t.backend) != "http" {
		t.fail(t.backend.head.Line, fmt.Sprintf("%q is in mode %s, in which HAProxy sees no token and hashes nothing", t.backend, t.mode(t.backend)), "choose another with --backend, or see whether mode http is missing")
		return
	}
	t.backend.head.note(Took, "its servers are the hosts of pool.hosts")
	for _, s := range t.sections {
		if s.front() && (s == t.backend || t.leads(s) || redirectsOnly(s)) {
			t.fronts = append(t.fronts, s)
			if address := s.head.word(2); address != "" && address != "from" {
				s.head.note(Decide, address+" stands where only old HAProxys read an address: write it in a bind line and import again")
			}
		}
	}
	if len(t.fronts) > 0 {
		return
	}
	if d := t.unknownTarget(); d != nil {
		t.fail(d.Line, fmt.Sprintf("no frontend leads to %q, unless %s stands for it", t.backend, d.variable()), "the value belongs to HAProxy's environment and isn't guessed: write it in place of the variable in a copy, and import that")
	} else {
		t.fail(t.backend.head.Line, fmt.Sprintf("no frontend leads to %q", t.backend), "choose another with --backend, or add the frontend's file: they may be spread over several (cat them in the order in which HAProxy reads them)")
	}
}

// unknownTarget returns a directive that sends requests to a backend whose name
// is in a variable, nil if there is none.
func (t *translation) unknownTarget() *directive {
	for _, s := range t.sections {
		for _, d := range s.directives {
			if (d.word(0) == "default_backend" || d.word(0) == "use_backend") && d.variable() != "" {
				return d
			}
		}
	}
	return nil
}

// pick returns the proxy to take over, nil if that isn't clear.
func (t *translation) pick(name string) *section {
	var withServers []*section
	var names []string
	for _, s := range t.sections {
		if s.back() && slices.ContainsFunc(s.directives, isServer) {
			withServers = append(withServers, s)
			names = append(names, s.name)
		}
	}
	list := strings.Join(names, ", ")
	if name != "" {
		if i := slices.Index(names, name); i >= 0 {
			return withServers[i]
		}
		t.whole(fmt.Sprintf("there is no backend %q with servers", name), "those that there are: "+cmp.Or(list, "none"))
		return nil
	}
	switch len(withServers) {
	case 1:
		return withServers[0]
	case 0:
		t.whole("there is no backend with servers", "is this the whole haproxy.cfg? It may be spread over several files: cat them in the order in which HAProxy reads them")
	default:
		t.whole("there are several backends with servers, and one lb has one pool of hosts", "choose one with --backend: "+list)
	}
	return nil
}

// whole reports an error about the whole file.
func (t *translation) whole(message, hint string) {
	t.errs = append(t.errs, Error{File: t.name, Message: message, Hint: hint})
}

func isServer(d *directive) bool {
	return !d.no && (d.word(0) == "server" || d.word(0) == "server-template")
}

// mode returns the mode of a proxy; tcp is HAProxy's default.
func (t *translation) mode(s *section) string {
	if d := s.last("mode"); d != nil {
		return d.word(1)
	}
	return "tcp"
}

// leads tells whether a frontend may send requests to the backend.
func (t *translation) leads(s *section) bool {
	if d := s.last("default_backend"); d != nil && d.word(1) == t.backend.name {
		return true
	}
	return slices.ContainsFunc(s.chain(), func(d *directive) bool {
		return d.word(0) == "use_backend" && (d.word(1) == t.backend.name || computed(d.word(1)))
	})
}

// computed tells whether a name is made at run time, from a request.
func computed(name string) bool { return strings.Contains(name, "%[") }

// redirectsOnly is redirectsOnly for the proxy that is being translated, found
// once.
func (t *translation) redirectsOnly() bool {
	if t.judged != t.proxy {
		t.judged, t.onlyRedirects = t.proxy, redirectsOnly(t.proxy)
	}
	return t.onlyRedirects
}

// redirectsOnly tells whether a frontend does nothing but send clients to https:
// it has no other rule for requests, or none that they come to.
func redirectsOnly(s *section) bool {
	if s.kind == "frontend" && redirects(s) && !s.hasTLS() {
		return s.last("stats enable") == nil && s.last("stats uri") == nil
	}
	some := false
	for _, d := range s.chain() {
		switch d.word(0) {
		case "default_backend", "use_backend", "server", "stats":
			return false
		case "redirect", "http-request":
			some = some || s.toHTTPS(d)
		}
	}
	return some
}
