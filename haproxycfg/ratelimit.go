package haproxycfg

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"tokenring/proxy/quota"
)

// sourceCounter matches a criterion about what a stick table counts for a source, and what is more than
// that.
var sourceCounter = pattern(`^(?:src_|sc([0-2])?_)(http_req_rate|conn_rate|conn_cur)(?:\((\w*)\))?\s(gt|ge)\s(\d{1,9})$`)

// A counted is a counter that a rule compares with a bound.
type counted struct {
	name  string // http_req_rate, conn_rate or conn_cur
	slot  string // of track-sc; "" for a counter that is looked up by the source
	table string // "" for that of the proxy
	most  int
}

// counterOf returns the counter that the condition of a rule is about, if there is nothing else in it.
func (s *section) counterOf(d *directive) (c counted, ok bool) {
	cut := alternatives(conditionWords(d))
	if len(cut) != 1 || len(cut[0]) != 1 || d.variable() != "" {
		return c, false
	}
	words := cut[0][0]
	if len(words) > 1 && words[0] == "" {
		words = words[1:]
	} else if len(words) == 1 {
		if words = s.acl(words[0]); words == nil {
			return c, false
		}
	}
	m := sourceCounter().FindStringSubmatch(strings.Join(words, " "))
	if m == nil {
		return c, false
	}
	c.name, c.slot = m[2], m[1]
	if strings.HasPrefix(words[0], "src_") {
		c.table = m[3]
	} else if c.slot == "" {
		c.slot = m[3]
	}
	c.most, _ = strconv.Atoi(m[5])
	if m[4] == "ge" {
		c.most--
	}
	return c, c.most > 0
}

// acl returns the criterion of an acl, nil unless it has one line.
func (s *section) acl(name string) (words []string) {
	for _, d := range s.chain() {
		if d.word(0) == "acl" && d.word(1) == name {
			if words != nil {
				return nil
			}
			words = d.args(2)
		}
	}
	return words
}

// tracked finds the table of a slot, if the slot tracks the sources of all connections or requests.
func (s *section) tracked(c counted) (table string, ok bool) {
	for _, d := range s.chain() {
		words := d.args(1)
		at := slices.Index(words, "track-sc"+c.slot)
		if d.word(0) != "http-request" && d.word(0) != "tcp-request" || at < 0 {
			continue
		}
		if words = words[at+1:]; ok || first(words) != "src" || slices.Contains(words, "if") || slices.Contains(words, "unless") {
			return "", false
		}
		ok = true
		if len(words) > 2 && words[1] == "table" {
			table = words[2]
		}
	}
	return table, ok
}

// period returns over which time a table counts. It is 0 for conn_cur, which has no time.
func (t *translation) period(c counted) (lasts time.Duration, ok bool) {
	s := t.proxy
	if c.table != "" {
		at := slices.IndexFunc(t.sections, func(s *section) bool { return s.name == c.table && s.last("stick-table") != nil })
		if at < 0 {
			return 0, false
		}
		s = t.sections[at]
	}
	d := s.last("stick-table")
	if d == nil || d.after("type") != "ip" && d.after("type") != "ipv6" {
		return 0, false
	}
	if c.name == "conn_cur" {
		return 0, true
	}
	m := regexp.MustCompile(`\b` + c.name + `\((\w+)\)`).FindStringSubmatch(strings.Join(d.args(1), " "))
	if m == nil {
		return 0, false
	}
	lasts, err := parseTime(m[1])
	return lasts, err == nil && lasts >= time.Second && lasts <= mostBurst
}

// mostBurst is the longest limits.per_source.burst.
const mostBurst = time.Hour

// quotaKeys are the keys of limits.per_source by the counters of stick tables.
var quotaKeys = map[string]string{"http_req_rate": "requests", "conn_rate": "new_connections", "conn_cur": "connections"}

// limitSources has a rule that turns sources away that do too much become limits.per_source. It reports
// false if it can't.
func (t *translation) limitSources(d *directive, action string) bool {
	c, ok := t.proxy.counterOf(d)
	if !ok || !slices.Contains(turnsAway, action) || t.proxy.kind == "backend" {
		return false
	}
	if c.slot != "" {
		if c.table, ok = t.proxy.tracked(c); !ok {
			return false
		}
	}
	lasts, ok := t.period(c)
	if !ok {
		return false
	}
	text, why := strconv.Itoa(c.most), "it holds for all listeners together"
	if lasts > 0 {
		if text, ok = rate(c.most, lasts); !ok || !t.plan.sameBurst(formatTime(lasts)) {
			return false
		}
		why += ". lb refuses what is beyond the rate, and HAProxy refuses everything until the source is slower"
		t.plan.quotas["burst"] = setting{formatTime(lasts), d.Number}
	}
	s := t.plan.quotas[quotaKeys[c.name]]
	s.set(d, "limits.per_source."+quotaKeys[c.name], text, why)
	t.plan.quotas[quotaKeys[c.name]] = s
	return true
}

// sameBurst reports whether lasts can be the burst of all rates.
func (p *plan) sameBurst(lasts string) bool {
	return p.quotas["burst"].value == "" || p.quotas["burst"].value == lasts
}

// rate writes how many may come in a time as lb.yaml does. ok is false if it can't.
func rate(most int, lasts time.Duration) (text string, ok bool) {
	for _, unit := range []struct {
		name string
		time.Duration
	}{{"s", time.Second}, {"m", time.Minute}, {"h", time.Hour}} {
		if n := int64(most) * int64(unit.Duration); n%int64(lasts) == 0 {
			text = fmt.Sprintf("%d/%s", n/int64(lasts), unit.name)
			_, err := quota.ParseRate(text)
			return text, err == nil
		}
	}
	return "", false
}

// writeQuotas writes limits.per_source.
func (p *plan) writeQuotas(w *writer) {
	if len(p.quotas) == 0 {
		return
	}
	w.line("  per_source:")
	for _, name := range []string{"connections", "new_connections", "requests", "burst"} {
		w.set("  "+name, p.quotas[name])
	}
}
