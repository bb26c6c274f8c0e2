package pool

import (
	"strings"
	"testing"
	"testing/synctest"

	"github.com/rs/zerolog"

	"tokenring/balancer"
	"tokenring/route"
)

// TestBalancersAgreeWhichHostsHaveRoom, though hosts come in another order.
func TestBalancersAgreeWhichHostsHaveRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fewSlots := balancer.Config{Policy: balancer.PolicyConsistent, Consistent: balancer.ConsistentConfig{Partitions: 301, Replicas: 10}}
		for _, order := range []string{"h1 h2 h3", "h3 h2 h1", "h2 h3 h1"} {
			l := live(t, Config{}, Options{Logger: zerolog.Nop(), Hash: fewSlots})
			for _, name := range strings.Fields(order) {
				l.announces(hostOf(name, 7, 150), false)
				l.see(route.Up, name)
			}
			l.wantRing("h1 h2", order)
			s := l.Snapshot()
			if h := s.Host("h3"); h.InRing || h.WhyNot != route.WhyNoRoom || !strings.Contains(s.Alarm, "no room for h3,") {
				t.Errorf("%s: got %+v, alarm %q", order, h, s.Alarm)
			}
			l.announces(hostOf("h1", 7, 200), false)
			l.wantRing("h2 h3", order+", then h1 announces too much")
			l.must(l.weigh("h1", 1))
			l.wantRing("h1 h2 h3", order+", then an operator makes room")
			if got := l.Snapshot().Alarm; got != "" {
				t.Errorf("%s: alarm %q", order, got)
			}
			l.stop()
		}
	})
}

// TestWeightsSetAtOnceOnTwoBalancersLeaveARing: each weight fits beside the
// hosts that its balancer knew, and both together don't. All balancers use the same one.
func TestWeightsSetAtOnceOnTwoBalancersLeaveARing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first, second := live(t, statics("a", "b", "c"), quiet()), live(t, statics("a", "b", "c"), quiet())
		defer first.stop()
		defer second.stop()
		for _, l := range []*life{first, second} {
			l.see(route.Up, "a", "b", "c")
		}
		first.must(first.weigh("a", 256))
		second.must(second.weigh("b", 256))
		meet(t, first, second)
		for _, l := range []*life{first, second} {
			s := l.Snapshot()
			if a, b := s.Host("a"), s.Host("b"); a.Weight != 256 || b.Weight != 1 || b.WeightOverride != (route.Attribution{}) {
				t.Errorf("got %+v and %+v, want that only the older override counts", a, b)
			}
			if s.Rebuilding || s.Table.Hosts()[0].Weight != 256 || !strings.Contains(s.Alarm, "set for b, so") {
				t.Errorf("rebuilding %t, ring of %v, alarm %q", s.Rebuilding, s.Table.Hosts(), s.Alarm)
			}
		}
		second.must(second.weigh("b", 100))
		meet(t, first, second)
		for _, l := range []*life{first, second} {
			if s := l.Snapshot(); s.Alarm != "" || s.Table.Hosts()[1].Weight != 100 {
				t.Errorf("ring of %v, alarm %q", s.Table.Hosts(), s.Alarm)
			}
		}
	})
}

// TestAHostThatLeavesTakesNoRoom: another host may have its id at once.
func TestAHostThatLeavesTakesNoRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := live(t, Config{}, Options{Logger: zerolog.Nop(), Hash: balancer.Config{Policy: balancer.PolicyHAProxy}})
		defer l.stop()
		l.announces(hostOf("a", 7, 1), false)
		l.announces(hostOf("b", 7, 1), false)
		l.see(route.Up, "a", "b")
		l.wantRing("a", "two have one id")
		leaving := hostOf("a", 7, 1)
		leaving.Leaving = true
		l.announces(leaving, false)
		l.wantRing("b", "one of them leaves")
	})
}

func TestNoHostLosesItsPlaceInAFrozenRing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fewSlots := balancer.Config{Policy: balancer.PolicyConsistent, Consistent: balancer.ConsistentConfig{Partitions: 301, Replicas: 10}}
		l := live(t, Config{}, Options{Logger: zerolog.Nop(), Hash: fewSlots})
		defer l.stop()
		for _, name := range []string{"a", "b", "c"} {
			l.announces(hostOf(name, 7, 100), false)
		}
		l.see(route.Up, "a", "b", "c")
		l.see(route.Down, "a", "b", "c")
		l.wantFrozen(true, "all three are gone")
		l.announces(hostOf("new", 7, 50), false)
		l.see(route.Up, "new")
		l.wantRing("a b c", "a lighter one has come to a frozen ring")
		l.see(route.Up, "a", "b")
		l.wantRing("a b new", "thawed")
	})
}

// TestAHostOfWeightZeroGetsKeysWhenAnOperatorGivesItWeight has a host of the
// config file and a host with an agent.
func TestAHostOfWeightZeroGetsKeysWhenAnOperatorGivesItWeight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := statics("a", "b")
		cfg.Hosts[1].ConfiguredWeight = new(0)
		l := live(t, cfg, quiet())
		defer l.stop()
		agents := hostMeta("c")
		agents.Weight = 0
		l.announces(agents, false)
		l.see(route.Up, "a", "b", "c")
		l.wantRing("a", "b and c have no weight")
		for _, name := range []string{"b", "c"} {
			if h := l.Snapshot().Host(name); h.WhyNot != route.WhyWeight || h.Verdict != route.Up || h.Announced != 0 {
				t.Errorf("got %+v, want it up and out of the ring for its weight", h)
			}
			if err := l.weigh(name, 2); err != nil {
				t.Fatal(err)
			}
		}
		l.wantRing("a b c", "an operator has given b and c weights")
		if err := l.weigh("b", route.OwnWeight); err != nil {
			t.Fatal(err)
		}
		agents.Weight = 3
		l.announces(agents, false)
		l.wantRing("a c", "b has its own weight again, and c announces one")
	})
}
