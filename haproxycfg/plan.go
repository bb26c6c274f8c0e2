package haproxycfg

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// A plan is what will be in lb.yaml. Lines are those of haproxy.cfg from which
// something comes, 0 if it comes from none.
type plan struct {
	from      string // which file and backend
	listeners []listener
	pairs     []pair
	minTLS    setting
	key       setting // a rule as in YAML, such as {query: token}
	policy    string
	bound     setting // of loads
	cookie    setting // a mapping as in YAML
	ring      ring
	slowStart setting
	hosts     []host
	path      setting // of checks
	checkHost setting
	interval  setting
	timeout   setting
	rise      setting
	fall      setting
	timeouts  map[string]setting
	limits    map[string]setting
	admin     int // the line that asks for an endpoint for operators
}

func newPlan() *plan { return &plan{timeouts: map[string]setting{}, limits: map[string]setting{}} }

// A setting is one value as lb.yaml has it; it is unset while value is empty.
type setting struct {
	value string
	line  int
}

type listener struct {
	address       string
	tls, redirect bool
	http1, aborts bool       // http2: false, half_close: abort
	fronts        []*section // that have the address
	line          int
}

type pair struct {
	cert, key string
	line      int
}

// A ring is the parameters of the policy haproxy.
type ring struct {
	kind, function string // as in YAML
	avalanche      bool
	line           int
}

// A host is a server of haproxy.cfg. With a reason in out it is written as a
// comment only.
type host struct {
	name    string
	id      uint64
	address string
	weight  string // as in YAML, like idText
	idText  string // in place of id, if that can't be read
	out     string
	ask     string // what the address has to be looked up from, if it isn't known
	line    int
}

// set gives a setting a value unless it has one. It notes at d what comes of it.
func (s *setting) set(d *directive, key, value, why string) {
	verdict, note := Took, key+": "+value
	if why != "" {
		verdict, note = Changed, note+": "+why
	}
	switch {
	case s.value == "":
		*s = setting{value, d.Number}
		d.note(verdict, note)
	case s.value == value:
		d.note(verdict, note)
	default:
		d.note(LeftOut, fmt.Sprintf("%s: %s: there is one value for all here, and line %d's %s stays", key, value, s.line, s.value))
	}
}

// ask gives a setting a text that can't be read, as it stands in the file: lb
// check refuses it until somebody writes what the variable stands for.
func (s *setting) ask(d *directive, key, text, variable string) {
	if s.value == "" {
		*s = setting{text, d.Number}
	}
	verdict := Decide
	if key == "hash.key" {
		verdict = Moves
	}
	d.askFor(verdict, key, variable)
}

// askFor notes what has to be filled in; tokens move with another value if the
// verdict is Moves.
func (d *directive) askFor(verdict Verdict, key, variable string) {
	d.asked = true
	d.note(verdict, fmt.Sprintf("%s: fill in what %s stands for, which HAProxy's environment says. lb check refuses lb.yaml until then", key, variable))
}

// yaml writes lb.yaml.
func (p *plan) yaml() []byte {
	var w writer
	w.line("# Imported from %s. Numbers are lines of that file.", comment(p.from))
	w.line("# The report of the import says what isn't here; \"lb check\" says what is still missing.")
	p.writeListen(&w)
	p.writeTLS(&w)
	p.writeHash(&w)
	if p.cookie.value != "" {
		w.line("affinity:")
		w.set("cookie", p.cookie)
	}
	p.writeHosts(&w)
	p.writeHealth(&w)
	p.writeTimeouts(&w)
	p.writeLimits(&w)
	w.line("admin:%s", from(p.admin))
	w.line("  address: \"127.0.0.1:7000\"  # API, metrics and dashboard; the token is made in state_dir if token_file names none")
	w.line("state_dir: /var/lib/lb")
	return []byte(w.String())
}

type writer struct{ strings.Builder }

func (w *writer) line(format string, args ...any) { fmt.Fprintf(w, format+"\n", args...) }

// set writes a setting one level deep, nothing if it is unset.
func (w *writer) set(key string, s setting) {
	if s.value != "" {
		w.line("  %s: %s%s", key, s.value, from(s.line))
	}
}

// from is the comment that names a line.
func from(line int) string {
	if line == 0 {
		return ""
	}
	return fmt.Sprintf("  # %d", line)
}

func (p *plan) writeListen(w *writer) {
	w.line("listen:")
	for _, l := range p.listeners {
		what := ""
		if l.tls {
			what += ", tls: true"
		}
		if l.redirect {
			what += ", redirect_https: true"
		}
		if l.http1 {
			what += ", http2: false"
		}
		if l.aborts {
			what += ", half_close: abort"
		}
		w.line("  - {address: %s%s}%s", quote(l.address), what, from(l.line))
	}
}

func (p *plan) writeTLS(w *writer) {
	if len(p.pairs) == 0 && p.minTLS.value == "" {
		return
	}
	w.line("tls:")
	if len(p.pairs) > 0 {
		w.line("  certificates:  # read again when they change; the first is for clients that name no server")
	}
	for _, c := range p.pairs {
		w.line("    - {cert: %s, key: %s}%s", quote(c.cert), quote(c.key), from(c.line))
	}
	w.set("min_version", p.minTLS)
}

func (p *plan) writeHash(w *writer) {
	w.line("hash:")
	w.line("  key: [%s]%s", p.key.value, from(p.key.line))
	w.line("  policy: %s", p.policy)
	w.set("bounded_load", p.bound)
	if p.policy == "haproxy" {
		w.line("  haproxy: {type: %s, function: %s, avalanche: %t}%s", p.ring.kind, p.ring.function, p.ring.avalanche, from(p.ring.line))
	}
}

func (p *plan) writeHosts(w *writer) {
	w.line("pool:")
	w.set("slow_start", p.slowStart)
	why := ""
	if p.policy == "haproxy" {
		why = "  # keep ids and weights for as long as the policy is haproxy: they decide where tokens go"
	}
	w.line("  hosts:%s", why)
	for _, h := range p.hosts {
		text := fmt.Sprintf("- {name: %s, id: %s, address: %s, weight: %s}", quoteName(h.name), h.number(), quote(h.address), h.weight)
		switch {
		case h.out != "":
			w.line("    # %s  # %d: %s", comment(text), h.line, comment(h.out))
		case h.ask != "":
			w.line("    %s  # %d: fill in the address: %s", text, h.line, comment(h.ask))
		default:
			w.line("    %s%s", text, from(h.line))
		}
	}
}

// number is the host's id as in YAML.
func (h *host) number() string { return cmp.Or(h.idText, strconv.FormatUint(h.id, 10)) }

func (p *plan) writeHealth(w *writer) {
	w.line("health:")
	w.set("path", p.path)
	w.set("host", p.checkHost)
	w.set("interval", p.interval)
	w.set("timeout", p.timeout)
	w.set("rise", p.rise)
	w.set("fall", p.fall)
}

var bare = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9-]*$`)

// notNames are words that YAML could take for something else than a text.
var notNames = []string{"null", "true", "false", "yes", "no", "on", "off", "y", "n"}

// quoteName leaves a plain name as it is.
func quoteName(name string) string {
	if bare.MatchString(name) && !slices.Contains(notNames, strings.ToLower(name)) {
		return name
	}
	return quote(name)
}

// quote writes text as YAML's double-quoted scalar, of which Go's escapes are a
// part as long as the text is printable.
func quote(text string) string { return strconv.Quote(printable(text)) }

// comment makes text fit for a comment.
func comment(text string) string { return strings.ReplaceAll(printable(text), "\n", " ") }
