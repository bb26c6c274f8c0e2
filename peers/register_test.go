package peers

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"tokenring/route"
)

// someRegisters returns registers of all kinds, among them one that this version
// doesn't know, of few topics and versions, so that they often clash.
func someRegisters(t testing.TB, r *rand.Rand) []Register {
	all := append(someOverrides(t, r), someSlowStarts(t, r)...)
	for range r.IntN(4) {
		entry := fmt.Sprintf(`{"kind":"vote","key":"ide-%d","epoch":%d,"rank":%d,"up":%t}`, r.IntN(2), r.IntN(2), r.IntN(2)-1, r.IntN(2) > 0)
		vote, err := decodeOther([]byte(entry))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, vote)
	}
	return all
}

func TestMergeIsCommutativeAssociativeIdempotent(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	rounds := 2000
	if racing {
		rounds /= 10 // one goroutine computes
	}
	for kinds, some := range map[string]func(testing.TB, *rand.Rand) []Register{
		"overrides":   someOverrides,
		"slow starts": someSlowStarts,
		"all kinds":   someRegisters,
	} {
		for range rounds {
			a, b, c := some(t, r), some(t, r), some(t, r)
			want := merged(a, b, c)
			for law, got := range map[string]*Set{
				"commutative": merged(c, b, a),
				"associative": merged(a, merged(b, c).All()),
				"idempotent":  merged(a, b, c, b, a, want.All()),
			} {
				if text(got) != text(want) {
					t.Fatalf("%s: merge isn't %s for\n%s\n%s\n%s\ngot %s\nwant %s", kinds, law,
						EncodeMessage(a...), EncodeMessage(b...), EncodeMessage(c...), text(got), text(want))
				}
			}
		}
	}
}

func TestPruneDropsTheOldestStrangers(t *testing.T) {
	s := NewSet(func(host string) bool { return host == "known" })
	merge(s, must(t, override("old", route.Maint, 0), override("known", route.Maint, 1), override("new", route.Maint, 2))...)
	if dropped := s.prune(overrides, 2); len(dropped) != 1 || dropped[0] != (Topic{KindState, "old"}) {
		t.Errorf("dropped %v, want old", dropped)
	}
	if _, ok := s.Find(Topic{KindState, "old"}); ok || s.Len() != 2 {
		t.Errorf("got %s, want known and new", text(s))
	}
	if s.prune(overrides, 0); s.State("known").State != route.Maint || s.Len() != 1 {
		t.Error("a known host's override was dropped")
	}
}

func TestOldSlowStartsOfStrangersAreDropped(t *testing.T) {
	s := NewSet(func(host string) bool { return host == "known" })
	merge(s, mustStart(t, SlowStart{"old", 1, at(0), time.Minute, false, ""}, SlowStart{"known", 1, at(1), time.Minute, false, ""}, SlowStart{"new", 1, at(2), time.Minute, false, ""})...)
	merge(s, must(t, override("older", route.Maint, 0))...)
	s.prune(slowStarts, 2)
	if _, ok := s.Find(Topic{KindSlowStart, "old"}); ok || s.Len() != 3 {
		t.Errorf("got %s, want known and new, and the override", text(s))
	}
	s.prune(slowStarts, 0)
	if _, ok := s.Find(Topic{KindSlowStart, "known"}); !ok || s.Len() != 2 {
		t.Errorf("a known host's slow start was dropped: %s", text(s))
	}
}

func TestNoMoreRegistersOfUnknownKindsThanThereMayBe(t *testing.T) {
	s := NewSet(nil)
	for i := range limits[unknownKinds] + 10 {
		r, err := decodeOther(fmt.Appendf(nil, `{"kind":"vote","key":"k-%d"}`, i))
		if err != nil {
			t.Fatal(err)
		}
		if news := merge(s, r); news != (i < limits[unknownKinds]) {
			t.Fatalf("register %d: news %t", i, news)
		}
		if refused := strings.Contains(s.UnknownAlarm(), "refuses the others"); refused != (i >= limits[unknownKinds]) {
			t.Fatalf("register %d: the alarm is %q", i, s.UnknownAlarm())
		}
	}
	s.drop(Topic{"vote", "k-0"})
	if alarm := s.UnknownAlarm(); strings.Contains(alarm, "refuses") {
		t.Errorf("there is room again: %q", alarm)
	}
}

const life = tombstoneLife

