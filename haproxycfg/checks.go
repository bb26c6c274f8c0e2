package haproxycfg

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"tokenring/pool"
)

// settings takes what servers say of checks. lb has one set of them for all
// hosts: what most servers have, and the others' lines note what differs.
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
			s.directive.note(Changed, "no check there; lb checks every host, by the same rule")
		}
	}
	if len(checked) == 0 {
		t.backend.head.note(Changed, "HAProxy checks none of the servers; lb checks every host, and by a TCP connect if nothing else is said")
		checked = all
	}
	common(checked, &p.interval, "health.interval", formatTime(defaultInter), func(s *server) said { return s.inter })
	common(checked, &p.rise, "health.rise", "2", func(s *server) said { return s.rise })
	common(checked, &p.fall, "health.fall", "3", func(s *server) said { return s.fall })
	if p.interval.value == "" {
		p.interval.value = formatTime(defaultInter)
	}
}

const defaultInter = 2 * time.Second // HAProxy's

// common sets what most of the servers have, the first of those that are equally
// frequent. A server whose lines say nothing has HAProxy's default, usual.
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
			cmp.Or(one.by, s.directive).note(Changed, fmt.Sprintf("%s: %s as with most servers, not %s: there is one value for all here", key, most, value))
		case one.by != nil:
			to.set(one.by, key, value, "")
		}
	}
}

// slowStart takes how long servers take to come back, if all that serve say the
// same. lb has one time for all hosts.
func (t *translation) slowStart(all []*server) {
	all = slices.DeleteFunc(slices.Clone(all), func(s *server) bool { return s.disabled || s.backup || s.weight == 0 })
	for _, s := range all {
		switch one := s.slowstart; {
		case one.by == nil:
		case slices.ContainsFunc(all, func(other *server) bool { return other.slowstart.value != one.value }):
			one.by.note(LeftOut, "slowstart "+one.value+": there is one pool.slow_start for all hosts here, and not all servers say the same")
		default:
			t.takeSlowStart(one)
		}
	}
}

func (t *translation) takeSlowStart(one said) {
	lasts, err := time.ParseDuration(one.value)
	if err != nil { // a variable, as it is written
		t.plan.slowStart.set(one.by, "pool.slow_start", one.value, "")
		return
	}
	why := "a host that joins starts slowly, too, and each token moves once"
	if lasts < pool.MinSlowStart || lasts > pool.MaxSlowStart {
		why = fmt.Sprintf("from %s to %s is possible", formatTime(pool.MinSlowStart), formatTime(pool.MaxSlowStart))
	}
	lasts = min(max(lasts, pool.MinSlowStart), pool.MaxSlowStart)
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
		d.note(Took, "checks are HTTP requests; http-check send says which")
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

// checkPath takes what checks ask for. Whether a host answers it well may depend
// on the method.
func (t *translation) checkPath(d *directive, uri string) {
	method := t.checkMethod()
	why := ""
	if method != "GET" {
		why = "asked for with GET, not " + method
	}
	t.plan.path.set(d, "health.path", quote(uri), why)
	if method != "GET" && method != "HEAD" {
		d.note(Decide, fmt.Sprintf("see that a healthy host answers GET %s with a status from 200 to 399, as it does %s: else all are down here, and everybody gets 503", printable(uri), method))
	}
}

// checkMethod returns that of HAProxy's checks: what http-check send says, or
// else option httpchk.
func (t *translation) checkMethod() string {
	if send := t.sends("meth"); send != nil {
		return send.after("meth")
	}
	if d := t.backend.last("option httpchk"); len(d.args(2)) > 1 {
		return d.word(2)
	}
	return "OPTIONS"
}

// after returns the word behind the first one that is key.
func (d *directive) after(key string) string {
	words := d.args(0)
	return d.word(slices.Index(words, key) + 1)
}

// oldFields takes the Host field from where fields stood before http-check send:
// behind the version, with line ends written out.
func (t *translation) oldFields(d *directive, text string) {
	for field := range strings.SplitSeq(text, "\r\n") {
		if name, value, ok := strings.Cut(field, ":"); ok {
			t.checkField(d, name, strings.TrimSpace(value))
		}
	}
}

// sends returns the http-check send that says one of what, nil if none does.
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
		d.note(LeftOut, "HAProxy heeds it with option httpchk only: a check is a TCP connect, there as here")
		return
	}
	switch d.word(1) {
	case "send":
		t.send(d)
	case "expect":
		t.expect(d)
	case "disable-on-404":
		d.note(LeftOut, "a host that answers 404 is down here, not draining: take it out with lb ctl, or announce it by an agent")
	case "connect":
		d.note(Decide, "checks connect to the address of the host, in clear; whatever else is said here isn't done")
	default:
		d.note(LeftOut, "a check is one GET and its status here")
	}
}

