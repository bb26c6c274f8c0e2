package nginxcfg

import (
	"cmp"
	"slices"
	"strings"

	"tokenring/migration"
)

// The policies of lb.yaml that an import uses.
const (
	ketama           = "ketama"
	consistent       = "consistent"
	roundRobin       = "round-robin"
	leastConnections = "least-connections"
)

// noteUpgrades notes at the usual map for WebSockets that lb needs none.
func (t *translation) noteUpgrades() {
	for _, d := range t.http.all("map") {
		if d.arg(0) == "$http_upgrade" {
			d.noteWhole(changed, whyUpgrade)
		}
	}
}

// hash fills in where a pool's key is, and how it is placed on hosts.
func (t *translation) hash(p *poolPlan, u *upstream, in string) {
	d := u.d.first(hashing...)
	least := u.d.first("least_conn", "least_time", "random")
	switch {
	case d == nil && in == "":
		p.policy, p.key = consistent, "{query: token}"
		p.keyLine(cmp.Or(least, u.d))
		cmp.Or(least, u.d).note(moves, "nginx keeps no requests together here, and there is no ring to keep; lb sends each token to its own host, with policy consistent. Does the query parameter token tell your users apart?")
	case d == nil && least != nil:
		p.policy = leastConnections
		p.keyLine(least)
		least.note(changed, in+"hash.policy: least-connections, counted by each balancer for itself")
	case d == nil:
		p.policy = roundRobin
		u.d.note(took, in+"hash.policy: round-robin")
	case d.name == "hash":
		t.hashKey(p, d, in)
	case d.name == "ip_hash":
		p.policy, p.key = consistent, "source"
		p.keyLine(d)
		d.note(moves, "lb has no ring like this one: all clients move once, and then those of one address stay together. Write {query: token} as hash.key if users have tokens")
	default:
		p.policy, p.key = consistent, "{query: token}"
		p.keyLine(d)
		d.note(moves, "lb doesn't read nginx's cookies: all clients move once. Write affinity: {cookie: {}} if clients have no token that keeps them together")
	}
}

// hashKey handles hash KEY [consistent].
func (t *translation) hashKey(p *poolPlan, d *directive, in string) {
	rules, exact := t.rules(d.arg(0), 0)
	p.policy, p.key = ketama, strings.Join(rules, ", ")
	p.keyLine(d)
	if d.arg(1) != "consistent" {
		p.policy = consistent
		d.note(moves, "without the word consistent, nginx moves most tokens with each change of the servers; lb has no such ring: all tokens move once")
	}
	switch {
	case len(rules) == 0:
		p.key = "source"
		d.note(moves, "lb can't have this key: a key is one parameter of the query, cookie, field, or the client's address. hash.key is the client's address now: write what tells your users apart")
		return
	case !exact:
		d.note(moves, "nginx hashes other bytes than lb: users move once, and then those of one key stay together")
	}
	d.note(changed, in+"hash.key: ["+p.key+"]: the raw value, of the first of that name in exactly this case; nginx takes a parameter's or a cookie's name in any case. Requests without it take turns in lb; nginx, depending on its release, sends all of them to one host")
}

// rules returns the rules of hash.key for a text with variables. exact is false if lb hashes
// other bytes than nginx.
func (t *translation) rules(text string, depth int) (rules []string, exact bool) {
	name, ok := strings.CutPrefix(strings.NewReplacer("{", "", "}", "").Replace(text), "$")
	if !ok || strings.Contains(name, "$") || strings.Trim(name, nameBytes) != "" || depth > 3 {
		return nil, false
	}
	for _, one := range []struct{ prefix, source string }{{"arg_", "query"}, {"cookie_", "cookie"}, {"http_", "header"}} {
		rest, ok := strings.CutPrefix(name, one.prefix)
		switch {
		case !ok || rest == "":
		case one.source == "header":
			return []string{"{header: " + migration.QuoteName(fieldName(rest)) + "}"}, true
		default:
			return []string{"{" + one.source + ": " + migration.QuoteName(rest) + "}"}, true
		}
	}
	switch name {
	case "remote_addr":
		return []string{"source"}, true
	case "binary_remote_addr":
		return []string{"source"}, false
	}
	return t.mapped("$"+name, depth)
}

const nameBytes = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_"

// mapped returns the rules for a variable of a map that takes one place if another is empty:
// map $arg_token $key { "" $cookie_token; default $arg_token; }
func (t *translation) mapped(variable string, depth int) (rules []string, exact bool) {
	at := slices.IndexFunc(t.http.body, func(d *directive) bool { return d.name == "map" && d.arg(1) == variable })
	if at < 0 {
		return nil, false
	}
	m := t.http.body[at]
	var empty, other string
	for _, row := range m.body {
		switch {
		case row.name == "default" && row.arg(0) == m.arg(0):
			other = row.arg(0)
		case row.name == "":
			empty = row.arg(0)
		default:
			return nil, false
		}
	}
	first, a := t.rules(other, depth+1)
	second, b := t.rules(empty, depth+1)
	if len(first) == 0 || len(second) == 0 {
		return nil, false
	}
	m.noteWhole(took, "the places of hash.key, in this order")
	return append(first, second...), a && b
}

// fieldName returns the name of a field for the end of a variable $http_….
func fieldName(variable string) string {
	words := strings.Split(variable, "_")
	for i, w := range words {
		if w != "" {
			words[i] = strings.ToUpper(w[:1]) + w[1:]
		}
	}
	return strings.Join(words, "-")
}
