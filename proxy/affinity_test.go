package proxy

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"tokenring/proxy/affinity"
	"tokenring/route"
)

var (
	oneSecret   = bytes.Repeat([]byte{1}, 32)
	otherSecret = bytes.Repeat([]byte{2}, 32)
)

// affine is for a lab that keeps clients by a cookie. change may be nil.
func affine(change func(*affinity.CookieConfig)) func(*lab) {
	return func(l *lab) {
		l.cfg.Affinity.Cookie = &affinity.CookieConfig{}
		l.cfg.AffinitySecrets = [][]byte{oneSecret}
		if change != nil {
			change(l.cfg.Affinity.Cookie)
		}
	}
}

// with is a request that carries Cookie fields.
func with(target string, cookies ...string) string {
	head := "GET " + target + " HTTP/1.1\r\nHost: ide.example\r\n"
	for _, c := range cookies {
		head += "Cookie: " + c + "\r\n"
	}
	return head + "\r\n"
}

// cookieFor returns a cookie that names a host, as the lab's proxy sets it.
func (l *lab) cookieFor(host string) string { return l.cookieOf(affinity.Payload{Host: host}) }

// sealer returns one with the keys of the lab's proxy.
func (l *lab) sealer() *affinity.Sealer {
	return affinity.NewSealer("lb", l.cfg.AffinitySecrets)
}

func (l *lab) cookieOf(p affinity.Payload) string {
	return "lb=" + string(l.sealer().Append(nil, p))
}

// set returns the payload of the cookie that an answer sets, which must be the
// only one, and whether there is one.
func (l *lab) set(h http.Header) (affinity.Payload, bool) {
	l.t.Helper()
	all := h.Values("Set-Cookie")
	if len(all) == 0 {
		return affinity.Payload{}, false
	}
	value, _, _ := strings.Cut(strings.TrimPrefix(all[0], "lb="), ";")
	got, old, ok := l.sealer().Open([]byte(value))
	if len(all) > 1 || !ok || old {
		l.t.Errorf("got %q, want one cookie of ours", all)
	}
	if strings.Contains(l.log.String(), value) {
		l.t.Error("the cookie is in the log")
	}
	return got, true
}

// goes checks that a request is served by a host, and whether the answer sets a
// cookie, which must be for that host.
func (l *lab) goes(head, host string, sets bool) answer {
	l.t.Helper()
	a := l.ask(head, 200)
	if !strings.HasPrefix(a.body, host+" ") {
		l.t.Errorf("got %q, want %s", a.body, host)
	}
	if got, ok := l.set(a.Header); ok != sets || ok && got.Host != host {
		l.t.Errorf("the cookie that is set: %v, %v, want one: %v", got, ok, sets)
	}
	return a
}

func TestCookieKeepsClientsWithoutAKeyOnTheirHost(t *testing.T) {
	a, b := newHost(t, "a"), newHost(t, "b")
	l := start(t, affine(nil), a, b)
	first := l.ask(get("/first"), 200)
	home, ok := l.set(first.Header)
	if !ok || !strings.HasPrefix(first.body, home.Host+" ") || first.Header.Get("Cache-Control") != "private" {
		t.Fatalf("got %q, %v", first.body, first.Header)
	}
	cookie, rest, _ := strings.Cut(first.Header.Get("Set-Cookie"), ";")
	if rest != " Path=/; HttpOnly" {
		t.Errorf("the attributes are %q", rest)
	}
	for range 4 {
		if r := l.goes(with("/again", cookie), home.Host, false); r.Header.Get("Cache-Control") != "" {
			t.Errorf("an answer that sets nothing is private: %v", r.Header)
		}
	}
	if e := l.logged("/again"); e["why"] != "cookie" || e["host"] != home.Host {
		t.Errorf("the log says %v", e)
	}
	if got := a.received() + b.received(); strings.Contains(got, "lb=") || strings.Contains(got, "Cookie") {
		t.Errorf("a host got the cookie: %s", got)
	}
}