func TestATombstoneOfAStrangerIsDroppedAfterItsLife(t *testing.T) {
	known := false
	s := NewSet(func(string) bool { return known })
	ready := must(t, override("a", route.Ready, 0), weighing("a", route.OwnWeight, 0))
	drain := must(t, override("b", route.Drain, 0))
	for _, r := range append(ready, drain...) {
		s.Merge(r, at(0).Add(time.Hour)) // learned an hour later
	}
	if got := s.Expire(at(0).Add(life)); len(got) != 0 {
		t.Errorf("after a life minus an hour: dropped %v", got)
	}
	known = true
	if got := s.Expire(at(0).Add(life + 2*time.Hour)); len(got) != 0 {
		t.Errorf("of a known host: dropped %v", got)
	}
	known = false
	if got := s.Expire(at(0).Add(life + 4*time.Hour)); len(got) != 2 || s.Len() != 1 || s.State("b").State != route.Drain {
		t.Errorf("later: dropped %v, want both of a, and not the drain of b", got)
	}
	for _, r := range ready { // a peer has it still
		if s.Merge(r, at(0).Add(life+4*time.Hour)) {
			t.Errorf("%s is news again", r.Topic)
		}
	}
	known = true
	if !s.Merge(ready[0], at(0).Add(life+4*time.Hour)) {
		t.Error("it isn't taken though the host is known again")
	}
}

// TestWhatExpiresOfAnUnknownKindIsForgotten: whether its key is that of a host or not.
func TestWhatExpiresOfAnUnknownKindIsForgotten(t *testing.T) {
	s := NewSet(func(string) bool { return true })
	vote, err := decodeOther([]byte(`{"kind":"vote","key":"ide-1","expires":"2026-01-01T00:00:00Z"}`))
	if err != nil {
		t.Fatal(err)
	}
	if !s.Merge(vote, at(0)) {
		t.Error("it isn't taken while it is of use")
	}
	if got := s.Expire(at(0).Add(life + time.Second)); len(got) != 1 || s.Len() != 0 || s.UnknownAlarm() != "" {
		t.Errorf("later: dropped %v, alarm %q", got, s.UnknownAlarm())
	}
	if s.Merge(vote, at(0).Add(life+time.Second)) {
		t.Error("a peer that has it still makes it news again")
	}
}

func TestAnExpiredTombstoneStillEndsAnOverride(t *testing.T) {
	s := merged(must(t, override("a", route.Drain, 0)))
	if !s.Merge(must(t, override("a", route.Ready, 1))[0], at(0).Add(2*life)) || s.State("a").State != route.Ready {
		t.Errorf("got %+v, want the later word", s.State("a"))
	}
}

// TestAnOlderWriteNeverComesBack has balancers exchange all that they know, in random
// pairs and with random pauses, restart, and forget what they may, while hosts come and
// go. Each hears of all others within the life of a tombstone. Once a host is ready again for a balancer,
// the older override never is in force there again.
func TestAnOlderWriteNeverComesBack(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	for round := range 200 {
		known := make([]bool, 4)
		sets := make([]*Set, len(known))
		for i := range sets {
			sets[i] = NewSet(func(string) bool { return known[i] })
			merge(sets[i], must(t, override("a", route.Drain, 0))...)
		}
		now := at(1)
		merge(sets[0], must(t, override("a", route.Ready, 1))...)
		ended := make([]bool, len(sets))
		for now.Before(at(0).Add(5 * life)) {
			now = now.Add(time.Duration(rng.Int64N(int64(life / time.Duration(2*len(sets))))))
			i, j := rng.IntN(len(sets)), rng.IntN(len(sets))
			if now.After(at(0).Add(life / 2)) { // at the latest, each with the next
				for k := range len(sets) - 1 {
					if ended[k] != ended[k+1] {
						i, j = k, k+1
					}
				}
			}
			for _, pair := range [][2]int{{i, j}, {j, i}} {
				for _, r := range sets[pair[0]].All() {
					sets[pair[1]].Merge(r, now)
				}
			}
			if k := rng.IntN(len(sets)); rng.IntN(3) == 0 {
				again := NewSet(func(string) bool { return known[k] })
				again.Restore(sets[k].All(), now)
				sets[k] = again
			}
			known[rng.IntN(len(known))] = rng.IntN(2) > 0
			for k, s := range sets {
				s.Expire(now)
				state := s.State("a").State
				if ended[k] && state != route.Ready {
					t.Fatalf("round %d, after %v: the older override is back at balancer %d", round, now.Sub(at(0)), k)
				}
				ended[k] = state == route.Ready
			}
		}
	}
}

func TestWhatExpiresIsDroppedInOrder(t *testing.T) {
	s := NewSet(nil)
	var all []Topic
	for i := range 50 {
		merge(s, must(t, override(fmt.Sprintf("ide-%02d", i), route.Ready, 0))...)
		all = append(all, Topic{KindState, fmt.Sprintf("ide-%02d", i)})
	}
	if got := s.Expire(at(0).Add(life + time.Second)); !slices.Equal(got, all) {
		t.Errorf("dropped %v", got)
	}
}
