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
