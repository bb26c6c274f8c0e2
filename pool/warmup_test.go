package pool

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// someWarmUps returns warm-ups of few hosts at few moments, so that they often
// clash.
func someWarmUps(r *rand.Rand) []warmUp {
	var all []warmUp
	for range r.IntN(6) {
		w := warmUp{Host: fmt.Sprintf("ide-%d", r.IntN(2)), Number: uint64(r.IntN(3)), Lasts: time.Duration(r.IntN(2)) * time.Minute}
		if r.IntN(3) > 0 {
			w.Since = at(r.IntN(3))
		}
		all = append(all, w)
	}
	return all
}

func mergedWarmUps(lists ...[]warmUp) warmUps {
	all := warmUps{}
	for _, list := range lists {
		for _, w := range list {
			all.merge(w)
		}
	}
	return all
}

func TestWarmUpsMergeIsCommutativeAssociativeIdempotent(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 2000 {
		a, b, c := someWarmUps(r), someWarmUps(r), someWarmUps(r)
		want := mergedWarmUps(a, b, c)
		for law, got := range map[string]warmUps{
			"commutative": mergedWarmUps(c, b, a),
			"associative": mergedWarmUps(a, mergedWarmUps(b, c).list()),
			"idempotent":  mergedWarmUps(a, b, c, b, a, want.list()),
		} {
			if diff := cmp.Diff(want, got); diff != "" {
				t.Fatalf("merge isn't %s for\n%v\n%v\n%v\n(-want +got):\n%s", law, a, b, c, diff)
			}
		}
	}
}

func TestALaterReturnCountsAndTheEarlierTimeOfOne(t *testing.T) {
	known := warmUp{Host: "a", Number: 2, Since: at(5000), Lasts: time.Minute}
	for what, row := range map[string]struct {
		heard warmUp
		want  bool // that it counts
	}{
		"the same":                 {known, false},
		"seen later":               {warmUp{"a", 2, at(5001), time.Minute, false, ""}, false},
		"seen earlier":             {warmUp{"a", 2, at(4999), time.Minute, false, ""}, true},
		"back in the ring":         {warmUp{"a", 2, at(5000), time.Minute, true, ""}, true},
		"never went":               {warmUp{"a", 2, time.Time{}, 0, false, ""}, true},
		"the return before":        {warmUp{"a", 1, at(1000), time.Minute, false, ""}, false},
		"another return":           {warmUp{"a", 3, at(9000), time.Minute, false, ""}, true},
		"another, never went":      {warmUp{"a", 3, at(1000), time.Minute, false, ""}, true},
		"the end of time":          {warmUp{"a", 3, time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC), time.Minute, false, ""}, false},
		"a name that none can be":  {warmUp{"a/b", 3, at(1), time.Minute, false, ""}, false},
		"too short":                {warmUp{"a", 3, at(1), MinSlowStart - 1, false, ""}, false},
		"too long":                 {warmUp{"a", 3, at(1), MaxSlowStart + 1, false, ""}, false},
		"more returns than can be": {warmUp{"a", maxReturns + 1, at(1), time.Minute, false, ""}, false},
	} {
		all := mergedWarmUps([]warmUp{known})
		if got := all.merge(row.heard); got != row.want {
			t.Errorf("%s: counts %t, want %t", what, got, row.want)
		}
	}
}

func TestOldWarmUpsOfStrangersAreDropped(t *testing.T) {
	all := mergedWarmUps([]warmUp{{"old", 1, at(0), time.Minute, false, ""}, {"known", 1, at(1), time.Minute, false, ""}, {"new", 1, at(2), time.Minute, false, ""}})
	all.prune(2, func(host string) bool { return host == "known" })
	if _, ok := all["old"]; ok || len(all) != 2 {
		t.Errorf("got %v, want known and new", all)
	}
	all.prune(0, func(string) bool { return true })
	if len(all) != 2 {
		t.Errorf("a known host's warm-up was dropped: %v", all)
	}
}

func TestRampTakesNothingForTwoStepsAndAllInTime(t *testing.T) {
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
			r := warmUp{Host: "a", Number: 1, Since: since, Lasts: row.lasts}.ramp()
			if r.parts != row.parts || r.step != row.step {
				t.Fatalf("%v: %d parts of %v, want %d of %v", row.lasts, r.parts, r.step, row.parts, row.step)
			}
			if r.start.After(since) || since.Sub(r.start) >= r.step {
				t.Errorf("%v since %v: begins at %v, want the step of since", row.lasts, since, r.start)
			}
			if taken := r.taken(since.Add(r.step)); taken != 0 {
				t.Errorf("%v since %v: %d parts after a step", row.lasts, since, taken)
			}
			if end := since.Add(row.lasts); !r.over(end) || r.end().After(end) {
				t.Errorf("%v since %v: ends at %v", row.lasts, since, r.end())
			}
		}
	}
	if r := (warmUp{Host: "a", Number: 1}).ramp(); r != (ramp{}) || !r.over(time.Time{}) || !r.over(t0) || !r.next(t0).IsZero() {
		t.Errorf("a host that has long been there: %+v", r)
	}
}

func TestRampTakesOnePartAfterTheOther(t *testing.T) {
	r := warmUp{Host: "a", Number: 1, Since: at(700), Lasts: 6 * time.Second}.ramp()
	taken, at := 0, r.start.Add(-time.Hour)
	for next := r.next(at); !next.IsZero(); next = r.next(at) {
		if got := r.taken(next.Add(-1)); got != taken {
			t.Errorf("just before %v: %d parts, want %d", next, got, taken)
		}
		taken++
		if got := r.taken(next); got != taken || !next.Equal(r.when(taken)) {
			t.Errorf("at %v: %d parts, want %d at %v", next, got, taken, r.when(taken))
		}
		at = next
	}
	if taken != r.parts || !at.Equal(r.end()) || !r.over(at) {
		t.Errorf("%d of %d parts at the end, %v", taken, r.parts, at)
	}
}

func TestBalancersThatSeeAHostComeWithinAStepHaveOneRamp(t *testing.T) {
	first := warmUp{Host: "a", Number: 1, Since: t0.Truncate(30 * time.Second), Lasts: 30 * time.Second}
	second := first
	second.Since = first.Since.Add(1800 * time.Millisecond)
	if first.ramp() != second.ramp() {
		t.Errorf("got %+v and %+v", first.ramp(), second.ramp())
	}
}
