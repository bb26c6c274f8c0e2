package admin

import (
	"cmp"
	"maps"
	"math"
	"slices"

	"tokenring/balancer"
	"tokenring/session"
)

// An impact is what a change of the ring does to the terminals that are open. It
// compares the host that each terminal would get when it reconnects without the
// change and with it. Two kinds of terminals stay where they are: those of clients
// without a token, because the ring doesn't place them; and, as long as their host is in
// the ring, those of tokens that were placed elsewhere because a host was full, or that linger
// on their host.
type impact struct {
	exact         bool // the numbers are counted; else they are expected values, by the shares of the hosts
	open          int
	astray        int // terminals that would get another host when they reconnect even without the change
	moved         float64
	before, after map[string]float64 // terminals by host: where they are, and where they would be

	moves     map[move]float64   // counted terminals that get another host
	scattered map[string]float64 // by present host: terminals that may get any host, each with the
	shares    map[string]float64 // host's share as the probability
}

// A move leads from one host to another. A name is "" if there are no hosts.
type move struct{ from, to string }

// impactOf returns the impact of replacing the table before by the table after, for
// all live sessions. A session moves from the host that before gives its key, or from
// its present host if before has no hosts. The hashes of the keys are those of the
// table hashed. If after hashes keys in another way, the hashes don't tell a key's
// place there, and the probability of each place is its share.
func impactOf(live []session.Session, hashed, before, after *balancer.Table) impact {
	s := impact{
		exact:  hashed.SameHash(after) || len(after.Hosts()) == 0,
		moves:  map[move]float64{},
		before: map[string]float64{},
		after:  map[string]float64{},
	}
	scattered := map[string]float64{}
	for _, l := range live {
		n, from := float64(l.Tunnels), hostOnReconnect(before, l)
		s.open += l.Tunnels
		s.before[l.Host] += n
		if from != l.Host && from != "" {
			s.astray += l.Tunnels
		}
		switch {
		case s.exact, stays(after, l):
			s.put(move{cmp.Or(from, l.Host), hostOnReconnect(after, l)}, n)
		default:
			scattered[from] += n
		}
	}
	if !s.exact {
		s.scatter(scattered, after)
	}
	return s
}

// hostOnReconnect returns the host that a session would get if t were in force and the
// session's terminals reconnected.
func hostOnReconnect(t *balancer.Table, l session.Session) string {
	if stays(t, l) {
		return l.Host
	}
	return ownerOf(t, l.Hash)
}

// stays reports whether a session would come back to its host whatever slots t has.
func stays(t *balancer.Table, l session.Session) bool { return !l.Keyed || l.Away && has(t, l.Host) }

func (s *impact) put(m move, n float64) {
	s.after[m.to] += n
	if m.from != m.to {
		s.moves[m] += n
		s.moved += n
	}
}

// scatter adds the expected numbers of terminals, given by present host, on the hosts
// of after. It doesn't store their moves, because there may be a million.
func (s *impact) scatter(scattered map[string]float64, after *balancer.Table) {
	s.scattered, s.shares = scattered, make(map[string]float64, len(after.Hosts()))
	for i, share := range after.Shares() {
		s.shares[after.Hosts()[i].Name] = share
	}
	all := 0.0
	for _, from := range slices.Sorted(maps.Keys(scattered)) { // in order: sums of fractions depend on it
		all += scattered[from]
		s.moved += scattered[from] * (1 - s.shares[from])
	}
	for to, share := range s.shares {
		s.after[to] += all * share
	}
}

// terminals returns how many terminals make a move to another host.
func (s *impact) terminals(m move) float64 { return s.moves[m] + s.scattered[m.from]*s.shares[m.to] }

// rest returns the moves that aren't among routes, those of the most terminals first.
// They are moves of terminals that the ring doesn't place until their host leaves it,
// and of terminals whose ring has no hosts.
func (s *impact) rest(routes []balancer.Route) []move {
	left := maps.Clone(s.moves)
	for _, r := range routes {
		delete(left, move{r.From, r.To})
	}
	return slices.SortedFunc(maps.Keys(left), func(a, b move) int {
		return cmp.Or(cmp.Compare(s.terminals(b), s.terminals(a)), cmp.Compare(a.from, b.from), cmp.Compare(a.to, b.to))
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
