package peers

import (
	"testing"
	"time"

	"tokenring/route"
)

// A side is one balancer in a test of conflicts: what it knows, and how far its clock is
// ahead.
type side struct {
	*Set
	name  string
	ahead time.Duration
}

// set has an operator of the side set a state, and returns the register.
func (s *side) set(t *testing.T, state route.State, now time.Time) Register {
	t.Helper()
	all, err := s.Date(route.Override{Host: "a", State: state}, s.name, now.Add(s.ahead)).Registers()
	if err != nil || len(all) != 1 {
		t.Fatal(all, err)
	}
	s.Merge(all[0], now.Add(s.ahead))
	return all[0]
}

// exchange has the sides tell each other all they know, until nobody learns anything more.
func exchange(now time.Time, sides ...*side) {
	for news := true; news; {
		news = false
		for _, from := range sides {
			for _, to := range sides {
				for _, r := range from.All() {
					for _, taken := range to.Take(r, now.Add(to.ahead)) {
						news = news || taken.Topic == r.Topic
					}
				}
			}
		}
	}
}

// TestAClockThatIsAheadWinsNoConflict has operators of two sides of a partition set the state
// of one host. The clock of lb-2 is an hour ahead.
func TestAClockThatIsAheadWinsNoConflict(t *testing.T) {
	now := time.Unix(1.7e9, 0).UTC()
	for what, row := range map[string]struct {
		known  func(right, ahead *side) // before the partition
		first  func(right, ahead *side)
		second func(right, ahead *side)
		want   route.State
	}{
		"the right clock sets it last": {
			first:  func(_, ahead *side) { ahead.set(t, route.Maint, now) },
			second: func(right, _ *side) { right.set(t, route.Drain, now.Add(time.Minute)) },
			want:   route.Drain,
		},
		"the wrong clock sets it last": { // nobody can tell when that was
			first:  func(right, _ *side) { right.set(t, route.Drain, now) },
			second: func(_, ahead *side) { ahead.set(t, route.Maint, now.Add(time.Minute)) },
			want:   route.Drain,
		},
		"the wrong clock sets it twice": {
			first: func(_, ahead *side) { ahead.set(t, route.Maint, now) },
			second: func(right, ahead *side) {
				right.set(t, route.Drain, now)
				ahead.set(t, route.Ready, now.Add(time.Minute))
			},
			want: route.Drain,
		},
		"both knew the same before": {
			known:  func(right, _ *side) { right.set(t, route.Maint, now.Add(-time.Hour)) },
			first:  func(_, ahead *side) { ahead.set(t, route.Ready, now) },
			second: func(right, _ *side) { right.set(t, route.Drain, now) },
			want:   route.Drain,
		},
		"the right clock sets nothing": {
			first:  func(_, ahead *side) { ahead.set(t, route.Maint, now) },
			second: func(_, _ *side) {},
			want:   route.Maint,
		},
	} {
		right, other, ahead := &side{NewSet(nil), "lb-1", 0}, &side{NewSet(nil), "lb-3", 2 * time.Second}, &side{NewSet(nil), "lb-2", time.Hour}
		if row.known != nil {
			row.known(right, ahead)
			exchange(now, right, other, ahead)
		}
		row.first(right, ahead)
		row.second(right, ahead)
		later := now.Add(5 * time.Minute)
		exchange(later, ahead, other) // lb-3 hears the wrong one first
		exchange(later, right, other, ahead)
		for _, s := range []*side{right, other, ahead} {
			if got := s.State("a").State; got != row.want {
				t.Errorf("%s: at %s, a is in %s, want %s", what, s.name, got, row.want)
			}
			if text(s.Set) != text(right.Set) {
				t.Errorf("%s: %s and %s know different things:\n%s\n%s", what, right.name, s.name, text(right.Set), text(s.Set))
			}
		}
	}
}

// TestAnOperatorWhoKnowsWhatIsReplacedHasHisWayThoughTheClockIsAhead: balancers that hear each
// other have no conflict.
func TestAnOperatorWhoKnowsWhatIsReplacedHasHisWayThoughTheClockIsAhead(t *testing.T) {
	now := time.Unix(1.7e9, 0).UTC()
	right, ahead := &side{NewSet(nil), "lb-1", 0}, &side{NewSet(nil), "lb-2", time.Hour}
	for i, step := range []struct {
		by    *side
		state route.State
	}{{right, route.Drain}, {ahead, route.Maint}, {ahead, route.Ready}, {right, route.Maint}, {ahead, route.Drain}} {
		now = now.Add(time.Minute)
		step.by.set(t, step.state, now)
		exchange(now, right, ahead)
		for _, s := range []*side{right, ahead} {
			if got := s.State("a").State; got != step.state {
				t.Errorf("step %d: at %s, a is in %s, want %s", i, s.name, got, step.state)
			}
		}
	}
}

