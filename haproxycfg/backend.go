package haproxycfg

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// choose finds the backend to translate and the frontends that lead to it.
func (t *translation) choose(name string) {
	t.backend = t.pick(name)
	if t.backend == nil {
		return
	}
	if t.mode(t.backend) != "http" {
		t.fail(t.backend.head.Line, fmt.Sprintf("%q is in mode %s, and HAProxy hashes no tokens in this mode", t.backend, t.mode(t.backend)), "choose another backend with --backend, or check whether \"mode http\" is missing")
		return
	}
	t.backend.head.note(Took, "its servers are the hosts of pool.hosts")
	for _, s := range t.sections {
		if s.front() && (s == t.backend || t.leads(s) || redirectsOnly(s)) {
			t.fronts = append(t.fronts, s)
			if address := s.head.word(2); address != "" && address != "from" {
				s.head.note(Decide, address+" is an address in a place where only old versions of HAProxy read one: write it in a bind line and import again")
			}
		}
	}
	if len(t.fronts) > 0 {
		return
	}
	if d := t.unknownTarget(); d != nil {
		t.fail(d.Line, fmt.Sprintf("no frontend leads to %q, unless this is the value of %s", t.backend, d.variable()), "lb doesn't guess values of HAProxy's environment: write the value in place of the variable in a copy, and import the copy")
	} else {
		t.fail(t.backend.head.Line, fmt.Sprintf("no frontend leads to %q", t.backend), "choose another backend with --backend; or the frontend may be in another file: cat all files in the order in which HAProxy reads them")
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

// pick returns the proxy to translate, nil if that isn't clear.
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
		t.whole(fmt.Sprintf("there is no backend %q with servers", name), "there are these: "+cmp.Or(list, "none"))
		return nil
	}
	switch len(withServers) {
	case 1:
		return withServers[0]
	case 0:
		t.whole("there is no backend with servers", "is this the whole haproxy.cfg? If there are several files, cat them in the order in which HAProxy reads them")
		return nil
	}
	if hashing := slices.DeleteFunc(withServers, hashesNothing); len(hashing) == 1 {
		return hashing[0]
	}
	t.whole("there are several backends with servers, and not one alone hashes a token: which one has the IDEs?", "choose it with --backend: "+list)
	return nil
}

// hashesNothing reports whether a proxy's servers get requests without regard to a token.
func hashesNothing(s *section) bool {
	d := s.last("balance")
	return d == nil || algorithm(d) != "url_param" && algorithm(d) != "hash"
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

// leads reports whether a frontend may send requests to the backend.
func (t *translation) leads(s *section) bool {
	if d := s.last("default_backend"); d != nil && d.word(1) == t.backend.name {
		return true
	}
	return slices.ContainsFunc(s.chain(), func(d *directive) bool {
		return d.word(0) == "use_backend" && (d.word(1) == t.backend.name || computed(d.word(1)))
	})
}

// computed reports whether a name is made from a request at run time.
func computed(name string) bool { return strings.Contains(name, "%[") }

// redirectsOnly calls the function redirectsOnly for the proxy that is being translated,
// once for each proxy.
func (t *translation) redirectsOnly() bool {
	if t.judged != t.proxy {
		t.judged, t.onlyRedirects = t.proxy, redirectsOnly(t.proxy)
	}
	return t.onlyRedirects
}

// redirectsOnly reports whether a frontend only redirects clients to https: it has no other
// rule for requests, or requests don't reach one.
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
