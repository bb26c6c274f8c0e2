package nginxcfg

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"tokenring/migration"
	"tokenring/proxy/quota"
)

// A zone is a table of nginx that counts something by a key: limit_conn_zone or limit_req_zone.
type zone struct {
	d       *directive
	section string        // of limits, for the same key; "" if lb has none
	rate    string        // of limit_req_zone, as in lb.yaml
	every   time.Duration // the same, as the time between two requests
}

// quotaOrder is the order of the keys of a section of limits.
var quotaOrder = []string{"connections", "requests", "terminals", "burst"}

// quotas fills in limits.per_source and limits.per_key, from limits that hold for all requests to
// hosts. In lb they hold for no part of the requests alone.
func (t *translation) quotas() {
	for _, z := range t.zones() {
		lines, everywhere := t.limiting(z)
		for _, d := range lines {
			switch {
			case len(t.dryRun(d)) > 0:
				d.note(leftOut, "nginx only counts here, and refuses nothing")
			case z.section == "":
				d.note(stops, "lb limits what one client's address or one token may use, and nothing else: nothing is refused because of this line")
			case !everywhere:
				d.note(decide, "the limit is for some requests only; lb's limits are for all requests of a client or a token. If that fits, write "+z.text(d)+" into limits")
			default:
				z.d.note(changed, "lb knows 65,536 sources and as many tokens, in 10 MB or less, whatever the size is here; all addresses of a network of 64 bits of IPv6 are one source")
			}
		}
		if len(lines) > 0 && everywhere && z.section != "" {
			t.limit(z, lines)
		}
	}
	for _, d := range append(t.inForce("limit_conn"), t.inForce("limit_req")...) {
		if !d.noted {
			d.note(decide, "no line of this file has its table: write what a client may use into limits.per_source")
		}
	}
}

// zones reads the tables.
func (t *translation) zones() (all []*zone) {
	for _, d := range t.http.body {
		if d.name != "limit_conn_zone" && d.name != "limit_req_zone" {
			continue
		}
		z := &zone{d: d, rate: "1/s", every: time.Second}
		rules, _ := t.rules(d.arg(0), 0)
		switch key := strings.Join(rules, ", "); {
		case key == "source":
			z.section = "per_source"
		case key != "" && key == t.plan.main.key:
			z.section = "per_key"
		}
		if text := d.after("rate="); d.name == "limit_req_zone" && text != "" && !z.readRate(text) {
			t.decideValue(d)
			continue
		}
		all = append(all, z)
	}
	return all
}

var rateWords = migration.Pattern(`^(\d{1,6})r/([sm])$`)

// readRate reads a rate such as 5r/s.
func (z *zone) readRate(text string) bool {
	found := rateWords().FindStringSubmatch(text)
	if found == nil {
		return false
	}
	n, _ := strconv.Atoi(found[1])
	z.rate = found[1] + "/" + found[2]
	if _, err := quota.ParseRate(z.rate); err != nil {
		return false
	}
	z.every = map[string]time.Duration{"s": time.Second, "m": time.Minute}[found[2]] / time.Duration(n)
	return true
}

// after returns what follows a prefix in the first argument that has it.
func (d *directive) after(prefix string) string {
	for _, word := range d.args {
		if rest, ok := strings.CutPrefix(word, prefix); ok {
			return rest
		}
	}
	return ""
}

// kind is limit_conn or limit_req.
func (z *zone) kind() string { return strings.TrimSuffix(z.d.name, "_zone") }

// name returns the name by which lines call the table.
func (z *zone) name() string {
	name, _, _ := strings.Cut(z.d.after("zone="), ":")
	return name
}

// limiting returns the lines that limit by a table, and whether one of them is in force wherever
// requests go to hosts.
func (t *translation) limiting(z *zone) (lines []*directive, everywhere bool) {
	everywhere = true
	for _, s := range t.servers {
		for _, l := range s.locations {
			if l.upstream == nil || l.upstream.pool == "" {
				continue
			}
			own := slices.DeleteFunc(slices.Clone(l.d.force(z.kind())), func(d *directive) bool { return !z.has(d) })
			everywhere = everywhere && len(own) > 0
			for _, d := range own {
				everywhere = everywhere && len(t.dryRun(d)) == 0
				if !slices.Contains(lines, d) {
					lines = append(lines, d)
				}
			}
		}
	}
	return lines, everywhere
}

