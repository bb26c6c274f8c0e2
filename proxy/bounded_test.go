package proxy

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"tokenring/route"
)

// withBound is for a lab in which loads are bounded. change may be nil.
func withBound(change func(*lab)) func(*lab) {
	return func(l *lab) {
		l.bound = 1.25
		if change != nil {
			change(l)
		}
	}
}

// tokens returns n tokens that the named host owns.
func (l *lab) tokens(name string, n int) []string {
	l.t.Helper()
	s := l.p.pools.Main.Snapshot()
	var tokens []string
	for i := 0; len(tokens) < n; i++ {
		token := fmt.Sprintf("%s-%d", mark, i)
		if s.Table.Hosts()[s.Table.Owner([]byte(token))].Name == name {
			tokens = append(tokens, token)
		}
	}
	return tokens
}

// page loads a page with a token, and returns the name of the host that answers.
func (l *lab) page(token string) string {
	l.t.Helper()
	name, _, _ := strings.Cut(l.ask(get("/page?token="+token), 200).body, " ")
	return name
}

// terminal opens one with a token, and returns the name of its host.
func (l *lab) terminal(token string) (*wire, string) {
	l.t.Helper()
	w := l.dial().open("/ws", token)
	w.ping()
	name, _ := l.p.Session(l.digest(token))
	return w, name
}

// wantRules checks how many lines of the access log about path have which rule.
func (l *lab) wantRules(path string, want map[string]int) {
	l.t.Helper()
	eventually(l.t, fmt.Sprintf("the rules %v in the access log about %s", want, path), func() bool {
		count := map[string]int{}
		for _, e := range l.entries() {
			if e["path"] == path && e["end"] != endOpen {
				count[e["why"].(string)]++
			}
		}
		return cmp.Equal(count, want)
	})
}

// TestTerminalsOfAFullHostSpreadOverTheOthers has thirty users whom the ring
// sends to one host of three. All pages are loaded before the first terminal opens.
func TestTerminalsOfAFullHostSpreadOverTheOthers(t *testing.T) {
	l := start(t, withBound(nil), newHost(t, "a").on("/ws", accept(echo)), newHost(t, "b").on("/ws", accept(echo)), newHost(t, "c").on("/ws", accept(echo)))
	const users = 30
	most := int64(13) // 1.25 × 30 / 3, rounded up
	tokens := l.tokens("a", users)
	at, wires, full := map[string]string{}, map[string]*wire{}, map[string]int{}
	for _, token := range tokens {
		at[token] = l.page(token)
		full[at[token]]++
	}
	for _, token := range tokens {
		w, host := l.terminal(token)
		if host != at[token] {
			t.Errorf("the page was on %s and its terminal is on %s", at[token], host)
		}
		wires[token] = w
	}
	for _, h := range l.hosts {
		if n := h.Gauges.Sessions.Load(); n > most || n != int64(full[h.Name]) || n == 0 {
			t.Errorf("%s has %d terminals of %d pages, want up to %d", h.Name, n, full[h.Name], most)
		}
	}
	home := full["a"]
	l.wantRules("/page", map[string]int{"owner": home, "overflow": users - home})
	if home, away := testutil.ToFloat64(l.p.opt.Metrics.Placements.Home), testutil.ToFloat64(l.p.opt.Metrics.Placements.Away); home != float64(full["a"]) || home+away != users {
		t.Errorf("the metric says %v at home and %v away", home, away)
	}

	for _, s := range l.p.Live() {
		if s.Away != (s.Host != "a") {
			t.Errorf("a session on %s stays away: %t", s.Host, s.Away)
		}
	}
	for _, w := range wires { // the network is gone for a moment, for all
		w.Close()
	}
	eventually(t, "the end of all tunnels", func() bool { return len(l.p.Live()) == 0 })
	for _, token := range tokens {
		if _, host := l.terminal(token); host != at[token] {
			t.Errorf("was on %s, and is back on %s", at[token], host)
		}
	}
	l.wantRules("/ws", map[string]int{"owner": home, "placed": users - home})
}

// TestManyKeysAtOnceFindHostsThatAreNotFull opens terminals for new keys all at once, as after a
// restart of the balancer.
func TestManyKeysAtOnceFindHostsThatAreNotFull(t *testing.T) {
	l := start(t, withBound(nil), newHost(t, "a").on("/ws", accept(echo)), newHost(t, "b").on("/ws", accept(echo)))
	tokens := l.tokens("a", 40)
	var wg sync.WaitGroup
	for _, token := range tokens {
		wg.Go(func() {
			w := l.dial().send(upgrade("/ws", token))
			w.opened()
			w.ping()
		})
	}
	wg.Wait()
	a, b := l.hosts[0].Gauges.Sessions.Load(), l.hosts[1].Gauges.Sessions.Load()
	if a != 25 || b != 15 { // 1.25 × 40 / 2
		t.Errorf("%d terminals on a and %d on b, want 25 and 15", a, b)
	}
}

