package session

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"

	gocmp "github.com/google/go-cmp/cmp"

	"tokenring/balancer"
)

// reports returns all that w has to report, in the order of the digests.
func reports(t *testing.T, w *Watch) (all []Report) {
	t.Helper()
	ended, cancel := context.WithCancel(t.Context())
	cancel() // Next doesn't wait
	for {
		some, err := w.Next(ended)
		if err != nil {
			break
		}
		all = append(all, some...)
	}
	slices.SortFunc(all, func(a, b Report) int { return cmp.Compare(string(a.Digest[:]), string(b.Digest[:])) })
	return all
}

func TestAWatchBeginsWithAllSessions(t *testing.T) {
	const keys = 1200 // more than Next returns at once
	s := New()
	for i := range keys {
		one, _ := open(s)
		s.Add(keyed(fmt.Sprint(i)), at("a", "1"), one, never)
	}
	w := s.Watch()
	defer w.Close()
	if got := reports(t, w); len(got) != keys || got[0].Host != "a" || got[0].Address != "1" || got[0].Terminals != 1 {
		t.Errorf("got %d reports, the first is %+v", len(got), got[0])
	}
}

// TestAChangeDoesNotWaitForTheSnapshot: while a fresh peer gets all sessions, it hears of
// those that open and close meanwhile.
func TestAChangeDoesNotWaitForTheSnapshot(t *testing.T) {
	const keys = 1200
	s := New()
	empty := s.Watch()
	defer empty.Close()
	if !empty.Snapshot() {
		t.Error("a snapshot of nothing isn't complete")
	}
	for i := range keys {
		one, _ := open(s)
		s.Add(keyed(fmt.Sprint(i)), at("a", "1"), one, never)
	}
	w := s.Watch()
	defer w.Close()
	late, _ := open(s)
	s.Add(keyed("late"), at("b", "1"), late, never)
	got, parts := 0, 0
	for got < keys+1 {
		if w.Snapshot() {
			t.Fatalf("the snapshot is complete after %d reports of %d", got, keys+1)
		}
		some, err := w.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if got == 0 && !slices.ContainsFunc(some, func(r Report) bool { return r.Digest == digest("late") }) {
			t.Error("the first reports don't have the session that has been opened since")
		}
		got += len(some)
		parts++
	}
	if !w.Snapshot() || w.Pending() == 0 || got != keys+1 || parts != 3 {
		t.Errorf("complete is %v with %d pending, after %d reports in %d parts", w.Snapshot(), w.Pending(), got, parts)
	}
}

func TestAWatchReportsTheLastStateOfAKeyOnce(t *testing.T) {
	s := New()
	w, closed := s.Watch(), s.Watch()
	defer w.Close()
	closed.Close()
	m := remember(t, 2)
	first, _ := open(s)
	second, _ := open(s)
	s.Add(m.key("k"), at("a", "1"), first, never)
	s.Add(m.key("k"), at("a", "1"), second, never)
	want := []Report{{Digest: digest("k"), Host: "a", Address: "1", Hash: m.key("k").Hash(), Hashed: true, Terminals: 2}}
	if diff := gocmp.Diff(want, reports(t, w)); diff != "" {
		t.Error(diff)
	}
	s.Remove(first)
	s.Remove(second)
	if diff := gocmp.Diff([]Report{{Digest: digest("k")}}, reports(t, w)); diff != "" {
		t.Error(diff)
	}
	if w.Pending() != 0 || closed.Pending() != 0 {
		t.Errorf("%d and %d are pending, want none", w.Pending(), closed.Pending())
	}
	gone := errors.New("gone")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(gone)
	if _, err := w.Next(ctx); !errors.Is(err, gone) {
		t.Errorf("got %v", err)
	}
}

func TestAReportIsSmallAsJSONAndComesBackTheSame(t *testing.T) {
	for _, r := range []Report{
		{Digest: digest("k"), Host: "a", Address: "10.0.0.1:4000", Hash: 1<<64 - 1, Hashed: true, Terminals: 3},
		{Digest: digest("k")},
	} {
		b, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		var got Report
		if err := json.Unmarshal(b, &got); err != nil || got != r || len(b) > 200 {
			t.Errorf("got %+v, %v from %s", got, err, b)
		}
	}
	var r Report
	for _, bad := range []string{`{"digest":"00"}`, `{"digest":"zz000000000000000000000000000000"}`} {
		if err := json.Unmarshal([]byte(bad), &r); err == nil {
			t.Errorf("%s is read as %+v", bad, r)
		}
	}
}

