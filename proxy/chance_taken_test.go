package proxy

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"tokenring/proxy/metrics"
	"tokenring/route"
	"tokenring/session"
)

func TestAKeyThatWasTakenStays(t *testing.T) {
	l := startChances(t, chances(nil))
	l.order[0].on("/x", givesAway)
	for range 3 {
		l.ask(get("/x?token="+l.token), 200)
		l.ask(get("/page?token="+l.token), 200)
	}
	if n := strings.Count(l.order[0].received(), "GET"); n != 1 {
		t.Errorf("the host that gave it away was asked %d times", n)
	}
	l.wantRules("/page", map[string]int{string(route.RuleSecondChance): 3})
	l.wantResults(map[string]float64{metrics.ChanceTaken: 1})
	if p := l.p.Placement(l.digest(l.token)); p != (route.Placement{Host: l.order[1].name, Taken: true}) {
		t.Errorf("it is at %+v", p)
	}
	l.order[1].stop() // then the ring decides again
	if a := l.ask(get("/y?token="+l.token), 200); a.body != l.order[0].name+" GET /y" {
		t.Errorf("got %q", a.body)
	}
}

// TestAKeyDoesNotLingerWhereItWasGivenAway: its last use was on the host that gives it away,
// and the answer of the host that takes it hasn't ended yet.
func TestAKeyDoesNotLingerWhereItWasGivenAway(t *testing.T) {
	l := startChances(t, all(chances(nil), lingering))
	letGo := make(chan bool)
	l.order[0].on("/x", givesAway)
	l.order[1].on("/x", func(w *wire, _ *http.Request) bool {
		w.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no")
		<-letGo
		w.send("k")
		return true
	})
	l.ask(get("/page?token="+l.token), 200)
	l.stays(l.token, l.order[0].name+" by lingering")
	w := l.dial().send(get("/x?token=" + l.token))
	if resp, err := http.ReadResponse(w.in, nil); err != nil || resp.StatusCode != 200 {
		t.Fatal(resp, err)
	}
	if a := l.ask(get("/y?token="+l.token), 200); a.body != l.order[1].name+" GET /y" {
		t.Errorf("got %q", a.body)
	}
	letGo <- true
	w.expect("ok")
	if e := l.logged("/y"); e["why"] != string(route.RuleSecondChance) {
		t.Errorf("the log says %v", e)
	}
	l.wantResults(map[string]float64{metrics.ChanceTaken: 1})
}

// TestAKeyIsGivenToTheHostsOfItsLastUses: it has had terminals on another host, through a
// balancer that is gone.
func TestAKeyIsGivenToTheHostsOfItsLastUses(t *testing.T) {
	l := startChances(t, all(chances(nil), lingering))
	l.order[0].on("/x", givesAway)
	first, last := l.order[0].name, l.order[3].name
	peer := l.p.region.Begin("lb-2")
	peer.Reports([]session.Report{{Digest: l.digest(l.token), Host: last, Hashed: true, Terminals: 1}})
	peer.SnapshotEnd()
	peer.End()
	l.p.region.Used(l.digest(l.token), first, time.Now().Add(2*time.Second))
	l.stays(l.token, first+" by lingering")
	if a := l.ask(get("/x?token="+l.token), 200); a.body != last+" GET /x" {
		t.Errorf("got %q, want it of %s", a.body, last)
	}
}

func TestAnErrorOfAnotherHostIsPassedOnAndNotRemembered(t *testing.T) {
	l := startChances(t, chances(nil))
	l.order[0].on("/x", givesAway)
	l.order[1].on("/x", says("HTTP/1.1 404 Not Found\r\nX-Lb-Second-Chance: no\r\nContent-Length: 0\r\n\r\n", true))
	if a := l.ask(get("/x?token="+l.token), 404); a.Header.Get("X-Lb-Second-Chance") != "" {
		t.Errorf("the client has got our field: %v", a.Header)
	}
	l.wantResults(map[string]float64{metrics.ChanceTaken: 1})
	if a := l.ask(get("/y?token="+l.token), 200); a.body != l.order[0].name+" GET /y" {
		t.Errorf("got %q", a.body)
	}
}

// TestACookieOfAHostThatGivesAwayIsReplaced: a client with a cookie must not come back to
// the same host for ever, with or without a key.
func TestACookieOfAHostThatGivesAwayIsReplaced(t *testing.T) {
	l := startChances(t, all(affine(nil), chances(nil)))
	l.order[0].on("/x", givesAway).on("/free", givesAway)
	first, second := l.order[0].name, l.order[1].name
	l.goes(with("/x?token="+l.token, l.cookieFor(first)), second, true)
	l.goes(with("/y?token="+l.token, l.cookieFor(first)), second, true) // another tab, with the old cookie
	l.goes(with("/y?token="+l.token, l.cookieFor(second)), second, false)
	a := l.ask(with("/free", l.cookieFor(first)), 200)
	taker, _, _ := strings.Cut(a.body, " ")
	if p, ok := l.set(a.Header); taker == first || !ok || p.Host != taker {
		t.Errorf("got %q and a cookie for %q", a.body, p.Host)
	}
	l.goes(with("/free", l.cookieFor(taker)), taker, false)
}

func TestPlacementsFollowAKeyThatWasGivenAway(t *testing.T) {
	l := startChances(t, withBound(chances(nil)))
	l.order[0].on("/x", givesAway)
	l.order[1].on("/ws", accept(echo))
	l.ask(get("/x?token="+l.token), 200)
	key := l.digest(l.token)
	if p := l.p.placements.Placement(key, time.Now()); p.Host != l.order[1].name {
		t.Errorf("it is placed on %+v", p)
	}
	if w, host := l.terminal(l.token); host != l.order[1].name {
		t.Errorf("its terminal is on %s", host)
	} else {
		w.Close()
	}
	for _, h := range l.order { // nobody takes it: an invented key costs no memory
		h.on("/none", givesAway)
	}
	other := l.tokens("a", 2)[1]
	l.ask(get("/none?token="+other), 503)
	l.logged("/none")
	if p := l.p.placements.Placement(l.digest(other), time.Now()); p != (route.Placement{}) {
		t.Errorf("a key that nobody took is placed on %+v", p)
	}
}
