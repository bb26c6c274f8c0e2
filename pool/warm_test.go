package pool

import (
	"context"
	"fmt"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"tokenring/balancer"
)

const halfMinute = 30 * time.Second

// slowly returns static hosts whose warm-ups last half a minute.
func slowly(names ...string) Config {
	cfg := statics(names...)
	cfg.SlowStart = halfMinute
	return cfg
}

// places says where some keys are now.
func (l *life) places() places {
	where := make(places, 500)
	for i := range where {
		if c, ok := l.Snapshot().Choose(fmt.Appendf(nil, "key-%d", i), nil); ok {
			where[i] = c.Host.Name
		}
	}
	return where
}

// wantTaken checks what part of its keys a host has; 1 is no warm-up.
func (l *life) wantTaken(host string, want float64, why string) {
	l.t.Helper()
	got, h := 1.0, l.Snapshot().Host(host)
	if h.Warming != (Warming{}) {
		got = h.Warming.Taken
	}
	if math.Abs(got-want) > 0.1 {
		l.t.Errorf("%s: %s has %.2f of its keys, want about %.2f (%+v)", why, host, got, want, h.Warming)
	}
}

func TestAHostThatComesTakesItsKeysStepByStep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := quiet()
		o.Hash = balancer.Config{Policy: balancer.PolicyRendezvous, Rendezvous: balancer.RendezvousConfig{Slots: 4096}}
		l := live(t, slowly("a", "b", "c"), o)
		defer l.stop()
		l.see(Up, "a", "b", "c")
		before := l.places()
		l.gossips(hostMeta("new"), false)
		l.see(Up, "new")
		l.wantRing("a b c new", "checked")
		l.wantTaken("new", 0, "just now")
		w, began := l.Snapshot().Host("new").Warming, time.Now()
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
			if owner := s.ring[s.Table.Owner(fmt.Appendf(nil, "key-%d", i))].Name; where != owner {
				t.Errorf("after the warm-up key %d is on %s, and belongs to %s", i, where, owner)
			}
		}
		if s.past != nil || s.warm != nil {
			t.Error("the past isn't forgotten")
		}
	})
}

func TestWithoutSlowStartAHostHasItsKeysAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := live(t, statics("a", "b"), quiet())
		defer l.stop()
		l.see(Up, "a", "b")
		l.gossips(hostMeta("new"), false)
		l.see(Up, "new")
		l.wantTaken("new", 1, "just now")
		if n := l.places().count("new"); n == 0 {
			t.Error("it has no keys")
		}
	})
}

func TestWhoReturnsWarmsUp(t *testing.T) {
	for what, row := range map[string]struct{ leave, back func(l *life) }{
		"from a failure":   {func(l *life) { l.see(Down, "b") }, func(l *life) { l.see(Up, "b") }},
		"from drain":       {func(l *life) { l.must(l.decide("b", Drain)) }, func(l *life) { l.must(l.decide("b", Ready)) }},
		"from maintenance": {func(l *life) { l.must(l.decide("b", Maint)) }, func(l *life) { l.must(l.decide("b", Ready)) }},
		"from weight 0":    {func(l *life) { l.must(l.weigh("b", 0)) }, func(l *life) { l.must(l.weigh("b", OwnWeight)) }},
	} {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := live(t, slowly("a", "b", "c"), quiet())
				defer l.stop()
				l.see(Up, "a", "b", "c")
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

func TestAHostThatLeavesInItsWarmUpBeginsAnewWhenItJoinsAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := statics("a", "b")
		cfg.SlowStart = 5 * time.Minute
		l := live(t, cfg, quiet())
		defer l.stop()
		l.see(Up, "a", "b")
		m := hostMeta("new")
		for range 2 {
			l.gossips(m, false)
			l.see(Up, "new")
			l.wantTaken("new", 0, "it has joined")
			l.pass(2 * time.Minute)
			l.wantTaken("new", 0.36, "a while later")
			gone := m
			gone.Leaving = true
			l.gossips(gone, false)
			l.gossips(gone, true)
			l.pass(time.Minute)
			if l.Snapshot().Host("new") != nil {
				t.Fatal("it isn't forgotten")
			}
		}
	})
}