func TestAHostThatRestartsLosesTheKeysAwayOnIt(t *testing.T) {
	l := start(t, withBound(nil), newHost(t, "a").on("/ws", accept(echo)), newHost(t, "b").on("/ws", accept(echo)))
	token := l.token("a")
	l.hosts[0].Gauges.Sessions.Add(100)
	w, host := l.terminal(token)
	if host != "b" {
		t.Fatalf("the terminal is on %s", host)
	}
	l.hosts[0].Gauges.Sessions.Add(-100)
	if host := l.page(token); host != "b" {
		t.Errorf("the page is on %s", host)
	}
	l.hosts[1].Verdict = route.Down
	l.use()
	if host := l.page(token); host != "a" {
		t.Errorf("with b down, the page is on %s", host)
	}
	w2, host := l.terminal(token)
	if host != "a" {
		t.Errorf("with b down, the terminal is on %s", host)
	}
	w.expectEnd() // never two hosts for one key
	l.hosts[1].Verdict = route.Up
	l.use()
	w2.Close()
	eventually(t, "the tunnel's end", func() bool { return len(l.p.Live()) == 0 })
	if host := l.page(token); host != "a" {
		t.Errorf("with b back, the page is on %s", host)
	}
}

func TestAFrozenRingKeepsKeysForTheHostTheyAreAwayOn(t *testing.T) {
	l := start(t, withBound(nil), newHost(t, "a"), newHost(t, "b"), newHost(t, "c"))
	token := l.token("a")
	l.hosts[0].Gauges.Sessions.Add(100)
	away := l.page(token)
	l.hosts[0].Gauges.Sessions.Add(-100)
	for _, h := range l.hosts[1:] {
		h.Verdict = route.Down
	}
	l.use(func(s *route.Snapshot) { s.Frozen = true })
	l.ask(get("/frozen?token="+token), 503)
	if e := l.logged("/frozen"); e["why"] != "frozen" {
		t.Errorf("the log says %v", e)
	}
	for _, h := range l.hosts[1:] {
		h.Verdict = route.Up
	}
	l.use()
	if host := l.page(token); host != away {
		t.Errorf("was on %s, and is on %s after the thaw", away, host)
	}
}

func TestAKeyThatIsAwayIsRetriedWhereTheRingHasIt(t *testing.T) {
	a, b := newHost(t, "a"), newHost(t, "b")
	l := start(t, withBound(nil), a, b)
	token := l.token("a")
	l.hosts[0].Gauges.Sessions.Add(100)
	if host := l.page(token); host != "b" {
		t.Fatalf("the page is on %s", host)
	}
	l.hosts[0].Gauges.Sessions.Add(-100)
	b.stop()
	for range 2 { // the second finds it there without a failure
		if host := l.page(token); host != "a" {
			t.Errorf("the page is on %s", host)
		}
	}
	l.wantRules("/page", map[string]int{"overflow": 1, "retry": 1, "owner": 1})
}

func TestInventedTokensUseNoMemory(t *testing.T) {
	shoo := says("HTTP/1.1 403 Forbidden\r\nContent-Length: 4\r\n\r\nshoo", true)
	l := start(t, withBound(nil), newHost(t, "a").on("/shoo", shoo).on("/ws", accept(echo)))
	began := time.Now() // at which nothing that is expected has lapsed
	for i := range 20 {
		l.ask(get(fmt.Sprintf("/shoo?token=%s-%d", mark, i)), 403)
		l.dial().send(upgrade("/shoo", fmt.Sprintf("%s-ws-%d", mark, i))).want(403)
	}
	load := func() route.Load { return l.p.pools.Main.Snapshot().Loads(began)["a"] }
	eventually(t, "oblivion", func() bool {
		return testutil.ToFloat64(l.p.opt.Metrics.Placements.Home) == 0 && load().Expected == 0
	})
	w, _ := l.terminal(mark)
	l.ask(get("/shoo?token="+mark), 403) // somebody whom the host knows
	w.ping()
	if n := testutil.ToFloat64(l.p.opt.Metrics.Placements.Home); n != 1 {
		t.Errorf("%v keys are remembered", n)
	}
}

func TestAKeyFollowsTheCookieOfOneOfItsClients(t *testing.T) {
	l := start(t, withBound(affine(nil)), newHost(t, "a"), newHost(t, "b"))
	token := l.token("a")
	l.goes(with("/x?token="+token, l.cookieFor("b")), "b", false)
	l.goes(get("/x?token="+token), "b", true)
	if p := l.p.Placement(l.digest(token)); p != (route.Placement{Host: "b", Away: true}) {
		t.Errorf("its placement is %+v", p)
	}
}

// TestAKeyStaysWithATerminalThatSurvivedAFailure loads a page while checks fail
// for a moment: it comes from another host, but the terminal is where it was.
func TestAKeyStaysWithATerminalThatSurvivedAFailure(t *testing.T) {
	l := start(t, withBound(nil), newHost(t, "a").on("/ws", accept(echo)), newHost(t, "b").on("/ws", accept(echo)))
	token := l.token("a")
	w, host := l.terminal(token)
	if host != "a" {
		t.Fatalf("the terminal is on %s", host)
	}
	l.hosts[0].Verdict = route.Down
	l.use()
	if host := l.page(token); host != "b" {
		t.Errorf("with a down, the page is on %s", host)
	}
	l.hosts[0].Verdict = route.Up
	l.hosts[0].Gauges.Sessions.Add(100) // full
	defer l.hosts[0].Gauges.Sessions.Add(-100)
	l.use()
	if host := l.page(token); host != "a" {
		t.Errorf("with the terminal on a, the page is on %s", host)
	}
	w.ping()
	w.Close()
	eventually(t, "the tunnel's end", func() bool { return len(l.p.Live()) == 0 })
	if host := l.page(token); host != "a" {
		t.Errorf("after the terminal on a, the page is on %s", host)
	}
	if load := l.p.pools.Main.Snapshot().Loads(time.Now()); load["a"].Expected != 0 || load["b"].Expected != 0 {
		t.Errorf("somebody is expected: %+v", load)
	}
}
