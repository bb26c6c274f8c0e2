package pool

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"tokenring/builder"
	"tokenring/gossip"
	"tokenring/peers"
	"tokenring/route"
)

// meet makes balancers exchange their registers.
func meet(t *testing.T, balancers ...*life) {
	t.Helper()
	for range 2 { // what they answer, too
		for _, l := range balancers {
			for _, other := range balancers {
				l.gossips.Peers.Receive(other.gossips.Peers.State(1 << 30))
			}
		}
		balancers[0].pass(2 * builder.GatherTime)
	}
}

func TestBalancersSendEachKeyToTheSameHostDuringASlowStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first := live(t, slowly("a", "b", "c", "d"), quiet())
		second := live(t, slowly("a", "b", "c", "d"), quiet())
		defer first.stop()
		defer second.stop()
		for _, l := range []*life{first, second} {
			l.see(route.Up, "a", "b", "c")
			l.see(route.Down, "d")
		}
		first.see(route.Up, "d")
		first.pass(2900 * time.Millisecond)
		second.see(route.Up, "d") // before it learns of it
		meet(t, first, second)
		if a, b := first.Snapshot().Host("d").SlowStart, second.Snapshot().Host("d").SlowStart; a != b || a.Since.IsZero() {
			t.Fatalf("%+v and %+v", a, b)
		}
		for range 30 {
			if moves := first.places().to(second.places()); len(moves) > 0 {
				t.Fatalf("%v after the start, they differ: %v", time.Since(first.Snapshot().Host("d").SlowStart.Since), moves)
			}
			first.pass(time.Second)
		}
		first.wantTaken("d", 1, "all the time")
		second.wantTaken("d", 1, "all the time")
	})
}

// TestPeersAreToldOfASlowStartAtOnce: the next exchange of all registers may come
// long after its first steps.
func TestPeersAreToldOfASlowStartAtOnce(t *testing.T) {
	t.Parallel()
	key := secretFile(t, 5)
	once := fast // exchanges state when they join, and never again
	once.Rejoin, once.RejoinAlone, once.PushPull = time.Hour, time.Hour, 0
	start := func(name string, join ...string) *Pool {
		cfg := gossip.Config{Bind: "127.0.0.1:0", SecretFile: key, Join: join}
		p, err := newPool(slowly("a", "b", "c"), cfg, Options{Name: name, Hash: small, Logger: zerolog.Nop(), Sockets: Sockets{Peers: listen(t, cfg)}}, once)
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
		for name, v := range map[string]route.Verdict{"a": route.Up, "b": route.Up, "c": route.Down} {
			p.checked(name, v, "", time.Now())
		}
		<-p.Ready()
	}
	for _, p := range []*Pool{first, second} { // with the second one's vote the host is up
		p.checked("c", route.Up, "", time.Now())
	}
	for _, p := range []*Pool{first, second} {
		eventually(t, "it starts slowly", func() bool { return p.Snapshot().Host("c").SlowStart != (route.Progress{}) })
	}
	since := func(p *Pool) time.Time { return p.Snapshot().Host("c").SlowStart.Since }
	eventually(t, "it is the same slow start", func() bool { return since(second).Equal(since(first)) })
}

func TestABalancerTakesPartInASlowStartThatAPeerSawFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first := live(t, slowly("a", "b", "c"), quiet())
		second := live(t, slowly("a", "b", "c"), quiet())
		defer first.stop()
		defer second.stop()
		for _, l := range []*life{first, second} {
			l.see(route.Up, "a", "b", "c")
			l.see(route.Down, "c")
		}
		first.see(route.Up, "c")
		meet(t, first, second)
		first.pass(10 * time.Second)
		second.see(route.Up, "c")
		meet(t, first, second)
		if a, b := first.Snapshot().Host("c").SlowStart, second.Snapshot().Host("c").SlowStart; a != b || a.Taken < 0.2 {
			t.Errorf("%+v and %+v, want what the first has begun", a, b)
		}
	})
}

