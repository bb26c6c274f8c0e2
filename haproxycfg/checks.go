package haproxycfg

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"tokenring/route"
)

// settings translates the servers' settings of checks. lb has one set for all hosts: the
// values that most servers have. The lines of the other servers note the difference.
func (t *translation) settings(all []*server) {
	p := t.plan
	var checked []*server
	for _, s := range all {
		if s.check {
			checked = append(checked, s)
		}
	}
	for _, s := range all {
		if !s.check && len(checked) > 0 {
			s.directive.note(Changed, "HAProxy doesn't check this server; lb checks every host in the same way")
		}
	}
	if len(checked) == 0 {
		t.backend.head.note(Changed, "HAProxy checks none of the servers; lb checks every host, by a TCP connect unless lb.yaml says otherwise")
		checked = all
	}
	common(checked, &p.interval, "health.interval", formatTime(defaultInter), func(s *server) said { return s.inter })
	common(checked, &p.rise, "health.rise", "2", func(s *server) said { return s.rise })
	common(checked, &p.fall, "health.fall", "3", func(s *server) said { return s.fall })
	if p.interval.value == "" {
		p.interval.value = formatTime(defaultInter)
	}
	t.checkPort(checked)
	t.onDown(all)
}

// closing is health.on_down if the sessions of a server end when it goes down. HAProxy ends them at
// once; the shortest time that lb has is closeAfter.
const (
	closing    = "close"
	closeAfter = "1s"
)

// onDown sets what becomes of the terminals of a host that is down.
func (t *translation) onDown(all []*server) {
	common(all, &t.plan.onDown, "health.on_down", "keep", func(s *server) said { return s.params.onDown })
	if t.plan.onDown.value != closing {
		return
	}
	for _, s := range all {
		if by := s.params.onDown.by; by != nil {
			t.plan.closeAfter.set(by, "health.close_after", closeAfter, "terminals end when most balancers have had the host down, and it has sent nothing, for so long; a longer time, such as 30s, spares those that work again")
			return
		}
	}
}

const defaultInter = 2 * time.Second // HAProxy's default

// common sets the value that most servers have; if several are equally frequent, the first of
// these. A server without a value has HAProxy's default, usual.
func common(all []*server, to *setting, key, usual string, of func(*server) said) {
	count, most := map[string]int{}, ""
	for _, s := range all {
		count[cmp.Or(of(s).value, usual)]++
	}
	for _, s := range all {
		if value := cmp.Or(of(s).value, usual); count[value] > count[most] {
			most = value
		}
	}
	for _, s := range all {
		one := of(s)
		switch value := cmp.Or(one.value, usual); {
		case value != most:
			if to.value == "" {
				to.value = most
			}
			cmp.Or(one.by, s.directive).note(Changed, fmt.Sprintf("%s: %s as with most servers, not %s: lb has one value for all", s.directive.in(key), most, value))
		case one.by != nil:
			to.set(one.by, key, value, "")
		}
	}
}

// slowStart sets the slow start if it is the same for all servers that serve. lb has one value
// for all hosts.
func (t *translation) slowStart(all []*server) {
	all = slices.DeleteFunc(slices.Clone(all), func(s *server) bool { return s.disabled || s.backup || s.weight == 0 })
	for _, s := range all {
		switch one := s.slowstart; {
		case one.by == nil:
		case slices.ContainsFunc(all, func(other *server) bool { return other.slowstart.value != one.value }):
			one.by.note(LeftOut, "slowstart "+one.value+": lb has one pool.slow_start for all hosts, and not all servers have the same value")
		default:
			t.takeSlowStart(one)
		}
	}
}

func (t *translation) takeSlowStart(one said) {
	lasts, err := time.ParseDuration(one.value)
	if err != nil { // it is a variable
		t.plan.slowStart.set(one.by, "pool.slow_start", one.value, "")
		return
	}
	why := "a host that joins also starts slowly, and each token moves once"
	if lasts < route.MinSlowStart || lasts > route.MaxSlowStart {
		why = fmt.Sprintf("from %s to %s is possible", formatTime(route.MinSlowStart), formatTime(route.MaxSlowStart))
	}
	lasts = min(max(lasts, route.MinSlowStart), route.MaxSlowStart)
	t.plan.slowStart.set(one.by, "pool.slow_start", formatTime(lasts), why)
}

// takeHTTPCheck handles option httpchk [<method>] [<uri>] [<version and fields>].
func takeHTTPCheck(t *translation, d *directive) {
	if d.no {
		d.note(LeftOut, "switched off here")
		return
	}
	args := d.args(2)
	if len(args) > 2 {
		t.oldFields(d, strings.Join(args[2:], " "))
	}
	if send := t.sends("uri", "uri-lf"); send != nil {
		d.note(Took, "checks are HTTP requests; the http-check send line says which")
		return
	}
	switch len(args) {
	case 0:
		t.checkPath(d, "/")
	case 1:
		t.checkPath(d, args[0])
	default:
		t.checkPath(d, args[1])
	}
}

