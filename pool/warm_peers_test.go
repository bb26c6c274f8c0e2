package pool

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"
)

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
			p.checked(name, v, "", time.Now())
		}
		<-p.Settled()
	}
	first.checked("c", Up, "", time.Now())
	eventually(t, "it warms up", func() bool { return first.Snapshot().Host("c").Warming != (Warming{}) })
	second.checked("c", Up, "", time.Now())
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