func TestFrozenSessionsRefuseTerminals(t *testing.T) {
	s := New()
	before, _ := open(s)
	after, _ := open(s)
	s.Add(keyed("k"), at("a", "1"), before, never)
	s.Freeze()
	for _, key := range []string{"k", "l"} {
		if s.Add(keyed(key), at("a", "1"), after, never) {
			t.Errorf("%s: the terminal enters", key)
		}
	}
	if _, n := s.Host(digest("k")); n != 1 {
		t.Errorf("%d terminals, want 1", n)
	}
	s.Remove(before)
}

// TestAReportIsPendingUntilItIsSent: who waits for all of them mustn't go on while the last
// ones are on their way.
func TestAReportIsPendingUntilItIsSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New()
		w := s.Watch()
		defer w.Close()
		one, _ := open(s)
		s.Add(keyed("k"), at("a", "1"), one, never)
		if _, err := w.Next(t.Context()); err != nil {
			t.Fatal(err)
		}
		var caughtUp atomic.Bool
		go func() {
			if err := w.CaughtUp(t.Context()); err == nil {
				caughtUp.Store(true)
			}
		}()
		synctest.Wait()
		if caughtUp.Load() || w.Pending() != 1 {
			t.Errorf("caught up is %v with %d pending, while a report is being sent", caughtUp.Load(), w.Pending())
		}
		next, cancel := context.WithCancel(t.Context())
		defer cancel()
		go func() { _, _ = w.Next(next) }() // it has been sent
		synctest.Wait()
		if !caughtUp.Load() || w.Pending() != 0 {
			t.Errorf("caught up is %v with %d pending, after all was sent", caughtUp.Load(), w.Pending())
		}
	})
}

// keysThatLinger are hosts by token.
type keysThatLinger map[balancer.Digest]string

func (l keysThatLinger) Lingers(key balancer.Digest) (string, uint32) {
	return l[key], uint32(len(l[key]))
}
func (l keysThatLinger) Lingering() []balancer.Digest { return slices.Collect(maps.Keys(l)) }

// TestAWatchForOtherBalancersHasAllGenerationsAndWhatLingers, while one for a newer process
// has neither.
func TestAWatchForOtherBalancersHasAllGenerationsAndWhatLingers(t *testing.T) {
	s := New()
	lingering := keysThatLinger{digest("lingers"): "ab", digest("k"): "a"}
	e, _ := elder(s)
	own, _ := open(s)
	s.Add(keyed("k"), at("a", "1"), own, always)
	e.Update([]Report{on("k", "a", "1", 2)})
	all, newer := s.WatchAll(lingering), s.Watch()
	defer all.Close()
	defer newer.Close()
	told := func(w *Watch, want ...Report) {
		t.Helper()
		got := reports(t, w)
		for i := range got {
			got[i].Address = ""
		}
		got = slices.Compact(got) // a key may be among both
		slices.SortFunc(want, func(a, b Report) int { return cmp.Compare(string(a.Digest[:]), string(b.Digest[:])) })
		if diff := gocmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	}
	told(all, on("k", "a", "", 3), Report{Digest: digest("lingers"), Host: "ab", Age: 2})
	told(newer, on("k", "a", "", 1))
	e.Update([]Report{on("l", "b", "1", 1)})
	told(all, on("l", "b", "", 1))
	e.Update([]Report{on("l", "b", "1", 2)})
	told(all, on("l", "b", "", 2))
	s.Used(digest("lingers"))
	told(all, Report{Digest: digest("lingers"), Host: "ab", Age: 2})
	if newer.Pending() != 0 {
		t.Errorf("a newer process is told of what isn't this one's: %d", newer.Pending())
	}
	s.Remove(own)
	e.Update([]Report{{Digest: digest("l")}, {Digest: digest("k")}})
	told(all, Report{Digest: digest("k"), Host: "a", Age: 1}, Report{Digest: digest("l")})
	e.Close()
}
