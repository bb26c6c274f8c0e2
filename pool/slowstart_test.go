package pool

import (
	"fmt"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"tokenring/balancer"
	"tokenring/route"
)

const halfMinute = 30 * time.Second

// slowly returns a configuration of hosts whose slow starts last half a minute.
func slowly(names ...string) Config {
	cfg := statics(names...)
	cfg.SlowStart = halfMinute
	return cfg
}

// places returns the hosts that some keys have now.
func (l *life) places() places {
	where := make(places, 500)
	for i := range where {
		if c, ok := l.Snapshot().Choose(l.Snapshot().Key(fmt.Appendf(nil, "key-%d", i)), nil); ok {
			where[i] = c.Host.Name
		}
	}
	return where
}

// wantTaken fails the test unless a host has that part of its keys. 1 means no slow start.
func (l *life) wantTaken(host string, want float64, why string) {
	l.t.Helper()
	got, h := 1.0, l.Snapshot().Host(host)
	if h.SlowStart != (route.Progress{}) {
		got = h.SlowStart.Taken
	}
	if math.Abs(got-want) > 0.1 {
		l.t.Errorf("%s: %s has %.2f of its keys, want about %.2f (%+v)", why, host, got, want, h.SlowStart)
	}
}

func TestAHostThatComesTakesItsKeysStepByStep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := quiet()
		o.Hash = balancer.Config{Policy: balancer.PolicyRendezvous, Rendezvous: balancer.RendezvousConfig{Slots: 4096}}
		l := live(t, slowly("a", "b", "c"), o)
		defer l.stop()
		l.see(route.Up, "a", "b", "c")
		before := l.places()
		l.announces(hostMeta("new"), false)
		l.see(route.Up, "new")
		l.wantRing("a b c new", "checked")
		l.wantTaken("new", 0, "just now")
		w, began := l.Snapshot().Host("new").SlowStart, time.Now()
		if w.Until.Before(began) || w.Until.After(began.Add(halfMinute)) || w.Since.After(began) {
			t.Errorf("%+v at %v", w, began)
		}
		if n := l.places().count("new"); n != 0 {
			t.Errorf("%d keys moved at once", n)
		}
		first := l.Snapshot().Version
		l.pass(halfMinute / 2)
		l.wantTaken("new", 0.45, "half the time")
		for _, m := range before.to(l.places()) {
			if m.to != "new" {
				t.Errorf("moved: %+v", m)
			}
		}
		l.pass(halfMinute / 2)
		l.wantTaken("new", 1, "all the time")
		if made := l.Snapshot().Version - first; made < 15 || made > 25 {
			t.Errorf("%d snapshots for 15 steps", made)
		}
		s := l.Snapshot()
		for i, where := range l.places() {
			if owner := s.Table.Hosts()[s.Table.Owner(fmt.Appendf(nil, "key-%d", i))].Name; where != owner {
				t.Errorf("after the slow start key %d is on %s, and belongs to %s", i, where, owner)
			}
		}
		if synctest.Wait(); len(l.machine.history) > 0 {
			t.Error("the history isn't forgotten")
		}
	})
}

func TestWithoutSlowStartAHostHasItsKeysAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := live(t, statics("a", "b"), quiet())
		defer l.stop()
		l.see(route.Up, "a", "b")
		l.announces(hostMeta("new"), false)
		l.see(route.Up, "new")
		l.wantTaken("new", 1, "just now")
		if n := l.places().count("new"); n == 0 {
			t.Error("it has no keys")
		}
	})
}

func TestAHostThatReturnsBeginsASlowStart(t *testing.T) {
	for what, row := range map[string]struct{ leave, back func(l *life) }{
		"from a failure":   {func(l *life) { l.see(route.Down, "b") }, func(l *life) { l.see(route.Up, "b") }},
		"from drain":       {func(l *life) { l.must(l.override("b", route.Drain)) }, func(l *life) { l.must(l.override("b", route.Ready)) }},
		"from maintenance": {func(l *life) { l.must(l.override("b", route.Maint)) }, func(l *life) { l.must(l.override("b", route.Ready)) }},
		"from weight 0":    {func(l *life) { l.must(l.weigh("b", 0)) }, func(l *life) { l.must(l.weigh("b", route.OwnWeight)) }},
	} {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := live(t, slowly("a", "b", "c"), quiet())
				defer l.stop()
				l.see(route.Up, "a", "b", "c")
				home := l.places()
				for range 2 { // each time anew
					row.leave(l)
					l.pass(10 * time.Second)
					away := l.places()
					row.back(l)
					l.wantTaken("b", 0, "just back")
					if moves := away.to(l.places()); len(moves) > 0 {
						t.Errorf("just back: %v", moves)
					}
					l.pass(halfMinute / 2)
					l.wantTaken("b", 0.45, "half the time")
					l.pass(halfMinute / 2)
					l.wantTaken("b", 1, "all the time")
					if moves := home.to(l.places()); len(moves) > 0 {
						t.Errorf("all the time: %v", moves)
					}
				}
			})
		})
	}
}