// TestNoKeyLeavesAHostBecauseOnePeerLostIt: only the peer can't reach the host.
func TestNoKeyLeavesAHostBecauseOnePeerLostIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		steady := live(t, slowly("a", "b", "c"), quiet())
		shaky := live(t, slowly("a", "b", "c"), quiet())
		defer steady.stop()
		defer shaky.stop()
		for _, l := range []*life{steady, shaky} {
			l.see(route.Up, "a", "b", "c")
		}
		home := steady.places()
		for range 3 {
			shaky.see(route.Down, "b")
			shaky.pass(10 * time.Second)
			shaky.see(route.Up, "b")
			shaky.wantTaken("b", 0, "before it learns of its error")
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

// TestASlowStartGoesOnAlthoughAPeerLosesTheHostAgain: the peer sees
// another return of the host, and for this balancer its slow start goes on.
func TestASlowStartGoesOnAlthoughAPeerLosesTheHostAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		steady := live(t, slowly("a", "b", "c"), quiet())
		shaky := live(t, slowly("a", "b", "c"), quiet())
		defer steady.stop()
		defer shaky.stop()
		for _, l := range []*life{steady, shaky} {
			l.see(route.Up, "a", "b", "c")
			l.see(route.Down, "b")
		}
		steady.pass(10 * time.Second)
		steady.see(route.Up, "b")
		shaky.see(route.Up, "b")
		meet(t, steady, shaky)
		began := steady.Snapshot().Host("b").SlowStart
		steady.pass(8 * time.Second)
		shaky.see(route.Down, "b")
		steady.pass(3 * time.Second)
		shaky.see(route.Up, "b")
		meet(t, steady, shaky)
		for _, l := range []*life{steady, shaky} {
			if got := l.Snapshot().Host("b").SlowStart; got.Until != began.Until || got.Taken < 0.2 {
				t.Errorf("got %+v, want the slow start that began as %+v", got, began)
			}
		}
	})
}

// TestABalancerToWhichAllAreNewTakesASlowStartFromItsPeers: it begins
// no slow start itself, and doesn't contradict its peers.
func TestABalancerToWhichAllAreNewTakesASlowStartFromItsPeers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		old := live(t, slowly("a", "b", "c", "d"), quiet())
		defer old.stop()
		old.see(route.Up, "a", "b", "c")
		old.see(route.Down, "d")
		old.pass(time.Hour)
		young := live(t, slowly("a", "b", "c", "d"), quiet())
		defer young.stop()
		young.see(route.Down, "a", "b", "c", "d") // its network comes up late
		young.pass(readyLimit)
		young.see(route.Up, "a", "b", "c")
		young.pass(5 * time.Second)
		young.see(route.Up, "d")
		young.wantTaken("d", 1, "all are new")
		old.see(route.Up, "d")
		meet(t, old, young)
		for _, l := range []*life{old, young} {
			l.wantTaken("d", 0, "they have met")
		}
		young.pass(time.Second)
		old.see(route.Down, "a")
		young.pass(observedWithin)
		old.see(route.Up, "a")
		meet(t, old, young)
		for _, l := range []*life{old, young} {
			l.wantTaken("a", 1, "only the one had lost it")
		}
	})
}

// TestASlowStartOfTheFutureBeginsNow: the clock of the balancer that saw the host come
// was two hours ahead.
func TestASlowStartOfTheFutureBeginsNow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wrong := peers.SlowStart{Host: "c", Number: 1, Since: time.Now().Add(2 * time.Hour), Lasts: halfMinute}
		remember := func(p *Pool) {
			r, err := wrong.Register()
			if err != nil {
				t.Fatal(err)
			}
			p.machine.registers.Merge(r, time.Now())
		}
		first := liveFrom(t, slowly("a", "b", "c"), quiet(), remember)
		second := liveFrom(t, slowly("a", "b", "c"), quiet(), remember)
		defer first.stop()
		defer second.stop()
		first.see(route.Up, "a", "b", "c")
		first.pass(time.Second)
		second.see(route.Up, "a", "b", "c")
		meet(t, first, second)
		for _, l := range []*life{first, second} {
			l.wantTaken("c", 0, "it begins")
		}
		first.pass(halfMinute / 2)
		if a, b := first.Snapshot().Host("c").SlowStart, second.Snapshot().Host("c").SlowStart; a != b || a.Taken < 0.4 {
			t.Errorf("%+v and %+v after half of the time", a, b)
		}
		second.gossips.Peers.Receive(message(t, nil, wrong)) // once more, by a peer that knows no better
		first.pass(halfMinute / 2)
		for _, l := range []*life{first, second} {
			l.wantTaken("c", 1, "all the time")
		}
	})
}

func TestABalancerThatStartsLearnsOfASlowStartFromItsPeers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first := live(t, slowly("a", "b", "c"), quiet())
		defer first.stop()
		first.see(route.Up, "a", "b")
		first.pass(time.Minute)
		first.see(route.Up, "c")
		first.pass(halfMinute / 2)

		second := live(t, slowly("a", "b", "c"), quiet())
		defer second.stop()
		second.see(route.Up, "a", "b", "c") // before the peer has answered
		meet(t, first, second)
		first.wantTaken("c", 0.45, "where it began")
		if moves := first.places().to(second.places()); len(moves) > 0 {
			t.Errorf("they differ: %v", moves)
		}
	})
}
