package haproxycfg

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"tokenring/proxy/queue"
	"tokenring/route"
)

// A server is one server line, or one slot of a server-template.
type server struct {
	directive *directive
	name      string
	address   string
	id        uint64
	explicit  bool // the line gives the id
	params
}

// params are the options of servers that lb uses.
type params struct {
	weight                  int
	unread                  map[string]string // weight and id, as in YAML, if a variable hides them
	check, backup, disabled bool
	inter, rise, fall       said
	slowstart               said // only if it is greater than zero
	port                    said // of checks
	onDown                  said // closing, if sessions end when the server goes down
	tls                     hostTLS
	most                    int        // maxconn; 0 for any number
	sendProxy               *directive // nil: no header of the PROXY protocol
}

// A said is a value with its directive. It is unset without a directive.
type said struct {
	value string
	by    *directive
}

const (
	maxID     = 1<<31 - 1
	idDivisor = 1 << 20 // HAProxy can't tell apart ids that are equal modulo this (see docs/migrating.md)
	maxSlots  = 4096    // of a server-template
)

// servers translates the servers.
func (t *translation) servers() {
	defaults := params{weight: 1}
	var all []*server
	for _, d := range t.backend.chain() {
		switch {
		case d.word(0) == "default-server":
			t.options(d, d.words[1:], &defaults, nil)
		case isServer(d):
			all = append(all, t.server(d, defaults)...)
		}
	}
	t.unique(all)
	number(all)
	for _, s := range all {
		t.host(s)
	}
	t.hostTLS(all)
	t.sendProxy(all)
	t.settings(all)
	t.slowStart(all)
}

// server reads a server or server-template line.
func (t *translation) server(d *directive, p params) []*server {
	if d.word(0) == "server-template" {
		return t.template(d, p)
	}
	if len(d.words) < 3 {
		t.fail(d.Line, "a server needs a name and an address", "write server NAME ADDRESS:PORT …")
		return nil
	}
	s := &server{directive: d, name: d.word(1), address: d.word(2), params: p}
	t.options(d, d.words[3:], &s.params, s)
	return []*server{s}
}

// template reads server-template PREFIX NUMBER|FIRST-LAST FQDN:PORT …
func (t *translation) template(d *directive, p params) []*server {
	low, high, isRange := strings.Cut(d.word(2), "-")
	first, err := strconv.Atoi(low)
	last := first
	if err == nil && isRange {
		last, err = strconv.Atoi(high)
	} else {
		first = 1
	}
	if err != nil || first < 0 || last < first || last-first >= maxSlots || len(d.words) < 4 {
		t.fail(d.Line, "this is no server-template that can be numbered", fmt.Sprintf("write server-template PREFIX COUNT NAME:PORT, with a count of 1 to %d", maxSlots))
		return nil
	}
	base := server{directive: d, params: p}
	t.options(d, d.words[4:], &base.params, &base)
	var all []*server
	for n := first; n <= last; n++ {
		s := base
		s.name, s.address = d.word(1)+strconv.Itoa(n), d.word(3)
		if n > first { // the id belongs to the first slot; the others are numbered
			s.id, s.explicit = 0, false
		}
		all = append(all, &s)
	}
	return all
}

// options reads the options of a server, s, or of default-server if s is nil.
func (t *translation) options(d *directive, words []word, p *params, s *server) {
	for len(words) > 0 {
		known, ok := serverOptions[words[0].text]
		if !ok {
			d.note(Unknown, fmt.Sprintf("%q is no option of servers that the import knows. It reads on from the next word that it knows", words[0].raw))
			words = words[1:]
			continue
		}
		n := min(1+known.args, len(words))
		t.option(d, words[:n], known, p, s)
		words = words[n:]
	}
}

