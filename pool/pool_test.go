package pool

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"tokenring/balancer"
	"tokenring/builder"
	"tokenring/gossip"
	"tokenring/pool/eligibility"
	"tokenring/route"
	"tokenring/testlog"
)

func TestUncheckedHostGetsNoTraffic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := live(t, statics("a", "b"), quiet())
		defer l.stop()
		if len(l.shots) == 0 || len(l.shots[0].Hosts) != 2 {
			t.Fatalf("the first snapshot is %+v, want both hosts in it", l.shots)
		}
		if got, ok := l.Snapshot().Choose(route.Key{}, nil); ok {
			t.Errorf("chose %s before any check", got.Host.Name)
		}
		l.see(route.Up, "a")
		l.wantRing("a", "a was checked")
		if got := l.Snapshot().Host("b").WhyNot; got != route.WhyUnchecked {
			t.Errorf("b isn't in the ring because %q, want %q", got, route.WhyUnchecked)
		}
	})
}

func TestReadyWaitsForVerdictsAndTable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := live(t, statics("a", "b"), quiet())
		defer l.stop()
		l.see(route.Up, "a")
		if l.isReady() {
			t.Error("ready with an unchecked host")
		}
		l.see(route.Down, "b")
		if !l.isReady() {
			t.Error("not ready with all verdicts")
		}
		l.wantRing("a", "ready")
	})
}

// TestReadyWaitsForNoHostInMaintenance, because such a host isn't checked.
func TestReadyWaitsForNoHostInMaintenance(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		o := Options{Logger: zerolog.Nop(), StateDir: dir}
		l := live(t, statics("a", "b"), o)
		l.see(route.Up, "a", "b")
		if err := l.override("b", route.Maint); err != nil {
			t.Fatal(err)
		}
		l.stop()
		l = live(t, statics("a", "b"), o)
		defer l.stop()
		if l.isReady() {
			t.Error("ready with an unchecked host")
		}
		l.see(route.Up, "a")
		if !l.isReady() {
			t.Error("not ready with the verdicts that come")
		}
	})
}

func TestReadyComesAfterTenSecondsInAnyCase(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := live(t, statics("a"), quiet())
		defer l.stop()
		l.pass(readyLimit - 1)
		if l.isReady() {
			t.Error("ready before its time")
		}
		l.pass(1)
		if !l.isReady() {
			t.Error("not ready in time")
		}
	})
}

func (l *life) isReady() bool {
	select {
	case <-l.Ready():
		return true
	default:
		return false
	}
}

func TestDownHostKeepsItsPlaceInTheTable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := live(t, statics("a", "b", "c"), quiet())
		defer l.stop()
		l.see(route.Up, "a", "b", "c")
		before := l.Snapshot()
		l.see(route.Down, "b")
		l.pass(time.Hour)
		s := l.Snapshot()
		if s.Table != before.Table {
			t.Error("the table was rebuilt for a host that is only down")
		}
		if h := s.Host("b"); h.Serving() || !h.InRing || h.CheckError != "refused" {
			t.Errorf("b: %+v", h)
		}
		if s.Host("a") != before.Host("a") {
			t.Error("the unchanged host a was copied")
		}
	})
}

func TestHostsThatJoinTogetherMakeOneTable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := live(t, statics("a", "b", "c", "d"), quiet())
		defer l.stop()
		for _, name := range []string{"a", "b", "c", "d"} {
			l.checked(name, route.Up, "", time.Now())
			l.pass(builder.GatherTime / 10)
		}
		l.pass(builder.GatherTime)
		l.wantRing("a b c d", "all passed")
		tables := map[*balancer.Table]bool{}
		for _, s := range l.shots {
			tables[s.Table] = true
		}
		if len(tables) != 2 {
			t.Errorf("%d tables, want the empty one and one more", len(tables))
		}
		if n := l.Snapshot().TableNumber; n != 1 {
			t.Errorf("the table has number %d, want 1, however many snapshots it was in", n)
		}
	})
}

func TestGossipedHostComesMovesAndGoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := live(t, statics("s1", "s2"), quiet())
		defer l.stop()
		l.see(route.Up, "s1", "s2")
		m := hostMeta("ide-1")
		l.announces(m, false)
		l.see(route.Up, "ide-1")
		l.wantRing("ide-1 s1 s2", "joined and checked")
		gauges := l.Snapshot().Host("ide-1").Gauges

		m.Address = "10.0.0.99:4000"
		l.announces(m, false)
		l.checked("ide-1", route.Up, "", time.Now().Add(-time.Second)) // about the old address
		l.pass(time.Second)
		h := l.Snapshot().Host("ide-1")
		if h.Address != m.Address || h.Gauges != gauges || h.Verdict != route.Unchecked || h.Serving() {
			t.Errorf("moved: %+v, want the new address, the same gauges, and no traffic before a check", h)
		}
		l.wantRing("ide-1 s1 s2", "moved")
		l.see(route.Up, "ide-1")
		if !l.Snapshot().Host("ide-1").Serving() {
			t.Error("moved and checked, but not serving")
		}

		m.Leaving = true
		l.announces(m, false)
		l.wantRing("s1 s2", "leaving")
		l.announces(m, true)
		l.pass(eligibility.DefaultDelays.ForgetLeft)
		if h := l.Snapshot().Host("ide-1"); h != nil {
			t.Errorf("still known: %+v", h)
		}
	})
}

