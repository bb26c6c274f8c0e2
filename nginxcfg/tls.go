package nginxcfg

import (
	"cmp"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"tokenring/migration"
	"tokenring/netaddr"
)

// certificates fills in the section tls, from the servers with TLS.
func (t *translation) certificates() {
	main := t.mainServer()
	order := append([]*server{main}, slices.DeleteFunc(slices.Clone(t.servers), func(s *server) bool { return s == main })...)
	for _, s := range order {
		if !slices.ContainsFunc(s.listens, s.tlsHere) {
			continue
		}
		if d := s.rejectLine(); d != nil {
			t.plan.strictSNI.set(d, "tls.strict_sni", "true")
		} else {
			t.pairsOf(s)
		}
		for _, d := range s.d.force("ssl_protocols") {
			t.protocols(d)
		}
		t.clients(s)
	}
}

// rejectLine returns the line because of which a server refuses all handshakes, nil if there is none.
func (s *server) rejectLine() *directive {
	if on := s.d.force("ssl_reject_handshake"); len(on) > 0 && on[0].arg(0) == "on" {
		return on[0]
	}
	return nil
}

// rejects reports whether nobody gets further with a server than to the handshake.
func (s *server) rejects() bool {
	plain := func(l *listen) bool { return !s.tlsHere(l) }
	return s.rejectLine() != nil && !slices.ContainsFunc(s.listens, plain)
}

// pairsOf adds the certificates of a server with their keys.
func (t *translation) pairsOf(s *server) {
	certs, keys := s.d.force("ssl_certificate"), s.d.force("ssl_certificate_key")
	for i, d := range certs {
		key := d
		if i < len(keys) {
			key = keys[i]
		}
		one := pair{resolve(t.prefix, d.arg(0)), resolve(t.prefix, key.arg(0)), d.Number}
		d.note(took, "tls.certificates")
		key.note(took, "tls.certificates")
		for _, file := range []*directive{d, key} {
			t.mustBeThere(file)
		}
		if !slices.ContainsFunc(t.plan.pairs, func(p pair) bool { return p.cert == one.cert }) {
			t.plan.pairs = append(t.plan.pairs, one)
		}
	}
	if len(certs) == 0 {
		s.d.note(decide, "there is no certificate for this server: name one in tls.certificates, or see tls.acme")
	}
}

// mustBeThere notes that a file can't be read.
func (t *translation) mustBeThere(d *directive) {
	name := strings.TrimPrefix(resolve(t.prefix, d.arg(0)), "/")
	if t.files != nil {
		if _, err := fs.Stat(t.files, name); err == nil {
			return
		}
	}
	d.note(decide, "this file can't be read on this machine: make sure that lb's machine has it. A name with variables can't be in lb.yaml")
}

func (t *translation) protocols(d *directive) {
	value := "1.2"
	if slices.Contains(d.args, "TLSv1.3") && !slices.ContainsFunc(d.args, func(w string) bool { return w != "TLSv1.3" }) {
		value = "1.3"
	}
	t.plan.minTLS.set(d, "tls.min_version", migration.Quote(value))
	if slices.Contains(d.args, "TLSv1") || slices.Contains(d.args, "TLSv1.1") {
		d.note(stops, "lb speaks TLS 1.2 and 1.3 only: clients that speak older versions can't connect")
	}
}

// clients fills in which certificates clients need.
func (t *translation) clients(s *server) {
	verify := s.d.force("ssl_verify_client")
	if len(verify) == 0 || verify[0].arg(0) == "off" {
		return
	}
	ca, d := s.d.force("ssl_client_certificate"), verify[0]
	alone := !slices.ContainsFunc(t.servers, func(o *server) bool {
		own := o.d.force("ssl_verify_client")
		return slices.ContainsFunc(o.listens, o.tlsHere) && (len(own) == 0 || own[0].arg(0) != d.arg(0))
	})
	if !alone || len(ca) == 0 || d.arg(0) != "on" && d.arg(0) != "optional" {
		d.note(stops, "in lb, client certificates hold for all names of a listener: write own_tls for one, with client_ca. No client needs a certificate now")
		return
	}
	t.plan.clientCA.set(ca[0], "tls.client_ca", migration.Quote(resolve(t.prefix, ca[0].arg(0))))
	word := "required"
	if d.arg(0) == "optional" {
		word = "optional"
	}
	t.plan.clientCerts.set(d, "tls.client_certificates", word)
}

// hostTLS takes how TLS is spoken with the hosts of a location.
func (t *translation) hostTLS(u *upstream, l *location) {
	in := "pool.tls"
	if u.pool != mainPool {
		in = "pools." + u.pool + ".tls"
	}
	if !strings.HasPrefix(l.pass.arg(0), "https:") {
		if slices.ContainsFunc(t.linesTo(u), func(d *directive) bool { return strings.HasPrefix(d.arg(0), "https:") }) {
			l.pass.note(stops, "another line speaks TLS with these hosts; lb speaks it with all hosts of a pool or with none, and speaks it here")
		}
		return
	}
	word := func(name string) (string, *directive) {
		if found := l.d.force(name); len(found) > 0 {
			return found[0].arg(0), found[0]
		}
		return "", nil
	}
	var keys []string
	verify, by := word("proxy_ssl_verify")
	if verify != "on" {
		keys = append(keys, "verify: false")
		cmp.Or(by, l.pass).note(changed, "without proxy_ssl_verify on, nginx speaks TLS with whoever answers, and so does lb, with a warning")
	} else {
		by.note(took, in)
		if _, named := word("proxy_ssl_name"); named == nil && u.d.block && netaddr.HostLike(u.name) {
			keys = append(keys, "server_name: "+migration.Quote(u.name))
			by.note(changed, "nginx wants the upstream's name in the hosts' certificates, and so does lb, which also asks hosts for it")
		}
	}
	for _, one := range []struct{ name, key string }{
		{"proxy_ssl_trusted_certificate", "ca"}, {"proxy_ssl_name", "server_name"}, {"proxy_ssl_certificate", "cert"}, {"proxy_ssl_certificate_key", "key"},
	} {
		value, d := word(one.name)
		if d == nil {
			continue
		}
		if one.key != "server_name" {
			value = resolve(t.prefix, value)
		} else if strings.Contains(value, "$") {
			d.note(decide, "lb asks all hosts of a pool for one name: write the name that is in their certificates into "+in+" as server_name")
			continue
		}
		keys = append(keys, one.key+": "+migration.Quote(value))
		d.note(took, in+"."+one.key)
	}
	u.speak(l.pass, in, "{"+strings.Join(keys, ", ")+"}", verify == "on")
}

// speak sets how TLS is spoken with the servers. Of two ways, one that verifies certificates wins, or else
// the first.
func (u *upstream) speak(pass *directive, key, value string, verifies bool) {
	winner, loser := pass, u.tlsBy
	switch {
	case loser == nil || u.tls.value == value:
		loser = nil
	case verifies && !u.verifies:
		u.tls = setting{}
	default:
		winner, loser = loser, pass
	}
	if winner == pass {
		u.tlsBy, u.verifies = pass, verifies
		u.tls.set(pass, key, value)
	}
	if loser != nil {
		loser.note(stops, fmt.Sprintf("lb speaks TLS with all hosts of a pool in the same way, that of line %d", winner.Number))
	}
}

// linesTo returns the lines proxy_pass that send requests to an upstream.
func (t *translation) linesTo(u *upstream) (all []*directive) {
	for _, s := range t.servers {
		for _, l := range s.locations {
			if l.upstream == u {
				all = append(all, l.pass)
			}
		}
	}
	return all
}
