package proxy

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"tokenring/balancer"
	"tokenring/proxy/affinity"
	"tokenring/route"
	"tokenring/session"
)

// lingering is for a lab in which keys linger.
func lingering(l *lab) { l.cfg.Linger = 10 * time.Minute }

// stays waits until a token is to stay as want says: "a by lingering", or "".
func (l *lab) stays(token, want string) {
	l.t.Helper()
	eventually(l.t, "that a token stays: "+want, func() bool {
		got := ""
		if at := l.p.stay(l.digest(token), time.Now()); at.Host != "" {
			got = at.Host + " by " + string(at.Rule)
		}
		return got == want
	})
}

// tells has a peer tell that a token has terminals on a host.
func (l *lab) tells(peer, token, host string, terminals int32) {
	s := l.p.region.Begin(peer)
	s.Reports([]session.Report{{Digest: l.digest(token), Host: host, Hashed: true, Terminals: terminals}})
	s.SnapshotEnd()
}

// drains has a host leave the ring, and keep what it has.
func (l *lab) drains(name string) {
	l.change(name, func(h *route.Host) { h.State, h.InRing, h.WhyNot = route.Drain, false, route.WhyDrain })
}

func (l *lab) change(name string, change func(*route.Host)) {
	l.t.Helper()
	for _, h := range l.hosts {
		if h.Name == name {
			change(h)
		}
	}
	l.use()
}

// TestATokenStaysOnItsLastHostForAWhile, after a page and after a terminal.
func TestATokenStaysOnItsLastHostForAWhile(t *testing.T) {
	l := start(t, lingering, newHost(t, "a").on("/ws", accept(echo)), newHost(t, "b"))
	tokens := l.tokens("a", 3)
	l.page(tokens[0])
	w, _ := l.terminal(tokens[1])
	w.Close()
	for _, token := range tokens[:2] {
		l.stays(token, "a by lingering")
	}
	l.page(tokens[0])
	l.drains("a")
	got := []string{l.page(tokens[0]), l.page(tokens[1]), l.page(tokens[2])}
	if want := []string{"a", "a", "b"}; !cmp.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	l.wantRules("/page", map[string]int{"owner": 3, "lingering": 2}) // the ring's rule, as long as the ring has it there
	l.change("a", func(h *route.Host) { h.State = route.Maint })
	if got := l.page(tokens[0]); got != "b" {
		t.Errorf("while its host is in maint: got %s", got)
	}
	l.stays(tokens[0], "b by lingering")
	l.change("a", func(h *route.Host) { h.State, h.InRing = route.Ready, true })
	if got := []string{l.page(tokens[0]), l.page(tokens[1])}; !cmp.Equal(got, []string{"b", "a"}) {
		t.Errorf("when its host is back: got %v", got)
	}
}

func TestALingeringTokenWhoseHostCannotBeReachedGoesOn(t *testing.T) {
	a := newHost(t, "a")
	l := start(t, lingering, a, newHost(t, "b"))
	token := l.token("a")
	l.page(token)
	l.stays(token, "a by lingering")
	a.stop()
	l.drains("a")
	if got := l.page(token); got != "b" {
		t.Errorf("got %s", got)
	}
	l.stays(token, "b by lingering")
}

// TestTokensThatHostsRefuseUseNoMemory, nor do requests without a token.
func TestTokensThatHostsRefuseUseNoMemory(t *testing.T) {
	refuses := says("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", true)
	l := start(t, lingering, newHost(t, "a").on("/page", refuses).on("/ws", refuses))
	l.ask(get("/page?token="+mark), 404)
	l.ask(upgrade("/ws", mark), 404)
	l.ask(get("/"), 200)
	l.hosts[0].Verdict = route.Down
	l.use()
	l.ask(get("/down?token="+mark), 503)
	l.logged("/down")
	l.waitUntilIdle()
	if n := l.p.region.Count(); n != 0 {
		t.Errorf("%d keys linger", n)
	}
}

