package haproxycfg

import (
	"cmp"
	"regexp"
	"slices"
	"strings"
)

// A mapping is a file of host names or paths, each with the backend for its requests.
type mapping struct {
	file  string
	rest  string // the backend of requests that no line is for; "" if there is none
	fetch string // as matchesOf wants it, like kind
	kind  string
}

// mostMapped bounds the routes that the lines of one map become.
const mostMapped = 4096

var mapCall = regexp.MustCompile(`^%\[(?:req\.)?(hdr\(host\)|path)((?:,(?:lower|host_only|field\(1,:\)))*),map(?:_(str|beg))?\(([^,()]+)(?:,([^,()]+))?\)\]$`)

// mappingOf reads the name of a backend that a map gives. ok is false if routes can't say the same.
func mappingOf(name string) (m mapping, ok bool) {
	found := mapCall.FindStringSubmatch(strings.Replace(name, "hdr(Host)", "hdr(host)", 1))
	if found == nil {
		return m, false
	}
	m = mapping{file: found[4], rest: found[5], fetch: found[1], kind: cmp.Or(found[3], "str")}
	return m, m.fetch == "path" && found[2] == "" || m.fetch != "path" && m.kind == "str"
}

// A mapped is a line of a map.
type mapped struct{ key, backend string }

// lines reads the lines of a map as HAProxy does: a key, blanks, and a value. Of two lines with one key
// the first counts; of prefixes the longest.
func (m *mapping) lines(text string) (all []mapped) {
	seen := map[string]bool{}
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		at := strings.IndexAny(line, " \t")
		if strings.HasPrefix(line, "#") || at < 0 || seen[line[:at]] {
			continue
		}
		seen[line[:at]] = true
		all = append(all, mapped{line[:at], strings.TrimSpace(line[at:])})
	}
	if m.kind == "beg" {
		slices.SortStableFunc(all, func(a, b mapped) int { return len(b.key) - len(a.key) })
	}
	return all
}

// routeByMap adds the routes of a use_backend whose map says which backend a request goes to. It reports
// false if it can't.
func (t *translation) routeByMap(d *directive) bool {
	m, ok := mappingOf(d.word(1))
	under, complete := t.proxy.matches(d)
	if !ok || !complete || d.variable() != "" {
		return false
	}
	text, readable := t.read(m.file)
	all := m.lines(string(text))
	if !readable || len(all)*len(under) > mostMapped {
		d.note(Decide, m.file+" can't be read here, or has too many lines: write a route for each of its lines, or import where it is")
		return true
	}
	for _, one := range all {
		pool := t.poolOf(one.backend)
		matches := matchesOf(m.fetch, m.kind, one.key)
		if pool == "" || len(matches) == 0 {
			d.note(Stops, m.file+": the line "+printable(one.key)+" "+printable(one.backend)+" can't become a route, because its key is no host name or path, or its backend has no hosts")
			continue
		}
		t.addRoutes(&t.plan.uses, d, both(under, matches), "pool: "+quoteName(pool))
	}
	if m.rest != "" {
		t.route(d, m.rest)
	}
	d.note(Changed, "routes: one for each of the lines that "+m.file+" has now: write later ones into lb.yaml")
	return true
}