func TestCookieOverHTTP2(t *testing.T) {
	a, b := newHost(t, "a"), newHost(t, "b")
	l := start(t, func(l *lab) { speaksH2(t)(l); affine(nil)(l) }, a, b)
	c := l.h2client()
	ask := func(cookies ...string) *http.Response {
		req, err := http.NewRequest("GET", "https://"+l.addr+"/x", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header["Cookie"] = cookies
		resp, err := c.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil || resp.Proto != "HTTP/2.0" {
			t.Fatal(resp.Proto, err)
		}
		resp.Header.Set("Served-By", string(body[:1]))
		return resp
	}
	first := ask()
	home, ok := l.set(first.Header)
	if !ok || home.Host != first.Header.Get("Served-By") || first.Header.Get("Cache-Control") != "private" {
		t.Fatalf("got %v", first.Header)
	}
	cookie, _, _ := strings.Cut(first.Header.Get("Set-Cookie"), ";")
	for range 4 {
		resp := ask("a=b", cookie, "c=d")
		if _, again := l.set(resp.Header); again || resp.Header.Get("Served-By") != home.Host {
			t.Errorf("got %v, want %s and no cookie", resp.Header, home.Host)
		}
	}
	if got := a.received() + b.received(); strings.Contains(got, "lb=") || !strings.Contains(got, "Cookie: a=b; c=d\r\n") {
		t.Errorf("the hosts got %s", got)
	}
}

func TestHostsOutOfServiceLoseTheirCookiesButDrainKeepsThem(t *testing.T) {
	for _, row := range []struct {
		what   string
		change func(*route.Host)
		stays  bool
	}{
		{"drain", func(h *route.Host) { h.State, h.InRing = route.Drain, false }, true},
		{"weight 0", func(h *route.Host) { h.Weight, h.InRing = 0, false }, true},
		{"maint", func(h *route.Host) { h.State, h.InRing = route.Maint, false }, false},
		{"down", func(h *route.Host) { h.Verdict = route.Down }, false},
		{"drain and down", func(h *route.Host) { h.State, h.InRing, h.Verdict = route.Drain, false, route.Down }, false},
		{"unchecked", func(h *route.Host) { h.Verdict, h.InRing = route.Unchecked, false }, false},
		{"leaving", func(h *route.Host) { h.Leaving, h.InRing = true, false }, false},
	} {
		t.Run(row.what, func(t *testing.T) {
			l := start(t, affine(nil), newHost(t, "a"), newHost(t, "b"))
			cookie := l.cookieFor("a")
			l.goes(with("/before", cookie), "a", false)
			row.change(l.hosts[0])
			l.use()
			if row.stays {
				l.goes(with("/x", cookie), "a", false)
				l.goes(get("/nobody-new"), "b", true)
				return
			}
			l.goes(with("/x", cookie), "b", true)
		})
	}
}

func TestInvalidCookiesAreReplaced(t *testing.T) {
	long := time.Now().Add(-2 * time.Hour).Unix()
	l := start(t, affine(func(c *affinity.CookieConfig) { c.MaxIdle, c.MaxLife = time.Hour, time.Hour }), newHost(t, "a"))
	foreign := string(affinity.NewSealer("lb", [][]byte{otherSecret}).Append(nil, affinity.Payload{Host: "a"}))
	for what, cookie := range map[string]string{
		"spoofed":       "lb=a",
		"empty":         "lb=",
		"without value": "lb",
		"foreign":       "lb=" + foreign,
		"unknown host":  l.cookieFor("z"),
		"idle":          l.cookieOf(affinity.Payload{Host: "a", Last: uint32(long), First: uint32(time.Now().Unix())}),
		"old":           l.cookieOf(affinity.Payload{Host: "a", First: uint32(long), Last: uint32(time.Now().Unix())}),
		"huge":          "lb=" + strings.Repeat("1", 4000),
	} {
		a := l.goes(with("/x", cookie), "a", true)
		if got, _ := l.set(a.Header); time.Since(time.Unix(int64(got.First), 0)) > time.Hour || time.Since(time.Unix(int64(got.Last), 0)) > time.Hour {
			t.Errorf("%s: got %v", what, got)
		}
	}
}

func TestCookieIsRefreshedAndRenewed(t *testing.T) {
	l := start(t, func(l *lab) {
		affine(func(c *affinity.CookieConfig) { c.MaxIdle, c.MaxLife = time.Hour, 24*time.Hour })(l)
		l.cfg.AffinitySecrets = [][]byte{oneSecret, otherSecret}
	}, newHost(t, "a"))
	now := uint32(time.Now().Unix())
	begun := now - 7200
	l.goes(with("/just-now", l.cookieOf(affinity.Payload{Host: "a", First: begun, Last: now})), "a", false)
	a := l.goes(with("/a-while-ago", l.cookieOf(affinity.Payload{Host: "a", First: begun, Last: now - 1800})), "a", true)
	if got, _ := l.set(a.Header); got.First != begun || got.Last < now {
		t.Errorf("got %v, want one seen now and begun at %d", got, begun)
	}
	old := string(affinity.NewSealer("lb", [][]byte{otherSecret}).Append(nil, affinity.Payload{Host: "a", First: begun, Last: now}))
	a = l.goes(with("/old-key", "lb="+old), "a", true)
	if got, _ := l.set(a.Header); got != (affinity.Payload{Host: "a", First: begun, Last: now}) {
		t.Errorf("another key changed the payload to %v", got)
	}
}

func TestSeveralCookiesOfTheName(t *testing.T) {
	b := newHost(t, "b")
	l := start(t, affine(nil), newHost(t, "a"), b)
	good := l.cookieFor("b")
	l.goes(with("/1", "lb=spoofed; x=y; "+good+"; lb=more"), "b", false)
	l.goes(with("/2", "lb=spoofed", "lb=again; x=y", good), "b", false)
	l.goes(with("/3", good+"; "+l.cookieFor("a")), "b", false)
	if got := b.received(); strings.Contains(got, "lb=") || strings.Count(got, "Cookie: x=y\r\n") != 2 {
		t.Errorf("the host got %s", got)
	}
	l.hosts[0].State, l.hosts[0].InRing = route.Drain, false // so that a without-cookie request can't end up there
	l.use()
	l.goes(with("/too-many", strings.Repeat("lb=x; ", 4)+l.cookieFor("a")), "b", true)
}

func TestCookieKeepsTunnelsOnTheirHost(t *testing.T) {
	a, b := newHost(t, "a").on("/ws", accept(echo)), newHost(t, "b").on("/ws", accept(echo))
	l := start(t, affine(nil), a, b)
	handshake := func(cookie string) *http.Response {
		head := strings.Replace(upgrade("/ws", ""), "?token=", "", 1)
		w := l.dial().send(strings.Replace(head, "\r\n\r\n", "\r\nCookie: "+cookie+"\r\n\r\n", 1))
		resp, err := http.ReadResponse(w.in, nil)
		if err != nil || resp.StatusCode != 101 {
			t.Fatal(resp, err)
		}
		w.ping()
		return resp
	}
	first := handshake("x=y")
	home, ok := l.set(first.Header)
	if !ok || first.Header.Get("Cache-Control") != "" {
		t.Fatalf("got %v", first.Header)
	}
	cookie, _, _ := strings.Cut(first.Header.Get("Set-Cookie"), ";")
	for range 3 {
		if _, again := l.set(handshake(cookie).Header); again {
			t.Error("set again")
		}
	}
	for _, h := range l.hosts {
		if n := h.Gauges.Sessions.Load(); (h.Name == home.Host) != (n == 4) {
			t.Errorf("%d tunnels are on %s, and home is %s", n, h.Name, home.Host)
		}
	}
}

// TestSessionsGoBeforeCookiesAndCookiesBeforeTheRing: a live terminal of the key before the cookie, and that before
// the hash.
func TestSessionsGoBeforeCookiesAndCookiesBeforeTheRing(t *testing.T) {
	a, b := newHost(t, "a").on("/ws", accept(echo)), newHost(t, "b").on("/ws", accept(echo))
	l := start(t, affine(nil), a, b)
	token := l.token("a")
	l.goes(get("/hash?token="+token), "a", true)
	l.goes(with("/cookie?token="+token, l.cookieFor("b")), "b", false)
	w := l.dial().open("/ws", token)
	l.goes(with("/terminal?token="+token, l.cookieFor("b")), "a", true)
	w.ping()
	for path, why := range map[string]string{"/hash": "owner", "/cookie": "cookie", "/terminal": "session"} {
		if e := l.logged(path); e["why"] != why {
			t.Errorf("%s: the log says %v, want %s", path, e, why)
		}
	}
}

func TestUnreachableHostsCookieIsReplacedAtOnce(t *testing.T) {
	a := newHost(t, "a")
	l := start(t, affine(nil), a, newHost(t, "b"))
	a.stop()
	l.goes(with("/x", l.cookieFor("a")), "b", true)
	if e := l.logged("/x"); e["why"] != "retry" || l.suspects.Load() != 1 {
		t.Errorf("the log says %v, %d suspicions", e, l.suspects.Load())
	}
}

func TestCookieOfAHostThatVanishedWithManyIsKept(t *testing.T) {
	a := newHost(t, "a")
	l := start(t, affine(nil), a, newHost(t, "b"))
	cookie := l.cookieFor("a")
	frozen := func(s *route.Snapshot) { s.Frozen = true }
	l.use(frozen)
	l.goes(with("/up", cookie), "a", false)
	l.hosts[0].Verdict = route.Down
	l.use(frozen)
	if r := l.ask(with("/down", cookie), 503); len(r.Header.Values("Set-Cookie")) > 0 {
		t.Errorf("an answer of our own sets a cookie: %v", r.Header)
	}
	l.goes(get("/others"), "b", true)
	l.hosts[0].FailedBefore = true // those with its cookie have long been elsewhere
	l.use(frozen)
	l.goes(with("/long-down", cookie), "b", true)
	l.hosts[0].Verdict, l.hosts[0].FailedBefore = route.Up, false
	a.stop()
	l.use(frozen)
	l.ask(with("/unreachable", cookie), 503)
}

func TestHostsCannotSetTheCookie(t *testing.T) {
	h := newHost(t, "a").on("/x", says("HTTP/1.1 103 Early Hints\r\nSet-Cookie: lb=hint\r\n\r\n"+
		"HTTP/1.1 200 OK\r\nSet-Cookie: lb=stolen; Path=/\r\nSet-Cookie: own=1\r\nContent-Length: 2\r\n\r\na ", true))
	l := start(t, affine(nil), h)
	w := l.dial().send(with("/x", l.cookieFor("a")))
	w.expect("HTTP/1.1 103 Early Hints\r\n\r\n")
	if got := w.want(200).Header.Values("Set-Cookie"); len(got) != 1 || got[0] != "own=1" {
		t.Errorf("got %q", got)
	}
}

func TestHostsSeeTheCookieUnlessItIsIndirect(t *testing.T) {
	h, no := newHost(t, "a"), false
	l := start(t, affine(func(c *affinity.CookieConfig) { c.Indirect, c.NoCache = &no, &no }), h)
	l.goes(with("/x", "a=b; "+l.cookieFor("a")+"; c=d"), "a", false)
	if got := h.received(); !strings.Contains(got, "Cookie: a=b; lb=1") {
		t.Errorf("the host got %s", got)
	}
	if r := l.goes(get("/y"), "a", true); r.Header.Get("Cache-Control") != "" {
		t.Errorf("got %v", r.Header)
	}
}
