package votes

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"tokenring/route"
)

var t0 = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// pollOf returns what others say of ide-1: + is up, - down, r refused, ? unchecked. A dot is a balancer that
// doesn't know the host, and x one that is lost.
func pollOf(others string) (b Box, r Roll) {
	for i, c := range others {
		name := string(rune('a' + i))
		e := Entry{By: name, Boot: 1, Number: 1, Hosts: []string{"ide-1"}}
		switch c {
		case '+':
			e.Verdict = route.Up
		case '-':
			e.Verdict = route.Down
		case 'r':
			e.Verdict, e.Refused = route.Down, true
		case '.':
			e.Hosts = []string{"ide-2"}
		}
		b.Take(e)
		if c == 'x' {
			r.Silent = append(r.Silent, name)
		} else {
			r.Speaking = append(r.Speaking, name)
		}
	}
	return b, r
}

// name returns a decision in a word.
func (d Decision) name() string {
	switch {
	case d.Held && d.Reached:
		return "held, reached"
	case d.Held:
		return "held"
	case d.Outvoted:
		return "outvoted"
	}
	return d.Verdict.String()
}

func TestWhichVotesDecide(t *testing.T) {
	own := map[byte]Vote{'+': {Verdict: route.Up}, '-': {Verdict: route.Down}, 'r': {Verdict: route.Down, Refused: true}, '?': {}}
	down := Decision{Verdict: route.Down}
	for _, row := range []struct {
		votes  string // of this balancer, then of the others
		before Decision
		unseen int
		recent bool // they have differed for a short while
		want   string
	}{
		{votes: "+", want: "up"},
		{votes: "-", want: "down"}, // alone: its own word
		{votes: "?", want: "unchecked"},
		{votes: "?--", want: "unchecked"},
		{votes: "--", want: "down"}, // two: both must say so
		{votes: "-+", want: "held, reached"},
		{votes: "-?", want: "held"},
		{votes: "+-", want: "up"},
		{votes: "-x", want: "held"}, // the other one is lost, and may reach the host
		{votes: "-.", want: "down"}, // the other one doesn't know the host
		{votes: "r+", want: "down"}, // a refusal needs no vote
		{votes: "rx", want: "down"},
		{votes: "+r", want: "up"}, // but it is no proof for others
		{votes: "--+", want: "down"},
		{votes: "-++", want: "held, reached"},
		{votes: "-+-", want: "down"},
		{votes: "+--", want: "outvoted"},
		{votes: "+-+", want: "up"},
		{votes: "--x", want: "down"},
		{votes: "-xx", want: "held"},
		{votes: "-+x", want: "held, reached"},
		{votes: "--++", want: "held, reached"}, // half of four isn't most
		{votes: "---+", want: "down"},
		{votes: "+--+", want: "up"},
		{votes: "---++", want: "down"},
		{votes: "-", unseen: 2, want: "held"}, // one of three that are expected
		{votes: "--", unseen: 1, want: "down"},
		{votes: "-?", before: down, want: "down"}, // nobody comes back because a voter has gone
		{votes: "-x", before: down, want: "down"},
		{votes: "-+", before: down, want: "held, reached"},          // unless another balancer may serve there
		{votes: "+-", before: down, recent: true, want: "outvoted"}, // it returns: the other one checks it soon
		{votes: "-+", before: down, recent: true, want: "down"},
		{votes: "++", before: down, want: "up"},
		{votes: "+-", before: down, want: "up"}, // the other one can't reach it
		{votes: "-+", recent: true, want: "held, reached"},
		{votes: "-?", before: Decision{Verdict: route.Down, Held: true}, want: "held"},
		{votes: "?+", before: Decision{Verdict: route.Down, Held: true}, want: "held, reached"}, // it has come back, and no check of it has counted yet
		{votes: "?-", before: Decision{Verdict: route.Down, Held: true}, want: "unchecked"},
	} {
		box, roll := pollOf(row.votes[1:])
		roll.Unseen = row.unseen
		if got := Decide(row.before, own[row.votes[0]], box.On("ide-1", roll), row.recent).name(); got != row.want {
			t.Errorf("%s, before %s, %d unseen: got %s, want %s", row.votes, row.before.name(), row.unseen, got, row.want)
		}
	}
}

