package route

import (
	"encoding/binary"
	"math/bits"
	"slices"
	"strings"
	"time"

	"github.com/cespare/xxhash/v2"

	"tokenring/balancer"
)

// A ring is a table, and which of its hosts can be chosen. It is the ring in force, or
// a former one: see FormerRing.
type ring struct {
	table *balancer.Table
	hosts []*Host   // by index in table.Hosts(); nil for a host that is no longer known
	up    []bool    // by index in hosts: Host.holdsKeys
	slow  []partial // by index in hosts; nil if no host is in slow start

	upOrVanished []bool // by index in hosts: up, or Host.vanished
}

// newRing returns the ring of a table. find returns the host with a name, nil if it is
// not known. member reports whether a known host belongs to the ring.
func newRing(table *balancer.Table, find func(name string) *Host, member func(*Host) bool) ring {
	placed := table.Hosts()
	n := len(placed)
	r := ring{table: table, hosts: make([]*Host, n), up: make([]bool, n), upOrVanished: make([]bool, n)}
	for i, h := range placed {
		r.hosts[i] = find(h.Name)
		if h := r.hosts[i]; h != nil && member(h) {
			r.up[i], r.upOrVanished[i] = h.holdsKeys(), h.holdsKeys() || h.vanished()
		}
	}
	return r
}

// find returns the index of h; -1 if h is nil or not in the ring. h may be of another
// snapshot.
func (r *ring) find(h *Host) int {
	if h == nil {
		return -1
	}
	return IndexOf(r.table.Hosts(), h.Name)
}

// IndexOf returns the index of a host in hosts, which are sorted by name; -1 if it isn't
// there.
func IndexOf(hosts []balancer.Host, name string) int {
	i, ok := slices.BinarySearchFunc(hosts, name, func(h balancer.Host, name string) int { return strings.Compare(h.Name, name) })
	if !ok {
		return -1
	}
	return i
}

// waits reports whether the host at index i is in slow start and hasn't taken the
// key of this hash yet.
func (r *ring) waits(i int, hash uint64) bool {
	if r.slow == nil {
		return false
	}
	w := &r.slow[i]
	return w.former != 0 && w.part(hash) >= w.taken
}

// takenShare returns the part of its keys that the host at index i has taken, 0..1.
func (r *ring) takenShare(i int) float64 {
	if r.slow == nil || r.slow[i].former == 0 {
		return 1
	}
	return float64(r.slow[i].taken) / float64(r.slow[i].slowStart.parts)
}

// same reports whether r and other choose the same host for every key.
func (r *ring) same(other *ring) bool {
	return r.table == other.table && slices.Equal(r.hosts, other.hosts) && slices.Equal(r.up, other.up) && slices.Equal(r.slow, other.slow)
}

// A partial says which of its keys a host in slow start has at the time of the ring.
type partial struct {
	slowStart SlowStart
	taken     int    // how many parts of its keys it has
	seed      uint64 // of the host
	former    int    // the number, from 1, of the former ring that has its other keys; 0 if the host has all its keys
}

// part returns the number of the part that has the key of this hash. The host takes
// part 0 first. The part doesn't depend on the key's slot, and each host divides its keys
// differently.
func (p *partial) part(hash uint64) int {
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], hash^p.seed)
	part, _ := bits.Mul64(xxhash.Sum64(b[:]), uint64(p.slowStart.parts))
	return int(part)
}

// takes says when the host takes the key of this hash.
func (p *partial) takes(hash uint64) string {
	if !p.slowStart.stands.IsZero() {
		return "when its slow start goes on, which stands still while a balancer is missing"
	}
	return "by " + p.slowStart.takesAt(p.part(hash)+1).UTC().Format(time.TimeOnly) + " UTC at the latest"
}

// seedOf returns the seed of a host. All versions of all balancers must use the same one.
func seedOf(host string) uint64 { return xxhash.Sum64String("warm-up:" + host) }

// SetHistory adds the former rings to s. They have the keys that hosts in slow start
// haven't taken yet. slowStartOf returns the slow start of a host, the zero value if it
// has none. now is the time of s. SetHistory must be called before s is published.
//
// In a frozen ring the slow starts of vanished hosts go on. All balancers refuse a key
// that such a host would have taken by now. The host's other keys stay on older hosts.
func (s *Snapshot) SetHistory(history []FormerRing, slowStartOf func(host string) SlowStart, now time.Time) {
	if len(history) == 0 {
		return
	}
	moments := []time.Time{now}
	for _, f := range history {
		table := f.Table
		if table == nil { // until it is built, the keys go where the table in force sends them without the new hosts
			table = s.Table
		}
		older := func(h *Host) bool { return slowStartOf(h.Name).start.Before(f.Start) }
		s.former = append(s.former, newRing(table, s.Host, older))
		moments = append(moments, f.Start)
	}
	for i, r := range s.rings() {
		r.slow = s.partials(r, history, slowStartOf, moments[i])
	}
}

// partials returns, by index in r.hosts, which of its keys each host has at a moment. It
// returns nil if all hosts have all their keys.
func (s *Snapshot) partials(r *ring, history []FormerRing, slowStartOf func(host string) SlowStart, at time.Time) []partial {
	all := make([]partial, len(r.hosts))
	some := false
	for i, h := range r.hosts {
		if h == nil || !r.up[i] && !(s.Frozen && h.vanished()) {
			continue
		}
		slow := slowStartOf(h.Name)
		if r != &s.ring && !slow.start.Before(at) { // the host hadn't come yet, or was down
			continue
		}
		number := slices.IndexFunc(history, func(f FormerRing) bool { return f.Start.Equal(slow.start) })
		if number >= 0 && !slow.Over(at) {
			all[i] = partial{slowStart: slow, taken: slow.Taken(at), seed: seedOf(h.Name), former: number + 1}
			some = true
		}
	}
	if !some {
		return nil
	}
	return all
}

// rings returns the ring in force and the former ones.
func (s *Snapshot) rings() []*ring {
	all := []*ring{&s.ring}
	for i := range s.former {
		all = append(all, &s.former[i])
	}
	return all
}
