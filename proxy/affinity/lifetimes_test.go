package affinity

import (
	"testing"
	"time"
)

func TestLifetimesOfPayloads(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	at := func(d time.Duration) uint32 { return uint32(now.Add(d).Unix()) }
	idle, life, both := lifetimes{idle: time.Hour}, lifetimes{life: time.Hour}, lifetimes{idle: time.Hour, life: 24 * time.Hour}
	for _, row := range []struct {
		what      string
		lifetimes lifetimes
		first     uint32
		last      uint32
		counts    bool
		due       bool // a new one is set, if it counts
	}{
		{"no lifetimes, no dates", lifetimes{}, 0, 0, true, false},
		{"no lifetimes: dates go", lifetimes{}, at(-time.Hour), at(-time.Hour), true, true},
		{"idle: just seen", idle, 0, at(0), true, false},
		{"idle: seen a while ago", idle, 0, at(-4 * time.Minute), true, true},
		{"idle: at the limit", idle, 0, at(-time.Hour), true, true},
		{"idle: past it", idle, 0, at(-time.Hour - time.Second), false, false},
		{"idle: no date yet", idle, 0, 0, true, true},
		{"idle: a clock is fast", idle, 0, at(23 * time.Hour), true, false},
		{"idle: a clock is wrong", idle, 0, at(25 * time.Hour), false, false},
		{"life: young", life, at(-59 * time.Minute), 0, true, false},
		{"life: past it", life, at(-61 * time.Minute), 0, false, false},
		{"life: no date yet", life, 0, 0, true, true},
		{"life: a clock is wrong", life, at(25 * time.Hour), 0, false, false},
		{"both: used all the time, but old", both, at(-25 * time.Hour), at(0), false, false},
		{"both: young, but unused", both, at(-2 * time.Hour), at(-2 * time.Hour), false, false},
		{"both: fine", both, at(-2 * time.Hour), at(0), true, false},
	} {
		before := Payload{Host: "a", First: row.first, Last: row.last}
		if got := row.lifetimes.valid(before, now); got != row.counts {
			t.Errorf("%s: counts is %v", row.what, got)
		}
		after, due := row.lifetimes.renew(before, now)
		if row.counts && due != row.due {
			t.Errorf("%s: due is %v", row.what, due)
		}
		if row.counts && !row.lifetimes.valid(after, now) {
			t.Errorf("%s: a renewed one doesn't count: %v", row.what, after)
		}
		if row.counts && row.lifetimes.life > 0 && row.first != 0 && after.First != row.first {
			t.Errorf("%s: its life was prolonged", row.what)
		}
	}
}
