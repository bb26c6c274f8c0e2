package nginxcfg

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"tokenring/migration"
	"tokenring/proxy/routing"
	"tokenring/route"
)

// mainPool is the name of the section pool in routes.
const mainPool = "pool"

// A rule is an item of routes.
type rule struct {
	host, path, prefix string
	does               string // what becomes of a request, as in YAML
	access, auth       string // as in YAML; "" if there are none
	fields             string
	line               int
}

// poolName returns the name of the pool for an upstream, which is that of the upstream if lb can have
// it.
func (t *translation) poolName(u *upstream) string {
	if u == t.main {
		return mainPool
	}
	name := strings.Trim(strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return '-'
	}, strings.ToLower(u.name)), "-")
	taken := func(other *upstream) bool { return other.pool == name }
	if route.CheckPoolName(name) != nil || slices.ContainsFunc(t.upstreams, taken) {
		name = fmt.Sprintf("pool-%d", 1+slices.Index(t.upstreams, u))
	}
	return name
}

// routes fills in routes and unmatched: the servers with names, and then the one for all others.
func (t *translation) routes() {
	t.collectFields()
	last := t.mainServer()
	names := t.nameOrder(last)
	for _, n := range names {
		t.plan.routes = append(t.plan.routes, t.rulesOf(n.server, n.host)...)
	}
	if !last.always {
		t.plan.routes = append(t.plan.routes, t.rulesOf(last, "")...)
		last.d.note(took, "its locations are for all names that no route is for")
	}
	for _, s := range t.servers {
		t.noteDefault(s, last)
		t.noteNames(s, last, len(names) > 0)
	}
}

// A named is a host name of routes with its server.
type named struct {
	host   string
	server *server
}

// nameOrder returns the names of all servers but the last one in the order in which nginx looks for
// them: exact ones, then the longest wildcards.
func (t *translation) nameOrder(last *server) []named {
	var all []named
	for _, s := range t.servers {
		if s == last || s.always || s.rejects() {
			continue
		}
		for _, name := range s.names {
			for _, host := range hostsOf(name) {
				if !slices.ContainsFunc(all, func(n named) bool { return n.host == host }) {
					all = append(all, named{host, s})
				}
			}
		}
	}
	// The last server's own names come before wildcards of others.
	for _, name := range last.names {
		for _, host := range hostsOf(name) {
			covered := slices.ContainsFunc(all, func(n named) bool { return strings.HasPrefix(n.host, "*") && strings.HasSuffix(host, n.host[1:]) })
			if covered && !last.always {
				all = append(all, named{host, last})
			}
		}
	}
	slices.SortStableFunc(all, func(a, b named) int {
		wild := func(n named) int { return min(1, strings.Count(n.host, "*")) }
		return cmp.Or(cmp.Compare(wild(a), wild(b)), wild(a)*cmp.Compare(len(b.host), len(a.host)))
	})
	return all
}

// hostsOf returns the host names of routes for a name of server_name. It returns none for names that
// no request has, and for those that lb can't have.
func hostsOf(name string) []string {
	name = strings.ToLower(name)
	rest, dotted := strings.CutPrefix(name, ".")
	switch {
	case dotted:
		return []string{rest, "*." + rest}
	case strings.HasPrefix(name, "~"), strings.HasSuffix(name, "*"), name == "" || name == "_" || strings.Contains(name, "$"):
		return nil
	case routing.CheckHost(name) != nil:
		return nil
	}
	return []string{name}
}

// noteNames notes what becomes of server_name.
func (t *translation) noteNames(s, last *server, several bool) {
	for _, d := range s.d.all("server_name") {
		for _, name := range d.args {
			if strings.HasPrefix(name, "~") || strings.HasSuffix(name, "*") || strings.Contains(name, "$") {
				d.note(stops, "a route of lb has whole names, and wildcards at their beginning: requests for other names go to the server for all names")
			}
		}
		switch {
		case s.always:
			d.note(took, "lb redirects every name")
		case s == last && !several:
			d.note(changed, "lb serves every name alike: there is one server")
		default:
			d.note(took, "routes: host")
		}
	}
}