// TestABalancerThatStartsAgainMovesNobody: it goes on with the warm-up under way,
// and begins none for those whom it meets.
func TestABalancerThatStartsAgainMovesNobody(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		o := Options{Logger: zerolog.Nop(), StateDir: dir}
		l := live(t, slowly("a", "b", "c", "d", "e"), o)
		l.see(Up, "a", "b", "c")
		l.pass(time.Minute)
		l.see(Up, "d")
		l.pass(6 * time.Second)
		l.see(Up, "e")
		l.pass(9 * time.Second)
		l.wantTaken("d", 0.45, "before")
		l.wantTaken("e", 0.2, "before")
		before := l.places()
		l.stop()

		l = live(t, slowly("a", "b", "c", "d", "e"), o)
		defer l.stop()
		l.see(Up, "d", "a")
		l.see(Up, "b", "e", "c")
		if !l.isSettled() {
			t.Fatal("not settled")
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

// TestWhoVanishedWithOthersHasItsKeysAtOnceWhenItReturns: the first that returns
// thaws the ring, and those that follow it have their users' sessions as well.
func TestWhoVanishedWithOthersHasItsKeysAtOnceWhenItReturns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := live(t, slowly("a", "b", "c", "d", "e"), quiet())
		defer l.stop()
		l.see(Up, "a", "b", "c", "d", "e")
		home := l.places()
		l.see(Down, "a", "b", "c")
		l.wantFrozen(true, "three of five are gone")
		l.pass(time.Minute)
		for _, name := range []string{"a", "b"} {
			l.see(Up, name)
			l.wantFrozen(false, name+" has returned")
			l.wantTaken(name, 1, "it has just returned")
			if got, want := l.places().count(name), home.count(name); got < want {
				t.Errorf("%d of the %d keys of %s are refused or elsewhere", want-got, want, name)
			}
			l.pass(time.Second)
		}
		l.pass(healing)
		l.see(Up, "c")
		l.wantTaken("c", 0, "it returns long after the thaw, and its keys have gone elsewhere")
		l.pass(halfMinute)
		l.see(Down, "b")
		l.pass(time.Second)
		l.see(Up, "b")
		l.wantTaken("b", 0, "it returns to a ring that wasn't frozen when it went")
	})
}

func TestMissingHostsThatComeAfterTheThawHaveTheirKeysAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := liveFrom(t, Config{SlowStart: halfMinute}, quiet(), func(p *Pool) {
			p.keeper.expect(p.roster.recall([]remembered{in("a", 0), in("b", 0), in("c", 0), in("d", 0), in("e", 0)}))
		})
		defer l.stop()
		l.comes("a", "b")
		l.pass(awaitLimit)
		l.wantFrozen(true, "three of five are missing")
		l.pass(time.Minute)
		l.comes("c")
		l.wantFrozen(false, "one has come")
		l.comes("d")
		l.wantTaken("d", 1, "it has come soon after the thaw")
	})
}

func TestANewHostThatWaitedForTheThawWarmsUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := live(t, slowly("a", "b", "c"), quiet())
		defer l.stop()
		l.see(Up, "a", "b", "c")
		l.pass(time.Minute)
		l.see(Down, "a", "b")
		l.gossips(hostMeta("new"), false)
		l.see(Up, "new")
		l.see(Up, "a")
		l.wantRing("a b c new", "thawed")
		l.wantTaken("new", 0, "no keys were kept for it")
	})
}

// TestNewHostsThatVanishTakeNoKeysWithThemThatTheyHadNotTaken: the ring freezes, for
// they are most of it; what was due to them by then is refused, and nothing else.
func TestNewHostsThatVanishTakeNoKeysWithThemThatTheyHadNotTaken(t *testing.T) {
	for _, policy := range []string{balancer.PolicyConsistent, balancer.PolicyRendezvous, balancer.PolicyMaglev} {
		synctest.Test(t, func(t *testing.T) {
			o := quiet()
			if o.Hash.Policy = policy; policy == balancer.PolicyConsistent {
				o.Hash = balancer.Config{Policy: policy, Consistent: small.Consistent}
			}
			l := live(t, slowly("a", "b", "c", "d"), o)
			defer l.stop()
			l.see(Up, "a", "b", "c", "d")
			l.pass(time.Minute)
			newcomers := []string{"n0", "n1", "n2", "n3", "n4"}
			for _, name := range newcomers {
				l.gossips(hostMeta(name), false)
			}
			l.see(Up, newcomers...)
			home := l.places()
			l.see(Down, newcomers...)
			l.wantFrozen(true, "five of nine are gone")
			if moves := home.to(l.places()); len(moves) > 0 {
				t.Errorf("%s: they had taken nothing, and %d keys have moved or are refused: %v", policy, len(moves), moves[0])
			}
			l.pass(halfMinute / 2)
			s := l.Snapshot()
			due := 0
			for _, m := range home.to(l.places()) {
				key := fmt.Appendf(nil, "key-%d", m.key)
				if owner := s.Table.Hosts()[s.Table.Owner(key)].Name; m.to != "" || owner[0] != 'n' {
					t.Fatalf("%s: %+v of %s has moved", policy, m, owner)
				}
				due++
			}
			if due < 50 || due > 200 {
				t.Errorf("%s: %d of 500 keys are refused after half of the time", policy, due)
			}
			for i := range 100 {
				compareWithChoose(t, s, fmt.Appendf(nil, "key-%d", i), "new hosts have vanished")
			}
			l.see(Up, "n0")
			l.wantFrozen(false, "one has returned")
			l.wantTaken("n0", 0.45, "its warm-up goes on")
		})
	}
}