// TestASessionAtAPeerKeepsItsTokenThere, before the cookie, the last use and the ring.
func TestASessionAtAPeerKeepsItsTokenThere(t *testing.T) {
	a, b := newHost(t, "a").on("/ws", accept(echo)), newHost(t, "b").on("/ws", accept(echo))
	l := start(t, all(lingering, affine(nil)), a, b)
	token := l.token("a")
	l.page(token)
	l.stays(token, "a by lingering")
	l.tells("lb-2", token, "b", 1)
	cookie := l.cookieOf(affinity.Payload{Host: "a"})
	if got := l.ask(with("/cookie?token="+token, cookie), 200).body; !strings.HasPrefix(got, "b ") {
		t.Errorf("with a cookie for another host: %s", got)
	}
	if e := l.logged("/cookie"); e["why"] != "session-at-peer" || e["host"] != "b" {
		t.Errorf("the log says %v", e)
	}
	w, host := l.terminal(token)
	if host != "b" {
		t.Errorf("the terminal is on %s", host)
	}
	w.Close()
	l.drains("b")
	if got := l.page(token); got != "b" {
		t.Errorf("while its host drains: %s", got)
	}
	l.change("b", func(h *route.Host) { h.Verdict = route.Down })
	if got := l.page(token); got != "a" {
		t.Errorf("while its host is down: %s", got)
	}
}

// TestALingeringTokenGoesBeforeTheCookie: other clients with the token have used that host.
func TestALingeringTokenGoesBeforeTheCookie(t *testing.T) {
	l := start(t, all(lingering, affine(nil)), newHost(t, "a"), newHost(t, "b"))
	token := l.token("a")
	l.page(token)
	l.stays(token, "a by lingering")
	if got := l.ask(with("/cookie?token="+token, l.cookieFor("b")), 200).body; !strings.HasPrefix(got, "a ") {
		t.Errorf("got %s", got)
	}
}

// TestASessionAtAPeerHasNoFallback: its terminal may be alive on the host that this balancer
// can't reach.
func TestASessionAtAPeerHasNoFallback(t *testing.T) {
	a := newHost(t, "a")
	l := start(t, lingering, a, newHost(t, "b").on("/ws", accept(echo)))
	token := l.token("b")
	l.tells("lb-2", token, "a", 1)
	a.stop()
	l.ask(get("/page?token="+token), 503)
	l.ask(upgrade("/ws", token), 503)
	if e := l.logged("/page"); e["why"] != "session-at-peer" || e["end"] != endNoHost {
		t.Errorf("the log says %v", e)
	}
}

// TestATerminalFollowsASessionThatAPeerOpensMeanwhile has the peer tell of it while the host of
// the terminal is connected to.
func TestATerminalFollowsASessionThatAPeerOpensMeanwhile(t *testing.T) {
	l := start(t, lingering, newHost(t, "a").on("/ws", accept(echo)), newHost(t, "b").on("/ws", accept(echo)))
	token := l.token("a")
	c := &conn{srv: l.srv}
	c.x.srv, c.x.pool = l.srv, l.p.pools.Main
	c.x.token, c.x.key = []byte(token), l.key(token)
	u := l.p.pools.Main.Hosts().Upstreams["a"]
	l.tells("lb-2", token, "b", 1)
	if c.newTerminal(u) != nil {
		t.Error("a terminal enters on another host than that of the session at the peer")
	}
	l.change("b", func(h *route.Host) { h.State = route.Maint })
	opened := c.newTerminal(l.p.pools.Main.Hosts().Upstreams["a"])
	if opened == nil {
		t.Fatal("a terminal is refused though the peer's host doesn't keep its sessions")
	}
	if now, total := l.p.region.Splits(); now != 1 || total != 1 {
		t.Errorf("%d keys are split, %d have been", now, total)
	}
	l.p.sessions.Remove(&opened.session)
}

// TestATokenThatStaysIsCountedOnce while loads are bounded: what it had before counts for the
// host on which it stays.
func TestATokenThatStaysIsCountedOnce(t *testing.T) {
	l := start(t, withBound(lingering), newHost(t, "a").on("/ws", accept(echo)), newHost(t, "b").on("/ws", accept(echo)))
	token := l.token("a")
	l.page(token)
	l.stays(token, "a by lingering")
	l.tells("lb-2", token, "b", 1)
	for range 3 {
		l.page(token)
	}
	loads := func(expectedA, expectedB, sessionsB int64) {
		t.Helper()
		got := l.p.pools.Main.Snapshot().Loads(time.Now())
		if a, b := got["a"], got["b"]; a.Expected != expectedA || b.Expected != expectedB || a.Sessions != 0 || b.Sessions != sessionsB {
			t.Errorf("a has %+v, b has %+v", a, b)
		}
	}
	loads(0, 1, 0)
	l.terminal(token)
	loads(0, 0, 1)
}

