package pool

import (
	"math"
	"strings"
	"testing"
	"time"

	"tokenring/balancer"
)

// halfWarm returns a region in which a host has half of its keys, and what is
// published then.
func halfWarm(t *testing.T, hosts int) (*sim, *Snapshot) {
	t.Helper()
	s := newSim(t, balancer.Config{Policy: balancer.PolicyRendezvous, Rendezvous: balancer.RendezvousConfig{Slots: 4096}}, hosts)
	s.comes("new")
	s.now = s.find("new").ramp.when(7)
	return s, s.snapshot()
}

func TestExplanationSaysUntilWhenATokenWaits(t *testing.T) {
	s, snap := halfWarm(t, 4)
	waits := 0
	for _, key := range s.keys {
		compareWithChoose(t, snap, key, "warming up")
		e := snap.Explain(key, "", Placement{}, s.now)
		if e.Rule != RuleWarming {
			continue
		}
		waits++
		text, _, _ := strings.Cut(e.Candidates[0].WhyNot, " UTC at the latest")
		clock, err := time.Parse("warming up: takes this token by 15:04:05", text)
		if err != nil || e.Candidates[0].Name != "new" || !strings.Contains(e.Reason, text) || !strings.Contains(e.Reason, "stays on "+e.Host.Name) {
			t.Fatalf("%v: %+v", err, e)
		}
		due := s.now.Truncate(24 * time.Hour).Add(time.Duration(clock.Hour())*time.Hour + time.Duration(clock.Minute())*time.Minute + time.Duration(clock.Second())*time.Second)
		before, after := *s, *s
		before.now, after.now = due.Add(-2*time.Second), due.Add(time.Second)
		if c, _ := before.snapshot().Choose(key, nil); before.now.After(s.now) && c.Host.Name == "new" {
			t.Errorf("%q: %s has it before %v", key, c.Host.Name, due)
		}
		if c, _ := after.snapshot().Choose(key, nil); c.Host.Name != "new" {
			t.Errorf("%q: %s has it after %v", key, c.Host.Name, due)
		}
	}
	if all := s.owners().count("new"); waits < all/4 || waits > 3*all/4 {
		t.Errorf("%d of %d keys wait", waits, all)
	}
}

func TestChooseDoesNotAllocateWhileHostsWarmUp(t *testing.T) {
	s, snap := halfWarm(t, 4)
	avoid := snap.Host("old-1")
	s.frozen = true
	frozen := s.snapshot()
	if n := testing.AllocsPerRun(20, func() {
		for _, key := range s.keys[:100] {
			snap.Choose(key, nil)
			snap.Choose(key, avoid)
			frozen.Choose(key, nil)
		}
		snap.Choose(nil, nil)
	}); n != 0 {
		t.Errorf("Choose allocates %v times", n)
	}
}

func TestAFrozenRingRefusesTheKeysOfWhoHasThem(t *testing.T) {
	s, _ := halfWarm(t, 4)
	at := s.look()
	for _, name := range []string{"old-0", "old-1", "old-2"} {
		s.fails(name)
	}
	s.frozen = true
	snap := s.snapshot()
	for i, key := range s.keys {
		c, ok := snap.Choose(key, nil)
		gone := at[i] == "old-0" || at[i] == "old-1" || at[i] == "old-2"
		if ok == gone || c.Host.Name != at[i] || gone != (c.Rule == RuleFrozen) {
			t.Fatalf("key %d was on %s: got %s by %s, %t", i, at[i], c.Host.Name, c.Rule, ok)
		}
		if e := snap.Explain(key, "", Placement{}, s.now); gone && !strings.Contains(e.Reason, "and "+at[i]+", which ") {
			t.Fatalf("key %d was on %s: %q", i, at[i], e.Reason)
		}
	}
}

func TestIfNobodyOlderServesAWarmingHostHasItsKeys(t *testing.T) {
	s, _ := halfWarm(t, 2)
	s.fails("old-0")
	s.fails("old-1")
	for i, host := range s.look() {
		if host != "new" {
			t.Fatalf("key %d is on %q", i, host)
		}
	}
}

// TestAHostIsHeldBackBeforeTheRingOfThePastIsBuilt: by the table in force without
// it, which for one host says the same.
func TestAHostIsHeldBackBeforeTheRingOfThePastIsBuilt(t *testing.T) {
	s, snap := halfWarm(t, 4)
	pasts := pastsOf([]tenure{s.find("old-0").tenure, s.find("new").tenure}, s.now) // without a table
	waiting := NewSnapshot(snap.Table, snap.Hosts)
	waiting.remember(pasts, func(host string) ramp { return s.find(host).ramp }, s.now)
	for _, key := range s.keys {
		want, _ := snap.Choose(key, nil)
		if got, _ := waiting.Choose(key, nil); got != want {
			t.Fatalf("%q: got %+v, want %+v", key, got, want)
		}
	}
}