// wantFrozen checks whether the ring is frozen.
func (l *life) wantFrozen(want bool, why string) {
	l.t.Helper()
	if got := l.Snapshot().Frozen; got != want {
		l.t.Errorf("%s: frozen %t, want %t", why, got, want)
	}
}

func TestWhoReturnsWhileAnotherIsDownMovesNobodyAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		names := []string{"a", "b", "c", "d", "e", "f"}
		l := live(t, slowly(names...), quiet()) // without a and b, the ring has other keys elsewhere, too
		defer l.stop()
		l.see(Up, names...)
		home := l.places()
		l.see(Down, "a", "b")
		down := l.places()
		l.see(Up, "a")
		if moves := down.to(l.places()); len(moves) > 0 {
			t.Errorf("it has returned: %v", moves)
		}
		l.wantTaken("a", 0, "it has returned")
		l.pass(halfMinute)
		if got, want := l.places().count("a"), home.count("a"); got < want {
			t.Errorf("it has %d of its %d keys after the warm-up", got, want)
		}
	})
}

func TestInANewRegionNobodyHasToBeSpared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := live(t, slowly("a", "b", "c"), quiet())
		defer l.stop()
		l.pass(settleLimit)
		l.see(Up, "a")
		l.wantTaken("a", 1, "the first")
		l.pass(halfMinute / 3)
		l.see(Up, "b")
		l.wantTaken("b", 1, "soon after the first")
		l.pass(halfMinute)
		l.see(Up, "c")
		l.wantTaken("c", 0, "beside those that have long been there")
	})
}

// meet lets balancers exchange what they know.
func meet(t *testing.T, balancers ...*life) {
	t.Helper()
	for range 2 { // what they answer, too
		for _, l := range balancers {
			for _, other := range balancers {
				l.peers.MergeRemoteState(other.peers.LocalState(false), false)
			}
		}
		balancers[0].pass(2 * gather)
	}
}

func TestBalancersSendEachKeyOfAWarmingHostTheSameWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first := live(t, slowly("a", "b", "c", "d"), quiet())
		second := live(t, slowly("a", "b", "c", "d"), quiet())
		defer first.stop()
		defer second.stop()
		for _, l := range []*life{first, second} {
			l.see(Up, "a", "b", "c")
			l.see(Down, "d")
		}
		first.see(Up, "d")
		first.pass(2900 * time.Millisecond)
		second.see(Up, "d") // before it hears of it
		meet(t, first, second)
		if a, b := first.Snapshot().Host("d").Warming, second.Snapshot().Host("d").Warming; a != b || a.Since.IsZero() {
			t.Fatalf("%+v and %+v", a, b)
		}
		for range 30 {
			if moves := first.places().to(second.places()); len(moves) > 0 {
				t.Fatalf("%v after the start, they differ: %v", time.Since(first.Snapshot().Host("d").Warming.Since), moves)
			}
			first.pass(time.Second)
		}
		first.wantTaken("d", 1, "all the time")
		second.wantTaken("d", 1, "all the time")
	})
}

// TestEachReturnIsAnother, however soon it follows the one before.
func TestEachReturnIsAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := live(t, slowly("a", "b", "c"), quiet())
		defer l.stop()
		l.see(Up, "a", "b", "c")
		for want := range uint64(3) {
			l.see(Down, "c")
			l.pass(2 * time.Second)
			l.see(Up, "c")
			if got := l.keeper.warmUps["c"].Number; got != want+1 {
				t.Fatalf("return %d has the number %d", want+1, got)
			}
			l.pass(2 * time.Second)
		}
	})
}

