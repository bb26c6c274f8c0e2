package route

import (
	"math"
	"strings"
	"testing"
	"time"

	"tokenring/balancer"
)

// halfStarted returns a region in which a host has half of its keys, and the snapshot of
// that moment.
func halfStarted(t *testing.T, hosts int) (*sim, *Snapshot) {
	t.Helper()
	s := newSim(t, balancer.Config{Policy: balancer.PolicyRendezvous, Rendezvous: balancer.RendezvousConfig{Slots: 4096}}, hosts)
	s.comes("new")
	s.now = s.find("new").SlowStart.takesAt(7)
	return s, s.snapshot()
}

func TestExplanationSaysUntilWhenATokenWaits(t *testing.T) {
	s, snap := halfStarted(t, 4)
	waits := 0
	for _, key := range s.keys {
		compareWithChoose(t, snap, key, "in slow start")
		e := snap.Explain(snap.Key(key), Stay{}, Placement{}, s.now)
		if e.Rule != RuleSlowStart {
			continue
		}
		waits++
		text, _, _ := strings.Cut(e.Candidates[0].WhyNot, " UTC at the latest")
		clock, err := time.Parse("in slow start: takes this token by 15:04:05", text)
		if err != nil || e.Candidates[0].Name != "new" || !strings.Contains(e.Reason, "new is in slow start, and takes this token") ||
			!strings.Contains(e.Reason, "by "+clock.Format(time.TimeOnly)+" UTC at the latest") || !strings.Contains(e.Reason, "stays on "+e.Host.Name) {
			t.Fatalf("%v: %+v", err, e)
		}
		due := s.now.Truncate(24 * time.Hour).Add(time.Duration(clock.Hour())*time.Hour + time.Duration(clock.Minute())*time.Minute + time.Duration(clock.Second())*time.Second)
		before, after := *s, *s
		before.now, after.now = due.Add(-2*time.Second), due.Add(time.Second)
		if c, _ := before.snapshot().Choose(before.snapshot().Key(key), nil); before.now.After(s.now) && c.Host.Name == "new" {
			t.Errorf("%q: %s has it before %v", key, c.Host.Name, due)
		}
		if c, _ := after.snapshot().Choose(after.snapshot().Key(key), nil); c.Host.Name != "new" {
			t.Errorf("%q: %s has it after %v", key, c.Host.Name, due)
		}
	}
	if all := s.owners().count("new"); waits < all/4 || waits > 3*all/4 {
		t.Errorf("%d of %d keys wait", waits, all)
	}
}

func TestChooseDoesNotAllocateDuringSlowStarts(t *testing.T) {
	s, snap := halfStarted(t, 4)
	avoid := snap.Host("old-1")
	s.frozen = true
	frozen := s.snapshot()
	if n := testing.AllocsPerRun(20, func() {
		for _, key := range s.keys[:100] {
			snap.Choose(snap.Key(key), nil)
			snap.Choose(snap.Key(key), avoid)
			frozen.Choose(frozen.Key(key), nil)
		}
		snap.Choose(Key{}, nil)
	}); n != 0 {
		t.Errorf("Choose allocates %v times", n)
	}
}

func TestAFrozenRingRefusesTheKeysOfAVanishedHostInSlowStart(t *testing.T) {
	s, _ := halfStarted(t, 4)
	at := s.look()
	for _, name := range []string{"old-0", "old-1", "old-2"} {
		s.fails(name)
	}
	s.frozen = true
	snap := s.snapshot()
	for i, key := range s.keys {
		c, ok := snap.Choose(snap.Key(key), nil)
		gone := at[i] == "old-0" || at[i] == "old-1" || at[i] == "old-2"
		if ok == gone || c.Host.Name != at[i] || gone != (c.Rule == RuleFrozen) {
			t.Fatalf("key %d was on %s: got %s by %s, %t", i, at[i], c.Host.Name, c.Rule, ok)
		}
		if e := snap.Explain(snap.Key(key), Stay{}, Placement{}, s.now); gone && !strings.Contains(e.Reason, "and "+at[i]+", which ") {
			t.Fatalf("key %d was on %s: %q", i, at[i], e.Reason)
		}
	}
}

func TestIfNoOlderHostServesAHostInSlowStartHasItsKeys(t *testing.T) {
	s, _ := halfStarted(t, 2)
	s.fails("old-0")
	s.fails("old-1")
	for i, host := range s.look() {
		if host != "new" {
			t.Fatalf("key %d is on %q", i, host)
		}
	}
}

// TestASlowStartNeedsNoTableOfTheFormerRing uses the table in force without the host
// instead, which sends keys to the same hosts if only one host is new.
func TestASlowStartNeedsNoTableOfTheFormerRing(t *testing.T) {
	s, snap := halfStarted(t, 4)
	history := History([]Member{s.find("old-0").Member, s.find("new").Member}, s.now) // without a table
	waiting := NewSnapshot(snap.Table, snap.Hosts)
	waiting.SetHistory(history, func(host string) SlowStart { return s.find(host).SlowStart }, s.now)
	for _, key := range s.keys {
		want, _ := snap.Choose(snap.Key(key), nil)
		if got, _ := waiting.Choose(waiting.Key(key), nil); got != want {
			t.Fatalf("%q: got %+v, want %+v", key, got, want)
		}
	}
}

