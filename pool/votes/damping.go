package votes

import (
	"time"

	"tokenring/pool/moment"
	"tokenring/route"
)

// A Check is the last result of this balancer's checks of a host.
type Check struct {
	Verdict route.Verdict
	Refused bool      // with Down: the host's machine refuses connections
	Passed  bool      // a check has passed at this address since this balancer has begun
	Failed  bool      // this check has failed; Verdict may be Up still
	At      time.Time // when it ended
}

// A Steadiness says how a host that was voted down returns.
//
//	up ──voted down──▶ away ──its checks pass──▶ returning ──without a failure for `damping`──▶ up
//	                    ▲                            │
//	                    └────────they fail───────────┘
//
// A host that returns counts as down. So one that flaps moves its keys once, and stays away until
// it is steady. The zero Steadiness is of a host that isn't away.
type Steadiness struct {
	VotedDown bool      // a majority has had the host down, and it has been away since
	Excused   bool      // the host needn't be steady when it returns the next time
	Since     time.Time // since when its checks have passed without a failure; zero if they don't
	ReturnsAt time.Time // when it is steady, if no check fails; zero unless it returns

	aloneAt   time.Time // when it was away the last time without a vote, because it refused connections
	refusalAt time.Time // when its refusal counts, if it doesn't now; zero if it does
}

// Excuse has the host return as soon as its checks pass: it was away on purpose, or it is new.
func (s *Steadiness) Excuse() { s.Excused = true }

// isReturning takes a check in, and reports whether the host has to be steady for longer. It
// needn't be if damping is 0.
func (s *Steadiness) isReturning(c Check, damping time.Duration, now time.Time) bool {
	at := moment.Past(moment.OrElse(c.At, now), now)
	if s.ReturnsAt = (time.Time{}); c.Verdict != route.Up || c.Failed {
		s.Since = time.Time{}
	} else {
		s.Since = moment.OrElse(s.Since, at)
	}
	if c.Verdict != route.Up || !s.VotedDown || s.Excused || damping == 0 {
		return false
	}
	due := moment.OrElse(s.Since, at).Add(damping)
	if !now.Before(due) && !c.Failed {
		return false
	}
	s.ReturnsAt = due
	return true
}

// refusalCounts reports whether a refusal makes the host down without a vote. That it does once in
// the time of damping: a host that flaps may be down for so short that few balancers see it. It
// doesn't if no check here has passed: the host may have left this address for one that only other
// balancers know yet.
func (s *Steadiness) refusalCounts(c Check, d Decision, damping time.Duration, now time.Time) bool {
	if s.refusalAt = (time.Time{}); !c.Passed {
		return false
	}
	if due := s.aloneAt.Add(damping); !d.isDown() && !s.aloneAt.IsZero() && now.Before(due) {
		s.refusalAt = due
	}
	return s.refusalAt.IsZero()
}

// follow takes a decision in: voted reports that a majority has the host down.
func (s *Steadiness) follow(d Decision, voted bool, now time.Time) {
	switch {
	case d.isDown():
		if s.VotedDown = s.VotedDown || voted; !s.VotedDown {
			s.aloneAt = now
		}
		return
	case d.Verdict == route.Up:
		s.Excused = false
	}
	s.VotedDown, s.ReturnsAt = false, time.Time{}
}
