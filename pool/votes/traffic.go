package votes

import (
	"time"

	"tokenring/route"
)

// QuietAfter is how long a host whose checks fail may send nothing to its terminals until
// nobody counts them as alive: longer than a failing check and the pause before the next one,
// and longer than browser IDEs leave a terminal without a sign of life.
const QuietAfter = 15 * time.Second

// trafficPause is how soon bytes are noticed that begin to come.
const trafficPause = time.Second

// Terminals are what this balancer sees of its terminals on one host.
type Terminals struct {
	Open     bool      // there are some
	LastByte time.Time // when the host has sent a byte to one of them last; zero if it hasn't
	Failing  time.Time // when the first one of the checks ended that have failed since; zero if they pass
}

// NoteTraffic finds out whether own, the vote of this balancer, says that terminals on the host
// work, and sets Traffic: a balancer has the host down, and yet the host has sent bytes lately,
// since its checks here began to fail. A host whose machine refuses connections ends what it
// still serves. It must be called after Count, and returns when to call it again though nothing
// else happens; zero if there is no such time.
func (b *Ballot) NoteTraffic(own *Vote, t Terminals, now time.Time) (next time.Time) {
	b.Traffic = false
	isDown := own.Verdict == route.Down || own.Verdict == route.Up && b.Views.Down != ""
	if !isDown || own.Refused || !t.Open {
		return time.Time{}
	}
	until := t.LastByte.Add(QuietAfter)
	b.Traffic = t.LastByte.After(t.Failing) && now.Before(until)
	own.Traffic = b.Traffic
	if b.Traffic {
		return until
	}
	return now.Add(trafficPause)
}
