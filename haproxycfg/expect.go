package haproxycfg

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"tokenring/health"
)

// expectOptions are the options before the condition, each with a value.
var expectOptions = []string{"min-recv", "comment", "ok-status", "error-status", "tout-status", "on-success", "on-error", "status-code"}

// The statuses that may end an exchange.
const (
	lowestStatus  = 200
	highestStatus = 599
	usualStatuses = "200-399" // that pass where lb.yaml names none
)

// expect handles http-check expect [<option>…] [!] status|rstatus|string|… <pattern>.
func (t *translation) expect(d *directive) {
	args := d.args(2)
	for len(args) > 2 && slices.Contains(expectOptions, args[0]) {
		args = args[2:]
	}
	rule := printable(strings.Join(args, " "))
	negated := first(args) == "!"
	if negated {
		args = args[1:]
	}
	if len(args) != 2 {
		args = []string{"", ""}
	}
	switch list, ok := passing(args[0], args[1], negated); {
	case d.variable() != "":
		d.note(Decide, "lb can't read "+rule+": write health.expect into lb.yaml")
	case ok && list == usualStatuses:
		d.note(Took, "any status from 200 to 399 is good")
	case ok:
		t.plan.expectStatus.set(d, "health.expect.status", quote(list), "")
	case strings.HasSuffix(args[0], "status"):
		d.note(Stops, "lb has no statuses for "+rule+": it takes 200 to 399 for good, and no other. A host that answers with another status is down; if all hosts do so, all users get 503. Write health.expect.status")
	case args[0] == "string" && !negated && args[1] != "":
		t.plan.expectText.set(d, "health.expect.text", quote(args[1]), "")
	default:
		d.note(Decide, "lb looks only for statuses and a text. A host that answers with a good status is up and gets users, even if "+rule+" says that it is broken")
	}
}

// passing returns the final statuses that pass a condition, as health.expect.status has them. ok is false if the
// condition is about something else, or none passes.
func passing(kind, pattern string, negated bool) (list string, ok bool) {
	var passes func(status int) bool
	switch kind {
	case "status":
		if (health.Expect{Status: pattern}).Check() != nil {
			return "", false
		}
		passes = func(status int) bool { return inList(pattern, status) }
	case "rstatus":
		expr, err := regexp.Compile(pattern)
		if err != nil {
			return "", false
		}
		passes = func(status int) bool { return expr.MatchString(strconv.Itoa(status)) }
	default:
		return "", false
	}
	var parts []string
	for from := lowestStatus; from <= highestStatus; from++ {
		to := from
		for to <= highestStatus && passes(to) != negated {
			to++
		}
		switch to - from {
		case 0:
			continue
		case 1:
			parts = append(parts, strconv.Itoa(from))
		default:
			parts = append(parts, fmt.Sprintf("%d-%d", from, to-1))
		}
		from = to
	}
	return strings.Join(parts, ","), len(parts) > 0
}

// inList reports whether a list of statuses and ranges that health.Expect accepts has a status.
func inList(list string, status int) bool {
	for part := range strings.SplitSeq(list, ",") {
		low, high, isRange := strings.Cut(part, "-")
		if !isRange {
			high = low
		}
		from, _ := strconv.Atoi(low)
		to, _ := strconv.Atoi(high)
		if from <= status && status <= to {
			return true
		}
	}
	return false
}

// finishExpect has all statuses pass where HAProxy looks only for a text.
func (p *plan) finishExpect() {
	if p.expectText.value != "" && p.expectStatus.value == "" {
		p.expectStatus = setting{quote(fmt.Sprintf("%d-%d", lowestStatus, highestStatus)), p.expectText.line}
	}
}

// checkField sends a field with checks.
func (t *translation) checkField(d *directive, name, value string) {
	switch lower := strings.ToLower(name); {
	case lower == "host":
		t.plan.checkHost.set(d, "health.host", quote(value), "")
	case d.variable() == "" && !strings.Contains(value, "%[") && health.ValidField(name, value) == nil && len(t.plan.checkFields) < health.MaxFields:
		t.plan.checkFields = append(t.plan.checkFields, fieldLine{name, value, d.Number})
		d.note(Took, "checks have the field "+printable(name))
	case slices.Contains(idleFields, lower):
		d.note(LeftOut, "the field "+printable(name)+" isn't sent with checks")
	default:
		d.note(Decide, "the field "+printable(name)+" isn't sent with checks: make sure that healthy hosts answer without it, with a good status, or all hosts are down and all users get 503")
	}
}

// checkPort sets the port of checks, if it is the same for all servers.
func (t *translation) checkPort(all []*server) {
	for _, s := range all {
		switch one := s.port; {
		case one.by == nil:
		case slices.ContainsFunc(all, func(other *server) bool { return other.port.value != one.value }):
			one.by.note(Stops, "port "+one.value+": lb has one health.port for all hosts, and not all servers have the same: a host that doesn't answer checks at its own port is down")
		default:
			t.plan.checkPort.set(one.by, "health.port", one.value, "")
		}
	}
}

// writeExpect writes which answers pass, and what checks have.
func (p *plan) writeExpect(w *writer) {
	w.set("port", p.checks.checkPort)
	if len(p.checkFields) > 0 {
		w.line("  fields:")
		for _, f := range p.checkFields {
			w.line("    %s: %s%s", quoteName(f.name), quote(f.value), from(f.line))
		}
	}
	if p.expectStatus.value != "" || p.expectText.value != "" {
		w.line("  expect:")
		w.set("  status", p.expectStatus)
		w.set("  text", p.expectText)
	}
}
