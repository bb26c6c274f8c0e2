// Package eligibility decides which hosts belong in the ring: which of them are ready and
// reachable, when the ring is frozen, and which of them one table can hold. It is arithmetic:
// of the same hosts it says the same on every balancer.
package eligibility

import (
	"time"

	"tokenring/pool/moment"
	"tokenring/route"
)

// An Observation is what Assess has to know of one host.
type Observation struct {
	State    route.State
	Leaving  bool
	Drains   bool // the host itself says so, and no operator has set another state since
	Foreign  bool // its announcement has another key than the one that is known
	Listed   bool
	Removed  bool // it was listed, and isn't any more
	Backup   bool // it serves only while no other host does
	Weight   int
	Barred   string // why it may not be in the ring beside other hosts; "" if it may
	Unproven bool   // no check of it has ever passed
	Machine  string // where it is: hosts of one machine vanish together
	Contact  route.Contact
	LostAt   time.Time     // when Contact became Lost or Missing
	Verdict  route.Verdict // Up as well if only other balancers reach it
	Held     bool          // its checks fail here, and balancers don't agree that it is down
	Busy     bool          // it has open tunnels or requests through this balancer
	Last     Eligibility   // what the last assessment has found; zero for a new host
}

// An Eligibility says whether a host belongs in the ring. It follows from an observation.
//
//	(new) ──passes its checks──▶ admitted ──lost and failing for a while──▶ (out)
//	                                │  ▲                                      │
//	                           leaving  └──────────passes its checks──────────┘
//	                                ▼
//	                              (out) ──gone for a while──▶ forgotten
//
// While the ring is frozen, no host comes in, and no lost host goes out. A host that
// comes back from an operator's override waits for the thaw, too.
type Eligibility struct {
	Admitted  bool      `json:"admitted,omitempty"`  // gossip and checks allow it in the ring
	InRing    bool      `json:"in_ring,omitempty"`   // it is admitted, and nothing else keeps it out
	WhyNot    string    `json:"why_not,omitempty"`   // "" if InRing
	DeadSince time.Time `json:"dead_since,omitzero"` // since when gossip has lost it and its checks fail; zero if one of the two isn't so
	Forget    bool      `json:"-"`                   // nothing needs to be known of it any longer

	FailingSince time.Time `json:"failing_since,omitzero"`  // since when its checks haven't passed; zero if they pass
	FailedBefore bool      `json:"failed_before,omitempty"` // the ring is frozen, and the host's checks have failed since long before the freeze
}

// Delays say how long after a loss its consequences come.
type Delays struct {
	LossWindow time.Duration // until a dead host is removed; hosts that begin to fail within it vanish together
	ForgetLeft time.Duration // until a host is forgotten that has left on purpose
	ForgetLost time.Duration // until a lost host is forgotten
	Freeze     FreezeConfig  // with its defaults
}

// DefaultDelays are the delays of a pool that sets none.
var DefaultDelays = Delays{
	LossWindow: 5 * time.Second, ForgetLeft: 30 * time.Second, ForgetLost: 15 * time.Minute,
	Freeze: FreezeConfig{}.WithDefaults(),
}

// Assess returns, by the index of each observation, whether the host is in the ring. It
// also returns the freeze after this call. before is the freeze that the last call
// returned. next is the time at which the result changes though nothing happens; it is
// zero if there is no such time.
func Assess(now time.Time, seen []Observation, before Freeze, p Delays) (all []Eligibility, after Freeze, next time.Time) {
	after = before.update(now, seen, p)
	next = after.Until
	all = make([]Eligibility, len(seen))
	for i, o := range seen {
		o = o.during(after)
		d := &all[i]
		d.FailingSince = o.failing(now)
		d.FailedBefore = after.Frozen && o.failedBefore(now, after.WindowStart(now, p))
		if o.dead() {
			d.DeadSince = moment.OrElse(o.Last.DeadSince, now)
		}
		admitted, removal := o.admit(*d, after, p)
		if d.Admitted = admitted && (removal.IsZero() || now.Before(removal)); d.Admitted && !removal.IsZero() {
			next = moment.Earliest(next, removal)
		}
		d.WhyNot = whyNot(o, d.Admitted && !(before.Frozen && after.Frozen && !o.Last.InRing))
		d.InRing = d.WhyNot == ""
		if at, ok := p.forgetAt(o, d.Admitted, after.Frozen); ok {
			if d.Forget = !now.Before(at); !d.Forget {
				next = moment.Earliest(next, at)
			}
		}
	}
	restBackups(all, seen, after)
	return all, after, next
}

// admit reports whether gossip and checks allow the host in the ring. removal is the time
// from which they don't; it is zero if there is no such time. A dead host is removed after
// a loss window.
func (o Observation) admit(d Eligibility, f Freeze, p Delays) (admitted bool, removal time.Time) {
	switch {
	case o.Leaving || o.Foreign:
		return false, time.Time{}
	case f.Frozen:
		return o.Last.Admitted, time.Time{}
	case !o.dead():
		return o.Last.Admitted || o.Verdict == route.Up, time.Time{}
	}
	return o.Last.Admitted, moment.Latest(d.DeadSince, f.Thawed).Add(p.LossWindow)
}

// dead reports whether gossip has lost the host and it is down by the balancers' votes. It is
// false for a host that is listed, which gossip doesn't know.
func (o Observation) dead() bool {
	return !o.Listed && o.Contact.IsLost() && o.Verdict == route.Down && !o.Held
}

// whyNot returns why the host isn't in the ring, "" if it is. It looks first at the
// operator's override, then at the host's announcement, then at gossip and checks. A host
// that passes its checks and isn't admitted waits for the thaw.
func whyNot(o Observation, admitted bool) string {
	switch {
	case o.State == route.Maint:
		return route.WhyMaint
	case o.State == route.Drain:
		return route.WhyDrain
	case o.Foreign:
		return route.WhyKey
	case o.Leaving:
		return route.WhyLeaving
	case o.Drains:
		return route.WhyDrain
	case o.Weight <= 0:
		return route.WhyWeight
	case o.Barred != "":
		return o.Barred
	case admitted:
		return ""
	case o.dead():
		return route.WhyLost
	case o.Verdict == route.Unchecked:
		return route.WhyUnchecked
	case o.Verdict == route.Down:
		return route.WhyFailing
	}
	return route.WhyFrozen
}

// forgetAt returns when the host may be forgotten. It returns false if the host may not
// be forgotten. A host that left on purpose is forgotten soon, and so is a lost one that has
// never passed a check. Another lost host is forgotten later, but not while its checks pass or the ring is frozen. A host with open tunnels or
// requests is not forgotten. A missing host is forgotten even while the ring is frozen:
// a host that was gone before this balancer started must not keep the ring frozen for
// ever.
func (p Delays) forgetAt(o Observation, admitted, frozen bool) (time.Time, bool) {
	switch {
	case o.Busy, !o.Removed && (o.Listed || !o.Contact.IsLost()):
		return time.Time{}, false
	case o.Leaving || o.Unproven:
		return o.LostAt.Add(p.ForgetLeft), true
	case o.Contact == route.Missing && o.Verdict != route.Up:
	case admitted || frozen || o.Verdict == route.Up:
		return time.Time{}, false
	}
	return o.LostAt.Add(p.ForgetLost), true
}
