package proxy

import (
	"net/http"
	"strings"
	"testing"

	"tokenring/proxy/routing"
)

// site is a set of routes with every answer that needs no host.
func site(l *lab) {
	l.cfg.Routes = []routing.Config{
		{Path: "/gone", Respond: &routing.RespondConfig{Status: 410}},
		{Path: "/up", Respond: &routing.RespondConfig{}},
		{Path: "/none", Respond: &routing.RespondConfig{Status: 204}},
		{Path: "/robots", Respond: &routing.RespondConfig{File: "robots.txt", Body: "User-agent: *\n"}},
		{Path: "/old", Redirect: &routing.RedirectConfig{To: "https://ide.example.com/new?a=b", Status: 301}},
		{PathPrefix: "/moved", Redirect: &routing.RedirectConfig{To: "https://ide.example.com", Status: 308}},
		{PathPrefix: "/kept", Redirect: &routing.RedirectConfig{To: "https://ide.example.com:8443", KeepKey: true}},
		{PathPrefix: "/admin", Respond: &routing.RespondConfig{Status: 403}},
		{Path: "/canary", Pool: routing.MainPool},
	}
	l.cfg.Unmatched = 404
}

// TestRoutesAnswerInBothVersionsOfHTTP: what a route answers itself reaches no host.
func TestRoutesAnswerInBothVersionsOfHTTP(t *testing.T) {
	h := newHost(t, "a")
	one := start(t, site, h)
	two := start(t, func(l *lab) { site(l); speaksH2(t)(l) }, h)
	for _, row := range []struct {
		target           string
		status           int
		location, body   string
		cache, mediaType string
	}{
		{"/gone", 410, "", `"status":410`, "no-store", "application/json"},
		{"/up", 200, "", "", "", ""},
		{"/none", 204, "", "", "", ""},
		{"/robots", 200, "", "User-agent: *\n", "", "text/plain; charset=utf-8"},
		{"/old?token=" + mark, 301, "https://ide.example.com/new?a=b", "", "no-store", ""},
		{"/moved/x?a=1", 308, "https://ide.example.com/moved/x?a=1", "", "", ""},
		{"/moved/x?a=1&token=" + mark, 308, "https://ide.example.com/moved/x?a=1", "", "no-store", ""},
		{"/moved/" + mark + "?token=" + mark, 400, "", `"status":400`, "no-store", "application/json"},
		{"/elsewhere", 404, "", `"status":404`, "no-store", "application/json"},
		{"/%61dmin", 400, "", "several ways", "no-store", "application/json"},
		{"//admin/x", 400, "", "several ways", "no-store", "application/json"},
	} {
		answers := []answer{one.ask(get(row.target), row.status), two.do(two.h2client(), "GET", row.target, nil)}
		for _, a := range answers {
			got := a.Header
			if a.StatusCode != row.status || got.Get("Location") != row.location || !strings.Contains(a.body, row.body) ||
				got.Get("Cache-Control") != row.cache || got.Get("Content-Type") != row.mediaType {
				t.Errorf("%s %s: got %d %v %q", a.Proto, row.target, a.StatusCode, got, a.body)
			}
		}
	}
	if h.dials.Load() != 0 {
		t.Error("a request that a route answers has reached a host")
	}
	one.canary()
	two.do(two.h2client(), "GET", "/canary?token="+mark, nil)
	if got := one.p.routing.Route("routes[8]").Requests(); got != 1 {
		t.Errorf("the route of the canary has matched %d times", got)
	}
	if got := one.p.routing.Unmatched(); got != 1 {
		t.Errorf("%d requests have matched no route", got)
	}
}

// TestARedirectRepeatsTheKeyOnlyIfItSaysSo: the answer of this one holds the token, so
// the test reads it itself.
func TestARedirectRepeatsTheKeyOnlyIfItSaysSo(t *testing.T) {
	l := start(t, site, newHost(t, "a"))
	w := l.dial().send(get("/kept/x?token=" + mark + "&a=1"))
	resp, err := http.ReadResponse(w.in, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	got, want := resp.Header.Get("Location"), "https://ide.example.com:8443/kept/x?token="+mark+"&a=1"
	if got != want || resp.StatusCode != 302 || resp.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("got %d %v", resp.StatusCode, resp.Header)
	}
}

// TestAnAnswerOfARouteLeavesTheConnectionUsable: unless the request has a body, which nobody
// reads.
func TestAnAnswerOfARouteLeavesTheConnectionUsable(t *testing.T) {
	l := start(t, site, newHost(t, "a"))
	w := l.dial()
	for _, path := range []string{"/up", "/none", "/robots", "/moved", "/gone", "/elsewhere"} {
		switch a := w.send(get(path)).answer("GET"); {
		case a.err != nil || a.Close:
			t.Fatalf("%s: got %v, %v", path, a.Header, a.err)
		}
	}
	w.send("HEAD /robots HTTP/1.1\r\nHost: x\r\n\r\n")
	if a := w.answer("HEAD"); a.ContentLength != 14 || a.body != "" {
		t.Errorf("HEAD: got %v %q", a.Header, a.body)
	}
	w.send("POST /up HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc").want(200)
	w.expectEnd()
}

// TestAHandshakeIsAnsweredByItsRoute: as any other request.
func TestAHandshakeIsAnsweredByItsRoute(t *testing.T) {
	h := newHost(t, "a")
	l := start(t, site, h)
	l.ask(upgrade("/admin", mark), 403)
	if h.dials.Load() != 0 {
		t.Error("the handshake has reached a host")
	}
}
