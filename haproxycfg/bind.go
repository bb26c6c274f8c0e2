package haproxycfg

import (
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"path"
	"slices"
	"strconv"
	"strings"
)

// maxPorts bounds the number of listeners for a range of ports.
const maxPorts = 64

// A bind is one bind line: its options, and whether lb can listen on its address.
type bind struct {
	t       *translation
	d       *directive
	ssl     bool
	http2   offer
	version string // the oldest version of TLS on the line, "" if there is none
	pairs   []pair
	dir     string // of certificates
	terms   tlsTerms
	verify  string
	refused bool
	proxied bool // connections begin with a header of the PROXY protocol
}

// takeBind handles bind <address>[,<address>…] [<option>…].
func takeBind(t *translation, d *directive) {
	b := &bind{t: t, d: d}
	rest := d.args(2)
	for len(rest) > 0 {
		known, ok := bindOptions[rest[0]]
		if !ok {
			d.note(Unknown, fmt.Sprintf("%q is no option of bind that the import knows. It reads on from the next word that it knows", d.words[len(d.words)-len(rest)].raw))
			rest = rest[1:]
			continue
		}
		n := min(1+known.args, len(rest))
		b.option(rest[:n], known)
		rest = rest[n:]
	}
	b.finishClients()
	if b.refused {
		t.spare = append(t.spare, b.pairs...)
		t.unheard = append(t.unheard, d)
		return
	}
	heard := len(t.plan.listeners)
	for address := range strings.SplitSeq(d.word(1), ",") {
		b.listen(address)
	}
	if len(t.plan.listeners) == heard {
		t.spare = append(t.spare, b.pairs...)
	}
	if !b.ssl || len(t.plan.listeners) == heard && slices.Contains(t.unheard, d) {
		return
	}
	b.noteProtocols()
	t.versions = append(t.versions, version{d, b.version})
	for i := range t.plan.listeners[heard:] {
		t.plan.listeners[heard+i].oldest = b.oldest()
	}
	if len(b.pairs) == 0 && b.dir == "" {
		d.note(Decide, "no certificate is known for this address: name one in tls.certificates")
	}
}

func (b *bind) option(words []string, known option) {
	value := strings.Join(words[1:], " ")
	switch words[0] {
	case "ssl":
		b.ssl = true
	case "crt":
		b.pairs = append(b.pairs, b.certificates(value)...)
	case "crt-list":
		b.pairs = append(b.pairs, b.certificateList(value)...)
	case "alpn", "no-alpn", "proto":
		b.takeProtocol(words[0], value)
	case "ssl-min-ver", "no-tlsv12", "force-tlsv13":
		b.version = oldest(words, b.version)
	case "accept-proxy":
		b.proxied = true
		b.d.asked = true
		b.d.note(known.verdict, known.why)
	case "accept-netscaler-cip":
		b.refused = true
		b.d.note(known.verdict, known.why)
	case "verify", "ca-file", "strict-sni":
		b.takeClients(words[0], value)
	case "ca-sign-pass": // its argument isn't repeated
		b.d.note(known.verdict, words[0]+": "+known.why)
	default:
		b.d.note(known.verdict, strings.Join(words, " ")+": "+known.why)
	}
}

// oldest returns the oldest version of TLS at the addresses of the line.
func (b *bind) oldest() setting {
	if b.version != "" {
		return version{b.d, b.version}.setting()
	}
	return b.t.version.setting()
}

