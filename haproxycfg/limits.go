package haproxycfg

import (
	"fmt"
	"strconv"
)

// What lb allows by itself, and at most, in bytes.
const (
	ownHead         = 32768
	ownAnswerHead   = 65536
	ownAnswerFields = 256
	mostLimit       = 1 << 20
)

// takeConnections handles maxconn of the global section.
func takeConnections(t *translation, d *directive) {
	if d.unread(1) != "" {
		t.plan.askLimit(d, "connections", 1)
		return
	}
	n, err := strconv.Atoi(d.word(1))
	if err != nil || n < 1 {
		d.note(LeftOut, "as many connections as the limit of open files allows, there as here")
		return
	}
	t.plan.setLimit(d, "connections", n, "for all listeners together; lb says when it starts if it may not open files enough for that, two for each")
}

// takeBuffer handles tune.bufsize, which bounds heads in HAProxy. A limit of lb's
// that is larger anyway stays.
func takeBuffer(t *translation, d *directive) {
	if d.unread(1) != "" {
		t.plan.askLimit(d, "head", 1)
		return
	}
	n, err := strconv.Atoi(d.word(1))
	if err != nil || n <= ownHead {
		d.note(Changed, fmt.Sprintf("what bounds heads: lb takes %d bytes at least", ownHead))
		return
	}
	t.plan.setLimit(d, "head", min(n, mostLimit), "a head is as long as HAProxy lets it be")
	if n > ownAnswerHead {
		t.plan.setLimit(d, "response.head", min(n, mostLimit), "so are those of answers")
	}
}

// takeFields handles tune.http.maxhdr, which counts the first line as well.
func takeFields(t *translation, d *directive) {
	const fewest = 10
	if d.unread(1) != "" {
		t.plan.askLimit(d, "fields", 1)
		return
	}
	n, err := strconv.Atoi(d.word(1))
	if err != nil || n < 1 {
		t.fail(d.Line, fmt.Sprintf("tune.http.maxhdr: %q is no number from 1 to 32767", d.word(1)), "see what HAProxy says: haproxy -c -f "+t.name)
		return
	}
	n = max(min(n, mostLimit)-1, fewest)
	t.plan.setLimit(d, "fields", n, "HAProxy counts the first line as well")
	if n > ownAnswerFields {
		t.plan.setLimit(d, "response.fields", n, "HAProxy counts the first line as well")
	}
}

// setLimit is set for one of limits.
func (p *plan) setLimit(d *directive, name string, value int, why string) {
	s := p.limits[name]
	s.set(d, "limits."+name, strconv.Itoa(value), why)
	p.limits[name] = s
}

// askLimit is ask for one of limits.
func (p *plan) askLimit(d *directive, name string, i int) {
	s := p.limits[name]
	s.ask(d, "limits."+name, quote(d.word(i)), d.unread(i))
	p.limits[name] = s
}

// limitOrder is the order of the keys under limits.
var limitOrder = []string{"head", "fields", "connections"}

func (p *plan) writeLimits(w *writer) {
	if len(p.limits) == 0 {
		return
	}
	w.line("limits:")
	for _, name := range limitOrder {
		w.set(name, p.limits[name])
	}
	head, fields := p.limits["response.head"], p.limits["response.fields"]
	if head.value != "" || fields.value != "" {
		w.line("  response:")
		w.set("  head", head)
		w.set("  fields", fields)
	}
}