// TestBalancersThatHearEachOtherSendNoKeyToTwoHosts tries all votes of up to five
// balancers, but for refusals: if the keys of a host go elsewhere at one of them, no other
// one sends them to the host.
func TestBalancersThatHearEachOtherSendNoKeyToTwoHosts(t *testing.T) {
	for n := 1; n <= 5; n++ {
		votes := make([]byte, n)
		for code := range pow(2, n) {
			for i := range votes {
				votes[i] = "+-"[code>>i&1]
			}
			here, elsewhere := "", ""
			for i := range votes {
				box, roll := pollOf(string(slices.Concat(votes[:i], votes[i+1:])))
				own := Vote{Verdict: map[byte]route.Verdict{'+': route.Up, '-': route.Down}[votes[i]]}
				switch d := Decide(Decision{}, own, box.On("ide-1", roll), code%2 == 0); {
				case d.Verdict == route.Up:
					here += string(rune('a' + i))
				case !d.Held:
					elsewhere += string(rune('a' + i))
				}
			}
			if here != "" && elsewhere != "" {
				t.Errorf("%s: %s serve the keys on the host, and %s elsewhere", votes, here, elsewhere)
			}
			if up := strings.Count(string(votes), "+"); here == "" && up == n || elsewhere == "" && up == 0 {
				t.Errorf("%s: the balancers agree, and don't act so", votes)
			}
		}
	}
}

func pow(b, n int) int {
	p := 1
	for range n {
		p *= b
	}
	return p
}

func TestWhoHasAVote(t *testing.T) {
	const patience = 2 * time.Minute
	speaks := func(name string) Balancer { return Balancer{Name: name, Alive: true, Speaks: true} }
	lost := func(name string, ago time.Duration) Balancer {
		return Balancer{Name: name, LostAt: t0.Add(-ago), Speaks: true}
	}
	for what, row := range map[string]struct {
		expect int
		others []Balancer
		known  int
		next   time.Duration
	}{
		"alone":                                  {0, nil, 1, 0},
		"expected ones count":                    {3, nil, 3, 0},
		"known ones count":                       {0, []Balancer{speaks("b"), speaks("c")}, 3, 0},
		"more than are expected":                 {2, []Balancer{speaks("b"), speaks("c")}, 3, 0},
		"lost a moment ago":                      {0, []Balancer{speaks("b"), lost("c", time.Minute)}, 3, time.Minute},
		"lost long ago":                          {0, []Balancer{speaks("b"), lost("c", patience)}, 2, 0},
		"lost long ago, and expected":            {3, []Balancer{speaks("b"), lost("c", patience)}, 3, 0},
		"of an earlier version":                  {0, []Balancer{{Name: "b", Alive: true}, speaks("c")}, 2, 0},
		"of an earlier version, and expected":    {3, []Balancer{{Name: "b", Alive: true}, speaks("c")}, 2, 0},
		"of an earlier version, and lost":        {0, []Balancer{{Name: "b", LostAt: t0}}, 1, 0},
		"the first of two that drop out is next": {0, []Balancer{lost("b", time.Second), lost("c", time.Minute)}, 3, time.Minute},
	} {
		r, next := NewRoll(row.expect, row.others, patience, t0)
		if want := t0.Add(row.next); r.Known() != row.known || row.next > 0 && !next.Equal(want) || row.next == 0 && !next.IsZero() {
			t.Errorf("%s: got %d, next %s; want %d, %s", what, r.Known(), next, row.known, row.next)
		}
	}
}

func TestTheLastVoteOfABalancerCounts(t *testing.T) {
	vote := func(boot, number uint64, v route.Verdict) Entry {
		return Entry{By: "b", Boot: boot, Number: number, Vote: Vote{Verdict: v}, Hosts: []string{"ide-1"}}
	}
	var b Box
	for i, row := range []struct {
		e    Entry
		news bool
		want route.Verdict
	}{
		{vote(5, 1, route.Up), true, route.Up},
		{vote(5, 3, route.Down), true, route.Down},
		{vote(5, 2, route.Up), false, route.Down},
		{vote(5, 3, route.Up), false, route.Down},
		{vote(4, 9, route.Up), false, route.Down},
		{vote(6, 1, route.Up), true, route.Up},
		{vote(6, 2, route.Up), false, route.Up},
	} {
		if news := b.Take(row.e); news != row.news {
			t.Errorf("%d: news %v, want %v", i, news, row.news)
		}
		if got, _ := b.of("b", "ide-1"); got.Verdict != row.want {
			t.Errorf("%d: got %s, want %s", i, got.Verdict, row.want)
		}
	}
	b.Keep(func(string) bool { return false })
	if b.Speaks("b") {
		t.Error("a balancer that isn't kept speaks")
	}
}

