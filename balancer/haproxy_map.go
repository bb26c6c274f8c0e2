package balancer

import (
	"fmt"
	"slices"
)

// maxMapCells bounds what a haproxy map costs, which is a list for each host: 8
// MiB, and a second or so.
const maxMapCells = 1 << 22

// haproxyMapPolicy reproduces HAProxy's `hash-type map-based`, the default there:
// a list of as many slots as the weights add up to, in which servers stand in
// turn, and a key's slot is its hash modulo that. The order of the ids stands
// for the order of HAProxy's server lines. Whatever changes the list moves most
// keys; it is here for who comes from there.
//
// HAProxy makes another list when a server is down, and so moves most keys of
// the others as well. Here a host that can't serve moves its own keys only, to
// where that other list has them, and the others' wait until it leaves.
type haproxyMapPolicy struct {
	haproxyPolicy
}

// fit implements policy.
func (p *haproxyMapPolicy) fit(hosts []Host) error {
	if err := fitIDs(hosts); err != nil {
		return err
	}
	scale := 0
	for _, h := range hosts {
		scale = divisor(scale, h.Weight)
	}
	slots := totalWeight(hosts) / scale
	if cells := slots * len(hosts); cells > maxMapCells {
		return fmt.Errorf("%d hosts with weights that add up to %d (divided by what they have in common) are too many for type %s; use type %s",
			len(hosts), slots, HAProxyMapBased, HAProxyConsistent)
	}
	return nil
}

// place implements policy.
func (p *haproxyMapPolicy) place(hosts []Host) (layout, error) {
	order := byID(hosts)
	m := &haproxyMap{hash: p.hash, owners: mapSlots(hosts, order, nobody), ranks: ranksOf(hosts)}
	for i := range hosts {
		m.without = append(m.without, mapSlots(hosts, order, uint16(i)))
	}
	return layout{owners: m.owners, numbered: true, space: p.space(), router: m}, nil
}

// divisor returns the greatest common divisor of a and b.
func divisor(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// haproxyMap is the router of a map: the list, and what it would be without each
// of the hosts.
type haproxyMap struct {
	hash    func([]byte) uint32
	owners  []uint16
	without [][]uint16 // by host; empty if there is no other
	ranks   []rank
}

// sum implements router.
func (m *haproxyMap) sum(key []byte) uint64 { return uint64(m.hash(key)) }

// locate implements router.
func (m *haproxyMap) locate(hash uint64) int { return int(uint32(hash) % uint32(len(m.owners))) }

// next implements router.
func (m *haproxyMap) next(slot int, hash uint64, up []bool, avoid int) int {
	if list := m.without[m.owners[slot]]; len(list) > 0 {
		if heir := int(list[hash%uint64(len(list))]); serves(heir, up, avoid) {
			return heir
		}
	}
	return best(m.ranks, hash, up, avoid)
}

// mapSlots returns HAProxy's list of the hosts but absent, which are met in the
// given order. HAProxy adds each one's weight to its score at every step, gives
// the slot to the first with the largest floor((score+total)/total), and takes
// the total from that one's score. The host's claim is that quotient: it rises by
// one whenever its share of the steps passes a whole number, and falls by one with
// every slot that it gets. So a heap of the claims that have changed does.
func mapSlots(hosts []Host, order []uint16, absent uint16) []uint16 {
	order = slices.DeleteFunc(slices.Clone(order), func(i uint16) bool { return i == absent })
	scale, total := 0, 0
	for _, i := range order {
		scale = divisor(scale, hosts[i].Weight)
		total += hosts[i].Weight
	}
	if total == 0 {
		return nil
	}
	total /= scale
	rises := make([][]int, total+1) // the places in order whose claims rise at a step
	claims := make([]claim, 0, 2*total)
	level := slices.Repeat([]int{1}, len(order))
	for place, i := range order {
		weight := hosts[i].Weight / scale
		for k := 1; k <= weight; k++ {
			step := (k*total + weight - 1) / weight
			rises[step] = append(rises[step], place)
		}
		claims = append(claims, newClaim(1, place)) // in order already: a heap
	}
	list := make([]uint16, total)
	for slot := range list {
		for _, place := range rises[slot+1] {
			level[place]++
			claims = push(claims, newClaim(level[place], place))
		}
		var winner int
		for stale := true; stale; {
			var top claim
			top, claims = pop(claims)
			winner = top.place()
			stale = top != newClaim(level[winner], winner)
		}
		list[slot] = order[winner]
		level[winner]--
		claims = push(claims, newClaim(level[winner], winner))
	}
	return list
}

// A claim is what a host, at its place in the order, has to the next slot. The
// lesser goes first: that of the higher level, then of the earlier place.
type claim int64

func newClaim(level, place int) claim { return claim(-level)<<32 + claim(place) }

// place returns the host's place in the order.
func (c claim) place() int { return int(uint32(c)) }

// push adds c to a binary heap whose least element is the first.
func push(heap []claim, c claim) []claim {
	heap = append(heap, c)
	for i := len(heap) - 1; i > 0; {
		parent := (i - 1) / 2
		if heap[i] >= heap[parent] {
			break
		}
		heap[i], heap[parent] = heap[parent], heap[i]
		i = parent
	}
	return heap
}

// pop takes the first element from such a heap, which isn't empty.
func pop(heap []claim) (claim, []claim) {
	top, last := heap[0], len(heap)-1
	heap[0] = heap[last]
	heap = heap[:last]
	for i := 0; ; {
		child := 2*i + 1
		if child+1 < last && heap[child+1] < heap[child] {
			child++
		}
		if child >= last || heap[child] >= heap[i] {
			return top, heap
		}
		heap[i], heap[child] = heap[child], heap[i]
		i = child
	}
}
