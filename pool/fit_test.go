package pool

import (
	"cmp"
	"fmt"
	"maps"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"tokenring/balancer"
)

func TestWhoHasRoomInTheRing(t *testing.T) {
	room := balancer.Config{Consistent: balancer.ConsistentConfig{Partitions: 101, Replicas: 2}}
	haproxy := balancer.Config{Policy: balancer.PolicyHAProxy}
	host := func(name string, weight int) claimant {
		return claimant{host: balancer.Host{Name: name, ID: uint32(name[0]), Weight: weight}}
	}
	decided := func(c claimant, minute, weight int) claimant {
		c.word = Decision{Host: c.host.Name, Weight: &weight, At: t0.Add(time.Duration(minute) * time.Minute), Origin: "lb-1"}
		return c
	}
	static := func(c claimant) claimant { c.static = true; return c }
	id := func(c claimant, id uint32) claimant { c.host.ID = id; return c }
	for name, row := range map[string]struct {
		cfg    balancer.Config
		all    []claimant
		want   map[string]int // decided weights that count
		excess string
		out    string
	}{
		"nobody":                           {room, nil, nil, "", ""},
		"all fit":                          {room, []claimant{decided(host("a", 1), 1, 50), decided(host("b", 1), 2, 50), host("c", 1)}, map[string]int{"a": 50, "b": 50}, "", ""},
		"the heaviest is out":              {room, []claimant{host("a", 90), host("b", 50), host("c", 50)}, nil, "", "a"},
		"of equal ones the last by name":   {room, []claimant{host("a", 50), host("b", 50), host("c", 50)}, nil, "", "c"},
		"the config file's come first":     {room, []claimant{host("a", 10), static(host("b", 95))}, nil, "", "a"},
		"who was decided first counts":     {room, []claimant{decided(host("a", 1), 2, 60), decided(host("b", 1), 1, 60)}, map[string]int{"b": 60}, "a", ""},
		"so does a later one that fits":    {room, []claimant{decided(host("a", 1), 1, 60), decided(host("b", 1), 2, 60), decided(host("c", 1), 3, 30)}, map[string]int{"a": 60, "c": 30}, "b", ""},
		"less makes room":                  {room, []claimant{decided(host("a", 50), 3, 5), decided(host("b", 1), 1, 60), decided(host("c", 1), 2, 60)}, map[string]int{"a": 5, "b": 60}, "c", ""},
		"decisions before announcements":   {room, []claimant{host("a", 20), decided(host("b", 1), 1, 90)}, map[string]int{"b": 90}, "", "a"},
		"a decision brings a heavy one in": {room, []claimant{decided(host("a", 90), 1, 1), host("b", 50), host("c", 50)}, map[string]int{"a": 1}, "", ""},
		"weight 0 always fits":             {room, []claimant{decided(host("a", 1), 1, 0), host("b", 101)}, map[string]int{"a": 0}, "", ""},
		"without an id":                    {haproxy, []claimant{id(host("a", 1), 0), host("b", 1)}, nil, "", "a"},
		"two of one id":                    {haproxy, []claimant{id(host("a", 1), 7), id(host("b", 1), 7), host("c", 1)}, nil, "", "b"},
		"two of one id modulo 2^20":        {haproxy, []claimant{static(id(host("b", 1), 7+1<<20)), id(host("c", 1), 7)}, nil, "", "c"},
	} {
		got := share(row.all, row.cfg.Check)
		if excess, out := strings.Join(got.excess, " "), strings.Join(got.out, " "); !maps.Equal(got.weights, row.want) || excess != row.excess || out != row.out {
			t.Errorf("%s: %v count, %q don't, out %q; want %v, %q, %q", name, got.weights, excess, out, row.want, row.excess, row.out)
		}
	}
}

