package proxy

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"tokenring/proxy/pools"
	"tokenring/proxy/tunnel"
	"tokenring/route"
)

// attach is the handshake of an upgrade to a protocol, as Docker and Kubernetes send it.
func attach(path, protocol string) string {
	return "POST " + path + "?token=" + mark + " HTTP/1.1\r\nHost: ide.example\r\nConnection: Upgrade\r\nUpgrade: " + protocol + "\r\nContent-Length: 0\r\n\r\n"
}

// agreesTo is a script that changes to a protocol and then runs the tunnel.
func agreesTo(protocol string, asked chan<- http.Header, run func(w *wire)) script {
	return func(w *wire, r *http.Request) bool {
		asked <- r.Header
		w.send("HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.raw-stream\r\nConnection: Upgrade\r\nUpgrade: " + protocol + "\r\n\r\nhost first ")
		run(w)
		return false
	}
}

func allows(names ...string) func(*lab) {
	return func(l *lab) { l.cfg.Upgrades = pools.NewUpgrades(names) }
}

func TestOtherUpgradesBecomeTerminals(t *testing.T) {
	asked := make(chan http.Header, 1)
	h := newHost(t, "a").on("/exec", agreesTo("SPDY/3.1", asked, echo))
	l := start(t, allows("websocket", "tcp", "spdy/3.1"), h)
	w := l.dial().send(attach("/exec", "spdy/3.1") + "early ")
	resp, err := http.ReadResponse(w.in, nil)
	if err != nil || resp.StatusCode != 101 || resp.Header.Get("Upgrade") != "SPDY/3.1" || resp.Header.Get("Content-Type") == "" {
		t.Fatalf("got %v, %v", resp, err)
	}
	if head := <-asked; head.Get("Upgrade") != "spdy/3.1" || head.Get("Connection") != "Upgrade" {
		t.Errorf("the host was asked for %v", head)
	}
	w.expect("host first early ")
	w.ping()
	if _, n := l.p.Session(l.digest(mark)); n != 1 {
		t.Errorf("%d terminals in the session", n)
	}
	l.p.sessions.End(func(*route.Endpoint) bool { return true }, string(tunnel.ByOperator))
	w.expectEnd() // a close frame of WebSocket would be bytes of the user's
	if e := l.logged("/exec"); e["status"] != 101.0 || e["end"] != "operator" {
		t.Errorf("the log says %v", e)
	}
}

func TestUpgradesThatArentAllowedAreIgnored(t *testing.T) {
	heads := make(chan *http.Request, 1)
	h := newHost(t, "a").on("/m", mirror(heads))
	for _, row := range []struct{ names, request string }{
		{"websocket", attach("/m", "tcp")},
		{"tcp", upgrade("/m", mark)},
		{"tcp", attach("/m", "tcp, spdy/3.1")}, // one protocol can be checked, a choice can't
		{"tcp", strings.Replace(attach("/m", "tcp"), "HTTP/1.1", "HTTP/1.0", 1)},
		{"tcp", strings.Replace(attach("/m", "tcp"), "Connection: Upgrade", "Connection: keep-alive", 1)},
	} {
		l := start(t, allows(row.names), h)
		l.ask(row.request, 200)
		if r := <-heads; r.Header.Get("Upgrade") != "" || r.Header.Get("Connection") != "" {
			t.Errorf("%q: the host got %v", row.request, r.Header)
		}
	}
}

// TestAnUpgradeWithABodyIsRefused: a host that doesn't agree might take what follows for a request.
func TestAnUpgradeWithABodyIsRefused(t *testing.T) {
	h := newHost(t, "a")
	l := start(t, allows("tcp"), h)
	w := l.dial().send(strings.Replace(attach("/exec", "tcp"), "Content-Length: 0\r\n\r\n", "Content-Length: 2\r\n\r\n{}", 1))
	w.want(400)
	w.expectEnd()
	if got := h.received(); got != "" {
		t.Errorf("the host got %q", got)
	}
}

func TestAHostThatChangesToAnotherProtocol(t *testing.T) {
	h := newHost(t, "a").
		on("/other", says("HTTP/1.1 101 S\r\nConnection: Upgrade\r\nUpgrade: spdy/3.1\r\n\r\n", false)).
		on("/none", says("HTTP/1.1 101 S\r\nConnection: Upgrade\r\n\r\n", false)).
		on("/two", says("HTTP/1.1 101 S\r\nConnection: Upgrade\r\nUpgrade: tcp\r\nUpgrade: tcp\r\n\r\n", false)).
		on("/declines", says("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno", true))
	l := start(t, allows("tcp"), h)
	for _, path := range []string{"/other", "/none", "/two"} {
		l.ask(attach(path, "tcp"), 502)
	}
	w := l.dial().send(attach("/declines", "tcp") + "GET /smuggled HTTP/1.1\r\n\r\n")
	if a := w.want(200); a.body != "no" {
		t.Errorf("got %q", a.body)
	}
	_, _ = io.ReadAll(w.in)
	if strings.Contains(h.received(), "smuggled") {
		t.Error("bytes for the tunnel have reached the host, which has declined")
	}
}