func TestStaysListsAllThatKeepATokenElsewhere(t *testing.T) {
	l := start(t, lingering, newHost(t, "a").on("/ws", accept(echo)), newHost(t, "b"))
	token := l.token("a")
	if got := l.p.Stays(l.digest(token)); len(got) != 0 {
		t.Errorf("got %v", got)
	}
	l.page(token)
	l.stays(token, "a by lingering")
	l.terminal(token)
	l.tells("lb-2", token, "b", 1)
	want := []route.Stay{
		{Host: "b", Rule: route.RuleSessionAtPeer, Peer: "lb-2"},
		{Host: "a", Rule: route.RuleLingering},
	}
	if diff := cmp.Diff(want, l.p.Stays(l.digest(token)), cmpopts.IgnoreFields(route.Stay{}, "Since")); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

// TestTerminalsOfAnOlderProcessLinger when they end there, and peers are told.
func TestTerminalsOfAnOlderProcessLinger(t *testing.T) {
	a, b := newHost(t, "a").on("/ws", accept(echo)), newHost(t, "b").on("/ws", accept(echo))
	old := start(t, all(lingering, fronts), a, b)
	token := old.token("a")
	w, _ := old.terminal(token)
	eventually(t, "the end of its claim", func() bool {
		claims := 0
		old.p.claims.Used(func(balancer.Digest, string) { claims++ })
		return claims == 0
	})
	r := old.retire()
	l := r.begin(lingering, a, b)
	l.stays(token, "a by session")
	w.Close()
	l.stays(token, "a by lingering")
	if n := old.p.region.Count(); n != 0 {
		t.Errorf("the older process, which decides nothing, remembers %d keys", n)
	}
	l.drains("a")
	if got := l.page(token); got != "a" {
		t.Errorf("got %s", got)
	}
	old.outlived()
}

// TestADisplacedTerminalDoesNotLinger: its key has moved, and lingers where it has moved to.
func TestADisplacedTerminalDoesNotLinger(t *testing.T) {
	a := newHost(t, "a").on("/ws", accept(echo))
	l := start(t, lingering, a, newHost(t, "b").on("/ws", accept(echo)))
	token := l.token("a")
	l.terminal(token)
	l.change("a", func(h *route.Host) { h.Verdict = route.Down })
	w, host := l.terminal(token)
	if host != "b" {
		t.Errorf("the second terminal is on %s", host)
	}
	l.wantEnds("/ws", endMoved)
	if got := l.p.Stays(l.digest(token)); len(got) != 0 {
		t.Errorf("it lingers: %v", got)
	}
	w.Close()
	l.stays(token, "b by lingering")
}

// TestTerminalsOfTokensThatLingerWouldComeBack, for those who ask what a change would move.
func TestTerminalsOfTokensThatLingerWouldComeBack(t *testing.T) {
	for _, lingers := range []bool{true, false} {
		l := start(t, func(l *lab) {
			if lingers {
				lingering(l)
			}
		}, newHost(t, "a").on("/ws", accept(echo)))
		l.terminal(mark)
		if live := l.p.Live(); len(live) != 1 || live[0].Away != lingers {
			t.Errorf("tokens linger: %t, and there is %+v", lingers, live)
		}
	}
}

// wantEnds waits for a line of the access log about path with an end.
func (l *lab) wantEnds(path, end string) {
	l.t.Helper()
	eventually(l.t, "the end "+end, func() bool {
		for _, e := range l.entries() {
			if e["path"] == path && e["end"] == end {
				return true
			}
		}
		return false
	})
}

// TestStayingAllocatesNothing: it is on the path of each request with a token.
func TestStayingAllocatesNothing(t *testing.T) {
	l := start(t, lingering, newHost(t, "a"), newHost(t, "b"))
	token := l.token("a")
	now := time.Now()
	x := &exchange{srv: l.srv}
	x.key, x.host, x.started, x.answered, x.status = l.key(token), l.hosts[0], now, time.Millisecond, http.StatusOK
	x.used(time.Millisecond)
	s := l.p.pools.Main.Snapshot()
	if n := testing.AllocsPerRun(100, func() { x.stay(s, nil); x.used(time.Millisecond) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
	l.tells("lb-2", token, "b", 1)
	if n := testing.AllocsPerRun(100, func() { x.stay(s, nil) }); n != 0 {
		t.Errorf("%v allocations with a session at a peer", n)
	}
}