// TestPeersAreToldOfAWarmUpAtOnce: the next exchange of all that is known may be
// long after its first steps.
func TestPeersAreToldOfAWarmUpAtOnce(t *testing.T) {
	t.Parallel()
	key := secretFile(t, 5)
	once := fastPace // exchanges state when they join, and never again
	once.rejoin, once.pushPull = time.Hour, 0
	start := func(name string, join ...string) *Pool {
		p, err := newPool(slowly("a", "b", "c"), PeersConfig{Bind: "127.0.0.1:0", SecretFile: key, Join: join}, Options{Name: name, Hash: small, Logger: zerolog.Nop()}, once)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan struct{})
		go func() { defer close(ended); p.Run(ctx) }()
		t.Cleanup(func() { cancel(); <-ended })
		return p
	}
	first := start("lb-1")
	second := start("lb-2", first.PeersAddr())
	for _, p := range []*Pool{first, second} {
		eventually(t, "a peer", func() bool { return len(p.Snapshot().Peers) == 1 })
		for name, v := range map[string]Verdict{"a": Up, "b": Up, "c": Down} {
			p.Hear(name, v, "", time.Now())
		}
		<-p.Settled()
	}
	first.Hear("c", Up, "", time.Now())
	eventually(t, "it warms up", func() bool { return first.Snapshot().Host("c").Warming != (Warming{}) })
	second.Hear("c", Up, "", time.Now())
	began := first.Snapshot().Host("c").Warming.Since
	eventually(t, "it is the same warm-up", func() bool { return second.Snapshot().Host("c").Warming.Since.Equal(began) })
}

func TestABalancerThatHearsOfAWarmUpFirstTakesPartInIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first := live(t, slowly("a", "b", "c"), quiet())
		second := live(t, slowly("a", "b", "c"), quiet())
		defer first.stop()
		defer second.stop()
		for _, l := range []*life{first, second} {
			l.see(Up, "a", "b", "c")
			l.see(Down, "c")
		}
		first.see(Up, "c")
		meet(t, first, second)
		first.pass(10 * time.Second)
		second.see(Up, "c")
		meet(t, first, second)
		if a, b := first.Snapshot().Host("c").Warming, second.Snapshot().Host("c").Warming; a != b || a.Taken < 0.2 {
			t.Errorf("%+v and %+v, want what the first has begun", a, b)
		}
	})
}

// TestNoKeyLeavesAHostBecauseOnePeerLostIt: the peer's path to the host was cut,
// not the host.
func TestNoKeyLeavesAHostBecauseOnePeerLostIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		steady := live(t, slowly("a", "b", "c"), quiet())
		shaky := live(t, slowly("a", "b", "c"), quiet())
		defer steady.stop()
		defer shaky.stop()
		for _, l := range []*life{steady, shaky} {
			l.see(Up, "a", "b", "c")
		}
		home := steady.places()
		for range 3 {
			shaky.see(Down, "b")
			shaky.pass(10 * time.Second)
			shaky.see(Up, "b")
			shaky.wantTaken("b", 0, "before it hears of its error")
			meet(t, steady, shaky)
			for _, l := range []*life{steady, shaky} {
				l.wantTaken("b", 1, "they have met")
				if moves := home.to(l.places()); len(moves) > 0 {
					t.Errorf("they have met: %v", moves)
				}
			}
		}
	})
}

// TestAWarmUpGoesOnAlthoughAPeerLosesTheHostAgain: what the one takes for another
// return is for the other the warm-up under way.
func TestAWarmUpGoesOnAlthoughAPeerLosesTheHostAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		steady := live(t, slowly("a", "b", "c"), quiet())
		shaky := live(t, slowly("a", "b", "c"), quiet())
		defer steady.stop()
		defer shaky.stop()
		for _, l := range []*life{steady, shaky} {
			l.see(Up, "a", "b", "c")
			l.see(Down, "b")
		}
		steady.pass(10 * time.Second)
		steady.see(Up, "b")
		shaky.see(Up, "b")
		meet(t, steady, shaky)
		began := steady.Snapshot().Host("b").Warming
		steady.pass(8 * time.Second)
		shaky.see(Down, "b")
		steady.pass(3 * time.Second)
		shaky.see(Up, "b")
		meet(t, steady, shaky)
		for _, l := range []*life{steady, shaky} {
			if got := l.Snapshot().Host("b").Warming; got.Until != began.Until || got.Taken < 0.2 {
				t.Errorf("got %+v, want the warm-up that began as %+v", got, began)
			}
		}
	})
}

