package pool

import (
	"testing"
	"time"

	"tokenring/pool/votes"
	"tokenring/route"
)

// TestAnotherProcessKnowsHowLongAHostHasBeenSteady, and since when it has been down.
func TestAnotherProcessKnowsHowLongAHostHasBeenSteady(t *testing.T) {
	since := t0.Add(-4 * time.Second)
	for name, ballot := range map[string]votes.Ballot{
		"it returns": {Decision: votes.Decision{Verdict: route.Down}, Steadiness: votes.Steadiness{VotedDown: true, Since: since}},
		"it needn't": {Decision: votes.Decision{Verdict: route.Down}, Steadiness: votes.Steadiness{VotedDown: true, Excused: true, Since: since}},
		"it is down": {Decision: votes.Decision{Verdict: route.Down}, Steadiness: votes.Steadiness{VotedDown: true}, DownSince: since},
	} {
		check := CheckResult{Verdict: route.Up}
		if !ballot.DownSince.IsZero() {
			check.Verdict = route.Down
		}
		got := restoreHost((&host{location: location{check: check}, ballot: ballot}).state().Past(t0)).ballot
		if got.Verdict != ballot.Verdict || got.Steadiness != ballot.Steadiness || !got.DownSince.Equal(since) && !ballot.DownSince.IsZero() {
			t.Errorf("%s: got %+v, want %+v", name, got, ballot)
		}
	}
}
