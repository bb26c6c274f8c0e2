package nginxcfg

import (
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"

	"tokenring/migration"
	"tokenring/proxy/queue"
	"tokenring/route"
)

// An upstream is a block upstream, or the one server that a proxy_pass names.
type upstream struct {
	d        *directive // the block, or the proxy_pass
	name     string
	members  []*member
	port     string     // of a server without one
	pool     string     // its name among the pools of lb.yaml; mainPool for the main one, "" if it is none yet
	tls      setting    // how TLS is spoken with its servers
	tlsBy    *directive // the proxy_pass that says so; nil if none does
	verifies bool       // it says that certificates are verified
}

// A member is a server of an upstream.
type member struct {
	d            *directive
	address      string // as in nginx
	weight       int
	most         int // connections; 0 is any number
	down, backup bool
}

// String returns the upstream as it stands in the file.
func (u *upstream) String() string { return "upstream " + u.name }

// hashing are the directives by which requests of a key stay together.
var hashing = []string{"hash", "ip_hash", "sticky"}

// keyed reports whether requests of a key stay together.
func (u *upstream) keyed() bool { return u.d.first(hashing...) != nil }

func (t *translation) readUpstream(d *directive) *upstream {
	u := &upstream{d: d, name: d.arg(0), port: "80"}
	for _, line := range d.all("server") {
		if line.arg(0) == "" {
			t.fail(line.Number, "a server needs an address", "write server ADDRESS:PORT;")
			continue
		}
		m := &member{d: line, address: line.arg(0), weight: 1}
		for _, word := range line.args[1:] {
			t.option(m, word)
		}
		u.members = append(u.members, m)
	}
	return u
}

// option reads an option of a server.
func (t *translation) option(m *member, word string) {
	name, value, _ := strings.Cut(word, "=")
	switch name {
	case "weight":
		n, err := strconv.Atoi(value)
		if err != nil || n < 1 {
			t.fail(m.d.Number, fmt.Sprintf("the weight %q is no number from 1", value), "nginx -t says the same")
		}
		m.weight = n
	case "down":
		m.down = true
	case "backup":
		m.backup = true
	case "max_fails", "fail_timeout":
		m.d.note(changed, "nginx takes a server out for a while after failed requests; lb checks every host, by a TCP connect unless lb.yaml says otherwise")
	case "max_conns":
		n, err := strconv.Atoi(value)
		if err != nil || n < 0 {
			t.fail(m.d.Number, fmt.Sprintf("max_conns: %q is no number from 0", value), "nginx -t says the same")
		}
		m.most = min(n, queue.MaxConnections)
	case "resolve", "service":
		m.d.note(changed, "lb looks names up by the system's resolver, every five seconds")
	default:
		m.d.note(unknown, fmt.Sprintf("%s isn't known to the import; look it up in nginx's manual and see whether you rely on it", migration.Printable(name)))
	}
}

// upstreamOf returns the upstream that a proxy_pass names, "" and nil if a variable hides it. The
// server of an address that no upstream has is an upstream by itself.
func (t *translation) upstreamOf(d *directive) (u *upstream, uri string) {
	_, rest, found := strings.Cut(d.arg(0), "://")
	name, uri := rest, ""
	if at := strings.IndexAny(rest, "/$?"); at >= 0 {
		name, uri = rest[:at], rest[at:]
	}
	if strings.HasPrefix(rest, "unix:") {
		at := strings.LastIndexByte(rest, ':')
		name, uri = rest, ""
		if at > len("unix") {
			name, uri = rest[:at], rest[at+1:]
		}
	}
	if !found || name == "" || strings.HasPrefix(uri, "$") && uri != "$request_uri" {
		return nil, ""
	}
	port := "80"
	if strings.HasPrefix(d.arg(0), "https:") {
		port = "443"
	}
	for _, u := range t.upstreams {
		if u.name == name && (u.d.block || u.port == port) {
			return u, uri
		}
	}
	u = &upstream{d: &directive{Line: d.Line, name: d.name, within: d.within}, name: name, port: port}
	u.members = []*member{{d: u.d, address: name, weight: 1}}
	t.upstreams = append(t.upstreams, u)
	return u, uri
}

// passesTo returns the directives that send requests to an upstream.
func (t *translation) passesTo(u *upstream) (all []*directive) {
	for _, s := range t.servers {
		for _, l := range s.locations {
			if l.upstream == u {
				all = append(all, l.d)
			}
		}
	}
	return all
}

