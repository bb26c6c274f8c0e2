package pool

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"tokenring/balancer"
	"tokenring/gossip"
	"tokenring/route"
)

// TestAHostThatVanishedWithOthersHasItsKeysAtOnceWhenItReturns: the first
// of them that returns thaws the ring, and the others still have their sessions, too.
func TestAHostThatVanishedWithOthersHasItsKeysAtOnceWhenItReturns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := live(t, slowly("a", "b", "c", "d", "e"), quiet())
		defer l.stop()
		l.see(route.Up, "a", "b", "c", "d", "e")
		home := l.places()
		l.see(route.Down, "a", "b", "c")
		l.wantFrozen(true, "three of five are gone")
		l.pass(time.Minute)
		for _, name := range []string{"a", "b"} {
			l.see(route.Up, name)
			l.wantFrozen(false, name+" has returned")
			l.wantTaken(name, 1, "it has just returned")
			if got, want := l.places().count(name), home.count(name); got < want {
				t.Errorf("%d of the %d keys of %s are refused or elsewhere", want-got, want, name)
			}
			l.pass(time.Second)
		}
		l.pass(returnWindow)
		l.see(route.Up, "c")
		l.wantTaken("c", 0, "it returns long after the thaw, and its keys have gone elsewhere")
		l.pass(halfMinute)
		l.see(route.Down, "b")
		l.pass(time.Second)
		l.see(route.Up, "b")
		l.wantTaken("b", 0, "it returns to a ring that wasn't frozen when it went")
	})
}

func TestMissingHostsThatComeAfterTheThawHaveTheirKeysAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := liveFrom(t, Config{SlowStart: halfMinute}, quiet(), func(p *Pool) {
			p.machine.expect(p.gossips.Members.AddCached([]gossip.CachedMember{in("a", 0), in("b", 0), in("c", 0), in("d", 0), in("e", 0)}))
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

func TestANewHostThatWaitedForTheThawBeginsASlowStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := live(t, slowly("a", "b", "c"), quiet())
		defer l.stop()
		l.see(route.Up, "a", "b", "c")
		l.pass(time.Minute)
		l.see(route.Down, "a", "b")
		l.announces(hostMeta("new"), false)
		l.see(route.Up, "new")
		l.see(route.Up, "a")
		l.wantRing("a b c new", "thawed")
		l.wantTaken("new", 0, "no keys were kept for it")
	})
}

// TestNewHostsThatVanishTakeNoKeysWithThemThatTheyHadNotTaken: the ring
// freezes, because they are most of it. Keys that they would have taken by then are
// refused, and no other key.
func TestNewHostsThatVanishTakeNoKeysWithThemThatTheyHadNotTaken(t *testing.T) {
	for _, policy := range []string{balancer.PolicyConsistent, balancer.PolicyRendezvous, balancer.PolicyMaglev} {
		synctest.Test(t, func(t *testing.T) {
			o := quiet()
			if o.Hash.Policy = policy; policy == balancer.PolicyConsistent {
				o.Hash = balancer.Config{Policy: policy, Consistent: small.Consistent}
			}
			l := live(t, slowly("a", "b", "c", "d"), o)
			defer l.stop()
			l.see(route.Up, "a", "b", "c", "d")
			l.pass(time.Minute)
			newcomers := []string{"n0", "n1", "n2", "n3", "n4"}
			for _, name := range newcomers {
				l.announces(hostMeta(name), false)
			}
			l.see(route.Up, newcomers...)
			home := l.places()
			l.see(route.Down, newcomers...)
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
			l.see(route.Up, "n0")
			l.wantFrozen(false, "one has returned")
			l.wantTaken("n0", 0.45, "its slow start goes on")
		})
	}
}

// wantFrozen fails the test unless the ring is frozen, or isn't.
func (l *life) wantFrozen(want bool, why string) {
	l.t.Helper()
	if got := l.Snapshot().Frozen; got != want {
		l.t.Errorf("%s: frozen %t, want %t", why, got, want)
	}
}

// TestAHostThatReturnedToAFrozenRingKeepsItsKeysWhateverPeersSaw: the ring of
// one peer wasn't frozen.
func TestAHostThatReturnedToAFrozenRingKeepsItsKeysWhateverPeersSaw(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cut := live(t, slowly("a", "b", "c"), quiet())
		near := live(t, slowly("a", "b", "c"), quiet())
		defer cut.stop()
		defer near.stop()
		for _, l := range []*life{cut, near} {
			l.see(route.Up, "a", "b", "c")
		}
		cut.pass(time.Minute)
		for _, l := range []*life{cut, near} {
			l.see(route.Down, "a")
		}
		cut.see(route.Down, "b")
		cut.pass(time.Minute)
		cut.see(route.Up, "a")
		near.see(route.Up, "a")
		near.wantTaken("a", 0, "before it learns of the freeze")
		meet(t, cut, near)
		for _, l := range []*life{cut, near} {
			l.wantTaken("a", 1, "they have met")
		}
	})
}
