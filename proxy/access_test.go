package proxy

import (
	"net/netip"
	"testing"

	"tokenring/proxy/access"
	"tokenring/proxy/routing"
)

// rules returns the rules of c.
func rules(t *testing.T, c access.Config) *access.Rules {
	t.Helper()
	r, err := access.Open(&c)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestConnectionsFromElsewhereAreClosed before anything is read from them.
func TestConnectionsFromElsewhereAreClosed(t *testing.T) {
	l := start(t, func(l *lab) {
		l.listener.Access = []*access.Rules{rules(t, access.Config{Deny: []string{"192.0.2.1"}}), rules(t, access.Config{Deny: []string{"127.0.0.0/8"}})}
	}, newHost(t, "a"))
	l.dial().send(get("/page")).expectEnd()
	if n := l.counts("lb_access_refused_total")["connection"]; n != 1 {
		t.Errorf("%v are counted", n)
	}
}

func TestRoutesTakeRequestsOfSomeOnly(t *testing.T) {
	l := start(t, func(l *lab) {
		l.cfg.Routes = []routing.Config{
			{PathPrefix: "/office", Pool: routing.MainPool, Rules: rules(t, access.Config{Allow: []string{"10.0.0.0/8"}})},
			{PathPrefix: "/local", Pool: routing.MainPool, Rules: rules(t, access.Config{Allow: []string{"127.0.0.0/8"}})},
		}
	}, newHost(t, "a"))
	l.ask(get("/local"), 200)
	l.ask(get("/page"), 200)
	l.ask(get("/office"), 403)
	if e := l.logged("/office"); e["end"] != endNotAllowed || e["reason"] != notAllowed.Detail {
		t.Errorf("the log says %v", e)
	}
	if n := l.counts("lb_access_refused_total")["request"]; n != 1 {
		t.Errorf("%v are counted", n)
	}
}

// TestClientsBehindATrustedProxyAreJudgedByTheirOwnAddress, and what they say of themselves doesn't
// count.
func TestClientsBehindATrustedProxyAreJudgedByTheirOwnAddress(t *testing.T) {
	l := start(t, func(l *lab) {
		l.cfg.TrustedNetworks = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
		l.listener.Access = []*access.Rules{rules(t, access.Config{Deny: []string{"192.0.2.0/24", "127.0.0.0/8"}})}
	}, newHost(t, "a"))
	from := func(addr string) string {
		return "GET /page HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: " + addr + "\r\n\r\n"
	}
	l.ask(from("198.51.100.1"), 200)
	l.ask(from("192.0.2.7"), 403)
	l.ask(from("198.51.100.1, 192.0.2.7"), 403)
	l.ask(from("192.0.2.7, 198.51.100.1"), 200)
}
