package votes

import (
	"cmp"
	"math"
	"slices"
	"strings"
	"time"

	"tokenring/pool/moment"
	"tokenring/route"
)

// A Council is what one balancer knows of the votes of all. The zero Council is of a balancer
// that is alone. It is not safe for concurrent use.
type Council struct {
	Box
	Roll
	Fence  Fence
	speech Speech
	boot   uint64               // of this process; 0: not known yet
	lostAt map[string]time.Time // when gossip lost a balancer that it hasn't found again, by name
}

// Call finds out which of the peers that gossip knows have a vote: see NewRoll. It returns when
// there are fewer though nothing happens; zero if there is no such time.
func (c *Council) Call(peers []route.Peer, expect int, patience time.Duration, now time.Time) (next time.Time) {
	lost := map[string]time.Time{}
	others := make([]Balancer, 0, len(peers))
	for _, p := range peers {
		b := Balancer{Name: p.Name, Alive: p.Alive, Speaks: c.Speaks(p.Name)}
		if !p.Alive {
			b.LostAt = moment.OrElse(c.lostAt[p.Name], now)
			lost[p.Name] = b.LostAt
		}
		others = append(others, b)
	}
	c.lostAt = lost
	c.Keep(func(name string) bool {
		return slices.ContainsFunc(peers, func(p route.Peer) bool { return p.Name == name })
	})
	c.Roll, next = NewRoll(expect, others, patience, now)
	return next
}

// LastLost returns when gossip lost the last of the balancers that it hasn't found again; zero
// if there are none.
func (c *Council) LastLost() (last time.Time) {
	for _, at := range c.lostAt {
		last = moment.Latest(last, at)
	}
	return last
}

// LostAt returns when gossip lost a balancer that it hasn't found again; zero if it hasn't
// lost it.
func (c *Council) LostAt(balancer string) time.Time { return c.lostAt[balancer] }

// Restore goes on from what another process of this balancer has known.
func (c *Council) Restore(all []Entry, peers []route.Peer) {
	for _, e := range all {
		c.Take(e)
	}
	c.lostAt = map[string]time.Time{}
	for _, p := range peers {
		if !p.Alive {
			c.lostAt[p.Name] = p.Since
		}
	}
}

// Say replaces what this balancer, by its name, tells of its own checks: see Speech.Update.
func (c *Council) Say(by string, all []HostVote, now time.Time) (whole, changed []Entry) {
	c.boot = cmp.Or(c.boot, uint64(max(1, now.UnixNano())))
	return c.speech.Update(by, c.boot, all)
}

// Refute takes note of a boot by which peers know this balancer. If it is greater than that of this
// process, which has begun with a clock that was set back, they would take its votes for older ones:
// it gets a greater one, and Say says everything again. It reports whether that is so.
// (SWIM refutes suspicions by greater incarnation numbers in the same way: Das, Gupta and Motivala,
// DSN 2002, section 4.2.)
func (c *Council) Refute(boot uint64) bool {
	if boot <= c.boot || boot == math.MaxUint64 {
		return false
	}
	c.boot, c.speech = boot+1, Speech{number: c.speech.number}
	return true
}

// DisputedAfter is how long balancers may have different verdicts on a host before that is
// an alarm: one may notice a failure some checks later than another, and news of it takes
// some rounds of gossip.
const DisputedAfter = 10 * time.Second

// A Ballot is what the balancers say of one host. The zero Ballot is of a host that nobody has
// checked.
type Ballot struct {
	FailedAt time.Time // when the verdict of this balancer became Down; zero for other verdicts
	Decision
	Steadiness
	Fencing
	DownSince time.Time // since when it is down, and the checks here fail; zero if one of the two isn't so
	Views     route.Views
	Passes    bool      // it is down because it isn't steady yet: the checks here pass, and nobody else's fail
	Traffic   bool      // terminals of this balancer there work: see NoteTraffic
	Disputed  time.Time // since when some have had it up and some down; zero if they agree
	Raised    bool      // that is an alarm
}

// Vote returns the vote of this balancer by the last check, and notes since when it has the host
// down. damping is how long a host that was voted down must be steady to be up again; 0 if it
// needn't be.
func (b *Ballot) Vote(c Check, damping time.Duration, now time.Time) Vote {
	returning := b.isReturning(c, damping, now)
	if c.Verdict != route.Down && !returning {
		b.FailedAt = time.Time{}
		return Vote{Verdict: c.Verdict}
	}
	b.FailedAt = moment.OrElse(b.FailedAt, now)
	refused := c.Refused && !returning && b.refusalCounts(c, b.Decision, damping, now)
	return Vote{Verdict: route.Down, Since: b.FailedAt.UTC().Round(0), Refused: refused, Returning: returning}
}

// Count takes in what all balancers say of a host. It returns what this one is to tell of it. That
// is own, unless others have brought the host back before it was steady here. next is when the decision may
// change though nothing happens; zero if it won't.
func (c *Council) Count(b *Ballot, host string, own Vote, now time.Time) (told Vote, next time.Time) {
	others := c.On(host, c.Roll)
	b.Views = route.Views{Up: strings.Join(others.Up, ", "), Down: strings.Join(others.Down, ", "), Traffic: strings.Join(others.Traffic, ", ")}
	next = b.dispute(own, now)
	before, votes := b.Decision, len(others.Down)
	if own.Verdict == route.Down {
		votes++
	}
	b.Decision = Decide(before, own, others, !next.IsZero())
	if own.Returning && b.Verdict == route.Up {
		own = Vote{Verdict: route.Up}
		next = b.dispute(own, now)
	}
	next = moment.Earliest(next, b.fence(c.Fence, before, own, others, now))
	b.follow(b.Decision, isMajority(votes, others.Known), now)
	b.noteDown(own, now)
	b.Passes = b.isDown() && (own.Returning || own.Verdict == route.Up && others.Returning == len(others.Down))
	return own, moment.Earliest(moment.Earliest(next, b.ReturnsAt), b.refusalAt)
}

// noteDown notes since when the host is down, and the checks here fail.
func (b *Ballot) noteDown(own Vote, now time.Time) {
	if own.Verdict != route.Down || own.Returning || !b.isDown() {
		b.DownSince = time.Time{}
		return
	}
	b.DownSince = moment.OrElse(b.DownSince, now)
}

// dispute notes since when balancers differ. It returns when that has lasted for DisputedAfter;
// zero if they don't differ, or have for longer.
func (b *Ballot) dispute(own Vote, now time.Time) (next time.Time) {
	up, down := own.Verdict == route.Up || b.Views.Up != "", own.Verdict == route.Down || b.Views.Down != ""
	if !up || !down {
		b.Disputed, b.Raised = time.Time{}, false
		return time.Time{}
	}
	b.Disputed = moment.OrElse(b.Disputed, now)
	if due := b.Disputed.Add(DisputedAfter); now.Before(due) {
		return due
	}
	b.Raised = true
	return time.Time{}
}

// Assessed returns the verdict on the host for its place in the ring. A host that another
// balancer reaches stays there.
func (b *Ballot) Assessed() route.Verdict {
	if b.Reached {
		return route.Up
	}
	return b.Verdict
}