func TestRequestsWithoutKeySpareAWarmingHost(t *testing.T) {
	s, snap := halfWarm(t, 3)
	for _, row := range []struct{ taken, want float64 }{{0, 0}, {0.25, 0.25}, {7.0 / 15, 7.0 / 15}, {0.99, 0.99}} {
		host := snap.Host("new")
		host.Warming = Warming{Since: s.now, Until: s.now, Taken: row.taken}
		count := map[string]int{}
		for range 4000 {
			c, ok := snap.Choose(nil, nil)
			if !ok || c.Rule != balancer.RuleRoundRobin {
				t.Fatalf("got %+v %t", c, ok)
			}
			count[c.Host.Name]++
		}
		if got := float64(count["new"]) / 1000; math.Abs(got-row.want) > 0.02 {
			t.Errorf("with %.2f of its keys it got %.2f of its share of the requests: %v", row.taken, got, count)
		}
		if c, ok := snap.Choose(nil, snap.Host("old-1")); !ok || c.Host.Name == "old-1" {
			t.Errorf("avoiding old-1: %+v %t", c, ok)
		}
	}
	for _, name := range []string{"old-0", "old-1", "old-2"} {
		s.fails(name)
	}
	alone := s.snapshot()
	alone.Host("new").Warming = Warming{Since: s.now}
	if c, ok := alone.Choose(nil, nil); !ok || c.Host.Name != "new" {
		t.Errorf("nobody else serves: %+v %t", c, ok)
	}
}

// TestAWarmingHostTakesNoOverflow: what it hasn't taken doesn't come to it because
// others are full, and they aren't full sooner because it counts as one of them.
func TestAWarmingHostTakesNoOverflow(t *testing.T) {
	s, snap := halfWarm(t, 4)
	snap.BoundedLoad = 1.25
	placed := map[string]int{}
	rules := map[balancer.Rule]int{}
	for _, key := range s.keys {
		c, ok := snap.Place(key, Placement{}, nil, s.now)
		if !ok {
			t.Fatalf("%q has no host", key)
		}
		i := snap.find(c.Host)
		if snap.waits(i, snap.Table.Hash(key)) {
			t.Fatalf("%q is on %s, which hasn't taken it", key, c.Host.Name)
		}
		rules[c.Rule]++
		placed[c.Host.Name]++
		c.Host.Gauges.Sessions.Add(1)
	}
	for name, load := range snap.Loads(s.now) {
		if load.Sessions > load.Bound {
			t.Errorf("%s has %d, the bound is %d", name, load.Sessions, load.Bound)
		}
	}
	fair := float64(len(s.keys)) / (4 + 7.0/15)
	if got := float64(placed["new"]); got < 0.8*fair*7/15 || got > 1.25*fair*7/15 {
		t.Errorf("it has %.0f keys, its fair share is %.0f: %v, %v", got, fair*7/15, placed, rules)
	}
	if rules[RuleOverflow] > len(s.keys)/20 {
		t.Errorf("%d of %d keys overflowed", rules[RuleOverflow], len(s.keys))
	}
	for _, h := range snap.ring {
		h.Gauges.Sessions.Store(1000)
	}
	if c, ok := snap.Place(s.keys[0], Placement{}, nil, s.now); !ok || c.Host == nil {
		t.Errorf("all are full: %+v %t", c, ok)
	}
}

func TestAHostThatHasTakenNothingIsNotBoundedAlone(t *testing.T) {
	s := newSim(t, balancer.Config{}, 2)
	s.comes("new")
	s.fails("old-0")
	s.fails("old-1")
	snap := s.snapshot()
	snap.BoundedLoad = 1.25
	for _, key := range s.keys[:10] {
		c, ok := snap.Place(key, Placement{}, nil, s.now)
		if !ok || c.Host.Name != "new" {
			t.Fatalf("got %+v %t, want the only host that serves", c, ok)
		}
		c.Host.Gauges.Sessions.Add(1)
	}
	if load := snap.Loads(s.now)["new"]; load.Full() || load.Bound != 0 {
		t.Errorf("got %+v, want no bound", load)
	}
}

func BenchmarkChooseWhileAHostWarmsUp(b *testing.B) {
	s := newSim(b, balancer.Config{}, 10)
	s.comes("new")
	snap := s.snapshot()
	keys := s.keys
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		snap.Choose(keys[n%len(keys)], nil)
	}
}
