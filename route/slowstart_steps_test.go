package route

import (
	"testing"
	"time"
)

var t0 = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// at returns the moment so many milliseconds after t0.
func at(ms int) time.Time { return t0.Add(time.Duration(ms) * time.Millisecond) }

func TestSlowStartTakesNothingForTwoStepsAndAllInTime(t *testing.T) {
	for _, row := range []struct {
		lasts time.Duration
		parts int
		step  time.Duration
	}{
		{2 * time.Second, 1, time.Second},
		{2500 * time.Millisecond, 1, 1250 * time.Millisecond},
		{5 * time.Second, 4, time.Second},
		{15 * time.Second, 14, time.Second},
		{16 * time.Second, 15, time.Second},
		{30 * time.Second, 15, 1875 * time.Millisecond},
		{time.Hour, 15, 225 * time.Second},
	} {
		for _, since := range []time.Time{t0, at(1), at(999), at(123_456_789), time.Unix(0, 1)} {
			r := NewSlowStart(since, row.lasts)
			if r.parts != row.parts || r.step != row.step {
				t.Fatalf("%v: %d parts of %v, want %d of %v", row.lasts, r.parts, r.step, row.parts, row.step)
			}
			if r.start.After(since) || since.Sub(r.start) >= r.step {
				t.Errorf("%v since %v: begins at %v, want the step of since", row.lasts, since, r.start)
			}
			if taken := r.Taken(since.Add(r.step)); taken != 0 {
				t.Errorf("%v since %v: %d parts after a step", row.lasts, since, taken)
			}
			if end := since.Add(row.lasts); !r.Over(end) || r.End().After(end) {
				t.Errorf("%v since %v: ends at %v", row.lasts, since, r.End())
			}
		}
	}
	if r := NewSlowStart(time.Time{}, 0); r != (SlowStart{}) || !r.Over(time.Time{}) || !r.Over(t0) || !r.Next(t0).IsZero() {
		t.Errorf("a host that has long been there: %+v", r)
	}
}

func TestSlowStartTakesOnePartAfterTheOther(t *testing.T) {
	r := NewSlowStart(at(700), 6*time.Second)
	taken, at := 0, r.start.Add(-time.Hour)
	for next := r.Next(at); !next.IsZero(); next = r.Next(at) {
		if got := r.Taken(next.Add(-1)); got != taken {
			t.Errorf("just before %v: %d parts, want %d", next, got, taken)
		}
		taken++
		if got := r.Taken(next); got != taken || !next.Equal(r.takesAt(taken)) {
			t.Errorf("at %v: %d parts, want %d at %v", next, got, taken, r.takesAt(taken))
		}
		at = next
	}
	if taken != r.parts || !at.Equal(r.End()) || !r.Over(at) {
		t.Errorf("%d of %d parts at the end, %v", taken, r.parts, at)
	}
}

func TestBalancersThatSeeAHostComeWithinAStepHaveOneSlowStart(t *testing.T) {
	since := t0.Truncate(30 * time.Second)
	first, second := NewSlowStart(since, 30*time.Second), NewSlowStart(since.Add(1800*time.Millisecond), 30*time.Second)
	if first != second {
		t.Errorf("got %+v and %+v", first, second)
	}
}