func TestACrashedAgentRemovesNoHealthyHost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := live(t, statics("s1", "s2"), quiet())
		defer l.stop()
		l.announces(hostMeta("ide-1"), false)
		l.see(route.Up, "s1", "s2", "ide-1")
		l.announces(hostMeta("ide-1"), true)
		l.pass(24 * time.Hour)
		if h := l.Snapshot().Host("ide-1"); h == nil || !h.Serving() || h.Contact != route.Lost {
			t.Errorf("got %+v, want it to serve on", h)
		}
		l.see(route.Down, "ide-1")
		l.wantRing("ide-1 s1 s2", "gossip and checks have just lost it")
		l.pass(eligibility.DefaultDelays.LossWindow)
		l.wantRing("s1 s2", "gossip and checks have lost it for a while")
	})
}

func TestMostHostsVanishAndNoKeyMoves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var logged testlog.Buffer
		l := live(t, Config{}, Options{Logger: zerolog.New(&logged)})
		defer l.stop()
		for _, name := range []string{"a", "b", "c"} {
			l.announces(hostMeta(name), false)
		}
		l.see(route.Up, "a", "b", "c")
		key := keyOf(t, l.Snapshot(), "a")
		l.announces(hostMeta("a"), true)
		l.see(route.Down, "a")
		l.pass(400 * time.Millisecond)
		l.announces(hostMeta("b"), true)
		l.see(route.Down, "b")
		l.pass(time.Hour)
		s := l.Snapshot()
		if got, ok := s.Choose(s.Key(key), nil); ok || got.Rule != route.RuleFrozen {
			t.Errorf("a's key goes to %+v %t, want none by %s", got, ok, route.RuleFrozen)
		}
		if !s.Frozen || s.FrozenSince.IsZero() || !strings.HasPrefix(s.Alarm, "2 of the 3 hosts") {
			t.Errorf("frozen %t since %v, alarm %q", s.Frozen, s.FrozenSince, s.Alarm)
		}
		if !strings.Contains(logged.String(), `"level":"error"`) {
			t.Error("no alarm in the log")
		}
		l.wantRing("a b c", "frozen")

		if err := l.override("a", route.Maint); err != nil {
			t.Fatal(err)
		}
		l.wantRing("b c", "an operator took it out")
		if s := l.Snapshot(); s.Frozen || s.Alarm != "" {
			t.Errorf("one of two: frozen %t, alarm %q", s.Frozen, s.Alarm)
		}
		if got, ok := l.Snapshot().Choose(l.Snapshot().Key(key), nil); !ok || got.Host.Name != "c" {
			t.Errorf("a's key goes to %+v %t, want c", got, ok)
		}
	})
}

func TestTableThatCannotBeBuiltKeepsTheOneBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		heavy := statics("a", "b", "c")
		heavy.Hosts[2].ConfiguredWeight = new(256)
		l := &life{t: t}
		o := quiet()
		o.Name, o.Hash = "lb-1", small
		p, err := New(heavy, gossip.Config{}, o)
		if err != nil {
			t.Fatal(err)
		}
		// Hosts for which there is no room are out before a build. This build fails
		// nevertheless.
		p.builder, err = builder.New(balancer.Config{Consistent: balancer.ConsistentConfig{Partitions: 101, Replicas: 2}})
		if err != nil {
			t.Fatal(err)
		}
		l.Pool = p
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- p.Run(ctx) }()
		l.see(route.Up, "a", "b")
		l.wantRing("a b", "light hosts")
		l.see(route.Up, "c") // more weight than partitions
		l.wantRing("a b", "a heavy host")
		if s := l.Snapshot(); !strings.Contains(s.Alarm, "could not be built") || !s.Rebuilding {
			t.Errorf("alarm %q, rebuilding %t", s.Alarm, s.Rebuilding)
		}
		if err := l.override("b", route.Drain); err == nil || !strings.Contains(err.Error(), "in force") {
			t.Errorf("an override meanwhile: %v", err)
		}
		if got, ok := l.Snapshot().Choose(l.Snapshot().Key(keyOf(t, l.Snapshot(), "b")), nil); !ok || got.Host.Name != "a" {
			t.Errorf("drained b's key goes to %+v %t, want a", got, ok)
		}
		if err := l.override("c", route.Maint); err != nil {
			t.Errorf("without the heavy host: %v", err)
		}
		l.wantRing("a", "without the heavy host")
		if s := l.Snapshot(); s.Alarm != "" || s.Rebuilding {
			t.Errorf("alarm %q, rebuilding %t", s.Alarm, s.Rebuilding)
		}
		cancel()
		<-ended
	})
}

func TestRepeatedVerdictsDoNotFloodSnapshots(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := live(t, statics("a", "b"), quiet())
		defer l.stop()
		l.see(route.Up, "a", "b")
		before := len(l.shots)
		for range 1000 {
			l.checked("a", route.Up, "", time.Now())
			l.pass(10 * time.Millisecond)
		}
		l.pass(staleness)
		if made := len(l.shots) - before; made > 12 {
			t.Errorf("%d snapshots in 11 s in which nothing happened, want about one per second", made)
		}
		if late := time.Since(l.Snapshot().Host("a").CheckedAt); late > 2*staleness {
			t.Errorf("CheckedAt is %v behind", late)
		}
	})
}
