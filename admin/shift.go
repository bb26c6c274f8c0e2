package admin

import (
	"cmp"
	"maps"
	"math"
	"slices"

	"tokenring/balancer"
	"tokenring/pool"
)

// A shift is what a change of the ring does to the terminals that are open: where
// each would be if it were opened anew without the change, and where with it.
// Terminals of clients without a token stay where they are: the ring has no say in
// them; so do those of tokens that had to go where there was room, as long as their
// host is in the ring.
type shift struct {
	exact         bool // counted; else expected, by the shares of the hosts
	open          int
	astray        int // aren't where they would be opened anew even without the change
	moved         float64
	before, after map[string]float64 // terminals by host: where they are, and where they would be

	ways     map[way]float64    // those that move, as counted
	anywhere map[string]float64 // by host, those that may come to be on any: with each host's
	shares   map[string]float64 // share as the probability
}

// A way leads from one host to another; from or to "" if there are no hosts.
type way struct{ from, to string }

// shiftOf follows every live session from the host that before gives its key to
// the one that after does; if before has no hosts, from where it is. The keys' numbers are by the table hashed. If after
// places keys by others, they say nothing about a key's place there, and each place
// is as likely as it is large.
func shiftOf(live []pool.Session, hashed, before, after *balancer.Table) shift {
	s := shift{
		exact:  hashed.SameHash(after) || len(after.Hosts()) == 0,
		ways:   map[way]float64{},
		before: map[string]float64{},
		after:  map[string]float64{},
	}
	anywhere := map[string]float64{}
	for _, l := range live {
		n, from := float64(l.Tunnels), anew(before, l)
		s.open += l.Tunnels
		s.before[l.Host] += n
		if from != l.Host && from != "" {
			s.astray += l.Tunnels
		}
		switch {
		case s.exact, stays(after, l):
			s.put(way{cmp.Or(from, l.Host), anew(after, l)}, n)
		default:
			anywhere[from] += n
		}
	}
	if !s.exact {
		s.scatter(anywhere, after)
	}
	return s
}

// anew returns the host on which a session would be if t were in force and it were
// opened anew.
func anew(t *balancer.Table, l pool.Session) string {
	if stays(t, l) {
		return l.Host
	}
	return ownerOf(t, l.Hash)
}

// stays reports whether a session would come back to its host whatever slots t has.
func stays(t *balancer.Table, l pool.Session) bool { return !l.Keyed || l.Away && has(t, l.Host) }

func (s *shift) put(w way, n float64) {
	s.after[w.to] += n
	if w.from != w.to {
		s.ways[w] += n
		s.moved += n
	}
}

// scatter expects terminals, by host, on the hosts of after. Their ways aren't
// written down: there may be a million.
func (s *shift) scatter(anywhere map[string]float64, after *balancer.Table) {
	s.anywhere, s.shares = anywhere, make(map[string]float64, len(after.Hosts()))
	for i, share := range after.Shares() {
		s.shares[after.Hosts()[i].Name] = share
	}
	all := 0.0
	for _, from := range slices.Sorted(maps.Keys(anywhere)) { // in order: sums of fractions depend on it
		all += anywhere[from]
		s.moved += anywhere[from] * (1 - s.shares[from])
	}
	for to, share := range s.shares {
		s.after[to] += all * share
	}
}

// on returns how many terminals go a way that leads elsewhere.
func (s *shift) on(w way) float64 { return s.ways[w] + s.anywhere[w.from]*s.shares[w.to] }

// rest returns the ways that aren't among routes: those of terminals that the ring
// has no say in until their host leaves it, and of those whose ring has no hosts.
// The most used come first.
func (s *shift) rest(routes []balancer.Route) []way {
	left := maps.Clone(s.ways)
	for _, r := range routes {
		delete(left, way{r.From, r.To})
	}
	return slices.SortedFunc(maps.Keys(left), func(a, b way) int {
		return cmp.Or(cmp.Compare(s.on(b), s.on(a)), cmp.Compare(a.from, b.from), cmp.Compare(a.to, b.to))
	})
}

// ownerOf returns the name of the host that owns the keys of a hash, "" if there
// is none.
func ownerOf(t *balancer.Table, hash uint64) string {
	if i := t.OwnerOf(hash); i >= 0 {
		return t.Hosts()[i].Name
	}
	return ""
}

// has reports whether a host of that name is in t.
func has(t *balancer.Table, name string) bool {
	_, found := slices.BinarySearchFunc(t.Hosts(), name, func(h balancer.Host, name string) int { return cmp.Compare(h.Name, name) })
	return found
}

// whole rounds a number of terminals.
func whole(n float64) int { return int(math.Round(n)) }
