package nginxcfg

import (
	"net/netip"
	"slices"
	"strings"
)

// A server is a block server: what becomes of the requests for some names.
type server struct {
	d         *directive
	listens   []*listen
	names     []string
	locations []*location
	redirect  *directive // sends all requests of its plain addresses to https; nil if none does
	always    bool       // it does so with the requests of all its addresses
}

// A listen is a line listen.
type listen struct {
	d                          *directive
	address                    string // as in lb.yaml
	tls, http2, first, proxied bool
}

func (t *translation) readServer(d *directive) *server {
	s := &server{d: d}
	for _, line := range d.all("server_name") {
		s.names = append(s.names, line.args...)
	}
	for _, line := range d.all("listen") {
		if l := readListen(line); l != nil {
			s.listens = append(s.listens, l)
		}
	}
	if d.first("listen") == nil {
		s.listens = []*listen{{d: d, address: ":80"}}
		d.note(took, "listen: :80, because there is no listen line")
	}
	if on := d.force("http2"); len(on) > 0 {
		for _, l := range s.listens {
			l.http2 = l.http2 || on[0].arg(0) == "on"
		}
	}
	s.locations = t.readLocations(d)
	s.findRedirect()
	return s
}

func readListen(d *directive) *listen {
	text := d.arg(0)
	if text == "" {
		d.note(decide, "this line has no address")
		return nil
	}
	if strings.HasPrefix(text, "unix:") {
		d.note(stops, "lb listens on TCP addresses only: who connects to this socket needs an address")
		return nil
	}
	l := &listen{d: d, address: listenAddress(text)}
	for _, word := range d.args[1:] {
		switch name, _, _ := strings.Cut(word, "="); name {
		case "ssl":
			l.tls = true
		case "http2":
			l.http2 = true
		case "default_server", "default":
			l.first = true
		case "proxy_protocol":
			l.proxied = true
		case "quic", "http3":
			d.note(leftOut, "lb doesn't speak HTTP/3: clients fall back to TCP")
			return nil
		case "reuseport", "backlog", "ipv6only", "fastopen", "deferred", "so_keepalive", "rcvbuf", "sndbuf", "bind":
		default:
			d.note(unknown, "the import doesn't know a word of this line; look it up in nginx's manual and see whether you rely on it")
		}
	}
	return l
}

// listenAddress returns the address as in lb.yaml. Without an IP address it is all of the
// machine's; without a port it is 80.
func listenAddress(text string) string {
	text = strings.TrimPrefix(text, "*:")
	if strings.Trim(text, "0123456789") == "" {
		return ":" + text
	}
	if _, err := netip.ParseAddrPort(text); err != nil {
		if ip, err := netip.ParseAddr(strings.Trim(text, "[]")); err == nil {
			return netip.AddrPortFrom(ip, 80).String()
		}
		if !strings.Contains(text, ":") {
			return text + ":80"
		}
	}
	return text
}

// tlsHere reports whether a listener has TLS, because of its line or because of ssl on.
func (s *server) tlsHere(l *listen) bool {
	on := s.d.force("ssl")
	return l.tls || len(on) > 0 && on[0].arg(0) == "on"
}

// listeners fills in listen. A listener redirects to https if all its servers do.
func (t *translation) listeners() {
	t.joinFamilies()
	var order []string
	byAddress := map[string]*listener{}
	for _, s := range t.servers {
		for _, l := range s.listens {
			one := byAddress[l.address]
			if one == nil {
				one = &listener{address: l.address, line: l.d.Number, redirect: true}
				byAddress[l.address] = one
				order = append(order, l.address)
			}
			one.tls = one.tls || s.tlsHere(l)
			one.http2 = one.http2 || l.http2
			one.proxied = one.proxied || l.proxied
		}
	}
	for _, address := range order {
		one := byAddress[address]
		for _, s := range t.at(address) {
			one.redirect = one.redirect && !one.tls && s.redirect != nil
		}
		t.noteListener(one)
		t.plan.listeners = append(t.plan.listeners, one)
	}
	for _, s := range t.servers {
		t.noteRedirect(s)
	}
}

// joinFamilies gives [::]:443 the address :443 if that is there, too.
func (t *translation) joinFamilies() {
	all := map[string]bool{}
	for _, s := range t.servers {
		for _, l := range s.listens {
			if port, ok := strings.CutPrefix(l.address, "0.0.0.0:"); ok {
				l.address = ":" + port
			}
			all[l.address] = true
		}
	}
	for _, s := range t.servers {
		for _, l := range s.listens {
			if port, ok := strings.CutPrefix(l.address, "[::]:"); ok && all[":"+port] {
				l.address = ":" + port
				l.d.note(took, "lb's listener without an IP address has IPv6, too")
			}
		}
	}
}

// at returns the servers with an address.
func (t *translation) at(address string) []*server {
	var all []*server
	for _, s := range t.servers {
		if slices.ContainsFunc(s.listens, func(l *listen) bool { return l.address == address }) {
			all = append(all, s)
		}
	}
	return all
}

