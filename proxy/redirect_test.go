package proxy

import (
	"strings"
	"testing"

	"tokenring/balancer"
	"tokenring/proxy/routing"
)

func TestRedirectNeverCarriesTheToken(t *testing.T) {
	for _, tt := range []struct {
		request string
		status  int
		want    string
	}{
		{get("/a/b?x=1&y=%20"), 301, "https://ide.example:8443/a/b?x=1&y=%20"},
		{get("/"), 301, "https://ide.example:8443/"},
		{get("/?"), 301, "https://ide.example:8443/?"},
		{get("/?token=" + mark), 307, "https://ide.example:8443/"},
		{get("/?token="), 307, "https://ide.example:8443/"},
		{get("/a?x=1&TOKEN=" + mark), 307, "https://ide.example:8443/a?x=1"},
		{get("/a?x=1;token=" + mark), 307, "https://ide.example:8443/a"},
		{get("/a?%74oken=" + mark), 307, "https://ide.example:8443/a"},
		{get("/a?%2574oken=" + mark), 307, "https://ide.example:8443/a"},
		{get("/a?%25252574oken=" + mark), 307, "https://ide.example:8443/a"},
		{get("/a?x%=1%26token%3D" + mark), 307, "https://ide.example:8443/a"},
		{get("/a?next=%2Fx%3Ftoken%3D" + mark + "&b=2"), 307, "https://ide.example:8443/a?b=2"},
		{get("/a?x=?token=" + mark), 307, "https://ide.example:8443/a"},
		{get("/a?token=" + mark + "-long&copy=" + mark + "-long&b=%32"), 307, "https://ide.example:8443/a?b=%32"},
		{get("/a?token=" + mark + "-long&copy=%73" + mark[1:] + "-long"), 307, "https://ide.example:8443/a"},
		{get("/a%3Ftoken=" + mark), 400, ""},
		{get("/a%253Ftoken%253D" + mark), 400, ""},
		{get("/a;token=" + mark), 400, ""},
		{get("http://ide.example/a?token=" + mark), 307, "https://ide.example:8443/a"},
		{"POST /a HTTP/1.1\r\nHost: ide.example:80\r\nContent-Length: 3\r\n\r\nabc", 308, "https://ide.example:8443/a"},
		{"POST /a?token=" + mark + "&b=c HTTP/1.1\r\nHost: ide.example\r\nContent-Length: 3\r\n\r\nabc", 307, "https://ide.example:8443/a?b=c"},
		{"GET /a HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", 301, "https://[::1]:8443/a"},
		{"GET /a HTTP/1.1\r\nHost: [::1]\r\n\r\n", 301, "https://[::1]:8443/a"},
		{"GET /a HTTP/1.1\r\nHost: ide.example:\r\n\r\n", 301, "https://ide.example:8443/a"},
		{"GET /a HTTP/1.1\r\nHost: evil/@x\r\n\r\n", 400, ""},
		{"GET /a HTTP/1.0\r\n\r\n", 400, ""},
		{"OPTIONS * HTTP/1.1\r\nHost: ide.example\r\n\r\n", 400, ""},
		{upgrade("/ws", mark), 307, "https://ide.example:8443/ws"},
	} {
		h := newHost(t, "a")
		l := start(t, func(l *lab) { l.listener.Redirect = "8443" }, h)
		w := l.dial().send(tt.request)
		a := w.want(tt.status)
		if got := a.Header.Get("Location"); got != tt.want {
			t.Errorf("%q: got %q, want %q", tt.request, got, tt.want)
		}
		w.expectEnd()
		w.Close()
		if h.dials.Load() != 0 {
			t.Error("an unencrypted request reached a host")
		}
		l.stop()
	}
	l := start(t, func(l *lab) { l.listener.Redirect = "443" })
	if a := l.ask(get("/a"), 301); a.Header.Get("Location") != "https://ide.example/a" {
		t.Errorf("got %v", a.Header)
	}
	if e := l.logged("/a"); e["status"] != 301.0 || e["end"] != "done" {
		t.Errorf("the log says %v", e)
	}
}

// What isn't the key's parameter stays as it is, byte for byte.
func TestRedirectDropsNoMoreThanTheKey(t *testing.T) {
	l := start(t, func(l *lab) {
		l.listener.Redirect = "443"
		l.cfg.Key = []balancer.KeyRule{{Source: balancer.KeyQuery, Name: "user"}, {Source: balancer.KeyQuery, Name: "t"}, {Source: balancer.KeyClient}}
	})
	for query, want := range map[string]string{
		"a=1&user=x&b=2":                      "a=1&b=2",
		"t=x&user=y&a=1":                      "a=1",
		"user=1&page=10&user=2&page=11":       "page=10&page=11", // a short key is no secret that others could hold
		"user=x&superuser=1&user_id=2&user.a": "superuser=1&user_id=2&user.a",
		"user=x&q=100%&w=%zz&e=%":             "q=100%&w=%zz&e=%",
		"user=x&&a=b=c&=&d;e=f":               "&a=b=c&=&d;e=f",
		"user=x&name=user&t":                  "name=user&t",
	} {
		if got := l.ask(get("/a?"+query), 307).Header.Get("Location"); got != "https://ide.example/a?"+want {
			t.Errorf("%s: got %s, want %s", query, got, want)
		}
	}
	for _, query := range []string{"token=1", "superuser=1", "a=%20&b=100%", "tt=1"} {
		if got := l.ask(get("/a?"+query), 301).Header.Get("Location"); got != "https://ide.example/a?"+query {
			t.Errorf("%s: got %s", query, got)
		}
	}
}

// Who decides that the key may stay gets it, by a redirect that nobody stores.
func TestRedirectKeepsTheKeyIfConfigured(t *testing.T) {
	l := start(t, func(l *lab) { l.listener.Redirect, l.listener.RedirectKey = "443", true })
	for target, status := range map[string]int{
		"/a?b=1&token=alice&c=%20": 307,
		"/a;token=alice?b=1":       301,
		"/a?next=%2F%3Ftoken%3Da":  307,
		"/a?b=1":                   301,
	} {
		if got := l.ask(get(target), status).Header.Get("Location"); got != "https://ide.example"+target {
			t.Errorf("%s: got %s", target, got)
		}
	}
	if strings.Contains(l.log.String(), "alice") {
		t.Errorf("the token is in the log: %s", l.log)
	}
}

// TestChallengesAreNotRedirected if a route is for them alone: authorities ask without TLS.
func TestChallengesAreNotRedirected(t *testing.T) {
	h := newHost(t, "a")
	l := start(t, func(l *lab) {
		l.listener.Redirect = "8443"
		l.cfg.Routes = []routing.Config{
			{PathPrefix: "/.well-known/acme-challenge/", Method: routing.Methods{"GET"}, Pool: routing.MainPool},
			{PathPrefix: "/.well-known/", Pool: routing.MainPool},
		}
	}, h)
	for _, row := range []struct {
		request string
		status  int
	}{
		{get("/.well-known/acme-challenge/x"), 200},
		{get("/.well-known/acme-challenge"), 301},
		{get("/.well-known/security.txt"), 301},
		{get("/.well-known/acme-challenge/../../secret"), 400},
		{"POST /.well-known/acme-challenge/x HTTP/1.1\r\nHost: ide.example\r\nContent-Length: 0\r\n\r\n", 308},
	} {
		w := l.dial().send(row.request)
		w.want(row.status)
		w.Close()
	}
	if n := h.dials.Load(); n != 1 {
		t.Errorf("%d connections to the host, want that of the challenge", n)
	}
}