// TestABalancerWhoseClockWasSetBackIsHeard has one begin anew with a smaller boot, while messages of
// its earlier process still come.
func TestABalancerWhoseClockWasSetBackIsHeard(t *testing.T) {
	says := func(v route.Verdict) []HostVote { return []HostVote{{"ide-1", Vote{Verdict: v}}} }
	var before, after Council
	var b Box
	_, old := before.Say("b", says(route.Down), t0.Add(time.Hour))
	b.Take(old[0])
	if _, changed := after.Say("b", says(route.Up), t0); b.Take(changed[0]) {
		t.Fatal("an earlier boot counts")
	} else if told, outdated := b.Outdates(changed[0]); !outdated || !after.Refute(told.Boot) {
		t.Fatalf("the balancer doesn't learn of the greater boot: %+v, %v", told, outdated)
	}
	_, changed := after.Say("b", says(route.Up), t0)
	if len(changed) != 1 || !b.Take(changed[0]) || b.Take(old[0]) {
		t.Fatalf("what it says again is %+v", changed)
	}
	if got, _ := b.of("b", "ide-1"); got.Verdict != route.Up {
		t.Errorf("got %s", got.Verdict)
	}
	if told, outdated := b.Outdates(changed[0]); outdated || after.Refute(changed[0].Boot) || after.Refute(math.MaxUint64) {
		t.Errorf("its own boot is refuted, or that of a balancer that lies: %+v", told)
	}
}

// TestABoxOfAllEntriesHasTheSameVotes hands votes to another Box by entries, and to a third by
// what a Speech says.
func TestABoxOfAllEntriesHasTheSameVotes(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	var speech Speech
	var heard, late Box
	for range 200 {
		all := []HostVote{}
		for _, host := range []string{"a", "b", "c", "d"}[:1+rng.IntN(4)] {
			v := Vote{Verdict: route.Verdict(rng.IntN(3))}
			if v.Verdict == route.Down {
				v.Since, v.Refused = t0.Add(time.Duration(rng.IntN(2))*time.Second), rng.IntN(2) == 0
			}
			all = append(all, HostVote{host, v})
		}
		whole, changed := speech.Update("lb-1", 7, all)
		for _, e := range changed {
			heard.Take(e)
		}
		if rng.IntN(2) == 0 {
			continue
		}
		late = Box{}
		for _, e := range whole {
			late.Take(e)
		}
		var copied Box
		for _, e := range heard.Entries() {
			copied.Take(e)
		}
		for _, v := range all {
			host, want := v.Host, v.Vote
			for what, b := range map[string]*Box{"what has changed": &heard, "everything": &late, "a copy": &copied} {
				if got, ok := b.of("lb-1", host); (what != "everything" || whole != nil) && (!ok || got != want) {
					t.Fatalf("%s: the vote on %s is %+v, want %+v", what, host, got, want)
				}
			}
		}
	}
}

func TestABalancerThatHasNoHostSpeaks(t *testing.T) {
	var s Speech
	var b Box
	whole, _ := s.Update("lb-1", 7, nil)
	for _, e := range whole {
		b.Take(e)
	}
	if !b.Speaks("lb-1") {
		t.Error("it doesn't")
	}
	if whole, changed := s.Update("lb-1", 7, nil); whole != nil || changed != nil {
		t.Errorf("nothing has changed, got %v, %v", whole, changed)
	}
}

func TestABoxIsBounded(t *testing.T) {
	var b Box
	for i := range 2 * maxBalancers {
		b.Take(Entry{By: "lb-" + string(rune('0'+i)), Hosts: []string{"a"}})
	}
	for i := range 2 * maxHosts {
		b.Take(Entry{By: "lb-0", Number: uint64(i), Hosts: []string{"ide-" + string(rune(100+i))}})
	}
	if len(b.voters) != maxBalancers || len(b.voters["lb-0"].votes) != maxHosts {
		t.Errorf("got %d balancers, and %d hosts of one", len(b.voters), len(b.voters["lb-0"].votes))
	}
}