// sendWords are the keywords of http-check send, with what of them lb can't send.
var sendWords = map[string]string{
	"uri-lf":  "the path of checks is made from variables there: write one in health.path. Without it a check is a TCP connect, which a broken host passes",
	"body":    "checks have no body here: see that a healthy host answers without one with a status from 200 to 399, or all are down",
	"body-lf": "checks have no body here: see that a healthy host answers without one with a status from 200 to 399, or all are down",
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
				d.note(Unknown, fmt.Sprintf("%q is no keyword of http-check send that is known here. What follows is read from the next word that is", d.words[i].raw))
				i--
				continue
			}
			d.note(Decide, key+": "+why)
		}
	}
	if len(d.Notes) == 0 {
		d.note(Took, "a GET with HTTP/1.1 is what lb sends")
	}
}

// idleFields are those on which no answer's status should depend.
var idleFields = []string{"connection", "user-agent", "accept", "accept-encoding", "cache-control", "pragma"}

// checkField takes the Host field of a check.
func (t *translation) checkField(d *directive, name, value string) {
	switch lower := strings.ToLower(name); {
	case lower == "host":
		t.plan.checkHost.set(d, "health.host", quote(value), "")
	case slices.Contains(idleFields, lower):
		d.note(LeftOut, "the field "+printable(name)+" isn't sent with checks")
	default:
		d.note(Decide, "the field "+printable(name)+" isn't sent with checks: see that a healthy host answers without it with a status from 200 to 399, or all are down and everybody gets 503")
	}
}

// expectOptions are what may stand in front of the condition, each with a value.
var expectOptions = []string{"min-recv", "comment", "ok-status", "error-status", "tout-status", "on-success", "on-error", "status-code"}

// expect handles http-check expect [<option>…] [!] status|string|… <pattern>.
func (t *translation) expect(d *directive) {
	args := d.args(2)
	for len(args) > 2 && slices.Contains(expectOptions, args[0]) {
		args = args[2:]
	}
	rule := printable(strings.Join(args, " "))
	switch {
	case len(args) == 2 && args[0] == "status" && args[1] == "200-399":
		d.note(Took, "any status from 200 to 399 is good")
	case len(args) == 2 && args[0] == "status" && goodStatuses(args[1]):
		d.note(Changed, "any status from 200 to 399 is good here: a host that answers with another of these counts as up")
	case slices.Contains(args, "status") || slices.Contains(args, "rstatus"):
		d.note(Stops, "a status from 200 to 399 is good here, and no other, whatever "+rule+" says: a host whose good answer has another status is down, and if all are, everybody gets 503. Let health.path name a page that healthy hosts answer so, or be \"\" for a TCP connect")
	default:
		d.note(Decide, "only the status of the answer counts here, and any from 200 to 399 is good: a host that answers so while "+rule+" says that it is broken stays up and gets users, and one that answers otherwise is down")
	}
}

// goodStatuses tells whether a list of statuses and ranges has none that is down
// here.
func goodStatuses(list string) bool {
	for part := range strings.SplitSeq(list, ",") {
		low, high, isRange := strings.Cut(part, "-")
		if !isRange {
			high = low
		}
		from, err := strconv.Atoi(low)
		to, err2 := strconv.Atoi(high)
		if err != nil || err2 != nil || from < 200 || to > 399 || to < from {
			return false
		}
	}
	return true
}

// finishChecks fills in what HAProxy does without a word.
func (t *translation) finishChecks() {
	p := t.plan
	if p.path.value == "" {
		p.path.value = `""`
	}
	interval, err := time.ParseDuration(p.interval.value)
	if p.timeout.value != "" || err != nil {
		return // one of them has to be filled in
	}
	timeout, line := interval, 0 // a check has the interval to end in if nothing else is said
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
	d.note(Changed, "health.timeout: it covers the connection and the answer together, and is no longer than the interval")
}
