package waits

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
)

var t0 = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// peersOf returns the peers of a text: b is connected, -b isn't, and ?b isn't and is unmet.
func peersOf(text string) (all []Peer) {
	for _, name := range strings.Fields(text) {
		bare := strings.TrimLeft(name, "-?")
		all = append(all, Peer{Name: bare, Connected: bare == name, Unmet: name[0] == '?'})
	}
	return all
}

// text returns what w waits for.
func (w *Wait) text() string {
	s := w.Waiting()
	if len(s.For) == 0 {
		return fmt.Sprintf("missing %d", s.Missing)
	}
	return fmt.Sprintf("missing %d, waits for %s, %v to %v", s.Missing, strings.Join(s.For, ", "), s.Since.Sub(t0), s.Until.Sub(t0))
}

func TestForWhichBalancersChangesWait(t *testing.T) {
	type step struct {
		at     time.Duration
		peers  string
		unseen int
		want   string
		next   time.Duration // 0: none
	}
	for name, steps := range map[string][]step{
		"a balancer that is alone waits for none": {{0, "", 0, "missing 0", 0}},
		"connected ones aren't missing":           {{0, "b c", 0, "missing 0", 0}},
		"it is missing after a moment, and until it is back": {
			{0, "b c", 0, "missing 0", 0},
			{time.Second, "-b c", 0, "missing 0", 4 * time.Second},
			{4 * time.Second, "-b c", 0, "missing 1, waits for b, 1s to 1m1s", 61 * time.Second},
			{5 * time.Second, "b c", 0, "missing 0", 0},
		},
		"one that is back within the moment is never missing": {
			{0, "-b", 0, "missing 0", 3 * time.Second},
			{2 * time.Second, "b", 0, "missing 0", 0},
			{4 * time.Second, "-b", 0, "missing 0", 7 * time.Second},
		},
		"the wait ends by itself": {
			{0, "-b", 0, "missing 0", 3 * time.Second},
			{time.Minute, "-b", 0, "missing 1", 0},
		},
		"the last of several ends it": {
			{0, "-b c", 0, "missing 0", 3 * time.Second},
			{10 * time.Second, "-b -c", 0, "missing 1, waits for b, 0s to 1m0s", 13 * time.Second},
			{20 * time.Second, "-b -c", 0, "missing 2, waits for b, c, 0s to 1m10s", 60 * time.Second},
			{60 * time.Second, "-b -c", 0, "missing 2, waits for c, 10s to 1m10s", 70 * time.Second},
		},
		"one that has left isn't missing": {
			{0, "-b", 0, "missing 0", 3 * time.Second},
			{5 * time.Second, "", 0, "missing 0", 0},
		},
		"one that wasn't met in this process is missing until it is": {
			{0, "?b", 0, "missing 0", 3 * time.Second},
			{5 * time.Second, "", 0, "missing 1, waits for b, 0s to 1m0s", 60 * time.Second},
			{6 * time.Second, "-b", 0, "missing 1, waits for b, 0s to 1m0s", 60 * time.Second},
			{7 * time.Second, "", 0, "missing 0", 0},
		},
		"one that isn't met in time is forgotten": {
			{0, "?b", 0, "missing 0", 3 * time.Second},
			{time.Minute, "", 0, "missing 0", 0},
		},
		"those that are expected are missing": {
			{0, "b", 1, "missing 0", 3 * time.Second},
			{3 * time.Second, "b", 1, "missing 1, waits for 1 that peers.expect counts, 0s to 1m0s", 60 * time.Second},
			{4 * time.Second, "b c", 0, "missing 0", 0},
		},
		"another one that is expected begins anew": {
			{0, "", 1, "missing 0", 3 * time.Second},
			{30 * time.Second, "", 2, "missing 0", 33 * time.Second},
			{33 * time.Second, "", 1, "missing 1, waits for 1 that peers.expect counts, 30s to 1m30s", 90 * time.Second},
		},
		"one that is expected and unmet counts once": {
			{0, "?b", 0, "missing 0", 3 * time.Second},
			{5 * time.Second, "", 1, "missing 1, waits for b, 0s to 1m0s", 60 * time.Second},
		},
		"one that is forgotten and expected doesn't begin anew": {
			{0, "-b", 0, "missing 0", 3 * time.Second},
			{50 * time.Second, "", 1, "missing 1, waits for 1 that peers.expect counts, 0s to 1m0s", 60 * time.Second},
			{60 * time.Second, "", 1, "missing 1", 0},
		},
	} {
		w := Wait{Within: time.Minute}
		for _, s := range steps {
			next := w.Update(peersOf(s.peers), s.unseen, t0.Add(s.at))
			if got := w.text(); got != s.want || s.next == 0 && !next.IsZero() || s.next > 0 && !next.Equal(t0.Add(s.next)) {
				t.Errorf("%s: at %v got %q, next %v; want %q, %v", name, s.at, got, next.Sub(t0), s.want, s.next)
			}
		}
	}
}

func TestNothingWaitsIfThatIsOff(t *testing.T) {
	var w Wait
	w.Update(peersOf("-b"), 1, t0)
	w.Update(peersOf("-b"), 1, t0.Add(time.Minute))
	if got := w.text(); got != "missing 2" || w.Waits() || !w.Since.IsZero() {
		t.Errorf("got %s", got)
	}
}

