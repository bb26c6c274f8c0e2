package votes

import (
	"testing"
	"time"

	"tokenring/route"
)

// TestAHostReturnsWhenItIsSteady has one balancer, alone, check a host once a second.
func TestAHostReturnsWhenItIsSteady(t *testing.T) {
	const damping = 3 * time.Second
	for _, row := range []struct {
		checks string // + passes, - fails, ! fails and the verdict is up still, ? isn't checked, x excuses the host before the next check
		want   string // U up, D down, R down and returning, ? unchecked
	}{
		{"+-+++++", "UDRRRUU"},
		{"+-+-+++++", "UDRDRRRUU"}, // each failure begins the time anew
		{"+-++!++++", "UDRRRRRRU"}, // a failure that doesn't count, too
		{"+-x+", "UDU"},            // it was away on purpose
		{"+-x+-+", "UDUDR"},        // and the next time it wasn't
		{"++!+", "UUUU"},           // it has never been down
		{"-+", "DR"},
		{"+-?+", "UD?U"}, // it has got another address
	} {
		var c Council
		var b Ballot
		got := ""
		for i, check := range row.checks {
			now := t0.Add(time.Duration(i) * time.Second)
			result := Check{Verdict: route.Up, At: now}
			switch check {
			case 'x':
				b.Excuse()
				continue
			case '-':
				result.Verdict, result.Failed = route.Down, true
			case '!':
				result.Failed = true
			case '?':
				result.Verdict = route.Unchecked
			}
			c.Count(&b, "ide-1", b.Vote(result, damping, now), now)
			switch {
			case !b.ReturnsAt.IsZero():
				got += "R"
			default:
				got += map[route.Verdict]string{route.Up: "U", route.Down: "D", route.Unchecked: "?"}[b.Verdict]
			}
		}
		if got != row.want {
			t.Errorf("%s: got %s, want %s", row.checks, got, row.want)
		}
	}
}

// TestAHostThatOneBalancerAloneHasHadDownReturnsAtOnce: its keys are there through the others.
func TestAHostThatOneBalancerAloneHasHadDownReturnsAtOnce(t *testing.T) {
	box, roll := pollOf("++")
	c := Council{Box: box, Roll: roll}
	var b Ballot
	c.Count(&b, "ide-1", b.Vote(Check{Verdict: route.Down, Refused: true, Passed: true, Failed: true, At: t0}, time.Minute, t0), t0)
	if !b.isDown() {
		t.Fatalf("a host that refuses connections is %s", b.Decision.name())
	}
	told, _ := c.Count(&b, "ide-1", b.Vote(Check{Verdict: route.Up, At: t0}, time.Minute, t0), t0)
	if b.Verdict != route.Up || told.Verdict != route.Up {
		t.Errorf("then it is %s, and this balancer tells %+v", b.Decision.name(), told)
	}
}

// TestARefusalAtAnAddressThatNeverServedNeedsAVote: the others may know that the host is elsewhere by
// now.
func TestARefusalAtAnAddressThatNeverServedNeedsAVote(t *testing.T) {
	for _, row := range []struct {
		others string
		held   bool
	}{{"++", true}, {"+-", false}, {"--", false}, {"", false}} {
		box, roll := pollOf(row.others)
		c := Council{Box: box, Roll: roll}
		var b Ballot
		c.Count(&b, "ide-1", b.Vote(Check{Verdict: route.Down, Refused: true, Failed: true, At: t0}, time.Minute, t0), t0)
		if b.Held != row.held || b.isDown() == row.held {
			t.Errorf("others %q: got %s", row.others, b.Decision.name())
		}
	}
}

// TestWhoKnowsThatAHostPasses: its terminals stay meanwhile.
func TestWhoKnowsThatAHostPasses(t *testing.T) {
	returning := Check{Verdict: route.Up, At: t0}
	for _, row := range []struct {
		what   string
		others map[string]Vote
		voted  bool // it was voted down here, too
		passes bool
	}{
		{"it returns at all", map[string]Vote{"a": {Verdict: route.Down, Returning: true}, "b": {Verdict: route.Down, Returning: true}}, true, true},
		{"it has been up here", map[string]Vote{"a": {Verdict: route.Down, Returning: true}, "b": {Verdict: route.Down, Returning: true}}, false, true},
		{"it has been up here, and fails elsewhere", map[string]Vote{"a": {Verdict: route.Down, Returning: true}, "b": {Verdict: route.Down}}, false, false},
		{"it is up", map[string]Vote{"a": {Verdict: route.Up}, "b": {Verdict: route.Up}}, false, false},
	} {
		c := Council{Roll: Roll{Speaking: []string{"a", "b"}}}
		for name, v := range row.others {
			c.Take(Entry{By: name, Boot: 1, Number: 1, Vote: v, Hosts: []string{"ide-1"}})
		}
		b := Ballot{Decision: Decision{Verdict: route.Down}, Steadiness: Steadiness{VotedDown: row.voted}}
		c.Count(&b, "ide-1", b.Vote(returning, time.Minute, t0), t0)
		if b.Passes != row.passes {
			t.Errorf("%s: got %t, want %t", row.what, b.Passes, row.passes)
		}
	}
}

// TestARefusalNeedsNoVoteOnceInTheTimeOfDamping has one balancer of three see that a host refuses
// connections, for a moment each time.
func TestARefusalNeedsNoVoteOnceInTheTimeOfDamping(t *testing.T) {
	const damping = 10 * time.Second
	box, roll := pollOf("++")
	c := Council{Box: box, Roll: roll}
	var b Ballot
	check := func(at int, refused bool) (string, time.Time) {
		now := t0.Add(time.Duration(at) * time.Second)
		result := Check{Verdict: route.Up, At: now}
		if refused {
			result = Check{Verdict: route.Down, Refused: true, Passed: true, Failed: true, At: now}
		}
		_, next := c.Count(&b, "ide-1", b.Vote(result, damping, now), now)
		return b.Decision.name(), next
	}
	for _, row := range []struct {
		at      int
		refused bool
		want    string
	}{
		{0, true, "down"}, {2, true, "down"}, {3, false, "up"}, {6, true, "held, reached"}, {8, false, "up"}, {11, true, "held, reached"}, {12, true, "down"},
	} {
		got, next := check(row.at, row.refused)
		if got != row.want {
			t.Errorf("after %d s: got %s, want %s", row.at, got, row.want)
		}
		if row.at == 11 && !next.Equal(t0.Add(12*time.Second)) {
			t.Errorf("the refusal counts at %v", next)
		}
	}
}