// option reads one option with its arguments.
func (t *translation) option(d *directive, words []word, known option, p *params, s *server) {
	var args []string
	for _, w := range words[1:] {
		args = append(args, w.text)
	}
	name, value := words[0].text, strings.Join(args, " ")
	at := slices.IndexFunc(words, func(w word) bool { return w.variable != "" })
	switch {
	case name == "agent-send": // its argument isn't repeated
		d.note(known.verdict, name+": "+known.why)
	case (name == "proto" || name == "alpn") && (value == "h1" || value == "http/1.1"):
		d.note(Took, name+" "+value+": that is what lb speaks to hosts")
	case name == "hash-key" && value == "id":
		d.note(Took, "hash-key id: in HAProxy and in lb, the id places a host")
	case known.why != "":
		d.note(known.verdict, strings.TrimSpace(name+" "+value)+": "+known.why)
	case name == "on-marked-down" && at >= 0: // it has one value only
		p.onDown = said{closing, d}
	case at >= 0:
		p.ask(d, name, value, s)
		verdict := Decide
		if name == "weight" || name == "id" {
			verdict = Moves
		}
		d.askFor(verdict, name, words[at].variable)
	default:
		if err := p.take(d, name, value, s); err != nil {
			t.fail(d.Line, fmt.Sprintf("%s: %v", name, err), "see what HAProxy says: haproxy -c -f "+t.name)
		}
	}
}

// ask sets a value that can't be read, as it is written.
func (p *params) ask(d *directive, name, value string, s *server) {
	one := said{quote(value), d}
	switch name {
	case "inter":
		p.inter = one
	case "rise":
		p.rise = one
	case "fall":
		p.fall = one
	case "slowstart":
		p.slowstart = one
	case "port":
		p.port = one
	default:
		p.unread = maps.Clone(p.unread) // the slots of a template, and default-server's, are copies
		if p.unread == nil {
			p.unread = map[string]string{}
		}
		p.unread[name] = one.value
		if name == "id" && s != nil {
			s.explicit = true
		}
	}
}

// take sets an option that lb uses.
func (p *params) take(d *directive, name, value string, s *server) (err error) {
	switch {
	case p.tls.take(d, name, value):
		return nil
	case strings.Contains(name, "send-proxy"):
		if p.sendProxy = d; strings.HasPrefix(name, "no-") {
			p.sendProxy = nil
		}
		return nil
	}
	switch name {
	case "check":
		p.check = true
	case "no-check":
		p.check = false
	case "backup":
		p.backup = true
	case "no-backup":
		p.backup = false
	case "disabled":
		p.disabled = true
	case "enabled":
		p.disabled = false
	case "inter":
		var inter time.Duration
		inter, err = parseTime(value)
		p.inter = said{formatTime(inter), d}
	case "slowstart":
		var lasts time.Duration
		lasts, err = parseTime(value)
		if p.slowstart = (said{}); lasts > 0 {
			p.slowstart = said{formatTime(lasts), d}
		}
	case "on-marked-down":
		if value != "shutdown-sessions" {
			err = fmt.Errorf("%q isn't shutdown-sessions", value)
		}
		p.onDown = said{closing, d}
	case "rise":
		_, err = parseNumber(value, 1, maxID)
		p.rise = said{value, d}
	case "fall":
		_, err = parseNumber(value, 1, maxID)
		p.fall = said{value, d}
	case "port":
		_, err = parseNumber(value, 0, 65535)
		if p.port = (said{}); err == nil && value != "0" {
			p.port = said{value, d}
		}
	case "maxconn":
		p.most, err = parseNumber(value, 0, maxID)
	case "weight":
		p.weight, err = parseNumber(value, 0, 256)
	case "id":
		if s == nil {
			return fmt.Errorf("this belongs to one server")
		}
		var id int
		id, err = parseNumber(value, 1, maxID)
		s.id, s.explicit = uint64(id), true
	}
	return err
}

func parseNumber(text string, from, to int) (int, error) {
	n, err := strconv.Atoi(text)
	if err != nil || n < from || n > to {
		return 0, fmt.Errorf("%q is no number from %d to %d", text, from, to)
	}
	return n, nil
}

// unique reports servers that are the same to HAProxy.
func (t *translation) unique(all []*server) {
	first := map[string]*server{}
	for _, s := range all {
		keys := []string{"name " + s.name}
		if s.explicit && s.id != 0 {
			keys = append(keys, fmt.Sprintf("id %d", s.id))
		}
		for _, key := range keys {
			if other := first[key]; other != nil {
				t.fail(s.directive.Line, fmt.Sprintf("line %d has a server with the %s already", other.directive.Number, key), "give each its own; HAProxy refuses this, too")
				continue
			}
			first[key] = s
		}
	}
}

// number gives ids to the servers that have none, as HAProxy does. In the order of the
// lines, each server takes the first free id that is greater than the counter of the server
// before it.
func number(all []*server) {
	taken := map[uint64]bool{}
	for _, s := range all {
		taken[s.id] = s.explicit
	}
	next := uint64(1)
	for _, s := range all {
		if !s.explicit {
			for taken[next] {
				next++
			}
			s.id = next
			taken[next] = true
		}
		next++
	}
}