// listen adds the listeners for one address.
func (b *bind) listen(text string) {
	host, first, last, why := parseBind(text)
	if strings.Contains(text, "$") && b.d.unread(1) != "" {
		b.t.plan.listeners = append(b.t.plan.listeners, listener{address: text, tls: b.ssl, proxied: b.proxied, fronts: []*section{b.t.proxy}, terms: b.terms, pairs: b.pairs, directory: b.dir, line: b.d.Number})
		b.d.askFor(Decide, "listen", b.d.unread(1))
		return
	}
	if why != "" {
		verdict := Stops
		if why == whyQUIC {
			verdict = LeftOut
		}
		b.d.note(verdict, fmt.Sprintf("%s: %s", text, why))
		b.t.unheard = append(b.t.unheard, b.d)
		return
	}
	for port := first; port <= last; port++ {
		l := listener{address: net.JoinHostPort(host, strconv.Itoa(port)), tls: b.ssl, proxied: b.proxied, http1: b.ssl && b.http2 == refused, fronts: []*section{b.t.proxy}, terms: b.terms, pairs: b.pairs, directory: b.dir, line: b.d.Number}
		if host == "" {
			l.address = fmt.Sprintf(":%d", port)
		}
		at := slices.IndexFunc(b.t.plan.listeners, func(other listener) bool { return other.address == l.address })
		switch {
		case at < 0:
			b.t.plan.listeners = append(b.t.plan.listeners, l)
			b.d.note(Took, "listen: "+l.address)
		case b.t.plan.listeners[at].tls != l.tls:
			b.d.note(Decide, fmt.Sprintf("listen: %s is line %d's already, with other TLS settings", l.address, b.t.plan.listeners[at].line))
		default:
			b.t.plan.listeners[at].fronts = append(b.t.plan.listeners[at].fronts, b.t.proxy)
			b.d.note(Took, fmt.Sprintf("listen: %s, with line %d", l.address, b.t.plan.listeners[at].line))
		}
	}
	if host == "" {
		b.d.note(Changed, "in lb, this means all addresses of the machine, IPv4 and IPv6; write one address to listen on that one only")
	}
}

// parseBind reads an address of a bind line (§4.2): host, and the first and last
// port. No host means all addresses.
func parseBind(text string) (host string, first, last int, why string) {
	for _, prefix := range []string{"unix@", "uxst@", "abns@", "abnsz@", "fd@", "sockpair@", "/"} {
		if strings.HasPrefix(text, prefix) {
			return "", 0, 0, "lb listens on TCP addresses only"
		}
	}
	if strings.HasPrefix(text, "rhttp@") {
		return "", 0, 0, "lb listens on TCP addresses only"
	}
	for _, prefix := range []string{"quic4@", "quic6@", "udp@", "udp4@", "udp6@"} {
		if strings.HasPrefix(text, prefix) {
			return "", 0, 0, whyQUIC
		}
	}
	for _, prefix := range []string{"ipv4@", "ipv6@", "tcp@", "tcp4@", "tcp6@"} {
		text = strings.TrimPrefix(text, prefix)
	}
	colon := strings.LastIndexByte(text, ':')
	if colon < 0 {
		return "", 0, 0, "there is no port in it"
	}
	host = strings.Trim(text[:colon], "[]")
	low, high, isRange := strings.Cut(text[colon+1:], "-")
	first, err := strconv.Atoi(low)
	if last = first; err == nil && isRange {
		last, err = strconv.Atoi(high)
	}
	switch {
	case err != nil || first < 1 || last < first || last > 65535:
		return "", 0, 0, "this is no port or range of ports"
	case last-first >= maxPorts:
		return "", 0, 0, fmt.Sprintf("a range of more than %d ports isn't written out", maxPorts)
	}
	if ip, err := netip.ParseAddr(host); host == "*" || err == nil && ip.Unmap().IsUnspecified() {
		host = ""
	}
	return host, first, last, ""
}

// addPairs adds the certificates that the plan doesn't have yet.
func (p *plan) addPairs(pairs []pair) {
	for _, c := range pairs {
		if !slices.ContainsFunc(p.pairs, func(other pair) bool { return other.cert == c.cert }) {
			p.pairs = append(p.pairs, c)
		}
	}
}

// certificates finds the certificates of crt: a PEM file, or all PEM files of a directory.
func (b *bind) certificates(name string) []pair {
	t, d := b.t, b.d
	name = path.Clean(name)
	if base := t.base("crt-base"); base != "" && !path.IsAbs(name) {
		name = path.Join(base, name)
	}
	if t.files == nil || !path.IsAbs(name) {
		d.note(Took, "tls.certificates: "+name)
		d.note(Decide, name+" hasn't been read: make sure that it holds the certificate and its key, and is no directory")
		return []pair{{name, name, d.Number}}
	}
	info, err := fs.Stat(t.files, inRoot(name))
	if err != nil {
		d.note(Decide, name+" can't be read on this machine: copy it to the path that lb.yaml names; if it is a directory, name its files one by one")
		return []pair{{name, name, d.Number}}
	}
	if !info.IsDir() {
		return []pair{t.certificate(d, name)}
	}
	entries, err := fs.ReadDir(t.files, inRoot(name))
	if err != nil {
		d.note(Decide, name+" can't be listed: name its files in tls.certificates one by one")
	}
	var files []string
	for _, e := range entries {
		if !e.IsDir() && !notCertificate(e.Name()) {
			files = append(files, path.Join(name, e.Name()))
		}
	}
	if b.directory(name, files) {
		return nil
	}
	var pairs []pair
	for _, file := range files {
		pairs = append(pairs, t.certificate(d, file))
	}
	d.note(Changed, fmt.Sprintf("tls.certificates names the %d file(s) that %s has now: add new ones to lb.yaml", len(pairs), name))
	return pairs
}