// TestStateAndWeightAreInConflictApart: what is known of one of them says nothing of the other.
func TestStateAndWeightAreInConflictApart(t *testing.T) {
	now := time.Unix(1.7e9, 0).UTC()
	right, ahead := &side{NewSet(nil), "lb-1", 0}, &side{NewSet(nil), "lb-2", time.Hour}
	right.set(t, route.Drain, now)
	exchange(now, right, ahead)
	weight := must(t, right.Date(route.Override{Host: "a", Weight: new(5)}, right.name, now)) // lb-2 doesn't hear of it
	mergeAt(right.Set, now, weight...)
	both := must(t, ahead.Date(route.Override{Host: "a", State: route.Maint, Weight: new(7)}, ahead.name, now.Add(ahead.ahead)))
	mergeAt(ahead.Set, now, both...)
	exchange(now, right, ahead)
	for _, s := range []*side{right, ahead} {
		if w, _ := s.Weight("a"); s.State("a").State != route.Maint || *w.Weight != 5 {
			t.Errorf("at %s: state %s, weight %d; want maint and 5", s.name, s.State("a").State, *w.Weight)
		}
	}
}

// TestTheLaterOperatorWinsThoughClocksAreWrong: balancers that have met date by their common time,
// also those that are cut off from each other for longer than a clock is wrong.
func TestTheLaterOperatorWinsThoughClocksAreWrong(t *testing.T) {
	for what, row := range map[string]struct {
		ahead          time.Duration // the clock of lb-2
		between, until time.Duration // from the one order to the other, and to when they hear of each other
	}{
		"ahead, a short partition": {time.Hour, time.Minute, 2 * time.Minute},
		"ahead, a long partition":  {time.Hour, time.Minute, 3 * time.Hour},
		"behind":                   {-time.Hour, time.Minute, 3 * time.Hour},
		"a little ahead":           {30 * time.Second, 100 * time.Millisecond, 200 * time.Millisecond}, // gossip hasn't brought it yet
		"a little behind":          {-30 * time.Second, 100 * time.Millisecond, 200 * time.Millisecond},
	} {
		for _, last := range []string{"lb-1", "lb-2"} {
			now := time.Unix(1.7e9, 0).UTC()
			right, other, wrong := &side{NewSet(nil), "lb-1", 0}, &side{NewSet(nil), "lb-3", 0}, &side{NewSet(nil), "lb-2", row.ahead}
			wrong.SetClock(Clock{Behind: -row.ahead})
			first, second := wrong, right
			if last == wrong.name {
				first, second = right, wrong
			}
			first.set(t, route.Maint, now)
			second.set(t, route.Ready, now.Add(row.between))
			exchange(now.Add(row.until), wrong, other)
			exchange(now.Add(row.until), right, other, wrong)
			for _, s := range []*side{right, other, wrong} {
				if got := s.State("a").State; got != route.Ready {
					t.Errorf("%s, %s has the last word: at %s, a is in %s, want ready", what, last, s.name, got)
				}
				if text(s.Set) != text(right.Set) {
					t.Errorf("%s: %s and %s know different things", what, right.name, s.name)
				}
			}
		}
	}
}

// TestABalancerThatHasMetNobodyWinsNoConflict: it has started in a partition. Its clock is wrong,
// and nobody can tell that any more when the partition ends, since its dates are of the past then.
func TestABalancerThatHasMetNobodyWinsNoConflict(t *testing.T) {
	for what, row := range map[string]struct {
		conflict bool
		want     route.State
	}{
		"an order at both sides": {true, route.Ready},
		"one order":              {false, route.Maint},
	} {
		now := time.Unix(1.7e9, 0).UTC()
		right, other, alone := &side{NewSet(nil), "lb-1", 0}, &side{NewSet(nil), "lb-3", 0}, &side{NewSet(nil), "lb-2", time.Hour}
		alone.SetClock(Clock{Alone: true})
		alone.set(t, route.Maint, now)
		if row.conflict {
			right.set(t, route.Ready, now.Add(time.Minute))
		}
		later := now.Add(3 * time.Hour)
		exchange(later, alone, other)
		exchange(later, right, other, alone)
		alone.SetClock(Clock{Behind: -time.Hour})
		for _, s := range []*side{right, other, alone} {
			if got := s.State("a").State; got != row.want {
				t.Errorf("%s: at %s, a is in %s, want %s", what, s.name, got, row.want)
			}
			if text(s.Set) != text(right.Set) {
				t.Errorf("%s: %s and %s know different things", what, right.name, s.name)
			}
		}
		alone.set(t, route.Drain, later)
		exchange(later, right, other, alone)
		for _, s := range []*side{right, other, alone} {
			if got := s.State("a").State; got != route.Drain {
				t.Errorf("%s: later an operator of %s drains a, and at %s it is in %s", what, alone.name, s.name, got)
			}
		}
	}
}

// TestAnOverrideSaysWhetherItsClockWasCompared, to peers and on disk.
func TestAnOverrideSaysWhetherItsClockWasCompared(t *testing.T) {
	now := time.Unix(1.7e9, 0).UTC()
	for _, alone := range []bool{true, false} {
		s := NewSet(nil)
		s.SetClock(Clock{Alone: alone})
		m, err := DecodeMessage(EncodeMessage(must(t, s.Date(route.Override{Host: "a", State: route.Maint}, "lb-1", now))...), nil)
		if err != nil || len(m.Registers) != 1 {
			t.Fatal(m, err)
		}
		if o, _ := m.Registers[0].Override(); o.Alone != alone || m.Registers[0].isPartial() {
			t.Errorf("alone=%v: got %+v", alone, o)
		}
	}
}
