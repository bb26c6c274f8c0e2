package proxy

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"tokenring/http1"
	"tokenring/proxy/proxyheader"
	"tokenring/proxy/upstream"
)

// HAProxy's default takes 15 KiB of head and 100 fields, in whatever lines.
func TestHeadsThatHAProxyAcceptsAreAccepted(t *testing.T) {
	const most = 15 << 10
	cookie := "a=" + strings.Repeat("b", 14<<10)
	many := strings.Repeat("X-Field: "+strings.Repeat("v", 100)+"\r\n", 98)
	h := newHost(t, "a").on("/field", says("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Security-Policy: "+strings.Repeat("p", 14<<10)+"\r\n\r\nok", true)).
		on("/fields", says("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n"+many+"\r\nok", true)).
		on("/cookies", says("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n"+strings.Repeat("Set-Cookie: a="+strings.Repeat("b", 300)+"\r\n", 120)+"\r\nok", true))
	l := start(t, nil, h)
	w := l.dial()
	for _, request := range []string{
		"GET / HTTP/1.1\r\nHost: x\r\nCookie: " + cookie + "\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: x\r\n" + many + "\r\n",
		"GET /?a=" + strings.Repeat("b", most-60) + "&token=" + mark + " HTTP/1.1\r\nHost: x\r\n\r\n",
	} {
		if a := w.send(request).want(200); a.body != "a GET /" {
			t.Errorf("got %q", a.body)
		}
	}
	if !strings.Contains(h.received(), "Cookie: "+cookie+"\r\n") {
		t.Error("the cookie didn't reach the host as it was")
	}
	for path, fields := range map[string]int{"/field": 1, "/fields": 98, "/cookies": 120} {
		a := w.send(get(path)).want(200)
		got := len(a.Header["X-Field"]) + len(a.Header["Set-Cookie"]) + len(a.Header["Content-Security-Policy"])
		if a.body != "ok" || got != fields {
			t.Errorf("%s: got %q with %d fields, want %d", path, a.body, got, fields)
		}
	}
	if h.dials.Load() != 1 {
		t.Errorf("the host's connection was used up %d times", h.dials.Load())
	}
}

func TestHTTP2HeadsThatHAProxyAcceptsAreAccepted(t *testing.T) {
	l := start(t, speaksH2(t), newHost(t, "a").on("/field",
		says("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Large: "+strings.Repeat("p", 60<<10)+"\r\n\r\nok", true)))
	r, _ := http.NewRequest("GET", "https://"+l.addr+"/field", nil)
	for i := range 100 { // browsers send each cookie as a field of its own
		r.Header.Add("Cookie", fmt.Sprintf("c%d=%s", i, strings.Repeat("b", 130)))
	}
	resp, err := l.h2client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != 200 || len(resp.Header.Get("X-Large")) != 60<<10 {
		t.Errorf("got %d with a field of %d bytes", resp.StatusCode, len(resp.Header.Get("X-Large")))
	}
}

func TestAnswersHaveLimitsOfTheirOwn(t *testing.T) {
	answer := func(fields, long int) script {
		return says("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n"+strings.Repeat("X: "+strings.Repeat("y", long)+"\r\n", fields)+"\r\n", true)
	}
	h := newHost(t, "a").on("/line", answer(1, 2000)).on("/head", answer(3, 900)).on("/fields", answer(15, 1))
	for _, tt := range []struct {
		limits ResponseLimits
		status map[string]int
	}{
		{ResponseLimits{}, map[string]int{"/line": 200, "/head": 200, "/fields": 200}},
		{ResponseLimits{Line: 1000}, map[string]int{"/line": 502, "/head": 200, "/fields": 200}},
		{ResponseLimits{Head: 2500}, map[string]int{"/line": 200, "/head": 502, "/fields": 200}},
		{ResponseLimits{Fields: 15}, map[string]int{"/line": 200, "/head": 200, "/fields": 502}},
	} {
		l := start(t, func(l *lab) {
			l.cfg.Limits = Limits{Line: 300, Head: 1000, Fields: 10, Response: tt.limits}
		}, h)
		for path, status := range tt.status {
			l.ask(get(path), status)
		}
		l.ask("GET / HTTP/1.1\r\nHost: x\r\nX: "+strings.Repeat("y", 300)+"\r\n\r\n", 431)
		l.stop()
	}
}

// A large answer must not make the idle connection that it came on larger.
func TestIdleConnectionReleasesTheMemoryOfALargeAnswer(t *testing.T) {
	chunk := fmt.Sprintf("%x\r\n%s\r\n0\r\n%s\r\n", 40<<10, strings.Repeat("z", 40<<10), strings.Repeat("X: y\r\n", 200))
	h := newHost(t, "a").on("/large", says("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n"+strings.Repeat("X: "+strings.Repeat("y", 200)+"\r\n", 250)+"\r\n"+chunk, true))
	l := start(t, nil, h)
	if a := l.ask(get("/large"), 200); len(a.body) != 40<<10 {
		t.Errorf("got %d bytes", len(a.body))
	}
	l.waitUntilIdle()
	u := l.p.pools.Main.Hosts().Upstreams["a"]
	var kept *upstream.Conn
	eventually(t, "an idle connection", func() bool {
		kept = u.Take(&http1.Request{Method: []byte("GET")}, proxyheader.Ends{})
		return kept != nil
	})
	defer kept.Close()
	if n := cap(kept.Response.Fields); n > 64 || kept.Response.Reason != nil {
		t.Errorf("memory for %d fields is kept, and %q", n, kept.Response.Reason)
	}
}
