package pool

import (
	"math"
	"time"

	"tokenring/balancer"
)

// Rules of bounded loads.
const (
	// RuleOverflow is the Rule of a key whose host by the ring is full, so that the
	// next of its candidates that isn't takes it.
	RuleOverflow balancer.Rule = "overflow"
	// RulePlaced is the Rule of a key that stays where it is, though the ring would
	// send it elsewhere: it has overflowed, or the ring's choice is full.
	RulePlaced balancer.Rule = "placed"
)

// A Placement is where a balancer has sent a key before. The zero Placement is
// that of a new key.
type Placement struct {
	Host string // its name
	Away bool   // it is there for want of room where the ring would have it, and stays
}

// Placement returns the one that follows from c, which has a host.
func (c Choice) Placement() Placement {
	return Placement{c.Host.Name, c.Rule == RuleOverflow || c.Rule == RulePlaced}
}

// A Load is what a host carries of this balancer's terminals, and what it may.
type Load struct {
	Sessions int64 // terminals open
	Expected int64 // keys that have come a moment ago and have no terminal yet
	Bound    int64 // as many as this make it full; 0 if nothing bounds it, or it doesn't serve
}

// Full reports whether the host gets no new keys.
func (l Load) Full() bool { return l.Bound > 0 && l.Sessions+l.Expected >= l.Bound }

// Place is Choose with bounded loads (Mirrokni, Thorup and Zadimoghaddam,
// "Consistent Hashing with Bounded Loads", 2016), which count when a key gets a
// host and move none that has one. before is where the key was sent the last time.
//
//	new ──the ring's choice has room──▶ home ──the ring moves it, to room──▶ home
//	 │                                   │
//	 │ that is full                      │ the ring moves it, to a full host
//	 ▼                                   ▼
//	away, on the next with room         away, where it is
//	 │
//	 ├──the ring gives it to its host──▶ home
//	 └──its host can't serve──▶ new
//
// A key at home is where Choose has it and goes where Choose sends it, so that
// what holds there holds here. If that is a full host, and its own can't serve, it
// is like a new one. Choice.Placement says at which of the two it is then.
//
// A frozen ring refuses a key whose host by before has vanished, as Choose does
// for the owner's. If all that may have the key are full, the ring's choice takes
// it. Place takes no lock but those of the hosts' arrivals; it allocates if the key
// may move.
func (s *Snapshot) Place(key []byte, before Placement, avoid *Host, now time.Time) (Choice, bool) {
	first, ok := s.Choose(key, avoid)
	if s.BoundedLoad == 0 || len(key) == 0 {
		return first, ok
	}
	kept := s.Host(before.Host)
	stays := kept != nil && kept.Serving() && !same(kept, avoid)
	switch {
	case before.Away && stays && !(ok && first.Rule == balancer.RuleOwner && first.Host == kept):
		return Choice{kept, RulePlaced}, true
	case before.Away && s.Frozen && kept != nil && (kept.vanished() || same(kept, avoid)):
		return Choice{kept, RuleFrozen}, false
	case before.Away && kept != nil && kept.Moving && !same(kept, avoid):
		return Choice{kept, RuleMoving}, false
	case !ok || first.Host == kept:
		return first, ok
	}
	loads := s.loads(now)
	switch i := s.find(first.Host); {
	case i < 0 || !loads[i].Full():
		return first, true
	case stays:
		return Choice{kept, RulePlaced}, true
	}
	return s.overflow(key, first, loads, avoid), true
}

// overflow returns the first of the key's candidates that isn't full, or first,
// the ring's choice, if all are. One that warms up takes no others of its keys than
// those that it has taken anyway.
func (s *Snapshot) overflow(key []byte, first Choice, loads []Load, avoid *Host) Choice {
	open, hash := make([]bool, len(s.up)), s.Table.Hash(key)
	for i := range open {
		open[i] = s.up[i] && !s.ring[i].Moving && !loads[i].Full() && !s.waits(i, hash)
	}
	if i, _ := s.Table.Pick(key, open, s.find(avoid)); i >= 0 {
		return Choice{s.ring[i], RuleOverflow}
	}
	return first
}

// Loads returns the load of each known host, by name.
func (s *Snapshot) Loads(now time.Time) map[string]Load {
	all := make(map[string]Load, len(s.Hosts))
	for _, h := range s.Hosts {
		all[h.Name] = Load{Sessions: h.Gauges.Sessions.Load(), Expected: h.Gauges.arrivals.count(now)}
	}
	for i, l := range s.loads(now) {
		if h := s.ring[i]; h != nil {
			all[h.Name] = l
		}
	}
	return all
}

// loads returns the loads by index in ring. The hosts that serve share what there
// is, by their weights; one that warms up by the part of its weight that is the
// part of its keys. Who doesn't serve has no bound and no part in it.
func (s *Snapshot) loads(now time.Time) []Load {
	loads := make([]Load, len(s.ring))
	var total int64
	var weights float64
	weight := func(i int) float64 { return float64(s.Table.Hosts()[i].Weight) * s.has(i) }
	for i, h := range s.ring {
		if h == nil {
			continue
		}
		loads[i] = Load{Sessions: h.Gauges.Sessions.Load(), Expected: h.Gauges.arrivals.count(now)}
		if s.up[i] {
			total += loads[i].Sessions + loads[i].Expected
			weights += weight(i)
		}
	}
	if s.BoundedLoad == 0 || weights == 0 { // only hosts serve that have taken nothing yet
		return loads
	}
	for i := range loads {
		if s.up[i] {
			loads[i].Bound = max(1, bound(s.BoundedLoad, total, weight(i)/weights))
		}
	}
	return loads
}

// bound returns how many terminals a host may have when one more is to come to
// the total that there is: factor times its share of them, rounded up. The bounds
// of all hosts add up to more than the total, so that one always has room.
func bound(factor float64, total int64, share float64) int64 {
	const dust = 1e-9 // what binary fractions add to 1.1 × 10
	return int64(math.Ceil(factor*float64(total+1)*share - dust))
}

// same reports whether h and other, which may be of another snapshot or nil, are
// one host.
func same(h, other *Host) bool { return other != nil && h.Name == other.Name }
