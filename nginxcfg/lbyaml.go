package nginxcfg

import (
	"fmt"
	"slices"
	"strings"

	"tokenring/migration"
)

// A plan is the content of lb.yaml. The lines in it are those from which a value comes, 0 if it
// comes from none.
type plan struct {
	from                                     string // which file and upstream
	listeners                                []*listener
	pairs                                    []pair
	strictSNI, minTLS, clientCA, clientCerts setting
	hsts, body, head, noLog, logTo, grace    setting
	main                                     poolPlan
	pools                                    []*poolPlan
	fields                                   map[*upstream]string // as in YAML, where all locations have the same
	routes                                   []rule
	unmatched                                setting
	timeouts, quotas                         map[string]setting
	pages                                    []page
	trusted                                  []string
}

type listener struct {
	address                       string
	tls, http2, redirect, proxied bool
	line                          int
}

type pair struct {
	cert, key string
	line      int
}

type page struct {
	status, file string
	line         int
}

// A poolPlan is the section pool, or one of pools.
type poolPlan struct {
	name   string // "" for the section pool
	line   int
	policy string
	key    string // the rules of hash.key; "" if requests have none
	hashed int    // the line of the key
	ports  bool   // names of hosts end with their ports
	skips  bool   // requests go past a host that is full
	tls    setting
	hosts  []*host
	fields string
}

func (p *poolPlan) keyLine(d *directive) { p.hashed = d.Number }

// A host is a server of nginx.conf. If out has a reason, the host is written as a comment.
type host struct {
	name, address string
	weight, line  int
	most          int // requests at a time; 0 is any number
	backup        bool
	out           string
	elsewhere     bool // its place on the ring isn't that of nginx
}

func newPlan() *plan {
	return &plan{timeouts: map[string]setting{}, quotas: map[string]setting{}, fields: map[*upstream]string{}}
}

type writer struct{ strings.Builder }

func (w *writer) line(format string, args ...any) { fmt.Fprintf(w, format+"\n", args...) }

// set writes a setting behind an indentation, unless it is unset.
func (w *writer) set(key string, s setting) {
	if s.value != "" {
		w.line("%s: %s%s", key, s.value, from(s.line))
	}
}

// from returns the comment with the number of a line.
func from(line int) string {
	if line == 0 {
		return ""
	}
	return fmt.Sprintf("  # %d", line)
}

// yaml writes lb.yaml.
func (p *plan) yaml() []byte {
	var w writer
	w.line("# Imported from %s. Numbers are lines of that file.", migration.Comment(p.from))
	w.line("# The report of the import says what isn't here; \"lb check\" says what is still missing.")
	p.writeListen(&w)
	p.writeTLS(&w)
	p.main.writeHash(&w, "")
	w.line("pool:")
	p.main.writeHosts(&w, "  ")
	p.writePools(&w)
	p.writeRoutes(&w)
	w.set("hsts", p.hsts)
	w.line("health:\n  path: \"\"")
	p.writeLimits(&w)
	if len(p.trusted) > 0 {
		w.line("trusted_networks: [%s]", quoted(p.trusted))
	}
	w.line("admin:")
	w.line("  address: \"127.0.0.1:7000\"  # API, metrics and dashboard; the token is made in state_dir if token_file names none")
	if p.noLog.value != "" || p.logTo.value != "" {
		w.line("log:")
		w.set("  access", p.noLog)
		w.set("  access_output", p.logTo)
	}
	w.line("state_dir: /var/lib/lb")
	return []byte(w.String())
}

func (p *plan) writeListen(w *writer) {
	w.line("listen:")
	for _, l := range p.listeners {
		what := ""
		if l.tls {
			what += ", tls: true"
			if !l.http2 {
				what += ", http2: false"
			}
		}
		if l.redirect {
			what += ", redirect_https: true"
		}
		if l.proxied {
			what += ", proxy_protocol: required"
		}
		w.line("  - {address: %s%s}%s", migration.Quote(l.address), what, from(l.line))
	}
}

