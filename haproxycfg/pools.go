package haproxycfg

import (
	"fmt"
	"slices"
	"strings"

	"tokenring/route"
)

// poolOf returns the name of the pool with a backend's hosts. It translates the backend if that is
// the first rule that names it. It returns "" for a backend without hosts that lb could have.
func (t *translation) poolOf(backend string) string {
	if backend == t.backend.name {
		return mainPool
	}
	at := slices.IndexFunc(t.sections, func(s *section) bool {
		return s.back() && s.name == backend && slices.ContainsFunc(s.directives, isServer)
	})
	if at < 0 || t.mode(t.sections[at]) != "http" {
		return ""
	}
	s := t.sections[at]
	if one := slices.IndexFunc(t.plan.pools, func(p poolPlan) bool { return p.line == s.head.Number }); one >= 0 {
		return t.plan.pools[one].name
	}
	name := t.poolName(backend)
	t.addPool(s, name)
	return name
}

// poolName returns the name of the pool for a backend, which is that of the backend if lb can have
// it.
func (t *translation) poolName(backend string) string {
	name := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return '-'
	}, strings.ToLower(backend))
	name = strings.Trim(name, "-")
	taken := func(p poolPlan) bool { return p.name == name }
	if route.CheckPoolName(name) != nil || slices.ContainsFunc(t.plan.pools, taken) {
		name = fmt.Sprintf("pool-%d", len(t.plan.pools)+2)
	}
	return name
}

// addPool translates a backend to a pool beside the main one. Notes stand at the lines of the
// backend only, and not at lines of defaults that it inherits.
func (t *translation) addPool(s *section, name string) {
	own := &section{head: s.head, kind: s.kind, name: s.name, parent: s.parent.silent()}
	own.directives = s.directives
	p := &translation{file: t.file, files: t.files, plan: newPlan(), backend: own, fronts: t.fronts, pool: name}
	for _, d := range append(own.chain(), own.head) {
		d.pool = name
	}
	s.head.note(Took, "its servers are the hosts of pools."+name)
	p.servers()
	p.apply(own, own.force(), backHandlers)
	p.finishPool()
	t.refusals = append(t.refusals, p.refusals...)
	t.plan.pools = append(t.plan.pools, poolPlan{name, s.head.Number, p.plan})
	t.others = append(t.others, s)
}

// silent returns a copy of defaults whose notes nobody sees. Timeouts aren't in it: where a pool has
// none, it has those of the main one.
func (s *section) silent() *section {
	if s == nil {
		return nil
	}
	own := &section{head: s.head, kind: s.kind, name: s.name, parent: s.parent.silent()}
	for _, d := range s.directives {
		if d.word(0) == "timeout" && d.word(1) != "check" {
			continue
		}
		own.directives = append(own.directives, &directive{Line: &Line{Number: d.Number, Text: d.Text}, no: d.no, words: d.words})
	}
	return own
}

// finishPool fills in HAProxy's defaults for a pool.
func (t *translation) finishPool() {
	if t.plan.key.value != "" {
		t.finishHash()
	} else {
		t.takeTurns()
	}
	t.finishTemplates()
	t.finishChecks()
}

// takeTurns sets how requests get their hosts in a pool that HAProxy gives no key.
func (t *translation) takeTurns() {
	line, algorithmHere := t.backend.head, "roundrobin"
	if d := t.backend.last("balance"); d != nil {
		line, algorithmHere = d, algorithm(d)
	}
	switch algorithmHere {
	case "roundrobin", "static-rr":
		t.plan.turns.set(line, "hash.policy", "round-robin", "")
	case "leastconn":
		t.plan.turns.set(line, "hash.policy", "least-connections", "each lb counts its own requests")
	default:
		t.plan.turns.set(line, "hash.policy", "round-robin", "hosts serve in turn, each as often as its weight says")
	}
}

// in returns the path of a key of lb.yaml for a line: in a pool beside the main one, it is the
// pool's own key.
func (d *directive) in(key string) string {
	if d.pool == "" {
		return key
	}
	return "pools." + d.pool + "." + strings.TrimPrefix(key, "pool.")
}