func TestSlowStartsStandStillFromTheBeginningOfAWait(t *testing.T) {
	w := Wait{Within: time.Minute}
	for _, row := range []struct {
		at    time.Duration
		peers string
		want  time.Time
	}{
		{0, "-b -c", t0},
		{4 * time.Second, "-b -c", t0},
		{9 * time.Second, "b -c", t0},
		{10 * time.Second, "b c", time.Time{}},
	} {
		w.Update(peersOf(row.peers), 0, t0.Add(row.at))
		if !w.Since.Equal(row.want) {
			t.Errorf("at %v: since %v, want %v", row.at, w.Since, row.want)
		}
	}
}

func TestAnOperatorInsistsUntilABalancerIsBack(t *testing.T) {
	w := Wait{Within: time.Minute}
	update := func(peers string, unseen int, s int) string {
		w.Update(peersOf(peers), unseen, t0.Add(time.Duration(s)*time.Second))
		return w.text()
	}
	insist := func(names string, want ...string) {
		t.Helper()
		if got := w.Insist(strings.Fields(names), t0.Add(5*time.Second)); strings.Join(got, ", ") != strings.Join(want, ", ") {
			t.Errorf("insist %q: got %v, want %v", names, got, want)
		}
	}
	update("-b -c d", 1, 0)
	insist("") // they are away for a moment only, and nothing waits
	update("-b -c -d", 1, 5)
	insist("d e") // d isn't missing yet
	insist("b", "b")
	insist("b")
	for i, row := range []struct {
		got, want string
	}{
		{update("-b -c d", 1, 10), "missing 3, waits for 1 that peers.expect counts, c, 0s to 1m0s"},
		{fmt.Sprint(w.Insist(nil, t0.Add(10*time.Second))), "[1 that peers.expect counts c]"},
		{w.text(), "missing 3"},
		{update("-b -c d", 2, 11), "missing 2"}, // another one has vanished
		{update("-b -c d", 2, 14), "missing 4, waits for 2 that peers.expect counts, 11s to 1m11s"},
		{update("b -c d", 0, 20), "missing 1"},
		{update("-b c d", 0, 30), "missing 0"},
		{update("-b -c d", 0, 40), "missing 1, waits for b, 30s to 1m30s"}, // it was back
	} {
		if row.got != row.want {
			t.Errorf("%d: got %q, want %q", i, row.got, row.want)
		}
	}
}

func TestAnotherProcessGoesOnWithTheWait(t *testing.T) {
	w := Wait{Within: time.Minute}
	w.Update(peersOf("-b -c"), 1, t0)
	w.Update(peersOf("-b -c"), 1, t0.Add(4*time.Second))
	w.Insist([]string{"c"}, t0.Add(4*time.Second))
	text, err := json.Marshal(w.State)
	if err != nil {
		t.Fatal(err)
	}
	var s State
	if err := json.Unmarshal(text, &s); err != nil {
		t.Fatal(err)
	}
	next := Wait{Within: time.Minute}
	next.Restore(s, t0.Add(5*time.Second))
	for _, peers := range []string{"?b ?c", "", "-b -c"} { // they aren't met yet, are met never, are met as lost
		next.Update(peersOf(peers), 1-min(1, 2-len(peersOf(peers))), t0.Add(6*time.Second))
		if got, want := next.text(), "waits for"; !strings.Contains(got, want) || strings.Contains(got, "c,") || !strings.Contains(got, "b, 0s to 1m0s") || !next.Since.Equal(w.Since) {
			t.Errorf("%q: got %q", peers, got)
		}
	}
	next.Restore(s, t0.Add(-time.Hour)) // the clock was set back
	if a := next.Absences[0]; !a.Since.Equal(t0.Add(-time.Hour)) {
		t.Errorf("got %+v", next.State)
	}
}

func TestBalancersOfTheLastRunAreMissingUntilTheyAreMet(t *testing.T) {
	w := Wait{Within: time.Minute}
	w.Remember(map[string]time.Duration{"b": 0, "c": 0, "d": time.Minute, "e": 20 * time.Second}, t0)
	w.Update(peersOf("c"), 0, t0.Add(3*time.Second))
	if got, want := w.text(), "missing 2, waits for b, e, -20s to 1m0s"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestChangesThatWaitForTenSecondsAreAnAlarm(t *testing.T) {
	w := Wait{Within: time.Minute}
	w.Update(peersOf("-b"), 0, t0)
	w.Update(peersOf("-b"), 0, t0.Add(5*time.Second))
	for _, row := range []struct {
		at, next time.Duration
		changes  []string
		alarm    string
	}{
		{5 * time.Second, 15 * time.Second, []string{"a joins"}, ""},
		{9 * time.Second, 15 * time.Second, []string{"a joins", "c joins"}, ""},
		{15 * time.Second, 0, []string{"c joins"}, "changes of the ring wait (c joins) for balancers that have been missing since 2026-01-02T03:04:05Z: b. They are made when these are back, at 2026-01-02T03:05:05Z at the latest, " +
			"or when you go on without them: make sure that they don't run, and then run lb ctl insist"},
		{16 * time.Second, 0, nil, ""},
		{17 * time.Second, 27 * time.Second, []string{"c joins"}, ""},
	} {
		next := w.Note(row.changes, t0.Add(row.at))
		if got := w.Alarm(t0.Add(row.at)); got != row.alarm || row.next > 0 && !next.Equal(t0.Add(row.next)) || row.next == 0 && !next.IsZero() {
			t.Errorf("at %v: got %q, next %v", row.at, got, next.Sub(t0))
		}
	}
}