// has reports whether a line limits by the table.
func (z *zone) has(d *directive) bool {
	if z.kind() == "limit_conn" {
		return d.arg(0) == z.name()
	}
	return d.after("zone=") == z.name()
}

// dryRun returns the line because of which a limit refuses nothing, if there is one.
func (t *translation) dryRun(d *directive) []*directive {
	return slices.DeleteFunc(slices.Clone(d.within.force(d.name+"_dry_run")), func(d *directive) bool { return d.arg(0) != "on" })
}

// limit takes the most that any of the lines allows.
func (t *translation) limit(z *zone, lines []*directive) {
	most, greatest := lines[0], 0
	for _, d := range lines {
		n, ok := z.allows(d)
		if !ok {
			t.decideValue(d)
			return
		}
		if n > greatest {
			most, greatest = d, n
		}
	}
	for _, d := range lines {
		d.note(changed, "limits."+z.section+": one value for all requests, the greatest of the file")
		if z.kind() == "limit_req" && !slices.Contains(d.args, "nodelay") {
			d.note(changed, "nginx lets requests within burst wait; lb lets them pass at once")
		}
	}
	key := z.key()
	if z.kind() == "limit_conn" {
		if key == "connections" {
			most.note(changed, "connections count while they are open, also if no request is on them; further ones are closed")
		} else {
			most.note(changed, "terminals count, and no other requests")
		}
		t.quota(most, z.section+"."+key, strconv.Itoa(greatest))
		return
	}
	if t.quota(most, z.section+"."+key, z.rate) {
		t.quota(most, z.section+".burst", z.burst(most))
	}
}

// quota sets a value of limits, unless there is another one.
func (t *translation) quota(d *directive, key, value string) bool {
	s := t.plan.quotas[key]
	s.set(d, "limits."+key, value)
	t.plan.quotas[key] = s
	return s.value == value
}

// key is that of the table's limit in its section.
func (z *zone) key() string {
	switch {
	case z.kind() == "limit_req":
		return "requests"
	case z.section == "per_key":
		return "terminals"
	}
	return "connections"
}

// allows returns how many a line allows at once.
func (z *zone) allows(d *directive) (n int, ok bool) {
	if z.kind() == "limit_conn" {
		n, err := strconv.Atoi(d.arg(1))
		return n, err == nil && n >= 1 && n < 1<<16
	}
	burst := cmp.Or(d.after("burst="), "0")
	n, err := strconv.Atoi(burst)
	return n + 1, err == nil && n >= 0 && time.Duration(n+1)*z.every <= mostBurst
}

// mostBurst is the longest burst of lb.
const mostBurst = time.Hour

// burst returns the time in which the rate allows as many as the line allows at once.
func (z *zone) burst(d *directive) string {
	n, _ := z.allows(d)
	lasts := time.Duration(n) * z.every
	if z.every >= time.Millisecond {
		lasts = (lasts + time.Millisecond - 1).Truncate(time.Millisecond)
	}
	return formatTime(lasts)
}

// text returns the limit of a line as it would be in limits.
func (z *zone) text(d *directive) string {
	n, ok := z.allows(d)
	switch {
	case !ok:
		return z.section
	case z.kind() == "limit_req":
		return fmt.Sprintf("%s: {requests: %s, burst: %s}", z.section, z.rate, z.burst(d))
	}
	return fmt.Sprintf("%s: {%s: %d}", z.section, z.key(), n)
}

// writeQuotas writes the sections of limits with what one source or one token may use.
func (p *plan) writeQuotas(w *writer) {
	for _, section := range []string{"per_source", "per_key"} {
		begun := false
		for _, key := range quotaOrder {
			s := p.quotas[section+"."+key]
			if s.value != "" && !begun {
				begun = true
				w.line("  %s:", section)
			}
			w.set("    "+key, s)
		}
	}
}