// checkPath sets the path of checks. The answer of a host may depend on the method.
func (t *translation) checkPath(d *directive, uri string) {
	method := t.checkMethod()
	why := ""
	if method != "GET" {
		why = "lb sends GET, not " + method
	}
	t.plan.path.set(d, "health.path", quote(uri), why)
	if method != "GET" && method != "HEAD" {
		d.note(Decide, fmt.Sprintf("make sure that a healthy host answers GET %s with a good status, as it answers %s: otherwise all hosts are down in lb, and all users get 503", printable(uri), method))
	}
}

// checkMethod returns the method of HAProxy's checks: that of http-check send, or else that of
// option httpchk.
func (t *translation) checkMethod() string {
	if send := t.sends("meth"); send != nil {
		return send.after("meth")
	}
	if d := t.backend.last("option httpchk"); len(d.args(2)) > 1 {
		return d.word(2)
	}
	return "OPTIONS"
}

// after returns the word after the first word that is key.
func (d *directive) after(key string) string {
	words := d.args(0)
	return d.word(slices.Index(words, key) + 1)
}

// oldFields reads the Host field in the old form, without http-check send: the fields come
// after the version, with escaped line ends.
func (t *translation) oldFields(d *directive, text string) {
	for field := range strings.SplitSeq(text, "\r\n") {
		if name, value, ok := strings.Cut(field, ":"); ok {
			t.checkField(d, name, strings.TrimSpace(value))
		}
	}
}

// sends returns the http-check send with one of some keywords, nil if there is none.
func (t *translation) sends(what ...string) *directive {
	for _, d := range t.backend.chain() {
		if d.word(0) == "http-check" && d.word(1) == "send" && slices.ContainsFunc(d.args(2), func(w string) bool { return slices.Contains(what, w) }) {
			return d
		}
	}
	return nil
}

// takeHTTPCheckRule handles http-check send, expect and others.
func takeHTTPCheckRule(t *translation, d *directive) {
	if option := t.backend.last("option httpchk"); option == nil || option.no {
		d.note(LeftOut, "HAProxy uses it only with option httpchk: without that option a check is a TCP connect, in HAProxy and in lb")
		return
	}
	switch d.word(1) {
	case "send":
		t.send(d)
	case "expect":
		t.expect(d)
	case "disable-on-404":
		d.note(LeftOut, "in lb, a host that answers 404 is down, not draining: take it out with lb ctl, or let its lb agent announce that it leaves")
	case "connect":
		d.note(Decide, "lb's checks connect to the host's address without TLS; lb does nothing else of what this line says")
	default:
		d.note(LeftOut, "in lb, a check is one GET and the status of its answer")
	}
}

// sendWords are the keywords of http-check send, and which of them lb can't send.
var sendWords = map[string]string{
	"uri-lf":  "HAProxy makes the path of checks from variables: write a path in health.path. Without one, a check is a TCP connect, which a broken host passes",
	"body":    "lb's checks have no body: make sure that healthy hosts answer without one, with a good status, or all hosts are down",
	"body-lf": "lb's checks have no body: make sure that healthy hosts answer without one, with a good status, or all hosts are down",
}

// send handles http-check send [meth <m>] [uri <u>] [ver <v>] [hdr <n> <v>]… [body <b>].
func (t *translation) send(d *directive) {
	for i := 2; i < len(d.words); i += 2 {
		switch key := d.word(i); key {
		case "uri":
			t.checkPath(d, d.word(i+1))
		case "hdr":
			t.checkField(d, d.word(i+1), d.word(i+2))
			i++
		case "meth", "ver", "comment":
		default:
			why, ok := sendWords[key]
			if !ok {
				d.note(Unknown, fmt.Sprintf("%q is no keyword of http-check send that the import knows. It reads on from the next word that it knows", d.words[i].raw))
				i--
				continue
			}
			d.note(Decide, key+": "+why)
		}
	}
	if len(d.Notes) == 0 {
		d.note(Took, "lb sends a GET with HTTP/1.1")
	}
}

// idleFields are fields of requests that shouldn't change the status of an answer.
var idleFields = []string{"connection", "user-agent", "accept", "accept-encoding", "cache-control", "pragma"}

// finishChecks fills in HAProxy's defaults.
func (t *translation) finishChecks() {
	p := t.plan
	p.finishExpect()
	if p.path.value == "" {
		p.path.value = `""`
	}
	interval, err := time.ParseDuration(p.interval.value)
	if p.timeout.value != "" || err != nil {
		return // the operator must fill in one of them
	}
	timeout, line := interval, 0 // HAProxy's default timeout of a check is the interval
	if d := t.backend.last("timeout check"); d != nil {
		if said, err := parseTime(d.word(2)); err == nil && said > 0 {
			timeout, line = min(interval, said), d.Number
		}
	}
	p.timeout = setting{formatTime(timeout), line}
}

// takeCheckTimeout handles timeout check.
func takeCheckTimeout(t *translation, d *directive) {
	if d.unread(2) != "" {
		t.plan.timeout.ask(d, "health.timeout", quote(d.word(2)), d.unread(2))
		return
	}
	if _, err := parseTime(d.word(2)); err != nil {
		t.fail(d.Line, err.Error(), "timeouts are numbers with a unit, such as 5s")
		return
	}
	d.note(Changed, d.in("health.timeout")+": it covers the connect and the answer together, and is never longer than the interval")
}
