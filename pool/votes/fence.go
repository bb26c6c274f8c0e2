package votes

import (
	"time"

	"tokenring/pool/moment"
	"tokenring/route"
)

// NoticedAfter is longer than gossip needs to notice that a balancer can't be heard. So long,
// a balancer that has had a host down gives it no leases, after it has it up again: those that
// count on its vote have noticed by then that they no longer hear it.
const NoticedAfter = 10 * time.Second

// A Fence is what Count needs to know if hosts fence themselves (sessions.strict): a host's
// gate closes its terminals unless a majority of the balancers gives it leases. The zero Fence
// is of balancers that give none.
type Fence struct {
	// Wait is how long the keys of a host wait that a majority has down, without going
	// elsewhere. It is longer than a lease lasts.
	Wait time.Duration
	// Expect is how many balancers there are at least, this one among them.
	Expect int
	// From is when this process may give leases: the one before it may have voted, and it
	// doesn't know. Zero if it does know.
	From time.Time
}

// A Fencing is how far a host is fenced, as far as this balancer knows. The zero Fencing is of
// a host that nobody has had down.
type Fencing struct {
	// Leased reports that the gate of the host gets leases from this balancer.
	Leased bool
	// AwaitsGate reports that a majority has the host down, and that its keys still wait.
	AwaitsGate bool

	downSince time.Time // since when this balancer knows, without a break, that a majority has the host down
	upSince   time.Time // since when no majority has it down, while its keys are elsewhere
	told      route.Verdict
	leaseFrom time.Time // no lease before
}

// ResumeFencing returns the Fencing of a host as another process of this balancer has had it.
// Without leases there, this process gives none for NoticedAfter.
func ResumeFencing(leased bool, now time.Time) Fencing {
	if leased {
		return Fencing{}
	}
	return Fencing{leaseFrom: now.Add(NoticedAfter)}
}

// fence has the keys of the host wait until its gate has closed its terminals. before is the
// decision of the last time, and told what this balancer tells of the host now. b.Decision is
// what follows without the fence. It returns when the result may change though nothing
// happens; zero if it won't.
//
//	           a majority has it down             Wait
//	up, held ─────────────────────────▶ awaited ─────────▶ elsewhere
//	    ▲  ◀──────── no majority any more ─┘  it refuses ────▲  │
//	    └──── NoticedAfter without a majority that has it down ─┘
//
// Keys go elsewhere, and are there, only while most balancers are heard. So one that is cut off
// from them has the keys wait.
func (b *Ballot) fence(f Fence, before Decision, told Vote, others Poll, now time.Time) (next time.Time) {
	if f.Wait == 0 {
		return time.Time{}
	}
	down, heard, known := len(others.Down), 1+len(others.Up)+len(others.Down), max(others.Known, f.Expect)
	if told.Verdict == route.Down {
		down++
	}
	waits := Decision{Verdict: b.Verdict, Held: true, Reached: b.Reached, Outvoted: b.Outvoted}
	b.AwaitsGate = false
	switch elsewhere := before.isDown(); {
	case isMajority(down, known):
		b.upSince, b.downSince = time.Time{}, moment.OrElse(b.downSince, now)
		due := b.downSince.Add(f.Wait)
		if elsewhere || told.Refused || !now.Before(due) {
			b.Decision = Decision{Verdict: route.Down, Outvoted: b.Outvoted}
			break
		}
		waits.Verdict = route.Down
		b.Decision, b.AwaitsGate, next = waits, true, due
	case elsewhere && isMajority(heard, known):
		b.downSince, b.upSince = time.Time{}, moment.OrElse(b.upSince, now)
		if due := b.upSince.Add(NoticedAfter); now.Before(due) {
			b.Decision, next = Decision{Verdict: route.Down, Outvoted: told.Verdict == route.Up}, due
		} else if b.isDown() && !told.Refused {
			b.Decision = waits
		}
	default:
		b.upSince, b.downSince = time.Time{}, time.Time{}
		unchecked := b.Verdict == route.Unchecked && (before.Held || before.Verdict == route.Up)
		if (b.isDown() || unchecked) && !told.Refused {
			b.Decision = waits
		}
	}
	return moment.Earliest(next, b.lease(f, told, now))
}

// lease finds out whether the gate gets leases. It returns when that may change though nothing
// happens; zero if it won't.
func (b *Ballot) lease(f Fence, told Vote, now time.Time) (next time.Time) {
	if b.told == route.Down && told.Verdict != route.Down {
		b.leaseFrom = now.Add(NoticedAfter)
	}
	b.told = told.Verdict
	due := moment.Latest(b.leaseFrom, f.From)
	b.Leased = told.Verdict == route.Up && b.Verdict == route.Up && !now.Before(due)
	if now.Before(due) {
		return due
	}
	return time.Time{}
}

// GateAlarm returns the alarm about hosts that pass their checks without a gate; "" if there
// are none.
func GateAlarm(hosts []string) string {
	if len(hosts) == 0 {
		return ""
	}
	return "no gate stands before " + route.ShortList(hosts) + ", so these hosts can't fence themselves, and a token may be on two hosts in spite of sessions.strict: start their agents with --gate"
}
