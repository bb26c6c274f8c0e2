package proxy

import (
	"strings"
	"testing"
	"time"

	"tokenring/route"
)

// TestAHostThatOnlyThePeerKnowsIsAwaited: this balancer learns of it a moment later.
func TestAHostThatOnlyThePeerKnowsIsAwaited(t *testing.T) {
	t.Parallel()
	g := newGate()
	a, fresh := newHost(t, "a"), newHost(t, "fresh").on("/slow", g.script("fresh"))
	both := startNeighbours(t, 2, all(lingering, func(l *lab) { l.cfg.Timeouts.Connect = 20 * time.Second }), a)
	both[0].hosts = append(both[0].hosts, fresh.entry())
	both[0].use()
	token := both[0].token("fresh")
	answered := both[0].asks(g, "/slow", token)
	w := both[1].dial().send(get("/page?token=" + token))
	eventually(t, "that the peer is asked", func() bool { return both[1].counts("lb_claims_total")["held"] == 1 })
	both[1].hosts = append(both[1].hosts, fresh.entry())
	both[1].use()
	if got := w.want(200).body; !strings.HasPrefix(got, "fresh ") {
		t.Errorf("got %s", got)
	}
	close(g.opened)
	answered("fresh")
}

// TestAHostThatOnlyThePeerKnowsIsAwaitedAfterARequest: the token lingers there.
func TestAHostThatOnlyThePeerKnowsIsAwaitedAfterARequest(t *testing.T) {
	t.Parallel()
	a, fresh := newHost(t, "a"), newHost(t, "fresh")
	both := startNeighbours(t, 2, all(lingering, func(l *lab) { l.cfg.Timeouts.Connect = 20 * time.Second }), a)
	both[0].hosts = append(both[0].hosts, fresh.entry())
	both[0].use()
	token := both[0].token("fresh")
	if got := both[0].page(token); got != "fresh" {
		t.Fatalf("got %s", got)
	}
	w := both[1].dial().send(get("/page?token=" + token))
	eventually(t, "that the peer is asked", func() bool { return both[1].counts("lb_claims_total")["held"] == 1 })
	both[1].hosts = append(both[1].hosts, fresh.entry())
	both[1].use()
	if got := w.want(200).body; !strings.HasPrefix(got, "fresh ") {
		t.Errorf("got %s", got)
	}
}

// TestAHostThatIsUpAtThePeerAlreadyIsAwaited: its checks pass here, too, and this balancer hears a
// moment later that all say so.
func TestAHostThatIsUpAtThePeerAlreadyIsAwaited(t *testing.T) {
	t.Parallel()
	g := newGate()
	a, b := newHost(t, "a").on("/slow", g.script("a")), newHost(t, "b")
	both := startNeighbours(t, 2, all(lingering, func(l *lab) { l.cfg.Timeouts.Connect = 20 * time.Second }), a, b)
	token := both[0].token("a")
	both[1].change("a", func(h *route.Host) { h.Own, h.Verdict = route.Up, route.Down })
	answered := both[0].asks(g, "/slow", token)
	w := both[1].dial().send(get("/page?token=" + token))
	eventually(t, "that the peer is asked", func() bool { return both[1].counts("lb_claims_total")["held"] == 1 })
	both[1].change("a", func(h *route.Host) { h.Verdict = route.Up })
	if got := w.want(200).body; !strings.HasPrefix(got, "a ") {
		t.Errorf("got %s", got)
	}
	close(g.opened)
	answered("a")
}

// TestAHostThatIsGoneIsNotAwaited though a token lingers there: no balancer knows it.
func TestAHostThatIsGoneIsNotAwaited(t *testing.T) {
	t.Parallel()
	a, gone := newHost(t, "a"), newHost(t, "gone")
	both := startNeighbours(t, 2, all(lingering, func(l *lab) { l.cfg.Timeouts.Connect = time.Hour }), a)
	both[0].hosts = append(both[0].hosts, gone.entry())
	both[0].use()
	token := both[0].token("gone")
	both[0].page(token)
	both[0].hosts = both[0].hosts[:1]
	both[0].use()
	if got := both[1].page(token); got != "a" {
		t.Errorf("got %s", got)
	}
}

// TestAHostThatOnlyThePeerKnowsIsAwaitedInVain, and then another one serves.
func TestAHostThatOnlyThePeerKnowsIsAwaitedInVain(t *testing.T) {
	t.Parallel()
	g := newGate()
	a, fresh := newHost(t, "a"), newHost(t, "gone").on("/slow", g.script("gone"))
	both := startNeighbours(t, 2, all(lingering, func(l *lab) { l.cfg.Timeouts.Connect = 2 * time.Second }), a)
	both[0].hosts = append(both[0].hosts, fresh.entry())
	both[0].use()
	token := both[0].token("gone")
	answered := both[0].asks(g, "/slow", token)
	if got := both[1].page(token); got != "a" {
		t.Errorf("got %s", got)
	}
	close(g.opened)
	answered("gone")
}

// TestATokenThatAPeerTakesElsewhereLingersNoMore: its host is down, or leaves and is found gone by
// the peer alone, and may be back when the token is used elsewhere.
func TestATokenThatAPeerTakesElsewhereLingersNoMore(t *testing.T) {
	t.Parallel()
	for what, found := range map[string][2]func(*route.Host){
		"down":    {func(h *route.Host) { h.Verdict = route.Down }, func(h *route.Host) { h.Verdict = route.Down }},
		"leaving": {func(h *route.Host) { h.Leaving = true }, func(h *route.Host) { h.Leaving, h.Verdict = true, route.Down }},
	} {
		both := startNeighbours(t, 2, lingering, newHost(t, "a"), newHost(t, "b"))
		token := both[0].token("a")
		both[0].page(token)
		for i, l := range both {
			l.change("a", found[i])
		}
		if got := both[1].page(token); got != "b" {
			t.Fatalf("%s: got %s", what, got)
		}
		if all := both[0].p.Stays(both[0].digest(token)); len(all) > 0 {
			t.Errorf("%s: it stays on %+v", what, all)
		}
	}
}
