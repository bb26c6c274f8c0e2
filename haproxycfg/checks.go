package haproxycfg

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"tokenring/pool"
)

// settings takes what servers say of checks. lb has one set of them for all
// hosts: the first server's, and the others' lines note what differs.
func (t *translation) settings(all []*server) {
	p := t.plan
	checked := slices.ContainsFunc(all, func(s *server) bool { return s.check })
	for _, s := range all {
		if s.check {
			t.checksOf(s)
		} else if checked {
			s.directive.note(Changed, "no check there; lb checks every host, by the same rule")
		}
	}
	if !checked {
		t.backend.head.note(Changed, "HAProxy checks none of the servers; lb checks every host, and by a TCP connect if nothing else is said")
	}
	if p.interval.value == "" {
		p.interval.value = formatTime(defaultInter)
	}
}

const defaultInter = 2 * time.Second // HAProxy's

func (t *translation) checksOf(s *server) {
	p := t.plan
	for _, one := range []struct {
		said
		key string
		to  *setting
	}{
		{s.inter, "health.interval", &p.interval},
		{s.rise, "health.rise", &p.rise},
		{s.fall, "health.fall", &p.fall},
	} {
		if one.by != nil {
			one.to.set(one.by, one.key, one.value, "")
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
	if err != nil {
		panic(err) // formatTime wrote it
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
	method, uri := "OPTIONS", "/"
	switch args := d.args(2); {
	case len(args) == 1:
		uri = args[0]
	case len(args) > 1:
		method, uri = args[0], args[1]
		t.oldFields(d, strings.Join(args[2:], " "))
	}
	if d.word(2) == "" && t.sends("uri") {
		d.note(Took, "checks are HTTP requests; http-check send says which")
		return
	}
	t.checkPath(d, method, uri)
}

func (t *translation) checkPath(d *directive, method, uri string) {
	why := ""
	if method != "GET" {
		why = "asked for with GET, not " + method
	}
	t.plan.path.set(d, "health.path", quote(uri), why)
}

// oldFields takes the Host field from where fields stood before http-check send:
// behind the version, with line ends written out.
func (t *translation) oldFields(d *directive, text string) {
	for field := range strings.SplitSeq(text, "\r\n") {
		name, value, ok := strings.Cut(field, ":")
		switch {
		case ok && strings.EqualFold(name, "host"):
			t.plan.checkHost.set(d, "health.host", quote(strings.TrimSpace(value)), "")
		case ok:
			d.note(LeftOut, "the field "+printable(name)+" isn't sent with checks: see that hosts answer without it")
		}
	}
}

// sends tells whether an http-check send of the backend says something.
func (t *translation) sends(what string) bool {
	return slices.ContainsFunc(t.backend.chain(), func(d *directive) bool {
		return d.word(0) == "http-check" && d.word(1) == "send" && slices.Contains(d.args(2), what)
	})
}

// takeHTTPCheckRule handles http-check send, expect and others.
func takeHTTPCheckRule(t *translation, d *directive) {
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

// send handles http-check send [meth <m>] [uri <u>] [ver <v>] [hdr <n> <v>]… [body <b>].
func (t *translation) send(d *directive) {
	method, uri := "GET", ""
	args := d.args(2)
	for i := 0; i+1 < len(args); i += 2 {
		switch args[i] {
		case "meth":
			method = args[i+1]
		case "uri":
			uri = args[i+1]
		case "hdr":
			t.checkField(d, args[i+1:])
			i++
		case "ver":
		default:
			d.note(LeftOut, args[i]+" isn't sent with checks: see that hosts answer without it")
		}
	}
	if uri != "" {
		t.checkPath(d, method, uri)
	}
	if len(d.Notes) == 0 {
		d.note(Took, "a GET with HTTP/1.1 is what lb sends")
	}
}

// checkField takes the Host field of a check, given as name and value.
func (t *translation) checkField(d *directive, field []string) {
	if strings.EqualFold(field[0], "host") && len(field) > 1 {
		t.plan.checkHost.set(d, "health.host", quote(field[1]), "")
		return
	}
	d.note(LeftOut, "the field "+printable(field[0])+" isn't sent with checks: see that hosts answer without it")
}

// expect handles http-check expect [!] status|string|… <pattern>.
func (t *translation) expect(d *directive) {
	args := d.args(2)
	if len(args) == 2 && args[0] == "status" && args[1] == "200-399" {
		d.note(Took, "any status from 200 to 399 is good")
		return
	}
	if len(args) == 2 && args[0] == "status" {
		d.note(Changed, "any status from 200 to 399 is good here: a host that redirects counts as up")
		return
	}
	d.note(LeftOut, "only the status of the answer counts here: any from 200 to 399 is good. A host that says so while it is broken stays up")
}

// finishChecks fills in what HAProxy does without a word.
func (t *translation) finishChecks() {
	p := t.plan
	if p.path.value == "" {
		p.path.value = `""`
	}
	interval, err := time.ParseDuration(p.interval.value)
	if err != nil {
		panic(err) // formatTime wrote it
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
	if _, err := parseTime(d.word(2)); err != nil {
		t.fail(d.Line, err.Error(), "timeouts are numbers with a unit, such as 5s")
		return
	}
	d.note(Changed, "health.timeout: it covers the connection and the answer together, and is no longer than the interval")
}
