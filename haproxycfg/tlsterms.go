package haproxycfg

import (
	"cmp"
	"path"
	"slices"
	"strings"

	"tokenring/tlsterm"
)

// tlsTerms are what clients must do at a TLS address.
type tlsTerms struct {
	strict bool   // they must name a server that has a certificate
	ca     string // a file of roots of their certificates; "" if they need none
	free   bool   // clients without a certificate are served as well
}

// takeClients reads verify, ca-file and strict-sni of a bind line.
func (b *bind) takeClients(name, value string) {
	switch name {
	case "verify":
		b.verify = value
	case "ca-file":
		if base := b.t.base("ca-base"); base != "" && !path.IsAbs(value) {
			value = path.Join(base, value)
		}
		b.terms.ca = value
	case "strict-sni":
		b.terms.strict = true
		b.d.note(Took, "strict_sni: clients must name a server that has a certificate")
	}
}

// finishClients notes whether clients need certificates, when all options have been read.
func (b *bind) finishClients() {
	switch {
	case b.verify == "" || b.verify == "none":
		b.terms.ca = ""
	case b.terms.ca == "" || strings.HasPrefix(b.terms.ca, "@"):
		b.terms.ca = ""
		b.d.note(Stops, "lb asks for certificates of clients only with a file of their roots: write client_ca, or clients that HAProxy keeps out get in")
	default:
		b.terms.free = b.verify == "optional"
		if _, ok := b.t.read(b.terms.ca); !ok {
			b.d.note(Decide, b.terms.ca+" can't be read on this machine: copy it to the path that lb.yaml names")
		}
		if b.terms.free {
			b.d.note(Took, "client_ca: clients with a certificate need one of "+b.terms.ca)
		} else {
			b.d.note(Took, "client_ca: clients need a certificate of "+b.terms.ca)
		}
	}
}

// directory has lb watch a directory of certificates. It reports false if lb can't have it beside another,
// or wouldn't load a file of it that HAProxy loads.
func (b *bind) directory(name string, files []string) bool {
	unknown := func(file string) bool { return !tlsterm.IsCertificate(file) }
	if to := &b.t.plan.directory; len(files) == 0 || slices.ContainsFunc(files, unknown) || to.value != "" && to.value != quote(name) {
		return false
	}
	b.t.plan.directory.set(b.d, "tls.directory", quote(name), "")
	b.dir = name
	if len(b.pairs) == 0 && len(b.t.plan.pairs) == 0 {
		b.t.leading = b.d
	}
	return true
}

// finishTerms writes what a TLS address shows to clients and asks of them: into the section tls what most
// addresses do that ask nothing, and into own_tls what the others do.
func (t *translation) finishTerms() {
	defer func() { t.plan.addPairs(t.spare) }()
	var base *listener
	for i := range t.plan.listeners {
		l := &t.plan.listeners[i]
		if l.tls && (base == nil || base.terms != tlsTerms{} && l.terms == tlsTerms{}) {
			base = l
		}
	}
	if base == nil {
		t.plan.minTLS = t.version.setting()
		return
	}
	shared := false // some address has the directory and no own_tls
	for i := range t.plan.listeners {
		l := &t.plan.listeners[i]
		if l.own = l.tls && !l.asksLike(base); !l.own {
			t.plan.addPairs(l.pairs)
			shared = shared || l.directory != ""
		}
	}
	if !shared {
		t.plan.directory = setting{}
	} else if t.leading != nil && len(t.plan.pairs) > 0 {
		t.leading.note(Changed, "a client that names no server gets the first of tls.certificates, and none of the directory")
	}
	t.plan.terms = base.terms
	t.plan.minTLS = base.oldest
}

// asksLike reports whether clients must do the same at both addresses.
func (l *listener) asksLike(other *listener) bool {
	const usual = `"1.2"`
	return l.terms == other.terms && cmp.Or(l.oldest.value, usual) == cmp.Or(other.oldest.value, usual)
}

// keys returns the keys of tls or own_tls for the terms.
func (s tlsTerms) keys() (keys []string) {
	if s.strict {
		keys = append(keys, "strict_sni: true")
	}
	if s.ca != "" {
		keys = append(keys, "client_ca: "+quote(s.ca))
	}
	if s.free {
		keys = append(keys, "client_certificates: "+tlsterm.ClientsOptional)
	}
	return keys
}

// ownTLS returns the value of own_tls.
func (l *listener) ownTLS() string {
	var keys, pairs []string
	for _, c := range l.pairs {
		pairs = append(pairs, "{cert: "+quote(c.cert)+", key: "+quote(c.key)+"}")
	}
	if len(pairs) > 0 {
		keys = append(keys, "certificates: ["+strings.Join(pairs, ", ")+"]")
	}
	if l.directory != "" {
		keys = append(keys, "directory: "+quote(l.directory))
	}
	keys = append(keys, l.terms.keys()...)
	if l.oldest.value != "" {
		keys = append(keys, "min_version: "+l.oldest.value)
	}
	return "{" + strings.Join(keys, ", ") + "}"
}
