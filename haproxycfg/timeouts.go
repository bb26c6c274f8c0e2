package haproxycfg

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"tokenring/proxy"
)

// timeoutOrder is the order of the keys under timeouts. The key grace is under shutdown.
var timeoutOrder = []string{"handshake", "head", "body", "connect", "response", "idle", "tunnel"}

// timePath returns the path of a timeout's key.
func timePath(name string) string {
	if name == "grace" {
		return "shutdown.grace"
	}
	return "timeouts." + name
}

// timer returns the handler of a timeout whose value is the i-th word.
func timer(name string, i int, why string) handler {
	return func(t *translation, d *directive) {
		if d.unread(i) != "" {
			t.plan.askTime(d, name, i)
		} else if value, ok := t.time(d, i); ok {
			t.plan.setTime(d, name, value, why)
		}
	}
}

// time reads a time. If it can't be read, the import fails.
func (t *translation) time(d *directive, i int) (value time.Duration, ok bool) {
	value, err := parseTime(d.word(i))
	if err != nil {
		t.fail(d.Line, err.Error(), "write a time such as 5s; see what HAProxy says: haproxy -c -f "+t.name)
	}
	return value, err == nil
}

// takeClientTimeout handles timeout client. In HAProxy it bounds all phases that have no
// timeout of their own.
func takeClientTimeout(t *translation, d *directive) {
	timer("body", 2, "")(t, d)
	head, idle := t.proxy.last("timeout http-request"), t.proxy.last("timeout http-keep-alive")
	if head == nil {
		timer("head", 2, "there is no timeout http-request")(t, d)
	}
	if idle == nil {
		timer("idle", 2, "there is no timeout http-keep-alive")(t, cmp.Or(head, d))
	}
}

// takeQueueTimeout handles timeout queue. Requests wait only for servers with a maxconn.
func takeQueueTimeout(t *translation, d *directive) {
	if !slices.ContainsFunc(t.plan.hosts, func(h host) bool { return h.most != "" }) {
		d.note(LeftOut, "without max_connections a request goes to its host at once, or gets 503")
		return
	}
	if d.unread(2) != "" {
		t.plan.queueWait.ask(d, "pool.queue.wait", quote(d.word(2)), d.unread(2))
		return
	}
	switch value, ok := t.time(d, 2); {
	case !ok:
	case value == 0:
		d.note(LeftOut, "0 means no limit in HAProxy; lb always has one, and queue.wait has its default")
	default:
		t.plan.queueWait.set(d, "pool.queue.wait", formatTime(value), "")
	}
}

// setTime calls set for a timeout. In HAProxy, 0 means no limit; lb always has a limit.
func (p *plan) setTime(d *directive, name string, value time.Duration, why string) {
	if value == 0 {
		d.note(LeftOut, "0 means no limit in HAProxy; lb always has one, and "+timePath(name)+" has its default")
		return
	}
	s := p.timeouts[name]
	s.set(d, timePath(name), formatTime(value), cmp.Or(beyondSense(name, value), why))
	p.timeouts[name] = s
}

// askTime calls ask for a timeout.
func (p *plan) askTime(d *directive, name string, i int) {
	s := p.timeouts[name]
	s.ask(d, timePath(name), quote(d.word(i)), d.unread(i))
	p.timeouts[name] = s
}

// A span has the smallest and the greatest sensible value of a timeout, and what happens with
// other values.
type span struct {
	least, most time.Duration
	short, long string
}

const (
	whySlow   = "a client that sends nothing keeps a connection for that long"
	whyWaits  = "users of a host that hangs wait for that long"
	whyQuick  = "a host that is only slow counts as unreachable"
	whyCuts   = "lb cuts a terminal that is quiet for that long; IDEs send something every 30 s or so"
	whyVanish = "when a client vanishes without closing its terminal, lb keeps the terminal for that long, and the token on that host; an hour is enough for IDEs, which send something every 30 s or so"
)

var spans = map[string]span{
	"handshake": {time.Second, time.Minute, "clients far away can't finish a handshake in that time", whySlow},
	"head":      {time.Second, time.Minute, "clients far away can't send a request in that time", whySlow},
	"body":      {time.Second, 10 * time.Minute, "clients far away may pause for that long", whySlow},
	"connect":   {50 * time.Millisecond, 15 * time.Second, whyQuick, "users of a host that doesn't answer wait that long before lb tries another"},
	"response":  {time.Second, 10 * time.Minute, whyQuick, whyWaits},
	"idle":      {time.Second, 10 * time.Minute, "clients open new connections all the time", whySlow},
	"tunnel":    {time.Minute, 12 * time.Hour, whyCuts, whyVanish},
	"grace":     {time.Second, 5 * time.Minute, "lb cuts terminals after that time", "a stop takes that long: make sure that TimeoutStopSec of lb's unit is longer"},
}

// beyondSense returns what happens with a timeout that is unusually short or long, "" if it is
// neither.
func beyondSense(name string, value time.Duration) string {
	switch s := spans[name]; {
	case value < s.least:
		return "that is short: " + s.short
	case value > s.most:
		return "that is long: " + s.long
	}
	return ""
}

// finishTimeouts writes lb's values for the timeouts that the file doesn't set, because HAProxy
// has no limit there.
func (t *translation) finishTimeouts() {
	own := proxy.Timeouts{}.WithDefaults()
	var absent, here []string
	for _, one := range []struct {
		keyword, name string
		value         time.Duration
	}{{"client", "body", own.Body}, {"server", "response", own.Response}, {"connect", "connect", own.Connect}} {
		if !t.says("timeout "+one.keyword) && t.plan.timeouts[one.name].value == "" {
			t.plan.timeouts[one.name] = setting{formatTime(one.value), 0}
			absent = append(absent, one.keyword)
			here = append(here, fmt.Sprintf("timeouts.%s: %s", one.name, formatTime(one.value)))
		}
	}
	if len(absent) > 0 {
		t.backend.head.note(Changed, fmt.Sprintf("there is no timeout %s, so HAProxy waits without end; lb has %s", strings.Join(absent, ", "), strings.Join(here, ", ")))
	}
	if t.plan.timeouts["tunnel"].value == "" {
		t.plan.timeouts["tunnel"] = setting{formatTime(own.Tunnel), 0}
		t.backend.head.note(Changed, "without timeout tunnel, HAProxy cuts a WebSocket that is quiet for timeout client or timeout server; lb cuts it after timeouts.tunnel: 1h")
	}
}

// says reports whether a translated proxy has a line with a key.
func (t *translation) says(key string) bool {
	for _, s := range append(t.fronts[:len(t.fronts):len(t.fronts)], t.backend) {
		if s.last(key) != nil {
			return true
		}
	}
	return false
}

func (p *plan) writeTimeouts(w *writer) {
	if len(p.timeouts) == 0 {
		return
	}
	w.line("timeouts:")
	for _, name := range timeoutOrder {
		w.set(name, p.timeouts[name])
	}
	if grace := p.timeouts["grace"]; grace.value != "" {
		w.line("shutdown:")
		w.set("grace", grace)
	}
}