// pools translates the upstreams that locations send requests to.
func (t *translation) pools() {
	for _, u := range t.upstreams {
		switch {
		case u.pool == mainPool:
			t.fill(&t.plan.main, u, "")
		case u.pool != "":
			p := &poolPlan{name: u.pool, line: u.d.Number}
			t.fill(p, u, "pools."+u.pool+".")
			t.plan.pools = append(t.plan.pools, p)
		default:
			u.d.noteWhole(leftOut, "no location that the import translates sends requests here")
		}
	}
}

// fill fills a pool from an upstream. in is the path of its keys in lb.yaml.
func (t *translation) fill(p *poolPlan, u *upstream, in string) {
	if u.d.block {
		u.d.note(changed, "nginx finds out by requests that a server is down; lb checks every host, by a TCP connect unless lb.yaml says otherwise")
	}
	t.hash(p, u, in)
	p.fields, p.tls = t.plan.fields[u], u.tls
	p.ports = p.policy == ketama && slices.ContainsFunc(u.members, func(m *member) bool { return m.port() != "" })
	seen := map[string]*host{}
	for i, m := range u.members {
		h := p.host(u, m, i)
		if before := seen[m.address]; before != nil {
			before.weight = max(before.weight, h.weight)
			m.d.note(changed, "the same server again: it is one host, with the greater weight")
			continue
		}
		seen[m.address] = h
		p.hosts = append(p.hosts, h)
		p.noteHost(m, h, in)
	}
}

// port returns the port in the address of a server, "" if it has none. It is cut off as nginx's
// ring does it.
func (m *member) port() string {
	at := strings.LastIndexByte(m.address, ':')
	if at < 0 || strings.HasPrefix(m.address, "unix:") || strings.Trim(m.address[at+1:], "0123456789") != "" {
		return ""
	}
	return m.address[at+1:]
}

// host returns the host of the i-th server. Its name has the server's place on the ring.
func (p *poolPlan) host(u *upstream, m *member, i int) *host {
	h := &host{name: m.address, address: m.address, weight: min(m.weight, route.MaxWeight), most: m.most, line: m.d.Number}
	port := m.port()
	if port != "" {
		bare := strings.TrimSuffix(m.address, ":"+port)
		h.name = bare
		if p.ports || p.policy != ketama {
			h.name = bare + "_" + port
		}
	} else if !strings.HasPrefix(m.address, "unix:") {
		h.address = net.JoinHostPort(strings.Trim(m.address, "[]"), u.port)
	}
	if route.CheckName(h.name) != nil {
		h.name = fmt.Sprintf("host-%d", i+1)
		h.elsewhere = p.policy == ketama
	}
	h.elsewhere = h.elsewhere || p.ports && port == ""
	return h
}

// turns reports whether each host of the pool may serve any request.
func (p *poolPlan) turns() bool { return p.policy == roundRobin || p.policy == leastConnections }

// noteHost notes what becomes of a server.
func (p *poolPlan) noteHost(m *member, h *host, in string) {
	hosts := in + "hosts"
	if in == "" {
		hosts = "pool.hosts"
	}
	switch {
	case m.down:
		h.out = "it is down in nginx"
		m.d.note(leftOut, "it is down in nginx: the host is a comment in lb.yaml, and its tokens are where nginx has them now")
		return
	case m.backup && p.policy == ketama:
		h.out = "nginx uses no backup beside hash"
		m.d.note(leftOut, "nginx uses no backup in an upstream with hash: the host is a comment in lb.yaml")
		return
	}
	h.backup = m.backup
	m.d.note(took, fmt.Sprintf("%s: %s", hosts, h.name))
	if m.backup {
		m.d.note(changed, "backup: it serves when no other host does and the ring isn't frozen (pool.freeze); nginx also asks it when a single request has failed at the others")
	}
	switch {
	case m.most > 0 && p.turns():
		p.skips = true
		m.d.note(changed, "max_connections: requests in progress, through this balancer; a terminal counts until its host has agreed to it. When all hosts are full, clients get 503, and 502 from nginx")
	case m.most > 0:
		m.d.note(changed, "max_connections: requests in progress, through this balancer; a terminal counts until its host has agreed to it. Requests beyond it wait, as queue says, and then get 503; nginx sends them to another server")
	}
	if h.elsewhere {
		m.d.note(moves, "no host of lb can have this server's place on nginx's ring, because of its name: about as many tokens move as it has")
	}
	if m.weight > route.MaxWeight {
		m.d.note(moves, fmt.Sprintf("a weight is at most %d in lb: divide the weights of all hosts by the same number; tokens move then", route.MaxWeight))
	}
	bare, _, err := net.SplitHostPort(h.address)
	if err == nil && net.ParseIP(bare) == nil && !strings.HasPrefix(h.address, "unix:") {
		m.d.note(changed, "nginx looks the name up when it starts, and takes all its addresses; lb looks it up every five seconds, and takes one")
	}
}
