package votes

import (
	"strings"
	"testing"
	"time"

	"tokenring/route"
)

// fenceWait is longer than NoticedAfter, as it is with the default lease.
const fenceWait = 12 * time.Second

// A moot is what one balancer of three makes of the votes on a host, as time passes.
type moot struct {
	ballot Ballot
	fence  Fence
	now    time.Time
}

// hear has some seconds pass, and then the votes be as pollOf has them, the balancer's own first. It
// returns what becomes of the host's keys: "here", "wait" or "elsewhere"; with a star if
// the host gets leases.
func (m *moot) hear(after time.Duration, all string) string {
	m.now = m.now.Add(after)
	own := map[byte]Vote{'+': {Verdict: route.Up}, '-': {Verdict: route.Down}, 'r': {Verdict: route.Down, Refused: true}, '?': {}}[all[0]]
	box, roll := pollOf(all[1:])
	c := Council{Box: box, Roll: roll, Fence: m.fence}
	c.Count(&m.ballot, "ide-1", own, m.now)
	name := "here"
	switch {
	case m.ballot.Held:
		name = "wait"
	case m.ballot.Verdict != route.Up:
		name = "elsewhere"
	}
	if m.ballot.Leased {
		name += "*"
	}
	return name
}

func TestKeysWaitForTheFence(t *testing.T) {
	for _, row := range []struct {
		name  string
		steps string // seconds:votes=keys
	}{
		{"a majority has it down", "0:+++=here* 1:-++=wait 1:--+=wait 11:--+=wait 1:--+=elsewhere"},
		{"one more has it down later", "0:--+=wait 11:---=wait 1:---=elsewhere"},
		{"it refuses connections", "0:+++=here* 1:r-+=elsewhere 5:--+=elsewhere"},
		{"it refuses connections here alone", "0:+++=here* 1:r++=elsewhere"},
		{"a majority of others has it down", "0:+++=here* 1:+--=wait 12:+--=elsewhere"},
		{"the majority was interrupted", "0:--+=wait 11:-++=wait 0:--+=wait 11:--+=wait 1:--+=elsewhere"},
		{"a balancer isn't heard before the time is over", "0:--+=wait 11:-x+=wait 10:-x+=wait"},
		{"this balancer isn't heard by anybody", "0:+++=here* 1:-xx=wait 300:-xx=wait"},
		{"it isn't heard after the keys have gone", "0:--+=wait 12:--+=elsewhere 1:-xx=wait 20:-xx=wait 1:--+=wait 12:--+=elsewhere"},
		{"it returns, and others have it up first", "0:---=wait 12:---=elsewhere 1:+--=elsewhere 1:++-=elsewhere 9:+++=elsewhere 1:+++=here*"},
		{"it returns while this balancer is cut off", "0:---=wait 12:---=elsewhere 1:+xx=here 10:+xx=here*"},
		{"it returns, and is down again", "0:---=wait 12:---=elsewhere 1:+++=elsewhere 5:-+-=elsewhere 30:-+-=elsewhere"},
		{"others reach it, and this one doesn't", "0:---=wait 12:---=elsewhere 1:-++=elsewhere 9:-++=elsewhere 1:-++=wait"},
		{"it fails here for a moment", "0:+++=here* 1:-++=wait 1:+++=here 9:+++=here 1:+++=here*"},
		{"it has got another address", "0:+++=here* 1:?++=wait 60:???=wait 1:+++=here*"},
		{"it is new", "0:?..=elsewhere 1:+..=here*"},
	} {
		m := moot{fence: Fence{Wait: fenceWait, Expect: 3}, now: t0}
		for step := range strings.FieldsSeq(row.steps) {
			after, rest, _ := strings.Cut(step, ":")
			votes, want, _ := strings.Cut(rest, "=")
			d, err := time.ParseDuration(after + "s")
			if err != nil {
				t.Fatal(err)
			}
			if got := m.hear(d, votes); got != want {
				t.Errorf("%s: at %s, got %s", row.name, step, got)
			}
		}
	}
}

func TestAProcessThatDoesNotKnowWhatTheOneBeforeHasVotedGivesNoLeasesAtFirst(t *testing.T) {
	m := moot{fence: Fence{Wait: fenceWait, Expect: 3, From: t0.Add(NoticedAfter)}, now: t0}
	if got := m.hear(9*time.Second, "+++"); got != "here" {
		t.Errorf("too early: %s", got)
	}
	if got := m.hear(time.Second, "+++"); got != "here*" {
		t.Errorf("then: %s", got)
	}
	for leased, want := range map[bool]string{true: "here*", false: "here"} {
		m = moot{fence: Fence{Wait: fenceWait, Expect: 3}, now: t0, ballot: Ballot{Fencing: ResumeFencing(leased, t0)}}
		if got := m.hear(time.Second, "+++"); got != want {
			t.Errorf("with leases before: %t: %s", leased, got)
		}
	}
}

// TestBalancersThatAreExpectedCount: without the third, which this one has never met, two that
// differ are no majority.
func TestBalancersThatAreExpectedCount(t *testing.T) {
	m := moot{fence: Fence{Wait: fenceWait, Expect: 4}, now: t0}
	m.hear(0, "+++")
	m.hear(time.Second, "--+")
	if got := m.hear(time.Hour, "--+"); got != "wait" {
		t.Errorf("two of four: %s", got)
	}
	if got := m.hear(0, "---"); got != "wait" {
		t.Errorf("three of four, at first: %s", got)
	}
	if got := m.hear(fenceWait, "---"); got != "elsewhere" {
		t.Errorf("three of four: %s", got)
	}
}