// TestABalancerToWhichAllAreNewTakesAWarmUpFromItsPeers: it spares nobody of its own
// accord, and doesn't keep the others from it.
func TestABalancerToWhichAllAreNewTakesAWarmUpFromItsPeers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		old := live(t, slowly("a", "b", "c", "d"), quiet())
		defer old.stop()
		old.see(Up, "a", "b", "c")
		old.see(Down, "d")
		old.pass(time.Hour)
		young := live(t, slowly("a", "b", "c", "d"), quiet())
		defer young.stop()
		young.see(Down, "a", "b", "c", "d") // its network comes up late
		young.pass(settleLimit)
		young.see(Up, "a", "b", "c")
		young.pass(5 * time.Second)
		young.see(Up, "d")
		young.wantTaken("d", 1, "all are new")
		old.see(Up, "d")
		meet(t, old, young)
		for _, l := range []*life{old, young} {
			l.wantTaken("d", 0, "they have met")
		}
		young.pass(time.Second)
		old.see(Down, "a")
		young.pass(witnessed)
		old.see(Up, "a")
		meet(t, old, young)
		for _, l := range []*life{old, young} {
			l.wantTaken("a", 1, "only the one had lost it")
		}
	})
}

// TestAHostThatReturnedToAFrozenRingKeepsItsKeysWhateverPeersSaw: for one of them
// the ring wasn't frozen.
func TestAHostThatReturnedToAFrozenRingKeepsItsKeysWhateverPeersSaw(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cut := live(t, slowly("a", "b", "c"), quiet())
		near := live(t, slowly("a", "b", "c"), quiet())
		defer cut.stop()
		defer near.stop()
		for _, l := range []*life{cut, near} {
			l.see(Up, "a", "b", "c")
			l.pass(time.Minute)
			l.see(Down, "a")
		}
		cut.see(Down, "b")
		cut.pass(time.Minute)
		cut.see(Up, "a")
		near.see(Up, "a")
		near.wantTaken("a", 0, "before it hears of the freeze")
		meet(t, cut, near)
		for _, l := range []*life{cut, near} {
			l.wantTaken("a", 1, "they have met")
		}
	})
}

// TestAWarmUpOfTheFutureBeginsNow: the clock of the balancer that saw the host come
// was two hours ahead.
func TestAWarmUpOfTheFutureBeginsNow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wrong := warmUp{Host: "c", Number: 1, Since: time.Now().Add(2 * time.Hour), Lasts: halfMinute}
		recall := func(p *Pool) { p.keeper.warmUps.merge(wrong) }
		first := liveFrom(t, slowly("a", "b", "c"), quiet(), recall)
		second := liveFrom(t, slowly("a", "b", "c"), quiet(), recall)
		defer first.stop()
		defer second.stop()
		first.see(Up, "a", "b", "c")
		first.pass(time.Second)
		second.see(Up, "a", "b", "c")
		meet(t, first, second)
		for _, l := range []*life{first, second} {
			l.wantTaken("c", 0, "it begins")
		}
		first.pass(halfMinute / 2)
		if a, b := first.Snapshot().Host("c").Warming, second.Snapshot().Host("c").Warming; a != b || a.Taken < 0.4 {
			t.Errorf("%+v and %+v after half of the time", a, b)
		}
		told, err := encodeMemory(nil, []warmUp{wrong})
		if err != nil {
			t.Fatal(err)
		}
		second.peers.NotifyMsg(told) // once more, by a peer that knows no better
		first.pass(halfMinute / 2)
		for _, l := range []*life{first, second} {
			l.wantTaken("c", 1, "all the time")
		}
	})
}

func TestABalancerThatStartsLearnsOfAWarmUpFromItsPeers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first := live(t, slowly("a", "b", "c"), quiet())
		defer first.stop()
		first.see(Up, "a", "b")
		first.pass(time.Minute)
		first.see(Up, "c")
		first.pass(halfMinute / 2)

		second := live(t, slowly("a", "b", "c"), quiet())
		defer second.stop()
		second.see(Up, "a", "b", "c") // before the peer has answered
		meet(t, first, second)
		first.wantTaken("c", 0.45, "where it began")
		if moves := first.places().to(second.places()); len(moves) > 0 {
			t.Errorf("they differ: %v", moves)
		}
	})
}
