package haproxycfg

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"tokenring/proxy"
)

// timeoutOrder is the order of the keys under timeouts.
var timeoutOrder = []string{"handshake", "head", "body", "connect", "response", "idle", "tunnel", "shutdown"}

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

// time reads a time; if it is none, the import fails.
func (t *translation) time(d *directive, i int) (value time.Duration, ok bool) {
	value, err := parseTime(d.word(i))
	if err != nil {
		t.fail(d.Line, err.Error(), "write a time such as 5s; see what HAProxy says: haproxy -c -f "+t.name)
	}
	return value, err == nil
}

// takeClientTimeout handles timeout client, which in HAProxy bounds whatever has
// no timeout of its own.
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

// setTime is set for one of timeouts. 0 means no limit in HAProxy; there is
// always one here.
func (p *plan) setTime(d *directive, name string, value time.Duration, why string) {
	if value == 0 {
		d.note(LeftOut, "0 is no limit; here there is always one, timeouts."+name+" has its default")
		return
	}
	s := p.timeouts[name]
	s.set(d, "timeouts."+name, formatTime(value), cmp.Or(beyondSense(name, value), why))
	p.timeouts[name] = s
}

// askTime is ask for one of timeouts.
func (p *plan) askTime(d *directive, name string, i int) {
	s := p.timeouts[name]
	s.ask(d, "timeouts."+name, quote(d.word(i)), d.unread(i))
	p.timeouts[name] = s
}

// A span is between which values a timeout makes sense, and what comes of others.
type span struct {
	least, most time.Duration
	short, long string
}

const (
	whySlow   = "a client that sends nothing keeps a connection for that long"
	whyWaits  = "its users wait for a host that hangs for that long"
	whyQuick  = "a host that is only slow counts as one that can't be reached"
	whyCuts   = "a terminal that is quiet for that long is cut; IDEs send something every 30 s or so"
	whyVanish = "a terminal whose client has vanished without a word is kept for that long, and its token with it on that host; an hour is enough for IDEs, which send something every 30 s or so"
)

var spans = map[string]span{
	"handshake": {time.Second, time.Minute, "clients far away don't get through a handshake in that time", whySlow},
	"head":      {time.Second, time.Minute, "clients far away don't send a request in that time", whySlow},
	"body":      {time.Second, 10 * time.Minute, "clients far away may pause for that long", whySlow},
	"connect":   {50 * time.Millisecond, 15 * time.Second, whyQuick, "its users wait that long before another host is tried"},
	"response":  {time.Second, 10 * time.Minute, whyQuick, whyWaits},
	"idle":      {time.Second, 10 * time.Minute, "clients open new connections all the time", whySlow},
	"tunnel":    {time.Minute, 12 * time.Hour, whyCuts, whyVanish},
	"shutdown":  {time.Second, 5 * time.Minute, "terminals are cut that soon", "a stop takes that long: see that TimeoutStopSec of its unit is longer"},
}

// beyondSense says what comes of a timeout that is unusually short or long, ""
// if it is neither.
func beyondSense(name string, value time.Duration) string {
	switch s := spans[name]; {
	case value < s.least:
		return "that is short: " + s.short
	case value > s.most:
		return "that is long: " + s.long
	}
	return ""
}

// finishTimeouts writes out the timeouts that the file doesn't set: HAProxy has
// no limit then.
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
		t.backend.head.note(Changed, fmt.Sprintf("there is no timeout %s, so that HAProxy waits without end; lb has %s", strings.Join(absent, ", "), strings.Join(here, ", ")))
	}
	if t.plan.timeouts["tunnel"].value == "" {
		t.plan.timeouts["tunnel"] = setting{formatTime(own.Tunnel), 0}
		t.backend.head.note(Changed, "without a timeout tunnel, HAProxy cuts a WebSocket when timeout client or timeout server passes in silence; lb does so after timeouts.tunnel: 1h")
	}
}

// says tells whether a proxy that is taken over has a line of that key.
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
}
