package proxy

import (
	"net/http"
	"sync"
	"testing"
	"time"

	"tokenring/proxy/metrics"
	"tokenring/proxy/secondchance"
	"tokenring/route"
)

func TestAHandshakeThatWasGivenAwayBecomesATerminalElsewhere(t *testing.T) {
	plainAndTLS(t, func(t *testing.T, kind func(*lab), dial func(*lab) *wire) {
		l := startChances(t, all(kind, chances(nil)))
		for _, h := range l.order[:2] {
			h.on("/ws", givesAway)
		}
		l.order[2].on("/ws", func(w *wire, r *http.Request) bool {
			w.send("HTTP/1.1 101 Switching Protocols\r\nX-Lb-Second-Chance: taken\r\n" + agree(r.Header.Get("Sec-WebSocket-Key"))[len("HTTP/1.1 101 Switching Protocols\r\n"):])
			echo(w)
			return false
		})
		w := dial(l.lab)
		w.send(upgrade("/ws", l.token) + "early")
		if a := w.answer("GET"); a.StatusCode != 101 || a.Header.Get("X-Lb-Second-Chance") != "" {
			t.Fatalf("got %d %v", a.StatusCode, a.Header)
		}
		w.expect("early")
		w.ping()
		if host, n := l.p.Session(l.digest(l.token)); host != l.order[2].name || n != 1 {
			t.Errorf("%d terminals on %s", n, host)
		}
		second := dial(l.lab).open("/ws", l.token) // a second tab follows the first
		second.ping()
		second.Close()
		w.Close()
		e := l.logged("/ws")
		if gave, _ := e["gave_away"].(string); e["status"] != 101.0 || gave != l.names(0, 1) && gave != "" {
			t.Errorf("the log says %v", e)
		}
		l.wantResults(map[string]float64{metrics.ChanceTaken: 1})
		eventually(t, "the terminals' end", func() bool { _, n := l.p.Session(l.digest(l.token)); return n == 0 })
		dial(l.lab).open("/ws", l.token).Close() // it has stayed there
		l.wantResults(map[string]float64{metrics.ChanceTaken: 1})
		if n := l.suspects.Load(); n != 0 {
			t.Errorf("%d hosts are suspected", n)
		}
	})
}

// TestTheEndOfATerminalIsAUseOfItsKey: a user who comes back within the linger after hours at
// a terminal finds the same host.
func TestTheEndOfATerminalIsAUseOfItsKey(t *testing.T) {
	l := startChances(t, chances(nil))
	l.order[1].on("/ws", accept(echo))
	takers, key := l.p.chances.Takers(), l.digest(l.token)
	takers.Took(key, l.order[1].name, time.Now())
	w, host := l.terminal(l.token)
	if host != l.order[1].name {
		t.Fatalf("its terminal is on %s", host)
	}
	takers.Took(key, host, time.Now().Add(-3*time.Hour))
	w.Close()
	eventually(t, "the use of the key", func() bool { return time.Since(takers.State()[0].At) < time.Hour })
}

func TestNobodyTakesAHandshake(t *testing.T) {
	l := startChances(t, chances(nil))
	for _, h := range l.order {
		h.on("/ws", givesAway)
	}
	if a := l.dial().send(upgrade("/ws", l.token)).want(503); a.Header.Get("Retry-After") == "" {
		t.Errorf("got %v", a.Header)
	}
	l.wantResults(map[string]float64{metrics.ChanceExhausted: 1})
	if e := l.logged("/ws"); e["gave_away"] != l.names(0, 1, 2, 3) || e["end"] != endNoHost {
		t.Errorf("the log says %v", e)
	}
}

// TestALiveTerminalIsNotLeft: a host gives away what belongs to a key that has a live
// terminal there. No other host may get it, and the terminal stays. The client is told at
// once.
func TestALiveTerminalIsNotLeft(t *testing.T) {
	l := startChances(t, all(chances(nil), func(l *lab) { l.cfg.Timeouts.Connect = time.Minute }))
	l.order[0].on("/ws", accept(echo)).on("/tab", givesAway).on("/page", givesAway)
	w := l.dial().open("/ws", l.token)
	for _, request := range []string{upgrade("/tab", l.token), get("/page?token=" + l.token)} {
		if a := l.ask(request, 503); a.Header.Get("Retry-After") == "" {
			t.Errorf("got %v", a.Header)
		}
	}
	w.ping()
	w.Close()
	l.wantResults(map[string]float64{metrics.ChanceLive: 2})
	for _, h := range l.order[1:] {
		if h.received() != "" {
			t.Errorf("%s was asked", h.name)
		}
	}
	if e := l.logged("/page"); e["gave_away"] != l.order[0].name || e["why"] != string(route.RuleSession) {
		t.Errorf("the log says %v", e)
	}
}

// TestTabsThatComeTogetherGoTogether: all tabs of a page open at once, and the host gives all
// of them away. While it has answered only one, the others count as terminals there.
func TestTabsThatComeTogetherGoTogether(t *testing.T) {
	const tabs = 6
	l := startChances(t, chances(func(c *secondchance.Config) { c.PerHost = 100 }))
	var come sync.WaitGroup
	come.Add(tabs)
	l.order[0].on("/ws", func(w *wire, _ *http.Request) bool {
		come.Done()
		come.Wait()
		w.send(givingAway)
		return true
	})
	l.order[1].on("/ws", accept(echo))
	var all []*wire
	for range tabs {
		all = append(all, l.dial().send(upgrade("/ws", l.token)))
	}
	for _, w := range all {
		w.opened()
		w.ping()
	}
	if host, n := l.p.Session(l.digest(l.token)); host != l.order[1].name || n != tabs {
		t.Errorf("%d terminals on %s", n, host)
	}
	for _, w := range all {
		w.Close()
	}
	l.wantResults(map[string]float64{metrics.ChanceTaken: tabs})
}

// TestATerminalElsewhereOutweighsWhoTookTheKey: the host that took a key fails, the ring's
// host opens a terminal after all, and the other host comes back.
func TestATerminalElsewhereOutweighsWhoTookTheKey(t *testing.T) {
	l := startChances(t, chances(nil))
	l.order[0].on("/x", givesAway).on("/ws", accept(echo))
	l.ask(get("/x?token="+l.token), 200)
	l.use(func(s *route.Snapshot) { s.Host(l.order[1].name).Verdict = route.Down })
	w, host := l.terminal(l.token)
	if host != l.order[0].name {
		t.Fatalf("its terminal is on %s", host)
	}
	l.use()
	w.ping()
	w.Close()
	eventually(t, "the terminal's end", func() bool { _, n := l.p.Session(l.digest(l.token)); return n == 0 })
	if a := l.ask(get("/y?token="+l.token), 200); a.body != host+" GET /y" {
		t.Errorf("got %q, want it of %s, where the terminal was", a.body, host)
	}
}
