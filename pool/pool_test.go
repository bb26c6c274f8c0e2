package pool

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"tokenring/balancer"
)

func TestUncheckedHostGetsNoTraffic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := live(t, statics("a", "b"), quiet())
		defer l.stop()
		if len(l.shots) == 0 || len(l.shots[0].Hosts) != 2 {
			t.Fatalf("the first snapshot is %+v, want both hosts in it", l.shots)
		}
		if got, ok := l.Snapshot().Choose(nil, nil); ok {
			t.Errorf("chose %s before any check", got.Host.Name)
		}
		l.see(Up, "a")
		l.wantRing("a", "a was checked")
		if got := l.Snapshot().Host("b").WhyNot; got != WhyUnchecked {
			t.Errorf("b isn't in the ring because %q, want %q", got, WhyUnchecked)
		}
	})
}

func TestSettledWaitsForVerdictsAndTable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := live(t, statics("a", "b"), quiet())
		defer l.stop()
		l.see(Up, "a")
		if l.isSettled() {
			t.Error("settled with an unchecked host")
		}
		l.see(Down, "b")
		if !l.isSettled() {
			t.Error("not settled with all verdicts")
		}
		l.wantRing("a", "settled")
	})
}

// TestSettledWaitsForNoHostInMaintenance: nobody checks it.
func TestSettledWaitsForNoHostInMaintenance(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		o := Options{Logger: zerolog.Nop(), StateDir: dir}
		l := live(t, statics("a", "b"), o)
		l.see(Up, "a", "b")
		if err := l.decide("b", Maint); err != nil {
			t.Fatal(err)
		}
		l.stop()
		l = live(t, statics("a", "b"), o)
		defer l.stop()
		if l.isSettled() {
			t.Error("settled with an unchecked host")
		}
		l.see(Up, "a")
		if !l.isSettled() {
			t.Error("not settled with the verdicts that come")
		}
	})
}

func TestSettledComesAfterTenSecondsInAnyCase(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := live(t, statics("a"), quiet())
		defer l.stop()
		l.pass(settleLimit - 1)
		if l.isSettled() {
			t.Error("settled before its time")
		}
		l.pass(1)
		if !l.isSettled() {
			t.Error("not settled in time")
		}
	})
}

func (l *life) isSettled() bool {
	select {
	case <-l.Settled():
		return true
	default:
		return false
	}
}

func TestDownHostKeepsItsPlaceInTheTable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := live(t, statics("a", "b", "c"), quiet())
		defer l.stop()
		l.see(Up, "a", "b", "c")
		before := l.Snapshot()
		l.see(Down, "b")
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
			l.checked(name, Up, "", time.Now())
			l.pass(gather / 10)
		}
		l.pass(gather)
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
		l.see(Up, "s1", "s2")
		m := hostMeta("ide-1")
		l.gossips(m, false)
		l.see(Up, "ide-1")
		l.wantRing("ide-1 s1 s2", "joined and checked")
		gauges := l.Snapshot().Host("ide-1").Gauges

		m.Address = "10.0.0.99:4000"
		l.gossips(m, false)
		l.checked("ide-1", Up, "", time.Now().Add(-time.Second)) // about the old address
		l.pass(time.Second)
		h := l.Snapshot().Host("ide-1")
		if h.Address != m.Address || h.Gauges != gauges || h.Verdict != Unchecked || h.Serving() {
			t.Errorf("moved: %+v, want the new address, the same gauges, and no traffic before a check", h)
		}
		l.wantRing("ide-1 s1 s2", "moved")
		l.see(Up, "ide-1")
		if !l.Snapshot().Host("ide-1").Serving() {
			t.Error("moved and checked, but not serving")
		}

		m.Leaving = true
		l.gossips(m, false)
		l.wantRing("s1 s2", "leaving")
		l.gossips(m, true)
		l.pass(defaultPatience.forgetLeft)
		if h := l.Snapshot().Host("ide-1"); h != nil {
			t.Errorf("still known: %+v", h)
		}
	})
}

