package pool

import (
	"slices"
	"time"
)

// How long after its start a Pool waits at the longest: for all that is to be
// known, and within that for the hosts of an earlier run. What is left then is for
// the table that follows.
const (
	settleLimit = 10 * time.Second
	awaitLimit  = 8 * time.Second
)

// An outset is what a balancer that starts knows about how many hosts there ought
// to be. If it remembers some that were in the ring, it waits for those; each one
// that comes, or about which it is decided otherwise, isn't awaited any more. If it
// remembers none, it waits until no new one has come for a while.
//
// Hosts that are awaited in vain count as members of the ring that fail: see miss.
type outset struct {
	started time.Time
	settled time.Time     // when Pool.Settled was closed; zero: not yet
	awaited []remembered  // hosts that were in the ring and haven't come yet
	recalls bool          // some host was awaited
	met     time.Time     // when the last host came; zero: none yet
	quiet   time.Duration // how long no new host must have come if none is remembered; 0 without gossip
}

// expect begins to wait for those that were in the ring.
func (o *outset) expect(all []remembered) {
	for _, r := range all {
		if r.InRing {
			o.awaited = append(o.awaited, r)
			o.recalls = true
		}
	}
}

// greet takes down that a host has come.
func (o *outset) greet(host string, now time.Time) {
	o.met = now
	o.dismiss(func(name string) bool { return name == host })
}

// dismiss ceases to wait for hosts.
func (o *outset) dismiss(which func(host string) bool) {
	o.awaited = slices.DeleteFunc(o.awaited, func(r remembered) bool { return which(r.meta().Name) })
}

// until returns until when more hosts are waited for; zero if none are.
func (o *outset) until() time.Time {
	switch {
	case len(o.awaited) > 0:
		return o.started.Add(awaitLimit)
	case o.recalls || o.quiet == 0 || o.met.IsZero():
		return time.Time{}
	}
	return o.met.Add(o.quiet)
}

// unknownWhy is why a host that is missing is held for down: it is checked by
// nobody, for what answers at its address might be anybody.
const unknownWhy = "gossip hasn't found it since this balancer started"

// miss takes the hosts that were awaited in vain for what they would be if they had
// been here and gone silent now: members of the ring that fail. So judge freezes
// the ring if they are too many, and takes them out if they aren't. Those that a
// balancer which kept running would have forgotten by now are not missed.
func (k *keeper) miss(now time.Time) {
	if !k.settled.IsZero() {
		return
	}
	k.outset.dismiss(func(host string) bool { return k.decided.state(host).State != Ready })
	if len(k.awaited) == 0 || now.Before(k.started.Add(awaitLimit)) {
		return
	}
	for _, r := range k.awaited {
		m := r.meta()
		if _, here := k.find(m.Name); here || now.Sub(r.Seen) >= k.p.patience.forgetLost {
			continue
		}
		k.add(&known{
			name:    m.Name,
			said:    m,
			address: m.Address,
			contact: Missing,
			lostAt:  r.Seen,
			heard:   CheckResult{Verdict: Down, Error: unknownWhy, At: now},
			ruling:  ruling{admitted: true, inRing: true},
		})
		k.log.Warn().Str("host", m.Name).Time("seen", r.Seen).Msg("a host of the ring is missing since this balancer started")
	}
	k.awaited = nil
}

// settle closes Pool.Settled when it is time, and returns when to look again for
// that, or for the ring without hosts to be ordered; zero if there is no need.
func (k *keeper) settle(now time.Time) (next time.Time) {
	if !k.settled.IsZero() {
		return time.Time{}
	}
	limit := k.started.Add(settleLimit)
	if until := k.until(); now.Before(limit) && (!k.complete() || now.Before(until)) {
		if until.After(now) {
			return earliest(until, limit)
		}
		return limit
	}
	k.settled = now
	close(k.p.settled)
	if k.asked.number == 0 {
		return now
	}
	return time.Time{}
}

// complete reports whether all that is known to be on its way at the start has
// come, and has been taken in.
func (k *keeper) complete() bool {
	if !k.p.gossip.hasJoined() || !k.p.peers.gossip.hasJoined() {
		return false
	}
	if len(k.p.roster.changed) > 0 || len(k.p.peers.heard) > 0 {
		return false
	}
	if len(k.hosts) == 0 && k.quiet > 0 { // they can only come by gossip
		return false
	}
	unchecked := func(h *known) bool { // one in maintenance isn't checked at all
		return h.heard.Verdict == Unchecked && k.decided.state(h.name).State != Maint
	}
	return !slices.ContainsFunc(k.hosts, unchecked) && !k.rebuilding() && len(k.asked.past) == 0
}
