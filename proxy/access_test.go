package proxy

import (
	"context"
	"net"
	"net/http"
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

// statusOf returns the status of a GET over HTTP/2, 0 if there is no answer.
func (l *lab) statusOf(c *http.Client, path, forwardedFor string) int {
	l.t.Helper()
	r, err := http.NewRequestWithContext(l.t.Context(), "GET", "https://"+l.addr+path, nil)
	if err != nil {
		l.t.Fatal(err)
	}
	if forwardedFor != "" {
		r.Header.Set("X-Forwarded-For", forwardedFor)
	}
	resp, err := c.Do(r)
	if err != nil {
		return 0
	}
	resp.Body.Close()
	if resp.ProtoMajor != 2 {
		l.t.Errorf("%s is answered over %s", path, resp.Proto)
	}
	return resp.StatusCode
}

// officeOnly is a route that takes requests of one network.
func officeOnly(t *testing.T) []routing.Config {
	return []routing.Config{{PathPrefix: "/office", Pool: routing.MainPool, Rules: rules(t, access.Config{Allow: []string{"10.0.0.0/8"}})}}
}

// TestAccessOverHTTP2 is judged for each stream: a refusal doesn't end the connection.
func TestAccessOverHTTP2(t *testing.T) {
	l := start(t, all(speaksH2(t), func(l *lab) { l.cfg.Routes = officeOnly(t) }), newHost(t, "a"))
	c := l.h2client()
	for path, want := range map[string]int{"/page": 200, "/office": 403, "/other": 200} {
		if got := l.statusOf(c, path, ""); got != want {
			t.Errorf("%s: got %d, want %d", path, got, want)
		}
	}
	if n := gaugeValue(l, "lb_connections_total"); n != 1 {
		t.Errorf("there were %v connections", n)
	}
	if e := l.logged("/office"); e["end"] != endNotAllowed || e["protocol"] != "HTTP/2" {
		t.Errorf("the log says %v", e)
	}
	denied := start(t, all(speaksH2(t), func(l *lab) {
		l.listener.Access = []*access.Rules{rules(t, access.Config{Deny: []string{"127.0.0.0/8"}})}
	}), newHost(t, "a"))
	denied.dial().expectEnd() // before TLS
	if got := denied.statusOf(denied.h2client(), "/page", ""); got != 0 {
		t.Errorf("a client that may not come got %d", got)
	}
}

// TestStreamsOfATrustedProxyAreJudgedByTheirOwnClients, each by its own.
func TestStreamsOfATrustedProxyAreJudgedByTheirOwnClients(t *testing.T) {
	l := start(t, all(speaksH2(t), func(l *lab) {
		l.cfg.TrustedNetworks = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
		l.cfg.Routes = officeOnly(t)
		l.listener.Access = []*access.Rules{rules(t, access.Config{Deny: []string{"192.0.2.0/24"}})}
	}), newHost(t, "a"))
	c := l.h2client()
	for _, row := range []struct {
		path, client string
		want         int
	}{
		{"/page", "198.51.100.1", 200},
		{"/page", "192.0.2.7", 403},
		{"/page", "198.51.100.1, 192.0.2.7", 403},
		{"/office", "10.1.2.3", 200},
		{"/office", "10.1.2.3, 198.51.100.1", 403},
		{"/office", "192.0.2.7, 10.1.2.3", 200},
	} {
		if got := l.statusOf(c, row.path, row.client); got != row.want {
			t.Errorf("%s of %s: got %d, want %d", row.path, row.client, got, row.want)
		}
	}
}

// TestAccessBehindTheProxyProtocol is by the address that the header tells, over both versions of HTTP, and
// not by that of the balancer in front.
func TestAccessBehindTheProxyProtocol(t *testing.T) {
	l := start(t, all(speaksH2(t), needsProxyHeader, func(l *lab) {
		l.cfg.Routes = officeOnly(t)
		l.listener.Access = []*access.Rules{rules(t, access.Config{Allow: []string{"10.0.0.0/8", "198.51.100.0/24"}})}
	}), newHost(t, "a"))
	newWire(t, l.proxied(header1)).expectEnd() // 192.0.2.7, before TLS
	if n := l.counts("lb_access_refused_total")["connection"]; n != 1 {
		t.Errorf("%v connections are refused, want 1", n)
	}
	for _, row := range []struct {
		client, path, forwardedFor string
		want                       int
	}{
		{"10.1.2.3", "/office", "", 200},
		{"198.51.100.1", "/office", "", 403},
		{"198.51.100.1", "/page", "", 200},
		{"198.51.100.1", "/office", "10.1.2.3", 403}, // it is no trusted proxy
	} {
		c := l.h2client()
		c.Transport.(*http.Transport).DialContext = func(context.Context, string, string) (net.Conn, error) {
			return l.proxied("PROXY TCP4 " + row.client + " 192.0.2.200 5000 443\r\n"), nil
		}
		if got := l.statusOf(c, row.path, row.forwardedFor); got != row.want {
			t.Errorf("%s of %s: got %d, want %d", row.path, row.client, got, row.want)
		}
	}
	plain := start(t, all(needsProxyHeader, func(l *lab) { l.cfg.Routes = officeOnly(t) }), newHost(t, "a"))
	for client, want := range map[string]int{"10.1.2.3": 200, "198.51.100.1": 403} {
		newWire(t, plain.proxied("PROXY TCP4 "+client+" 192.0.2.200 5000 80\r\n"+get("/office"))).want(want)
	}
}