func TestCrashedAgentTakesNoHealthyHostAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := live(t, statics("s1", "s2"), quiet())
		defer l.stop()
		l.gossips(hostMeta("ide-1"), false)
		l.see(Up, "s1", "s2", "ide-1")
		l.gossips(hostMeta("ide-1"), true)
		l.pass(24 * time.Hour)
		if h := l.Snapshot().Host("ide-1"); h == nil || !h.Serving() || h.Contact != Lost {
			t.Errorf("got %+v, want it to serve on", h)
		}
		l.see(Down, "ide-1")
		l.wantRing("ide-1 s1 s2", "both witnesses agree just now")
		l.pass(defaultPatience.settle)
		l.wantRing("s1 s2", "both witnesses agree for a while")
	})
}

func TestMostOfTheRingVanishes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var logged logBuffer
		l := live(t, Config{}, Options{Logger: zerolog.New(&logged)})
		defer l.stop()
		for _, name := range []string{"a", "b", "c"} {
			l.gossips(hostMeta(name), false)
		}
		l.see(Up, "a", "b", "c")
		key := keyOf(t, l.Snapshot(), "a")
		l.gossips(hostMeta("a"), true)
		l.see(Down, "a")
		l.pass(400 * time.Millisecond)
		l.gossips(hostMeta("b"), true)
		l.see(Down, "b")
		l.pass(time.Hour)
		s := l.Snapshot()
		if got, ok := s.Choose(key, nil); ok || got.Rule != RuleFrozen {
			t.Errorf("a's key goes to %+v %t, want none by %s", got, ok, RuleFrozen)
		}
		if !s.Frozen || s.FrozenSince.IsZero() || !strings.HasPrefix(s.Alarm, "2 of the 3 hosts") {
			t.Errorf("frozen %t since %v, alarm %q", s.Frozen, s.FrozenSince, s.Alarm)
		}
		if !strings.Contains(logged.String(), `"level":"error"`) {
			t.Error("no alarm in the log")
		}
		l.wantRing("a b c", "frozen")

		if err := l.decide("a", Maint); err != nil {
			t.Fatal(err)
		}
		l.wantRing("b c", "an operator decided")
		if s := l.Snapshot(); s.Frozen || s.Alarm != "" {
			t.Errorf("one of two: frozen %t, alarm %q", s.Frozen, s.Alarm)
		}
		if got, ok := l.Snapshot().Choose(key, nil); !ok || got.Host.Name != "c" {
			t.Errorf("a's key goes to %+v %t, want c", got, ok)
		}
	})
}

func TestTableThatCannotBeBuiltKeepsTheOneBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		heavy := statics("a", "b", "c")
		heavy.Hosts[2].Weight = new(256)
		l := &life{t: t}
		o := quiet()
		o.Name, o.Hash = "lb-1", small
		p, err := New(heavy, PeersConfig{}, o)
		if err != nil {
			t.Fatal(err)
		}
		// Whoever has no room is out before. This stands for what isn't foreseen.
		p.builder, err = newBuilder(balancer.Config{Consistent: balancer.ConsistentConfig{Partitions: 101, Replicas: 2}})
		if err != nil {
			t.Fatal(err)
		}
		l.Pool = p
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- p.Run(ctx) }()
		l.see(Up, "a", "b")
		l.wantRing("a b", "light hosts")
		l.see(Up, "c") // more weight than partitions
		l.wantRing("a b", "a heavy host")
		if s := l.Snapshot(); !strings.Contains(s.Alarm, "could not be built") || !s.Rebuilding {
			t.Errorf("alarm %q, rebuilding %t", s.Alarm, s.Rebuilding)
		}
		if err := l.decide("b", Drain); err == nil || !strings.Contains(err.Error(), "in force") {
			t.Errorf("a decision meanwhile: %v", err)
		}
		if got, ok := l.Snapshot().Choose(keyOf(t, l.Snapshot(), "b"), nil); !ok || got.Host.Name != "a" {
			t.Errorf("drained b's key goes to %+v %t, want a", got, ok)
		}
		if err := l.decide("c", Maint); err != nil {
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
		l.see(Up, "a", "b")
		before := len(l.shots)
		for range 1000 {
			l.checked("a", Up, "", time.Now())
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
