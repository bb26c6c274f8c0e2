package nginxcfg

import (
	"cmp"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"tokenring/migration"
	"tokenring/proxy/routing"
)

// A location is a block location, or a server without one.
type location struct {
	d          *directive
	kind, path string // kind is "", =, ^~, ~, ~* or @
	pass       *directive
	upstream   *upstream // nil if the requests go to none
	uri        string    // of proxy_pass
	fields     string    // the section fields, as in YAML; "" if there is none
	pattern    bool      // the path is that of a regular expression
}

// otherPasses are the directives that send requests to programs that don't speak HTTP.
var otherPasses = []string{"fastcgi_pass", "uwsgi_pass", "scgi_pass", "grpc_pass", "memcached_pass"}

// readLocations reads the locations of a block, and those within them.
func (t *translation) readLocations(block *directive) (all []*location) {
	for _, d := range block.all("location") {
		l := &location{d: d, path: d.arg(0)}
		switch {
		case len(d.args) > 1:
			l.kind, l.path = d.arg(0), d.arg(1)
		case strings.HasPrefix(l.path, "@"):
			l.kind = "@"
		case strings.HasPrefix(l.path, "="), strings.HasPrefix(l.path, "~"):
			l.kind = l.path[:1]
			l.path = l.path[1:]
		}
		if l.pass = d.first("proxy_pass"); l.pass != nil {
			l.upstream, l.uri = t.upstreamOf(l.pass)
		}
		all = append(all, l)
		all = append(all, t.readLocations(d)...)
	}
	return all
}

// acme reports whether a location is that of ACME's challenges.
func (l *location) acme() bool { return strings.HasPrefix(l.path, "/.well-known/acme-challenge") }

// literalPrefix matches regular expressions that only ask how a path begins.
var literalPrefix = migration.Pattern(`^\^(/[A-Za-z0-9/_-]*)(\(\.\*\)\$?|\.\*\$?)?$`)

// settle turns a regular expression that only asks how a path begins into a prefix. It reports false
// if no route of lb can match as the location does.
func (l *location) settle() bool {
	if l.kind == "~" {
		if found := literalPrefix().FindStringSubmatch(l.path); found != nil {
			l.kind, l.path, l.pattern = "^~", found[1], true
			l.d.note(changed, "as a path that begins so; nginx looks at a regular expression before longer paths without one")
		}
	}
	return (l.kind == "" || l.kind == "=" || l.kind == "^~") && routing.CheckPath(l.path) == nil
}

// bare returns the path of a location without the slash at its end, for which nginx has an answer of its
// own: a redirect to the location. It returns "" if there is none, or if another location is for it.
func (s *server) bare(l *location) string {
	path, ok := strings.CutSuffix(l.path, "/")
	same := func(o *location) bool { return o.path == path && !strings.HasPrefix(o.kind, "~") && o.kind != "@" }
	if !ok || path == "" || l.pass == nil || l.kind == "=" || l.pattern || slices.ContainsFunc(s.locations, same) {
		return ""
	}
	return path
}

// rank orders locations as nginx looks for them: exact paths, then the longest prefix.
func rank(a, b *location) int {
	exact := func(l *location) int {
		if l.kind == "=" {
			return 0
		}
		return 1
	}
	return cmp.Or(cmp.Compare(exact(a), exact(b)), cmp.Compare(len(b.path), len(a.path)))
}

// does returns what becomes of the requests of a location for a host name, as in routes.
func (t *translation) does(s *server, l *location, host string) string {
	if d := l.d.first("return"); d != nil {
		return t.answer(s, d, host)
	}
	if l.pass == nil {
		if l.d.first("stub_status") != nil {
			l.d.note(changed, whyMetrics)
		} else if d := l.d.first(otherPasses...); d != nil {
			d.note(stops, "lb speaks HTTP to hosts, and no other protocol: clients get 404")
		} else {
			l.d.note(stops, "nginx serves files here, and lb serves none: clients get 404. Let a host serve them")
		}
		return "respond: {status: 404}"
	}
	u := l.upstream
	if u == nil {
		l.pass.note(stops, "lb knows all hosts before the first request; here a variable says which one it is. Clients get 404")
		return "respond: {status: 404}"
	}
	if !slices.Contains([]string{"", l.path, "$request_uri"}, l.uri) {
		l.pass.note(stops, "lb passes on the path as the client sends it; nginx replaces a part of it here. Let the hosts take the whole path")
	}
	if u.pool == "" {
		u.pool = t.poolName(u)
	}
	l.pass.note(took, "pool: "+u.pool)
	t.hostTLS(u, l)
	return "pool: " + u.pool
}

