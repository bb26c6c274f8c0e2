package peers

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"tokenring/route"
)

func mustStart(t testing.TB, all ...SlowStart) (registers []Register) {
	t.Helper()
	for _, s := range all {
		r, err := s.Register()
		if err != nil {
			t.Fatal(err)
		}
		registers = append(registers, r)
	}
	return registers
}

// someSlowStarts returns slow starts of few hosts at few moments, so that they often
// clash.
func someSlowStarts(t testing.TB, r *rand.Rand) []Register {
	var all []SlowStart
	for range r.IntN(6) {
		s := SlowStart{
			Host: fmt.Sprintf("ide-%d", r.IntN(2)), Number: uint64(r.IntN(3)), Lasts: time.Duration(r.IntN(2)) * time.Minute,
			Back: r.IntN(2) > 0, Unknown: []string{"", `{"curve":1}`}[r.IntN(2)],
		}
		if r.IntN(3) > 0 {
			s.Since = at(r.IntN(3))
		}
		all = append(all, s)
	}
	return mustStart(t, all...)
}

func TestALaterReturnCountsAndTheEarlierTimeOfOne(t *testing.T) {
	known := SlowStart{Host: "a", Number: 2, Since: at(5000), Lasts: time.Minute}
	for what, row := range map[string]struct {
		told SlowStart
		want bool // that it counts
	}{
		"the same":                 {known, false},
		"seen later":               {SlowStart{"a", 2, at(5001), time.Minute, false, ""}, false},
		"seen earlier":             {SlowStart{"a", 2, at(4999), time.Minute, false, ""}, true},
		"shorter":                  {SlowStart{"a", 2, at(5000), time.Second * 59, false, ""}, true},
		"longer":                   {SlowStart{"a", 2, at(5000), time.Second * 61, true, ""}, false},
		"back in the ring":         {SlowStart{"a", 2, at(5000), time.Minute, true, ""}, true},
		"with more to it":          {SlowStart{"a", 2, at(5000), time.Minute, false, `{"curve":1}`}, true},
		"never went":               {SlowStart{"a", 2, time.Time{}, 0, false, ""}, true},
		"the return before":        {SlowStart{"a", 1, at(1000), time.Minute, false, ""}, false},
		"another return":           {SlowStart{"a", 3, at(9000), time.Minute, false, ""}, true},
		"another, never went":      {SlowStart{"a", 3, at(1000), time.Minute, false, ""}, true},
		"the end of time":          {SlowStart{"a", 3, time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC), time.Minute, false, ""}, false},
		"a name that none can be":  {SlowStart{"a/b/c", 3, at(1), time.Minute, false, ""}, false},
		"too short":                {SlowStart{"a", 3, at(1), route.MinSlowStart - 1, false, ""}, false},
		"too long":                 {SlowStart{"a", 3, at(1), route.MaxSlowStart + 1, false, ""}, false},
		"more returns than can be": {SlowStart{"a", maxReturns + 1, at(1), time.Minute, false, ""}, false},
	} {
		s := merged(mustStart(t, known))
		r, err := row.told.Register()
		if got := err == nil && merge(s, r); got != row.want {
			t.Errorf("%s: counts %t, want %t", what, got, row.want)
		}
	}
}