// host adds a server to the plan.
func (t *translation) host(s *server) {
	d := s.directive
	h := host{name: t.hostName(s), id: s.id, weight: cmp.Or(s.unread["weight"], strconv.Itoa(s.weight)), idText: s.unread["id"], most: s.unread["maxconn"], line: d.Number}
	if h.most == "" && s.most > 0 {
		h.most = strconv.Itoa(min(s.most, queue.MaxConnections))
	}
	h.address, h.ask = hostAddress(s.address)
	if d.word(0) == "server-template" {
		if t.pool != "" && route.CheckAddress(s.address) == nil && !strings.HasPrefix(s.address, "_") {
			t.plan.dns.set(d, "dns.name", quote(s.address), "every address of the name is a host")
			return
		}
		h.address, h.out = "", "its address is from DNS"
		t.plan.hosts = append(t.plan.hosts, h)
		return
	} else if d.unread(2) != "" {
		h.address, h.ask, d.asked = s.address, s.address, true
	}
	if s.disabled {
		h.out = "disabled in HAProxy; tokens would move if it served in lb. Uncomment it when it is to serve"
	}
	h.backup = s.backup
	t.plan.hosts = append(t.plan.hosts, h)
	what := fmt.Sprintf("%s: %s, id %s", d.in("pool.hosts"), h.name, h.number())
	if !s.explicit {
		what += " as HAProxy numbers it"
	}
	if h.out != "" {
		d.note(LeftOut, what+", as a comment: "+h.out)
		return
	}
	d.note(Took, what)
	if h.ask != "" {
		d.note(Decide, fmt.Sprintf("fill in the address of %s: %s isn't one that lb can connect to by itself", h.name, s.address))
	}
	if h.most != "" {
		d.note(Changed, fmt.Sprintf("max_connections of %s: %s: a terminal counts until its host agrees to it, and in HAProxy as long as it is open", h.name, h.most))
	}
	if s.backup {
		d.note(Changed, "backup: all backups serve together, when no other host does and the ring isn't frozen (pool.freeze); HAProxy has the first alone unless it has option allbackups")
	}
	if s.id >= idDivisor {
		t.wrapped(s)
	}
}

// finishTemplates notes what to do about each server-template, in one note for all its slots.
func (t *translation) finishTemplates() {
	for _, d := range t.backend.chain() {
		var slots []host
		for _, h := range t.plan.hosts {
			if h.line == d.Number && d.word(0) == "server-template" {
				slots = append(slots, h)
			}
		}
		if len(slots) == 0 {
			continue
		}
		first, last := slots[0], slots[len(slots)-1]
		d.note(Decide, fmt.Sprintf("HAProxy fills these %d hosts from DNS, in an order that only it knows. They are comments in lb.yaml, from %s, id %s, to %s, id %s: run lb agent --name %s --id %s … on the first and so on, in the order of \"show servers state\" on HAProxy's socket, and set pool.bind; or fill in the addresses",
			len(slots), first.name, first.number(), last.name, last.number(), first.name, first.number()))
	}
}

// wrapped notes an id that is too large for HAProxy's arithmetic.
func (t *translation) wrapped(s *server) {
	s.directive.note(Took, fmt.Sprintf("the id counts modulo %d on the ring, in HAProxy and in lb; lb check refuses two ids that are equal modulo that number", idDivisor))
}

// hostName returns the server's name, changed if lb can't have a host with this name.
// HAProxy's ring doesn't depend on names.
func (t *translation) hostName(s *server) string {
	name := strings.Map(func(r rune) rune {
		if r < 0x80 && (nameByte(byte(r)) || r == '.' || r == '-') {
			return r
		}
		return '-'
	}, s.name)
	name = strings.TrimLeft(name, "._-")
	taken := func(name string) bool {
		return slices.ContainsFunc(t.plan.hosts, func(h host) bool { return h.name == name })
	}
	if name == "" || len(name) > maxName || taken(name) {
		name = fmt.Sprintf("host-%d", s.id)
	}
	if name != s.name {
		s.directive.note(Changed, fmt.Sprintf("%q can't be the name of a host in lb, it becomes %s; on the ring only the id counts", printable(s.name), name))
	}
	return name
}

const maxName = 64 // bytes, as lb check has it