// TestBalancersAgreeOnWhoHasRoom: whomever each of them met first.
func TestBalancersAgreeOnWhoHasRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		room := balancer.Config{Policy: balancer.PolicyConsistent, Consistent: balancer.ConsistentConfig{Partitions: 301, Replicas: 10}}
		for _, order := range []string{"h1 h2 h3", "h3 h2 h1", "h2 h3 h1"} {
			l := live(t, Config{}, Options{Logger: zerolog.Nop(), Hash: room})
			for _, name := range strings.Fields(order) {
				l.gossips(hostOf(name, 7, 150), false)
				l.see(Up, name)
			}
			l.wantRing("h1 h2", order)
			s := l.Snapshot()
			if h := s.Host("h3"); h.InRing || h.WhyNot != WhyRoom || !strings.Contains(s.Alarm, "no room for h3,") {
				t.Errorf("%s: got %+v, alarm %q", order, h, s.Alarm)
			}
			l.gossips(hostOf("h1", 7, 200), false)
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

// TestWeightsDecidedTogetherLeaveARing: each fits beside what its balancer knew, and
// both together don't. All balancers heed the same one.
func TestWeightsDecidedTogetherLeaveARing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first, second := live(t, statics("a", "b", "c"), quiet()), live(t, statics("a", "b", "c"), quiet())
		defer first.stop()
		defer second.stop()
		for _, l := range []*life{first, second} {
			l.see(Up, "a", "b", "c")
		}
		first.must(first.weigh("a", 256))
		second.must(second.weigh("b", 256))
		meet(t, first, second)
		for _, l := range []*life{first, second} {
			s := l.Snapshot()
			if a, b := s.Host("a"), s.Host("b"); a.Weight != 256 || b.Weight != 1 || b.Weighed != (Word{}) {
				t.Errorf("got %+v and %+v, want that only what was decided first counts", a, b)
			}
			if s.Rebuilding || s.Table.Hosts()[0].Weight != 256 || !strings.Contains(s.Alarm, "decided for b, so") {
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

// TestWhoLeavesTakesNoRoom: another may have its id at once.
func TestWhoLeavesTakesNoRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := live(t, Config{}, Options{Logger: zerolog.Nop(), Hash: balancer.Config{Policy: balancer.PolicyHAProxy}})
		defer l.stop()
		l.gossips(hostOf("a", 7, 1), false)
		l.gossips(hostOf("b", 7, 1), false)
		l.see(Up, "a", "b")
		l.wantRing("a", "two have one id")
		leaving := hostOf("a", 7, 1)
		leaving.Leaving = true
		l.gossips(leaving, false)
		l.wantRing("b", "one of them leaves")
	})
}

func TestNobodyLosesItsPlaceInAFrozenRing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		room := balancer.Config{Policy: balancer.PolicyConsistent, Consistent: balancer.ConsistentConfig{Partitions: 301, Replicas: 10}}
		l := live(t, Config{}, Options{Logger: zerolog.Nop(), Hash: room})
		defer l.stop()
		for _, name := range []string{"a", "b", "c"} {
			l.gossips(hostOf(name, 7, 100), false)
		}
		l.see(Up, "a", "b", "c")
		l.see(Down, "a", "b", "c")
		l.wantFrozen(true, "all three are gone")
		l.gossips(hostOf("new", 7, 50), false)
		l.see(Up, "new")
		l.wantRing("a b c", "a lighter one has come to a frozen ring")
		l.see(Up, "a", "b")
		l.wantRing("a b new", "thawed")
	})
}

func BenchmarkShareWithoutRoom(b *testing.B) {
	cfg := balancer.Config{}.WithDefaults()
	var all []claimant
	for i := range maxHosts {
		all = append(all, claimant{host: balancer.Host{Name: fmt.Sprintf("h%04d", i), Weight: cmp.Or(i%20, 1)}})
	}
	for b.Loop() {
		share(all, cfg.Check)
	}
}

// TestHostOfWeightZeroGetsKeysWhenSomebodyGivesItSome has one of the config file and
// one with an agent.
func TestHostOfWeightZeroGetsKeysWhenSomebodyGivesItSome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := statics("a", "b")
		cfg.Hosts[1].Weight = new(0)
		l := live(t, cfg, quiet())
		defer l.stop()
		agents := hostMeta("c")
		agents.Weight = 0
		l.gossips(agents, false)
		l.see(Up, "a", "b", "c")
		l.wantRing("a", "b and c have no weight")
		for _, name := range []string{"b", "c"} {
			if h := l.Snapshot().Host(name); h.WhyNot != WhyWeight || h.Verdict != Up || h.Announced != 0 {
				t.Errorf("got %+v, want it up and out of the ring for its weight", h)
			}
			if err := l.weigh(name, 2); err != nil {
				t.Fatal(err)
			}
		}
		l.wantRing("a b c", "an operator has given b and c weights")
		if err := l.weigh("b", OwnWeight); err != nil {
			t.Fatal(err)
		}
		agents.Weight = 3
		l.gossips(agents, false)
		l.wantRing("a c", "b has its own weight again, and c announces one")
	})
}
