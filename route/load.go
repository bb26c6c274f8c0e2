package route

import (
	"math"
	"time"

	"tokenring/balancer"
)

// Rules of bounded loads.
const (
	// RuleOverflow is the Rule of a key whose host by the ring is full. The key goes to
	// the next of its candidates that isn't full.
	RuleOverflow balancer.Rule = "overflow"
	// RulePlaced is the Rule of a key that stays on the host where it is, though the
	// ring has another host for it: the key has overflowed, or the other host is full.
	RulePlaced balancer.Rule = "placed"
)

// A Placement is the host to which a balancer has sent a key the last time. The zero
// Placement means that the key is new.
type Placement struct {
	Host  string // its name
	Away  bool   // the ring's host for the key was full; the key stays on Host
	Taken bool   // another host has given the key away, and Host has taken it; see Snapshot.Taken
}

// Placement returns the placement of a key for which c was chosen. c must have a host.
func (c Choice) Placement() Placement {
	return Placement{Host: c.Host.Name, Away: c.Rule == RuleOverflow || c.Rule == RulePlaced}
}

// A Load says how many terminals a host has through all balancers, and how many it may have.
type Load struct {
	Sessions int64 // open terminals, as far as other balancers have told of theirs
	Expected int64 // reservations: keys that have just come and have no terminal yet
	Bound    int64 // the host is full when it has so many; 0 if there is no bound, or it doesn't serve
}

// Full reports whether the host gets no new keys.
func (l Load) Full() bool { return l.Bound > 0 && l.Sessions+l.Expected >= l.Bound }

// Place is Choose with bounded loads (Mirrokni, Thorup and Zadimoghaddam,
// "Consistent Hashing with Bounded Loads", 2016). The bounds matter when a key gets a
// host; they move no key that has one. last is where the key was sent the last time.
//
//	new ──Choose's host isn't full──▶ at home ──Choose has another host, not full──▶ at home
//	 │                                   │
//	 │ Choose's host is full             │ Choose has another host, which is full
//	 ▼                                   ▼
//	away, on the next host              away, on the same host
//	that isn't full
//	 │
//	 ├──Choose has this host, as the owner──▶ at home
//	 └──the host can't serve──▶ new
//
// A key at home is on the host that Choose had for it, and goes where Choose sends it.
// If Choose's host is full and the key's host can't serve, the key counts as new.
// Choice.Placement says whether the key is at home or away then.
//
// If a key is away on a host that has vanished, a frozen ring refuses the key, as Choose
// does if the key's owner has vanished. If all hosts are full that may get the key, it
// goes to Choose's host. Place takes no lock but the locks of the hosts' reservations.
// It allocates if the key may move.
func (s *Snapshot) Place(key Key, last Placement, avoid *Host, now time.Time) (Choice, bool) {
	first, ok := s.Choose(key, avoid)
	if s.BoundedLoad == 0 || !key.Present() {
		return first, ok
	}
	current := s.Host(last.Host)
	stays := current != nil && current.Serving() && !sameHost(current, avoid)
	switch {
	case last.Away && stays && !(ok && first.Rule == balancer.RuleOwner && first.Host == current):
		return Choice{current, RulePlaced}, true
	case last.Away && s.Frozen && current != nil && (current.vanished() || sameHost(current, avoid)):
		return Choice{current, RuleFrozen}, false
	case last.Away && current != nil && current.Moving && !sameHost(current, avoid):
		return Choice{current, RuleMoving}, false
	case last.Away && current != nil && current.Held:
		return Choice{current, RuleUnreachable}, false
	case !ok || first.Host == current:
		return first, ok
	}
	loads := s.loads(now)
	switch i := s.find(first.Host); {
	case i < 0 || !loads[i].Full():
		return first, true
	case stays:
		return Choice{current, RulePlaced}, true
	}
	return s.overflow(key.hash, first, loads, avoid), true
}

// overflow returns the first candidate of the key of this hash that isn't full. It
// returns first, which is Choose's choice, if all are full. A candidate in slow start
// gets only keys that it has taken already.
func (s *Snapshot) overflow(hash uint64, first Choice, loads []Load, avoid *Host) Choice {
	open := make([]bool, len(s.up))
	for i := range open {
		open[i] = s.up[i] && !s.hosts[i].Moving && !s.hosts[i].Held && !loads[i].Full() && !s.waits(i, hash)
	}
	if i, _ := s.Table.PickHash(hash, open, s.find(avoid)); i >= 0 {
		return Choice{s.hosts[i], RuleOverflow}
	}
	return first
}

// Loads returns the load of each known host, by name.
func (s *Snapshot) Loads(now time.Time) map[string]Load {
	all := make(map[string]Load, len(s.Hosts))
	for _, h := range s.Hosts {
		all[h.Name] = Load{Sessions: h.Gauges.Sessions.Load() + h.Gauges.AtPeers.Load(), Expected: h.Gauges.reservations.count(now)}
	}
	for i, l := range s.loads(now) {
		if h := s.hosts[i]; h != nil {
			all[h.Name] = l
		}
	}
	return all
}

// loads returns the loads by index in hosts. The bounds divide all terminals among the
// hosts that serve, by their weights. The weight of a host in slow start counts only in
// part: as large a part as the part of its keys that it has. A host that doesn't serve
// has no bound, and its terminals don't count.
func (s *Snapshot) loads(now time.Time) []Load {
	loads := make([]Load, len(s.hosts))
	var total int64
	var weights float64
	weight := func(i int) float64 { return float64(s.Table.Hosts()[i].Weight) * s.takenShare(i) }
	for i, h := range s.hosts {
		if h == nil {
			continue
		}
		loads[i] = Load{Sessions: h.Gauges.Sessions.Load() + h.Gauges.AtPeers.Load(), Expected: h.Gauges.reservations.count(now)}
		if s.up[i] {
			total += loads[i].Sessions + loads[i].Expected
			weights += weight(i)
		}
	}
	if s.BoundedLoad == 0 || weights == 0 { // all hosts that serve are in slow start and have no keys yet
		return loads
	}
	for i := range loads {
		if s.up[i] {
			loads[i].Bound = max(1, bound(s.BoundedLoad, total, weight(i)/weights))
		}
	}
	return loads
}

// bound returns how many terminals a host may have before it is full. total is the
// number of all terminals without the new one. The bound is the host's share of them
// all, with the new one, times factor, rounded up. The bounds of all hosts add up to
// more than total, so at least one host isn't full.
func bound(factor float64, total int64, share float64) int64 {
	const epsilon = 1e-9 // the rounding error of products such as 1.1 × 10
	return int64(math.Ceil(factor*float64(total+1)*share - epsilon))
}

// sameHost reports whether h and other are the same host. other may be nil, or of
// another snapshot.
func sameHost(h, other *Host) bool { return other != nil && h.Name == other.Name }