// defaultAt returns the server for names that no server of an address has.
func (t *translation) defaultAt(address string) *server {
	all := t.at(address)
	for _, s := range all {
		if slices.ContainsFunc(s.listens, func(l *listen) bool { return l.address == address && l.first }) {
			return s
		}
	}
	return all[0]
}

func (t *translation) noteListener(one *listener) {
	for _, s := range t.at(one.address) {
		for _, l := range s.listens {
			if l.address != one.address {
				continue
			}
			l.d.note(took, "listen: "+one.address)
			if one.tls && !one.http2 {
				l.d.note(took, "http2: false")
			}
			if one.proxied && len(t.plan.trusted) > 0 {
				l.d.note(took, "proxy_protocol: required")
			} else if one.proxied {
				l.d.note(decide, "lb takes the header of the PROXY protocol from trusted_networks only, and closes other connections: name the proxy's networks there")
			}
		}
	}
}

// mainServer returns the server whose locations are for all names that no server has: the default of
// the first address with TLS, or else of the first address, that doesn't only redirect.
func (t *translation) mainServer() *server {
	for _, tls := range []bool{true, false} {
		for _, l := range t.plan.listeners {
			if s := t.defaultAt(l.address); (l.tls || !tls) && !l.redirect && !s.always && !s.rejects() {
				return s
			}
		}
	}
	for _, s := range t.servers {
		if !s.always && !s.rejects() {
			return s
		}
	}
	return t.servers[0]
}

// findRedirect finds the line that redirects to https.
func (s *server) findRedirect() {
	if d := s.toHTTPS(s.d); d != nil {
		s.redirect, s.always = d, true
		return
	}
	for _, d := range s.d.all("if") {
		condition := strings.Trim(strings.Join(d.args, " "), "()")
		if slices.Contains([]string{"$scheme = http", "$scheme != https", `$https = ""`, "$https != on", "$ssl_protocol = "}, strings.TrimSpace(strings.ReplaceAll(condition, `"`, ""))) {
			if s.redirect = s.toHTTPS(d); s.redirect != nil {
				return
			}
		}
	}
	root := slices.IndexFunc(s.locations, func(l *location) bool { return l.path == "/" && l.kind == "" })
	others := slices.ContainsFunc(s.locations, func(l *location) bool { return l.path != "/" && !l.acme() })
	if root >= 0 && !others {
		if d := s.toHTTPS(s.locations[root].d); d != nil {
			s.redirect, s.always = d, true
		}
	}
}

// toHTTPS returns the directive of a block that redirects all requests to the same address over
// https, nil if none does.
func (s *server) toHTTPS(block *directive) *directive {
	for _, d := range block.body {
		to, path := "", ""
		switch {
		case d.name == "return" && len(d.args) == 2 && isRedirect(d.arg(0)):
			to, path = cutPath(d.arg(1))
		case d.name == "rewrite" && len(d.args) == 3 && slices.Contains([]string{"^", "^(.*)$", "^(.*)", "^/(.*)$", "^(.*)$"}, d.arg(0)):
			to, path = cutPath(d.arg(1))
			path = strings.ReplaceAll(strings.ReplaceAll(path, "/$1", "$request_uri"), "$1", "$request_uri")
		}
		host, ok := strings.CutPrefix(to, "https://")
		if ok && (path == "$request_uri" || path == "$uri$is_args$args") && s.isOwn(host) {
			return d
		}
	}
	return nil
}

// isOwn reports whether a host in a redirect is the one that the client has asked for.
func (s *server) isOwn(host string) bool {
	return slices.Contains([]string{"$host", "$http_host", "$server_name"}, strings.NewReplacer("{", "", "}", "").Replace(host)) || slices.Contains(s.names, host)
}

// cutPath cuts a URL before its path or what stands for it.
func cutPath(url string) (to, path string) {
	scheme, rest, found := strings.Cut(url, "://")
	if !found {
		return "", url
	}
	begin := 0
	if strings.HasPrefix(rest, "$") { // the variable of the host
		begin = 1
	}
	at := strings.IndexAny(rest[begin:], "/$")
	if at < 0 {
		return url, ""
	}
	return scheme + "://" + rest[:begin+at], rest[begin+at:]
}

// noteRedirect notes what becomes of a redirect to https.
func (t *translation) noteRedirect(s *server) {
	if s.redirect == nil {
		return
	}
	ok := true
	for _, l := range t.plan.listeners {
		for _, own := range s.listens {
			ok = ok && (own.address != l.address || l.redirect || l.tls)
		}
	}
	block := s.redirect.within
	if block != s.d {
		block.note(took, "as the line in it")
	}
	if !ok {
		s.redirect.note(stops, "lb redirects to https on a whole listener only, and other servers of this address don't: set redirect_https: true on a listener of its own")
		return
	}
	s.redirect.note(changed, "redirect_https: true: the answer leaves the token out of the query, because it was sent in clear")
	for _, l := range s.locations {
		if l.d != block && (s.always && l.acme()) {
			l.d.noteWhole(stops, "lb redirects these requests, too: let it order the certificates over TLS (tls.acme)")
		}
	}
	if s.always {
		s.d.note(took, "redirect_https: true at its addresses")
	}
}