// notCertificate reports whether HAProxy ignores a file of a directory (§5.1, crt).
func notCertificate(name string) bool {
	return strings.HasPrefix(name, ".") || slices.Contains([]string{".key", ".issuer", ".ocsp", ".sctl"}, path.Ext(name))
}

// certificate finds the key of a PEM file: in the file itself, or in the file with the same
// name and .key.
func (t *translation) certificate(d *directive, name string) pair {
	key := name
	data, err := fs.ReadFile(t.files, inRoot(name))
	beside := func(file string) bool {
		_, err := fs.Stat(t.files, inRoot(file))
		return err == nil
	}
	switch bundled := strings.Contains(string(data), "PRIVATE KEY-----"); {
	case err != nil:
		d.note(Decide, name+" can't be read by this user: the user that runs lb must be able to read it")
	case !bundled && beside(name+".key"):
		key = name + ".key"
	case !bundled && beside(strings.TrimSuffix(name, path.Ext(name))+".key"):
		key = strings.TrimSuffix(name, path.Ext(name)) + ".key"
	case !bundled:
		d.note(Decide, "no private key is in "+name+" or beside it: name its file in tls.certificates")
	}
	d.note(Took, "tls.certificates: "+name)
	return pair{name, key, d.Number}
}

// certificateList finds the certificates of a crt-list. It ignores filters, because lb
// chooses a certificate by the names in it.
func (b *bind) certificateList(name string) []pair {
	var data []byte
	var err error = fs.ErrNotExist
	if b.t.files != nil && path.IsAbs(name) {
		data, err = fs.ReadFile(b.t.files, inRoot(name))
	}
	if err != nil {
		b.d.note(Decide, "crt-list "+name+" can't be read: name its certificates in tls.certificates one by one, and check whether verify in its brackets keeps clients out")
		return nil
	}
	var pairs []pair
	for line := range strings.Lines(string(data)) {
		if words := strings.Fields(line); len(words) > 0 && !strings.HasPrefix(words[0], "#") {
			pairs = append(pairs, b.certificates(words[0])...)
			b.listed(line)
		}
	}
	b.d.note(Changed, "the list's certificates are in tls.certificates. lb uses each for the names in the certificate, and the import leaves the filters of the list out")
	return pairs
}

// listed reads the options in brackets on a line of a crt-list. They are options of bind, for
// one certificate.
func (b *bind) listed(line string) {
	_, rest, _ := strings.Cut(line, "[")
	inside, _, _ := strings.Cut(rest, "]")
	for words := strings.Fields(inside); len(words) > 0; {
		known, ok := bindOptions[words[0]]
		if !ok {
			b.d.note(Unknown, fmt.Sprintf("%q in the list is no option that the import knows. It reads on from the next word that it knows", printable(words[0])))
			words = words[1:]
			continue
		}
		n := min(1+known.args, len(words))
		switch version := oldest(words[:n], ""); {
		case version == "1.3":
			b.d.note(Decide, strings.Join(words[:n], " ")+" in the list is for one certificate: tls.min_version is for all")
		case words[0] == "verify" && first(words[1:n]) != "none":
			b.d.note(Stops, "verify in the list is for one certificate, and lb asks all clients of an address for certificates or none: write client_ca, or clients that HAProxy keeps out get in")
		case words[0] == "ca-file", words[0] == "verify":
		case version == "":
			b.option(words[:n], known)
		}
		words = words[n:]
	}
}

// base returns a directory of the global section, "" if it isn't set.
func (t *translation) base(key string) string {
	for _, s := range t.sections {
		if d := s.last(key); s.kind == "global" && d != nil {
			return d.word(1)
		}
	}
	return ""
}

// inRoot returns an absolute path as a path of a file system (fs.FS).
func inRoot(name string) string { return strings.TrimPrefix(path.Clean(name), "/") }
