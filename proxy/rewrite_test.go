package proxy

import (
	"net/http"
	"net/netip"
	"strings"
	"testing"
)

// mirror is a script that keeps the request's head for the test.
func mirror(heads chan<- *http.Request) script {
	return func(w *wire, r *http.Request) bool {
		heads <- r
		w.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: X-Private\r\nX-Private: 1\r\nKeep-Alive: timeout=5\r\nX-Request-Id: forged\r\nX-Public: 1\r\n\r\n")
		return true
	}
}

func TestHopByHopFieldsEndHere(t *testing.T) {
	heads := make(chan *http.Request, 1)
	l := start(t, nil, newHost(t, "a").on("/m", mirror(heads)))
	a := l.ask("GET /m HTTP/1.1\r\nHost: ide.example\r\nConnection: keep-alive, X-Secret, X-Forwarded-For, Cookie\r\nX-Secret: 1\r\nX-Kept: 1\r\n"+
		"Cookie: a=b\r\nKeep-Alive: 5\r\nTE: trailers\r\nProxy-Connection: x\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\n\r\n", 200)
	r := <-heads
	for _, name := range []string{"X-Secret", "Keep-Alive", "Te", "Proxy-Connection", "Upgrade", "Http2-Settings", "Connection"} {
		if r.Header[name] != nil {
			t.Errorf("the host got %s: %q", name, r.Header[name])
		}
	}
	for _, name := range []string{"X-Kept", "Cookie", "X-Forwarded-For"} {
		if r.Header[name] == nil {
			t.Errorf("the host didn't get %s", name)
		}
	}
	if a.Header.Get("X-Private") != "" || a.Header.Get("Keep-Alive") != "" || a.Header.Get("X-Public") != "1" {
		t.Errorf("the client got %v", a.Header)
	}
	if ids := a.Header["X-Request-Id"]; len(ids) != 1 || ids[0] == "forged" || ids[0] != r.Header.Get("X-Request-Id") {
		t.Errorf("got the request ids %q and %q", ids, r.Header["X-Request-Id"])
	}
}

const spoofed = "GET /m HTTP/1.1\r\nHost: ide.example\r\nX-Forwarded-For: 6.6.6.6\r\nX-Forwarded-For: 7.7.7.7\r\nX-Forwarded-Proto: gopher\r\n" +
	"X-Forwarded-Host: evil\r\nX-Forwarded-Port: 1\r\nForwarded: for=6.6.6.6\r\nX-Real-IP: 6.6.6.6\r\nX-Request-Id: mine\r\n\r\n"

func TestForwardedFieldsOfUntrustedClientsAreReplaced(t *testing.T) {
	heads := make(chan *http.Request, 1)
	l := start(t, nil, newHost(t, "a").on("/m", mirror(heads)))
	l.ask(spoofed, 200)
	h := (<-heads).Header
	for name, want := range map[string]string{
		"X-Forwarded-For": "127.0.0.1", "X-Forwarded-Proto": "http", "X-Forwarded-Host": "ide.example",
		"X-Forwarded-Port": l.ln.Addr().String()[len("127.0.0.1:"):], "Forwarded": "", "X-Real-Ip": "",
	} {
		if got := strings.Join(h[name], "|"); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
	if id := h["X-Request-Id"]; len(id) != 1 || id[0] == "mine" {
		t.Errorf("got the request id %q", id)
	}
}

func TestForwardedFieldsOfTrustedProxiesAreKept(t *testing.T) {
	heads := make(chan *http.Request, 1)
	l := start(t, func(l *lab) {
		l.cfg.TrustedNetworks = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	}, newHost(t, "a").on("/m", mirror(heads)))
	l.ask(spoofed, 200)
	h := (<-heads).Header
	for name, want := range map[string]string{
		"X-Forwarded-For": "6.6.6.6, 7.7.7.7, 127.0.0.1", "X-Forwarded-Proto": "gopher", "X-Forwarded-Host": "evil",
		"X-Forwarded-Port": "1", "Forwarded": "for=6.6.6.6", "X-Real-Ip": "6.6.6.6", "X-Request-Id": "mine",
	} {
		if got := strings.Join(h[name], "|"); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
	if e := l.logged("/m"); e["id"] != "mine" {
		t.Errorf("the log has the id %v, want that of the proxy in front", e["id"])
	}
	if l.ask(strings.Replace(spoofed, "Id: mine", "Id: <mine>", 1), 200); (<-heads).Header.Get("X-Request-Id") == "<mine>" {
		t.Error("an id that is no word was kept")
	}
}

func TestTargetsReachTheHostInOriginForm(t *testing.T) {
	heads := make(chan *http.Request, 1)
	h := newHost(t, "a").on("/m", mirror(heads)).on("*", mirror(heads))
	l := start(t, nil, h)
	for _, tt := range []struct{ line, want string }{
		{"GET /m?a=%zz&token=s3cr3t%20+;&x='\"?/ HTTP/1.1", "/m?a=%zz&token=s3cr3t%20+;&x='\"?/"},
		{"GET http://ide.example/m?x HTTP/1.1", "/m?x"},
		{"GET /m? HTTP/1.1", "/m?"},
		{"OPTIONS * HTTP/1.1", "*"},
		{"OPTIONS http://ide.example HTTP/1.1", "*"},
	} {
		l.ask(tt.line+"\r\nHost: ide.example\r\n\r\n", 200)
		if r := <-heads; r.RequestURI != tt.want || r.Host != "ide.example" {
			t.Errorf("%s: the host got %q at %q, want %q", tt.line, r.RequestURI, r.Host, tt.want)
		}
	}
}
