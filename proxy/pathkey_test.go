package proxy

import (
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"tokenring/balancer"
	"tokenring/proxy/hashkey"
	"tokenring/proxy/pools"
	"tokenring/proxy/routing"
)

// TestAKeyInThePathIsNotInTheLog, which the lab looks through as well.
func TestAKeyInThePathIsNotInTheLog(t *testing.T) {
	l := start(t, func(l *lab) { l.cfg.Key = hashkey.Rules{{Source: balancer.KeyPath, Name: "2"}} },
		newHost(t, "a").on("/ide/"+mark+"/files", says("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", true)))
	l.ask(get("/ide/"+mark+"/files"), 200)
	if e := l.logged("/ide/*/files"); e["key"] != l.digest(mark).String() {
		t.Errorf("the log says %v", e)
	}
}

// TestATrustedHeaderOfOthersIsNoKey, and hosts don't get it.
func TestATrustedHeaderOfOthersIsNoKey(t *testing.T) {
	heads := make(chan *http.Request, 1)
	for _, trusted := range []bool{true, false} {
		l := start(t, func(l *lab) {
			l.cfg.Key = hashkey.Rules{{Source: balancer.KeyTrusted, Name: "X-User"}}
			if trusted {
				l.cfg.TrustedNetworks = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
			}
		}, newHost(t, "a").on("/page", speaks(heads)))
		l.ask("GET /page HTTP/1.1\r\nHost: x\r\nx-user: "+mark+"\r\n\r\n", 200)
		user, key := "", any(nil)
		if trusted {
			user, key = mark, l.digest(mark).String()
		}
		if got := (<-heads).Header.Get("X-User"); got != user {
			t.Errorf("trusted %t: the host got X-User %q", trusted, got)
		}
		if e := l.logged("/page"); e["key"] != key {
			t.Errorf("trusted %t: the log says %v", trusted, e)
		}
	}
}

// TestTheLogSaysByWhichRuleARequestHasItsKey, also the rule of another pool, and both lines of a terminal.
func TestTheLogSaysByWhichRuleARequestHasItsKey(t *testing.T) {
	l := start(t, func(l *lab) {
		l.cfg.Key = hashkey.Rules{{Source: balancer.KeyQuery, Name: "token"}, {Source: balancer.KeyCookie, Name: "ide"}}
		l.cfg.Pools = []pools.Config{{Name: "api", Key: hashkey.Rules{{Source: balancer.KeyHeader, Name: "X-User"}, {Source: balancer.KeyClient}}}}
		l.cfg.Routes = []routing.Config{{PathPrefix: "/api", Pool: "api"}}
	}, newHost(t, "a").on("/ws", accept(echo)))
	for _, row := range []struct {
		path, fields string
		status       int
		want         any
	}{
		{"/query?token=" + mark, "Cookie: ide=" + mark, 200, "{query: token}"},
		{"/cookie", "Cookie: ide=" + mark, 200, "{cookie: ide}"},
		{"/none", "X-User: " + mark, 200, nil},
		{"/api/user?token=" + mark, "X-User: " + mark, 503, "{header: X-User}"},
		{"/api/source", "A: b", 503, "source"},
	} {
		l.ask("GET "+row.path+" HTTP/1.1\r\nHost: x\r\n"+row.fields+"\r\n\r\n", row.status)
		path, _, _ := strings.Cut(row.path, "?")
		if e := l.logged(path); e["key_rule"] != row.want || (e["key"] == nil) != (row.want == nil) {
			t.Errorf("%s: the log says %v, want %v", row.path, e, row.want)
		}
	}
	w := l.dial().open("/ws", mark)
	w.ping()
	w.Close()
	eventually(t, "both lines of the terminal", func() bool {
		n := 0
		for _, e := range l.entries() {
			if e["path"] == "/ws" && e["key_rule"] == "{query: token}" {
				n++
			}
		}
		return n == 2
	})
}

// TestARedirectRefusesAKeyInThePath rather than repeat it, unless it may. lb check warns of the first two.
func TestARedirectRefusesAKeyInThePath(t *testing.T) {
	inPath := hashkey.Rules{{Source: balancer.KeyPath, Name: "2"}}
	moved := func(to string, keep bool) func(*lab) {
		return func(l *lab) {
			l.cfg.Key = inPath
			l.cfg.Routes = []routing.Config{{PathPrefix: "/", Redirect: &routing.RedirectConfig{To: to, KeepKey: keep}}}
		}
	}
	const path = "/ide/eva/files" // no token of these tests: some answers repeat it
	for _, row := range []struct {
		change     func(*lab)
		status     int
		location   string
		withoutKey string // where a request without a key goes
	}{
		{func(l *lab) { l.cfg.Key, l.listener.Redirect = inPath, "443" }, 400, "", "https://ide.example/login"},
		{moved("https://new.example", false), 400, "", "https://new.example/login"},
		{func(l *lab) { l.cfg.Key, l.listener.Redirect, l.listener.RedirectKey = inPath, "443", true }, 301, "https://ide.example" + path, "https://ide.example/login"},
		{moved("https://new.example", true), 302, "https://new.example" + path, "https://new.example/login"},
		{moved("https://new.example/start", false), 302, "https://new.example/start", "https://new.example/start"},
	} {
		l := start(t, row.change, newHost(t, "a"))
		if got := l.dial().send(get(path)).want(row.status).Header.Get("Location"); got != row.location {
			t.Errorf("it goes to %q, want %q", got, row.location)
		}
		a := l.dial().send(get("/login")).answer("GET")
		if got := a.Header.Get("Location"); got != row.withoutKey {
			t.Errorf("without a key it goes to %q, want %q", got, row.withoutKey)
		}
	}
}