func (l *life) must(err error) {
	l.t.Helper()
	if err != nil {
		l.t.Error(err)
	}
}

func TestAHostThatLeavesInItsSlowStartBeginsAnewWhenItJoinsAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := statics("a", "b")
		cfg.SlowStart = 5 * time.Minute
		l := live(t, cfg, quiet())
		defer l.stop()
		l.see(route.Up, "a", "b")
		m := hostMeta("new")
		for range 2 {
			l.announces(m, false)
			l.see(route.Up, "new")
			l.wantTaken("new", 0, "it has joined")
			l.pass(2 * time.Minute)
			l.wantTaken("new", 0.36, "a while later")
			gone := m
			gone.Leaving = true
			l.announces(gone, false)
			l.announces(gone, true)
			l.pass(time.Minute)
			if l.Snapshot().Host("new") != nil {
				t.Fatal("it isn't forgotten")
			}
		}
	})
}

// TestABalancerThatStartsAgainMovesNoKey: it goes on with the slow start under
// way, and begins no other.
func TestABalancerThatStartsAgainMovesNoKey(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		o := Options{Logger: zerolog.Nop(), StateDir: dir}
		l := live(t, slowly("a", "b", "c", "d", "e"), o)
		l.see(route.Up, "a", "b", "c")
		l.pass(time.Minute)
		l.see(route.Up, "d")
		l.pass(6 * time.Second)
		l.see(route.Up, "e")
		l.pass(9 * time.Second)
		l.wantTaken("d", 0.45, "before")
		l.wantTaken("e", 0.2, "before")
		before := l.places()
		l.stop()

		l = live(t, slowly("a", "b", "c", "d", "e"), o)
		defer l.stop()
		l.see(route.Up, "d", "a")
		l.see(route.Up, "b", "e", "c")
		if !l.isReady() {
			t.Fatal("not ready")
		}
		if moves := before.to(l.places()); len(moves) > 0 {
			t.Errorf("started again: %v", moves)
		}
		l.wantTaken("d", 0.45, "started again")
		l.pass(halfMinute)
		l.wantTaken("d", 1, "all the time")
		l.wantTaken("e", 1, "all the time")
	})
}

func TestAHostThatReturnsWhileAnotherIsDownMovesNoKeyAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		names := []string{"a", "b", "c", "d", "e", "f"}
		l := live(t, slowly(names...), quiet()) // without a and b, the ring has other keys elsewhere, too
		defer l.stop()
		l.see(route.Up, names...)
		home := l.places()
		l.see(route.Down, "a", "b")
		down := l.places()
		l.see(route.Up, "a")
		if moves := down.to(l.places()); len(moves) > 0 {
			t.Errorf("it has returned: %v", moves)
		}
		l.wantTaken("a", 0, "it has returned")
		l.pass(halfMinute)
		if got, want := l.places().count("a"), home.count("a"); got < want {
			t.Errorf("it has %d of its %d keys after the slow start", got, want)
		}
	})
}

func TestInANewRegionNoHostBeginsASlowStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := live(t, slowly("a", "b", "c"), quiet())
		defer l.stop()
		l.pass(readyLimit)
		l.see(route.Up, "a")
		l.wantTaken("a", 1, "the first")
		l.pass(halfMinute / 3)
		l.see(route.Up, "b")
		l.wantTaken("b", 1, "soon after the first")
		l.pass(halfMinute)
		l.see(route.Up, "c")
		l.wantTaken("c", 0, "beside those that have long been there")
	})
}

// TestEachReturnBeginsAnotherSlowStart, even if it comes soon after the last one.
func TestEachReturnBeginsAnotherSlowStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := live(t, slowly("a", "b", "c"), quiet())
		defer l.stop()
		l.see(route.Up, "a", "b", "c")
		for want := range uint64(3) {
			l.see(route.Down, "c")
			l.pass(2 * time.Second)
			l.see(route.Up, "c")
			if got := l.machine.registers.SlowStart("c").Number; got != want+1 {
				t.Fatalf("return %d has the number %d", want+1, got)
			}
			l.pass(2 * time.Second)
		}
	})
}
