package proxy

import (
	"net/http"
	"net/netip"
	"testing"

	"tokenring/balancer"
	"tokenring/proxy/accesslog"
	"tokenring/proxy/fields"
	"tokenring/proxy/hashkey"
	"tokenring/session"
)

// behindProxies trusts the tests' client, hashes by source, and tells hosts the client's address.
func behindProxies(l *lab) {
	l.cfg.TrustedNetworks = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("10.0.0.0/8")}
	l.cfg.Key = hashkey.Rules{{Source: balancer.KeyClient}}
	l.cfg.Fields = &fields.Config{Request: fields.Changes{Set: fields.Values{{Name: "X-Real-IP", Text: "{client}"}}}}
	l.more = accesslog.MoreFields
}

// sourceKey returns how the log shows the key of a source.
func (l *lab) sourceKey(addr string) string {
	return l.digest(string(netip.MustParseAddr(addr).AsSlice())).String()[:12]
}

// TestARequestIsItsClientsNotItsProxys for the key, the log and the fields.
func TestARequestIsItsClientsNotItsProxys(t *testing.T) {
	heads := make(chan *http.Request, 1)
	for _, row := range []struct {
		what, forwarded, client, key string
		proxy                        any
	}{
		{"the proxy itself", "", "127.0.0.1", "127.0.0.1", nil},
		{"its client", "198.51.100.7", "198.51.100.7", "198.51.100.7", "127.0.0.1"},
		{"the last that isn't trusted", "192.0.2.1, 198.51.100.7, 10.1.2.3", "198.51.100.7", "198.51.100.7", "127.0.0.1"},
		{"a network of IPv6", "2001:db8::1:2:3:4", "2001:db8::1:2:3:4", "2001:db8::", "127.0.0.1"},
		{"what can't be read", "192.0.2.1, unknown", "127.0.0.1", "127.0.0.1", nil},
	} {
		l := start(t, behindProxies, newHost(t, "a").on("/page", speaks(heads)))
		head := "GET /page HTTP/1.1\r\nHost: x\r\n"
		if row.forwarded != "" {
			head += "X-Forwarded-For: " + row.forwarded + "\r\n"
		}
		l.ask(head+"\r\n", 200)
		e := l.logged("/page")
		if e["client"] != row.client || e["proxy"] != row.proxy || e["key"] != l.sourceKey(row.key) {
			t.Errorf("%s: the log says %v", row.what, e)
		}
		if _, known := e["client_port"]; known == (row.proxy != nil) {
			t.Errorf("%s: the port of the client is %v", row.what, e["client_port"])
		}
		if h := (<-heads).Header; h.Get("X-Real-IP") != row.client {
			t.Errorf("%s: the host got X-Real-IP %v", row.what, h["X-Real-Ip"])
		}
	}
}

// TestEachRequestOfAConnectionHasItsOwnClient, since a proxy sends those of many on one.
func TestEachRequestOfAConnectionHasItsOwnClient(t *testing.T) {
	heads := make(chan *http.Request, 1)
	l := start(t, behindProxies, newHost(t, "a").on("/page", speaks(heads)))
	w := l.dial()
	for _, client := range []string{"198.51.100.7", "198.51.100.8", "", "198.51.100.8"} {
		w.send("GET /page HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: " + client + "\r\n\r\n").want(200)
		want := client
		if client == "" {
			want = "127.0.0.1"
		}
		if h := (<-heads).Header; h.Get("X-Real-IP") != want {
			t.Errorf("of %q the host got %v", client, h["X-Real-Ip"])
		}
	}
}

// TestNobodyElseTellsAnAddress: what a client that isn't trusted says of itself doesn't count.
func TestNobodyElseTellsAnAddress(t *testing.T) {
	l := start(t, all(behindProxies, func(l *lab) { l.cfg.TrustedNetworks = nil }), newHost(t, "a"))
	l.ask("GET /page HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 198.51.100.7\r\n\r\n", 200)
	if e := l.logged("/page"); e["client"] != "127.0.0.1" || e["proxy"] != nil || e["key"] != l.sourceKey("127.0.0.1") {
		t.Errorf("the log says %v", e)
	}
}

func TestATerminalIsItsClientsNotItsProxys(t *testing.T) {
	l := start(t, behindProxies, newHost(t, "a").on("/ws", accept(echo)))
	w := l.dial().send("GET /ws HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 198.51.100.7\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
	if a := w.answer("GET"); a.StatusCode != 101 {
		t.Fatalf("got %v", a.Status)
	}
	if all := l.p.sessions.Page(session.Selection{Limit: 2}).Terminals; len(all) != 1 || all[0].Client != "198.51.100.0/24" {
		t.Errorf("the terminals are %+v", all)
	}
	w.Close()
	if e := l.logged("/ws"); e["client"] != "198.51.100.7" || e["proxy"] != "127.0.0.1" {
		t.Errorf("the log says %v", e)
	}
}
