package eligibility

import (
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"tokenring/route"
)

// TestWhichRingsFreeze reads the table of docs/freeze.md: of so many hosts in the ring
// (rows) so many vanish at once (columns).
func TestWhichRingsFreeze(t *testing.T) {
	page, err := os.ReadFile("../../docs/freeze.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := regexp.MustCompile(`(?m)^\| (\d) \|(.*)\|$`).FindAllStringSubmatch(string(page), -1)
	if len(rows) != 8 {
		t.Fatalf("the table has %d rows, want 8", len(rows))
	}
	for _, row := range rows {
		hosts, _ := strconv.Atoi(row[1])
		cells := strings.Split(row[2], "|")
		for vanished := 1; vanished <= hosts; vanished++ {
			r := newRegion(hosts)
			r.p = DefaultDelays
			for i := range vanished {
				r.vanish(at(0), i)
			}
			r.rule(at(0))
			got := map[bool]string{true: "freeze", false: "serve"}[r.freeze.Frozen]
			if want := strings.TrimSpace(cells[vanished-1]); got != want {
				t.Errorf("%d of %d hosts vanish: %s, want %s", vanished, hosts, got, want)
			}
		}
	}
}

func TestShareSaysHowManyFreezeTheRing(t *testing.T) {
	for _, row := range []struct {
		share       float64
		gone, hosts int
		want        bool
	}{
		{0.5, 5, 10, false},
		{0.5, 6, 10, true},
		{0.29, 29, 100, false},
		{0.29, 30, 100, true},
		{0.7, 7, 10, false},
		{0.05, 1, 10, true},
		{1, 10, 10, false},
	} {
		if got := (FreezeConfig{Share: row.share}).exceeded(row.gone, row.hosts); got != row.want {
			t.Errorf("share %v: %d of %d freeze the ring: %t, want %t", row.share, row.gone, row.hosts, got, row.want)
		}
	}
}

// TestASmallRegionServesWithTheHostsThatAreLeft: two of three hosts
// die, together or three seconds apart.
func TestASmallRegionServesWithTheHostsThatAreLeft(t *testing.T) {
	for _, apart := range []int{0, 3000} {
		r := newRegion(3)
		r.p = DefaultDelays
		r.vanish(at(0), 0)
		r.want(t, at(0), "abc", "the first is gone")
		r.vanish(at(apart), 1)
		r.want(t, at(apart), "abc", "the second is gone")
		if !r.freeze.TooSmall {
			t.Error("no alarm says that two of three vanished at once")
		}
		r.want(t, at(apart).Add(lossWindow), "--c", "both are gone for a while")
		if r.freeze.TooSmall {
			t.Error("two of three vanish at once although they are gone already")
		}
		r.seen = append(r.seen, with(serving(), func(w *Observation) { w.Last.Admitted = false }), with(serving(), func(w *Observation) { w.Last.Admitted = false }))
		r.want(t, at(60_000), "--cde", "two replacements have come")
	}
}

func TestHostsThatVanishApartDontFreezeTheRing(t *testing.T) {
	r := newRegion(6)
	for i := range r.seen {
		r.seen[i].Listed, r.seen[i].Contact = true, route.NoGossip
	}
	fail := func(now time.Time, want, why string, hosts ...int) {
		t.Helper()
		for _, i := range hosts {
			r.seen[i].Verdict = route.Down
		}
		r.want(t, now, want, why)
	}
	fail(at(0), "abcdef", "two fail", 0, 1)
	fail(at(4999), "abcdef", "a third, half of the six", 2)
	fail(at(5000), "abcdef", "a fourth: with the third it is two of the four that hadn't failed long before", 3)
	fail(at(20_000), "abcdef*", "the last two, which are all of what was left", 4, 5)
	r.seen[4].Verdict = route.Up
	r.want(t, at(21_000), "abcdef", "one of the two is back")
}

func TestReplacementsThawTheRing(t *testing.T) {
	r := newRegion(7)
	r.vanish(at(0), 0, 1, 2, 3)
	r.want(t, at(0), "abcdefg*", "four of seven")
	r.seen = append(r.seen, with(serving(), func(w *Observation) { w.Last.Admitted, w.Verdict = false, route.Unchecked }))
	r.want(t, at(1000), "abcdefg-*", "one has come, and isn't checked yet")
	r.seen[7].Verdict = route.Up
	r.want(t, at(2000), "abcdefgh", "it passes its checks: four of eight")
	r.want(t, at(2000).Add(lossWindow), "----efgh", "the window has passed")
}

// TestAHostThatLeavesAndReturnsReplacesNoHost, because it was in the ring before.
func TestAHostThatLeavesAndReturnsReplacesNoHost(t *testing.T) {
	r := newRegion(7)
	r.vanish(at(0), 0, 1, 2, 3)
	r.want(t, at(0), "abcdefg*", "four of seven")
	r.seen[6].Leaving = true
	r.want(t, at(1000), "abcdef-*", "an agent stops")
	r.seen[6].Leaving = false
	r.want(t, at(2000), "abcdef-*", "and starts again")
}

// TestAHostThatFailedLongBeforeReplacesAHost when it passes its checks
// again: it didn't vanish with the others.
func TestAHostThatFailedLongBeforeReplacesAHost(t *testing.T) {
	r := newRegion(8)
	r.seen[7].Listed, r.seen[7].Contact, r.seen[7].Verdict = true, route.NoGossip, route.Down
	r.want(t, at(0), "abcdefgh", "one fails")
	r.vanish(at(60_000), 0, 1, 2, 3)
	r.want(t, at(60_000), "abcdefgh*", "four of the seven others")
	r.seen[7].Verdict = route.Up
	r.want(t, at(61_000), "abcdefgh", "it is back: four of eight")
}

func TestAFreezeEndsByItself(t *testing.T) {
	r := newRegion(7)
	r.p = DefaultDelays
	r.vanish(at(0), 0, 1, 2, 3)
	r.want(t, at(0), "abcdefg*", "four of seven")
	if want := at(120_000); !r.freeze.Until.Equal(want) || !r.next.Equal(want) {
		t.Errorf("frozen until %v, looks again at %v, want %v", r.freeze.Until, r.next, want)
	}
	r.want(t, at(119_999), "abcdefg*", "just before its time")
	r.want(t, at(120_000), "abcdefg", "its time is over")
	if !r.freeze.Expired.Equal(at(120_000)) {
		t.Errorf("expired at %v, want now", r.freeze.Expired)
	}
	r.want(t, at(124_999), "abcdefg", "those that vanished may still return to their places")
	r.want(t, at(125_000), "----efg", "they are gone")
	r.vanish(at(126_000), 4, 5)
	r.want(t, at(126_000), "----efg", "two of the three that are left vanish: a small ring")
}

// TestAnExpiredFreezeIsNotBegunAnewByTheSameHosts even if the freeze was
// shorter than the loss window.
func TestAnExpiredFreezeIsNotBegunAnewByTheSameHosts(t *testing.T) {
	r := newRegion(7)
	r.p.Freeze.For = time.Second
	r.vanish(at(0), 0, 1, 2, 3)
	r.want(t, at(0), "abcdefg*", "four of seven")
	r.want(t, at(1000), "abcdefg", "its time is over")
	r.want(t, at(1100), "abcdefg", "nothing new has happened")
	r.vanish(at(1200), 4, 5)
	r.want(t, at(1200), "abcdefg*", "two of the three that are left")
}

// TestHostsThatVanishDuringAFreezeThatExpiresFreezeTheRingAnew at once:
// else other hosts would get their keys in between.
func TestHostsThatVanishDuringAFreezeThatExpiresFreezeTheRingAnew(t *testing.T) {
	r := newRegion(14)
	r.p = DefaultDelays
	r.vanish(at(0), 0, 1, 2, 3, 4, 5, 6, 7)
	r.want(t, at(0), "abcdefghijklmn*", "eight of fourteen")
	r.vanish(at(119_000), 8, 9, 10, 11)
	r.want(t, at(119_000), "abcdefghijklmn*", "four of the six that were left")
	all := r.rule(at(120_000))
	if f := r.freeze; !f.Frozen || !f.Since.Equal(at(120_000)) || f.Gone != 4 || f.Ring != 6 {
		t.Errorf("when the time is over: %+v, want it frozen anew for the four of six", f)
	}
	if !all[0].FailedBefore || all[8].FailedBefore {
		t.Error("the ring must freeze for the four, and not for the first eight")
	}
	r.want(t, at(240_000), "abcdefghijklmn", "the second freeze is over")
	r.want(t, at(245_000), "------------mn", "they are gone")
}

func TestOffNeverFreezesTheRing(t *testing.T) {
	r := newRegion(10)
	r.p.Freeze.SetOff()
	r.p.Freeze = r.p.Freeze.WithDefaults()
	for i := range r.seen {
		r.vanish(at(0), i)
	}
	r.want(t, at(0), "abcdefghij", "all are gone")
	r.want(t, at(5000), "----------", "all are gone for a while")
}

// TestBalancersThatSeeALossAtDifferentTimesFreezeAlike: the second sees each
// event up to a second later than the first.
func TestBalancersThatSeeALossAtDifferentTimesFreezeAlike(t *testing.T) {
	var outcome []string
	for _, lag := range []int{0, 300, 1000} {
		r := newRegion(9)
		r.p = DefaultDelays
		var rings []string
		step := func(ms int, change func(now time.Time)) {
			change(at(ms + lag*len(rings)%1001))
			rings = append(rings, r.ring(at(ms+lag*len(rings)%1001)))
		}
		step(0, func(now time.Time) { r.vanish(now, 0, 1, 2) })
		step(3000, func(now time.Time) { r.vanish(now, 3, 4) })
		step(60_000, func(time.Time) { r.seen[0].Contact, r.seen[0].Verdict = route.Alive, route.Up })
		step(70_000, func(time.Time) {})
		step(80_000, func(now time.Time) { r.vanish(now, 0, 5, 6) })
		step(90_000, func(time.Time) {})
		if outcome == nil {
			outcome = rings
		}
		if !slices.Equal(rings, outcome) {
			t.Errorf("with a lag of %d ms: %q, want %q", lag, rings, outcome)
		}
	}
	if want := []string{"abcdefghi", "abcdefghi*", "abcdefghi", "a----fghi", "a----fghi", "-------hi"}; !slices.Equal(outcome, want) {
		t.Errorf("got %q, want %q", outcome, want)
	}
}