func (p *plan) writeTLS(w *writer) {
	if len(p.pairs) == 0 && p.strictSNI.value == "" && p.minTLS.value == "" && p.clientCA.value == "" {
		return
	}
	w.line("tls:")
	if len(p.pairs) > 0 {
		w.line("  certificates:  # read again when they change; the first is for clients that name no server")
	}
	for _, c := range p.pairs {
		w.line("    - {cert: %s, key: %s}%s", migration.Quote(c.cert), migration.Quote(c.key), from(c.line))
	}
	w.set("  strict_sni", p.strictSNI)
	w.set("  min_version", p.minTLS)
	w.set("  client_ca", p.clientCA)
	w.set("  client_certificates", p.clientCerts)
}

func (p *poolPlan) writeHash(w *writer, indent string) {
	w.line("%shash:", indent)
	if p.key != "" {
		w.line("%s  key: [%s]%s", indent, p.key, from(p.hashed))
	}
	w.line("%s  policy: %s", indent, p.policy)
	if p.ports {
		w.line("%s  ketama: {names: host_port}", indent)
	}
}

func (p *poolPlan) writeHosts(w *writer, indent string) {
	if p.fields != "" {
		w.line("%sfields: %s", indent, p.fields)
	}
	w.set(indent+"tls", p.tls)
	if p.skips {
		w.line("%squeue: {length: 0, then: next}", indent)
	}
	why := ""
	if p.policy == ketama {
		why = "  # keep names and weights for as long as the policy is ketama: they decide where tokens go"
	}
	w.line("%shosts:%s", indent, why)
	others := slices.ContainsFunc(p.hosts, func(h *host) bool { return h.out == "" && !h.backup }) // a pool of backups only is a mistake
	for _, h := range p.hosts {
		text := fmt.Sprintf("- {name: %s, address: %s, weight: %d", migration.Quote(h.name), migration.Quote(h.address), h.weight)
		if h.most > 0 {
			text += fmt.Sprintf(", max_connections: %d", h.most)
		}
		if h.backup && others {
			text += ", backup: true"
		}
		text += "}"
		if h.out != "" {
			w.line("%s  # %s  # %d: %s", indent, migration.Comment(text), h.line, h.out)
		} else {
			w.line("%s  %s%s", indent, text, from(h.line))
		}
	}
}

func (p *plan) writePools(w *writer) {
	if len(p.pools) > 0 {
		w.line("pools:")
	}
	for _, one := range p.pools {
		w.line("  %s:%s", migration.QuoteName(one.name), from(one.line))
		one.writeHash(w, "    ")
		one.writeHosts(w, "    ")
		w.line("    health: {path: \"\"}")
	}
}

func (p *plan) writeRoutes(w *writer) {
	if len(p.routes) > 0 {
		w.line("routes:  # the first that matches a request; all other requests go to pool")
	}
	for _, r := range p.routes {
		w.line("  - %s%s", r.yaml(), from(r.line))
	}
	if p.unmatched.value != "" {
		w.line("unmatched: %s%s", migration.Quote(p.unmatched.value), from(p.unmatched.line))
	}
}

func (p *plan) writeLimits(w *writer) {
	if len(p.timeouts) > 0 {
		w.line("timeouts:")
	}
	for _, key := range []string{"head", "body", "connect", "response", "idle", "tunnel"} {
		w.set("  "+key, p.timeouts[key])
	}
	if p.grace.value != "" {
		w.line("shutdown:")
		w.set("  grace", p.grace)
	}
	if p.body.value != "" || p.head.value != "" || len(p.quotas) > 0 {
		w.line("limits:")
		w.set("  head", p.head)
		w.set("  body", p.body)
		p.writeQuotas(w)
	}
	if len(p.pages) > 0 {
		w.line("pages:\n  html:")
	}
	for _, one := range p.pages {
		w.line("    %s: %s%s", one.status, migration.Quote(one.file), from(one.line))
	}
}
