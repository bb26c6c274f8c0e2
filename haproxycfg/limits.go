package haproxycfg

import (
	"fmt"
	"strconv"
)

// lb's default limits, and the greatest possible limit. Heads are in bytes.
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
		d.note(LeftOut, "in HAProxy and in lb, the limit of open files bounds the connections")
		return
	}
	t.plan.setLimit(d, "connections", n, "it holds for all listeners together. A connection takes two open files; if lb may not open so many, it says so when it starts")
}

// takeBuffer handles tune.bufsize, which bounds heads in HAProxy. It doesn't lower a default
// limit of lb.
func takeBuffer(t *translation, d *directive) {
	if d.unread(1) != "" {
		t.plan.askLimit(d, "head", 1)
		return
	}
	n, err := strconv.Atoi(d.word(1))
	if err != nil || n <= ownHead {
		d.note(Changed, fmt.Sprintf("it bounds the size of heads; lb's bound is at least %d bytes", ownHead))
		return
	}
	t.plan.setLimit(d, "head", min(n, mostLimit), "lb allows heads as long as HAProxy does")
	if n > ownAnswerHead {
		t.plan.setLimit(d, "response.head", min(n, mostLimit), "lb allows heads of answers as long as HAProxy does")
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
	t.plan.setLimit(d, "fields", n, "HAProxy counts the first line of a head as a field")
	if n > ownAnswerFields {
		t.plan.setLimit(d, "response.fields", n, "HAProxy counts the first line of a head as a field")
	}
}

// setLimit calls set for a key of limits.
func (p *plan) setLimit(d *directive, name string, value int, why string) {
	s := p.limits[name]
	s.set(d, "limits."+name, strconv.Itoa(value), why)
	p.limits[name] = s
}

// askLimit calls ask for a key of limits.
func (p *plan) askLimit(d *directive, name string, i int) {
	s := p.limits[name]
	s.ask(d, "limits."+name, quote(d.word(i)), d.unread(i))
	p.limits[name] = s
}

// limitOrder is the order of the keys under limits.
var limitOrder = []string{"head", "fields", "connections"}

func (p *plan) writeLimits(w *writer) {
	if len(p.limits)+len(p.quotas) == 0 {
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
	p.writeQuotas(w)
}
