package haproxycfg

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// A plan is the content of lb.yaml. The lines in it are those of haproxy.cfg from which a
// value comes, 0 if it comes from none.
type plan struct {
	from      string // which file and backend
	listeners []listener
	pairs     []pair
	directory setting  // tls.directory
	terms     tlsTerms // of all TLS addresses
	minTLS    setting
	key       setting // a rule as in YAML, such as {query: token}
	policy    string
	turns     setting // the policy of a pool without a key
	bound     setting // hash.bounded_load
	cookie    setting // a mapping as in YAML
	ring      ring
	slowStart setting
	hosts     []host
	hsts      setting
	ofAll     changes // of all requests and answers
	ofPool    changes // of those of the pool
	tls       setting // pool.tls, a mapping as in YAML
	sendProxy setting // pool.send_proxy
	queueWait setting // pool.queue.wait
	dns       setting // the name whose addresses are the hosts of a pool beside the main one
	pools     []poolPlan
	answers   []rule // routes, in three parts: what lb answers, what goes to pools, and what is left
	uses      []rule
	rest      []rule
	unmatched int // the line that has requests without a route refused; 0 if there is none
	checks
	pages     map[int]setting // by status
	timeouts  map[string]setting
	limits    map[string]setting
	quotas    map[string]setting // limits.per_source
	logFormat setting
	admin     int // the line of HAProxy's endpoint for operators
}

// checks are the settings of health checks.
type checks struct {
	path      setting // health.path
	checkHost setting
	interval  setting
	timeout   setting
	rise      setting
	fall      setting

	checkPort, expectStatus, expectText setting
	checkFields                         []fieldLine

	onDown, closeAfter setting
}

func newPlan() *plan {
	return &plan{pages: map[int]setting{}, timeouts: map[string]setting{}, limits: map[string]setting{}, quotas: map[string]setting{}}
}

// A setting is one value as it is written in lb.yaml. It is unset if value is "".
type setting struct {
	value string
	line  int
}

type listener struct {
	address       string
	tls, redirect bool
	http1, aborts bool       // http2: false, half_close: abort
	proxied       bool       // proxy_protocol: required
	fronts        []*section // the frontends with this address
	access        accessPlan
	terms         tlsTerms
	pairs         []pair
	directory     string
	oldest        setting // min_version
	own           bool    // it has own_tls
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

// A host is a server of haproxy.cfg. If out has a reason, the host is written as a comment.
type host struct {
	name    string
	id      uint64
	address string
	weight  string // as in YAML, like idText
	idText  string // used instead of id if the id can't be read
	backup  bool
	most    string // max_connections, likewise; "" for any number
	out     string
	ask     string // where to look the address up, if it isn't known
	line    int
}

// set sets a value unless there is one already. It notes at d what happens to the line.
func (s *setting) set(d *directive, key, value, why string) {
	key = d.in(key)
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
		d.note(LeftOut, fmt.Sprintf("%s: %s: lb has one value for all, and line %d's %s stays", key, value, s.line, s.value))
	}
}

// ask sets a value that has a variable, as it is in the file. lb check refuses it until the
// operator writes the variable's value.
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

// askFor notes that the operator must fill in a value. With the verdict Moves, a wrong value
// moves tokens.
func (d *directive) askFor(verdict Verdict, key, variable string) {
	d.asked = true
	d.note(verdict, fmt.Sprintf("%s: fill in the value that %s has in HAProxy's environment. lb check refuses lb.yaml until then", key, variable))
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
	p.writeRoutes(&w)
	p.ofAll.write(&w)
	if p.hsts.value != "" {
		w.line("hsts: %s%s", p.hsts.value, from(p.hsts.line))
	}
	p.writePages(&w)
	p.writeHealth(&w)
	p.writeTimeouts(&w)
	p.writeLimits(&w)
	p.writeLog(&w)
	w.line("admin:%s", from(p.admin))
	w.line("  address: \"127.0.0.1:7000\"  # API, metrics and dashboard; the token is made in state_dir if token_file names none")
	w.line("state_dir: /var/lib/lb")
	return []byte(w.String())
}

