package peers

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"tokenring/route"
)

// maxTime is the latest date that an override may have.
var maxTime = time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC)

// mergeAt takes registers into s at a given time, and reports whether all were news.
func mergeAt(s *Set, now time.Time, registers ...Register) bool {
	news := true
	for _, r := range registers {
		news = s.Merge(r, now) && news
	}
	return news
}

// TestClockOfOurOwnMayHaveBeenWrong: what was set while it was is dated so on disk.
func TestClockOfOurOwnMayHaveBeenWrong(t *testing.T) {
	now := time.Unix(1e9, 0).UTC()
	s := NewSet(nil)
	s.Restore(must(t, Override{Override: route.Override{Host: "a", State: route.Maint}, At: maxTime, Origin: "lb-1"}), now)
	o := s.Date(route.Override{Host: "a", State: route.Ready}, "lb-1", now)
	if !o.At.Equal(now) || !mergeAt(s, now, must(t, o)...) || s.State("a").State != route.Ready {
		t.Errorf("got %+v, want an override of now that counts", o)
	}
}

// Known are the registers' times in relation to now, in milliseconds.
func TestNewOverrideCountsAfterWhatIsKnownOfItsTopic(t *testing.T) {
	now := time.Unix(1.7e9, 0).UTC()
	known := func(ms int) Override {
		return Override{Override: route.Override{Host: "a", State: route.Maint}, At: now.Add(time.Duration(ms) * time.Millisecond), Origin: "lb-2"}
	}
	skew := int(maxSkew / time.Millisecond)
	for name, row := range map[string]struct {
		known Override
		at    time.Time
		epoch uint32
	}{
		"of the past":                     {known(-5), now, 0},
		"of this very moment":             {known(0), now.Add(1), 0},
		"of a clock that is a bit ahead":  {known(5), known(5).At.Add(1), 0},
		"of the edge of what is believed": {known(skew), known(skew).At.Add(1), 0},
		"of a clock that is wrong":        {known(skew + 1), now, 1},
	} {
		s := NewSet(nil)
		mergeAt(s, now, must(t, row.known)...)
		o := s.Date(route.Override{Host: "a", State: route.Ready}, "lb-1", now)
		if !o.At.Equal(row.at) || o.Epoch != row.epoch || !mergeAt(s, now, must(t, o)...) {
			t.Errorf("%s: got %+v, want epoch %d, %s", name, o, row.epoch, row.at)
		}
		other := s.Date(route.Override{Host: "b", State: route.Ready}, "lb-1", now)
		if !other.At.Equal(now) || other.Epoch != 0 {
			t.Errorf("%s: an override of another host is dated %s, epoch %d", name, other.At, other.Epoch)
		}
	}
}

// TestBalancersConvergeWhateverTheirClocks has balancers, one of which lives
// centuries ahead, set overrides and hear of each other in random orders, some of it many
// times and some never, until all have heard all. The operator who sets one last,
// knowing of what was set before, has his way.
func TestBalancersConvergeWhateverTheirClocks(t *testing.T) {
	rng := rand.New(rand.NewPCG(13, 13))
	for round := range 300 {
		start := time.Unix(1.7e9, 0).UTC()
		clocks := []time.Duration{0, 2 * time.Second, -time.Hour, maxTime.Sub(start) - time.Hour, 30 * time.Minute}
		known := make([]*Set, len(clocks))
		for i := range known {
			known[i] = NewSet(nil)
		}
		now := start
		set := func(i int, o route.Override) []Register {
			registers, err := known[i].Date(o, fmt.Sprintf("lb-%d", i), now.Add(clocks[i])).Registers()
			if err != nil {
				t.Fatalf("round %d: lb-%d can't set it: %v", round, i, err)
			}
			mergeAt(known[i], now, registers...)
			return registers
		}
		var told []Register
		for range 40 {
			now = now.Add(time.Duration(rng.IntN(5000)) * time.Millisecond)
			i := rng.IntN(len(known))
			if rng.IntN(3) > 0 {
				o := route.Override{Host: fmt.Sprintf("ide-%d", rng.IntN(2)), State: []route.State{route.Ready, route.Drain, route.Maint}[rng.IntN(3)]}
				if rng.IntN(3) == 0 {
					o.Weight = new(rng.IntN(5))
				}
				told = append(told, set(i, o)...)
			}
			for range rng.IntN(4) {
				if len(told) > 0 {
					mergeAt(known[i], now, told[rng.IntN(len(told))])
				}
			}
		}
		last := rng.IntN(len(known))
		mergeAt(known[last], now, told...)
		final := set(last, route.Override{Host: "ide-0", State: route.Drain, Weight: new(77)})
		told = append(told, final...)
		for i := range known {
			rng.Shuffle(len(told), func(a, b int) { told[a], told[b] = told[b], told[a] })
			mergeAt(known[i], now, told...)
			if text(known[0]) != text(known[i]) {
				t.Fatalf("round %d: lb-0 and lb-%d differ:\n%s\n%s", round, i, text(known[0]), text(known[i]))
			}
		}
		if w, _ := known[0].Weight("ide-0"); known[0].State("ide-0").State != route.Drain || *w.Weight != 77 {
			t.Fatalf("round %d: the last override, %s, isn't in force: %s", round, EncodeMessage(final...), text(known[0]))
		}
	}
}