func TestRequestsWithoutKeySpareAHostInSlowStart(t *testing.T) {
	s, snap := halfStarted(t, 3)
	for _, row := range []struct{ taken, want float64 }{{0, 0}, {0.25, 0.25}, {7.0 / 15, 7.0 / 15}, {0.99, 0.99}} {
		host := snap.Host("new")
		host.SlowStart = Progress{Since: s.now, Until: s.now, Taken: row.taken}
		count := map[string]int{}
		for range 4000 {
			c, ok := snap.Choose(Key{}, nil)
			if !ok || c.Rule != balancer.RuleRoundRobin {
				t.Fatalf("got %+v %t", c, ok)
			}
			count[c.Host.Name]++
		}
		if got := float64(count["new"]) / 1000; math.Abs(got-row.want) > 0.02 {
			t.Errorf("with %.2f of its keys it got %.2f of its share of the requests: %v", row.taken, got, count)
		}
		if c, ok := snap.Choose(Key{}, snap.Host("old-1")); !ok || c.Host.Name == "old-1" {
			t.Errorf("avoiding old-1: %+v %t", c, ok)
		}
	}
	for _, name := range []string{"old-0", "old-1", "old-2"} {
		s.fails(name)
	}
	alone := s.snapshot()
	alone.Host("new").SlowStart = Progress{Since: s.now}
	if c, ok := alone.Choose(Key{}, nil); !ok || c.Host.Name != "new" {
		t.Errorf("no other host serves: %+v %t", c, ok)
	}
}

// TestAHostInSlowStartGetsNoOverflow: the host gets no key that it hasn't taken, though
// other hosts are full. The host doesn't lower the bounds of the others, either.
func TestAHostInSlowStartGetsNoOverflow(t *testing.T) {
	s, snap := halfStarted(t, 4)
	snap.BoundedLoad = 1.25
	placed := map[string]int{}
	rules := map[balancer.Rule]int{}
	for _, key := range s.keys {
		c, ok := snap.Place(snap.Key(key), Placement{}, nil, s.now)
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
	for _, h := range snap.hosts {
		h.Gauges.Sessions.Store(1000)
	}
	if c, ok := snap.Place(snap.Key(s.keys[0]), Placement{}, nil, s.now); !ok || c.Host == nil {
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
		c, ok := snap.Place(snap.Key(key), Placement{}, nil, s.now)
		if !ok || c.Host.Name != "new" {
			t.Fatalf("got %+v %t, want the only host that serves", c, ok)
		}
		c.Host.Gauges.Sessions.Add(1)
	}
	if load := snap.Loads(s.now)["new"]; load.Full() || load.Bound != 0 {
		t.Errorf("got %+v, want no bound", load)
	}
}

func BenchmarkChooseDuringASlowStart(b *testing.B) {
	s := newSim(b, balancer.Config{}, 10)
	s.comes("new")
	snap := s.snapshot()
	keys := s.keys
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		snap.Choose(snap.Key(keys[n%len(keys)]), nil)
	}
}

// TestASlowStartStandsStill: a host takes no more parts, and a host that comes later isn't
// concerned.
func TestASlowStartStandsStill(t *testing.T) {
	since := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	slow := NewSlowStart(since, 16*time.Second)
	still := slow.StandStill(since.Add(6 * time.Second))
	for _, row := range []struct{ after, want int }{{0, 0}, {5, 4}, {6, 5}, {7, 5}, {16, 5}, {1000, 5}} {
		at := since.Add(time.Duration(row.after) * time.Second)
		if got := still.Taken(at); got != row.want || still.Over(at) || !still.Next(at).IsZero() {
			t.Errorf("after %ds: %d parts, over %v, next %v; want %d", row.after, got, still.Over(at), still.Next(at), row.want)
		}
	}
	for _, at := range []time.Time{since, since.Add(-time.Second), since.Add(time.Minute)} {
		if slow.StandStill(at) != slow {
			t.Errorf("a slow start that hasn't begun or is over stands still at %v", at)
		}
	}
	s, _ := halfStarted(t, 4)
	s.find("new").SlowStart = s.find("new").SlowStart.StandStill(s.now)
	s.now = s.now.Add(time.Hour)
	snap := s.snapshot()
	waits := 0
	for _, key := range s.keys {
		compareWithChoose(t, snap, key, "standing still")
		const want = "takes this token when its slow start goes on, which stands still while a balancer is missing"
		e := snap.Explain(snap.Key(key), Stay{}, Placement{}, s.now)
		if e.Rule == RuleSlowStart {
			waits++
			if e.Candidates[0].WhyNot != "in slow start: "+want || !strings.Contains(e.Reason, "when its slow start goes on") {
				t.Fatalf("%+v", e)
			}
		}
	}
	if waits == 0 {
		t.Error("no key waits for the host that stands still")
	}
}

func TestAHostWhoseKeysWaitElsewhereSaysSo(t *testing.T) {
	s := testSnapshot(t, []string{"a", "b", "c"}, func(h map[string]*Host) { h["a"].Waits = true })
	e := s.Explain(s.Key(keyOf(t, s, "a")), Stay{}, Placement{}, time.Time{})
	if got, want := e.Candidates[0].WhyNot, "it passes its checks again, and waits for a missing balancer"; got != want || e.Host.Name == "a" {
		t.Errorf("got %q on %s, want %q", got, e.Host.Name, want)
	}
	if c, ok := s.Stay(s.Key([]byte("k")), Stay{Host: "a", Rule: RuleSession}, Placement{}, nil, time.Time{}); !ok || c.Host.Name != "a" {
		t.Errorf("a live session leaves it: %+v", c)
	}
}