type writer struct{ strings.Builder }

func (w *writer) line(format string, args ...any) { fmt.Fprintf(w, format+"\n", args...) }

// set writes a setting, indented by one level. It writes nothing if the setting is unset.
func (w *writer) set(key string, s setting) {
	if s.value != "" {
		w.line("  %s: %s%s", key, s.value, from(s.line))
	}
}

// from returns the comment with the number of a line.
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
		if l.own {
			what += ", own_tls: " + l.ownTLS()
		}
		if l.http1 {
			what += ", http2: false"
		}
		if l.proxied {
			what += ", proxy_protocol: required"
		}
		if !l.access.empty() {
			what += ", access: " + l.access.yaml()
		}
		if l.aborts {
			what += ", half_close: abort"
		}
		w.line("  - {address: %s%s}%s", quote(l.address), what, from(l.line))
	}
}

func (p *plan) writeTLS(w *writer) {
	if len(p.pairs) == 0 && p.minTLS.value == "" && p.directory.value == "" && p.terms == (tlsTerms{}) {
		return
	}
	w.line("tls:")
	if len(p.pairs) > 0 {
		w.line("  certificates:  # read again when they change; the first is for clients that name no server")
	}
	for _, c := range p.pairs {
		w.line("    - {cert: %s, key: %s}%s", quote(c.cert), quote(c.key), from(c.line))
	}
	w.set("directory", p.directory)
	for _, key := range p.terms.keys() {
		w.line("  %s", key)
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
	var roads writer
	p.writeRoads(&roads)
	w.indent(roads.String(), "  ")
	var own writer
	p.ofPool.write(&own)
	w.indent(own.String(), "  ")
	why := ""
	if p.policy == "haproxy" {
		why = "  # keep ids and weights for as long as the policy is haproxy: they decide where tokens go"
	}
	w.line("  hosts:%s", why)
	w.WriteString(p.hostLines("    "))
}

// writeRoads writes how lb reaches the hosts of the pool.
func (p *plan) writeRoads(w *writer) {
	for _, one := range []struct {
		key string
		setting
	}{{"tls", p.tls}, {"send_proxy", p.sendProxy}} {
		if one.value != "" {
			w.line("%s: %s%s", one.key, one.value, from(one.line))
		}
	}
	if p.queueWait.value != "" {
		w.line("queue:")
		w.set("wait", p.queueWait)
	}
}

// hostLines returns the lines of the hosts behind an indentation.
func (p *plan) hostLines(indent string) string {
	var w writer
	for _, h := range p.hosts {
		text := fmt.Sprintf("- {name: %s, id: %s, address: %s, weight: %s", quoteName(h.name), h.number(), quote(h.address), h.weight)
		if h.most != "" {
			text += ", max_connections: " + h.most
		}
		if h.backup && p.hasOthers() {
			text += ", backup: true"
		}
		text += "}"
		switch {
		case h.out != "":
			w.line("%s# %s  # %d: %s", indent, comment(text), h.line, comment(h.out))
		case h.ask != "":
			w.line("%s%s  # %d: fill in the address: %s", indent, text, h.line, comment(h.ask))
		default:
			w.line("%s%s%s", indent, text, from(h.line))
		}
	}
	return w.String()
}

// hasOthers reports whether the pool may have hosts that are no backups. Without any, HAProxy's
// backups serve all the time.
func (p *plan) hasOthers() bool {
	return p.dns.value != "" || slices.ContainsFunc(p.hosts, func(h host) bool { return !h.backup && (h.out == "" || h.address == "") })
}

// number returns the host's id as it is written in YAML.
func (h *host) number() string { return cmp.Or(h.idText, strconv.FormatUint(h.id, 10)) }

func (p *plan) writeHealth(w *writer) {
	w.line("health:")
	w.set("path", p.path)
	w.set("host", p.checkHost)
	p.writeExpect(w)
	w.set("interval", p.interval)
	w.set("timeout", p.timeout)
	w.set("rise", p.rise)
	w.set("fall", p.fall)
	w.set("on_down", p.onDown)
	w.set("close_after", p.closeAfter)
}