// answer returns what becomes of requests by a line return, as in routes.
func (t *translation) answer(s *server, d *directive, host string) string {
	text, rest := d.arg(0), d.arg(1)
	if strings.Contains(text, "://") {
		text, rest = "302", text
	}
	code, err := strconv.Atoi(text)
	switch {
	case isRedirect(text) && rest != "":
		return t.redirect(s, d, code, s.absolute(d, rest, host))
	case err == nil && code == 444:
		d.note(changed, "nginx closes the connection without an answer; lb answers 421")
		return "respond: {status: 421}"
	case err != nil || http.StatusText(code) == "" || code < 200:
		d.note(stops, "lb has no answer like this: clients get 404")
		return "respond: {status: 404}"
	}
	if rest != "" {
		d.note(changed, "lb answers without the text: write it to a file, and name the file in respond.file of the route")
	}
	d.note(took, fmt.Sprintf("respond: {status: %d}", code))
	return fmt.Sprintf("respond: {status: %d}", code)
}

func isRedirect(code string) bool {
	return slices.Contains([]string{"301", "302", "303", "307", "308"}, code)
}

// absolute writes the address of a redirect with the name that clients have asked for, if there is one,
// as nginx sends it: it puts scheme and name before a path.
func (s *server) absolute(d *directive, url, host string) string {
	if host == "" || strings.HasPrefix(host, "*") {
		host = ""
		for _, name := range s.names {
			if own := hostsOf(name); len(own) == 1 && !strings.HasPrefix(own[0], "*") {
				host = own[0]
				break
			}
		}
	}
	url = unbrace(url)
	if host == "" || strings.HasSuffix(url, "$request_uri") {
		return url
	}
	if strings.HasPrefix(url, "/") {
		origin := s.origin(host)
		d.note(changed, "redirects to a path name "+origin+", whatever name, scheme and port the request had")
		return origin + url
	}
	for _, variable := range []string{"$http_host", "$host", "$server_name"} {
		if _, rest, ok := strings.Cut(url, "://"+variable); ok && (rest == "" || rest[0] == '/') {
			d.note(changed, "the name is "+host+", whichever of the server's names the request had")
			return strings.Replace(url, variable, host, 1)
		}
	}
	return url
}

// origin returns the beginning of a URL of the server, over TLS if it has that.
func (s *server) origin(host string) string {
	scheme, usual := "http", "80"
	at := slices.IndexFunc(s.listens, s.tlsHere)
	if at >= 0 {
		scheme, usual = "https", "443"
	}
	if len(s.listens) > 0 {
		if _, port, err := net.SplitHostPort(s.listens[max(at, 0)].address); err == nil && port != usual {
			host += ":" + port
		}
	}
	return scheme + "://" + host
}

// redirect returns what becomes of requests by a redirect, as in routes.
func (t *translation) redirect(s *server, d *directive, code int, url string) string {
	to, path := cutPath(url)
	if rest, ok := strings.CutPrefix(to, "$scheme://"); ok {
		to = "https://" + rest
		d.note(changed, "the scheme is https, whichever the request had")
	}
	switch own := s.isOwn(strings.TrimPrefix(to, "https://")); {
	case to == "" || strings.Contains(to, "$") || own && path == "$request_uri" || path != "$request_uri" && strings.Contains(path, "$"):
		d.note(stops, "lb redirects to an address that is the same for all requests, with the path of the request or without it: clients get 404")
		return "respond: {status: 404}"
	case path == "$request_uri":
		d.note(changed, "lb leaves the token out of the query that it repeats, unless the route says keep_key: true")
	case path == "":
		to += "/"
	default:
		to += path
	}
	d.note(took, "redirect: to "+to)
	return fmt.Sprintf("redirect: {to: %s, status: %d}", migration.Quote(to), code)
}