// noteDefault notes that a server that is the default of some address isn't that of lb.
func (t *translation) noteDefault(s, last *server) {
	switch {
	case s == last || s.always:
		return
	case s.rejects():
		s.d.note(took, "tls.strict_sni: true")
		return
	}
	if len(s.names) == 0 || !slices.ContainsFunc(s.names, func(n string) bool { return hostsOf(n) != nil }) {
		s.d.note(stops, "no request has a name of this server, and lb's routes hold on all listeners: what is for it goes to the server for all names")
		return
	}
	s.d.note(changed, "in lb, routes hold on all listeners, and not for the addresses of one server alone")
}

// rulesOf returns the routes of a server for a host name, "" for all names.
func (t *translation) rulesOf(s *server, host string) (rules []rule) {
	if d := s.d.first("return"); d != nil {
		return t.ruleForAll(host, rule{does: t.answer(s, d, host), fields: t.ownFields(d), line: d.Number})
	}
	var all []*location
	var root *location
	for _, l := range s.locations {
		switch {
		case t.skips(s, l):
		case l.kind != "=" && l.path == "/":
			root = l
		default:
			all = append(all, l)
		}
	}
	slices.SortStableFunc(all, rank)
	for _, l := range all {
		one := rule{host: host, does: t.does(s, l, host), line: l.d.Number}
		if l.kind == "=" {
			one.path = l.path
		} else {
			one.prefix = l.path
		}
		one = t.finish(l, one)
		if path := s.bare(l); path != "" {
			l.d.note(changed, "nginx redirects requests for "+path+" to the same path with a slash; lb sends them to the same hosts, as they are")
			short := one
			short.path, short.prefix = path, ""
			rules = append(rules, short)
		}
		rules = append(rules, one)
		l.d.note(took, "routes: "+cmp.Or(one.path, one.prefix))
	}
	if root == nil {
		s.d.note(stops, "nginx serves files where no location matches, and lb serves none: clients get 404. Let a host serve them")
		return append(rules, t.ruleForAll(host, rule{does: "respond: {status: 404}", line: s.d.Number})...)
	}
	one := t.finish(root, rule{does: t.does(s, root, host), line: root.d.Number})
	root.d.note(took, "all other paths")
	return append(rules, t.ruleForAll(host, one)...)
}

// ruleForAll returns the route for the requests of a host name that no other route is for. For all
// names there is none where the section pool or unmatched says the same.
func (t *translation) ruleForAll(host string, one rule) []rule {
	one.host = host
	if host != "" {
		return []rule{one}
	}
	bare := one.access == "" && one.auth == "" && one.fields == ""
	switch {
	case bare && one.does == "pool: "+mainPool:
		return nil
	case bare && (one.does == "respond: {status: 404}" || one.does == "respond: {status: 421}"):
		t.plan.unmatched = setting{one.does[len("respond: {status: ") : len(one.does)-1], one.line}
		return nil
	}
	one.prefix = "/"
	return []rule{one}
}

// skips notes at a location that has no route, and reports whether it has none.
func (t *translation) skips(s *server, l *location) bool {
	switch {
	case l.kind == "@" || l.d.first("internal") != nil || t.isErrorPage(s, l):
		l.d.noteWhole(leftOut, "nginx comes here by itself only, and no client does")
	case !l.settle():
		l.d.noteWhole(stops, "a route of lb asks for a whole path, or how it begins, and has no regular expressions: such requests go where the other locations send them")
	default:
		return false
	}
	return true
}

// finish adds what a location says beside where its requests go.
func (t *translation) finish(l *location, one rule) rule {
	if d := l.d.first("return"); d != nil { // nginx answers before it looks who comes
		one.fields = t.ownFields(d)
		return one
	}
	one.access, one.auth = t.access(l.d), t.auth(l.d)
	if t.differs[l.upstream] {
		one.fields = l.fields
	}
	return one
}

func (r rule) yaml() string {
	var keys []string
	for _, k := range []struct{ key, value string }{{"host", r.host}, {"path", r.path}, {"path_prefix", r.prefix}} {
		if k.value != "" {
			keys = append(keys, k.key+": "+migration.Quote(k.value))
		}
	}
	keys = append(keys, r.does)
	if r.access != "" {
		keys = append(keys, "access: "+r.access)
	}
	if r.auth != "" {
		keys = append(keys, "basic_auth: "+r.auth)
	}
	if r.fields != "" {
		keys = append(keys, "fields: "+r.fields)
	}
	return "{" + strings.Join(keys, ", ") + "}"
}
