package balancer

import (
	"fmt"
	"slices"
)

// maxMapCells bounds the size of a haproxy map, which has a list for each host. At
// the bound it takes 8 MiB and about a second.
const maxMapCells = 1 << 22

// haproxyMapPolicy reproduces HAProxy's `hash-type map-based`, the default there.
// The map is a list of slots, as many as the weights add up to, in which the servers
// alternate. A key's slot is its hash modulo the length of the list. The order of the
// IDs is used in place of the order of HAProxy's server lines. Every change of the
// list moves most keys; the policy is for users who migrate from HAProxy.
//
// HAProxy makes a new list when a server is down, and so moves most keys of the
// other servers as well. Here only the keys of the host that can't serve move, to
// their hosts in that new list. Keys of other hosts move when the host leaves.
type haproxyMapPolicy struct {
	haproxyPolicy
}

// check implements policy.
func (p *haproxyMapPolicy) check(hosts []Host) error {
	if err := checkIDs(hosts); err != nil {
		return err
	}
	scale := 0
	for _, h := range hosts {
		scale = divisor(scale, h.Weight)
	}
	slots := totalWeight(hosts) / scale
	if cells := slots * len(hosts); cells > maxMapCells {
		return fmt.Errorf("%d hosts with weights that add up to %d (divided by their greatest common divisor) are too many for type %s; use type %s",
			len(hosts), slots, HAProxyMapBased, HAProxyConsistent)
	}
	return nil
}

// place implements policy.
func (p *haproxyMapPolicy) place(hosts []Host) (layout, error) {
	order := byID(hosts)
	m := &haproxyMap{hash: p.hash, owners: mapSlots(hosts, order, noHost), scorers: scorersOf(hosts)}
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

// haproxyMap is the router of a map: the list, and the list without each of the
// hosts.
type haproxyMap struct {
	hash    func([]byte) uint32
	owners  []uint16
	without [][]uint16 // by host; empty if there is no other host
	scorers []scorer
}

// sum implements router.
func (m *haproxyMap) sum(key []byte) uint64 { return uint64(m.hash(key)) }

// locate implements router.
func (m *haproxyMap) locate(hash uint64) int { return int(uint32(hash) % uint32(len(m.owners))) }

// next implements router.
func (m *haproxyMap) next(slot int, hash uint64, up []bool, avoid int) int {
	if list := m.without[m.owners[slot]]; len(list) > 0 {
		if successor := int(list[hash%uint64(len(list))]); serves(successor, up, avoid) {
			return successor
		}
	}
	return best(m.scorers, hash, up, avoid)
}

// mapSlots returns HAProxy's list of all hosts but absent, with the hosts in the
// given order. At every step HAProxy adds each host's weight to its score, gives the
// slot to the first host with the largest level floor((score+total)/total), and
// subtracts the total from that host's score. A host's level rises by one whenever
// its share of the steps passes a whole number, and falls by one with every slot
// that it gets. Therefore it is enough to keep a heap of the levels that have changed.
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
	rises := make([][]int, total+1) // by step, the places in order whose levels rise
	heap := make([]priority, 0, 2*total)
	level := slices.Repeat([]int{1}, len(order))
	for place, i := range order {
		weight := hosts[i].Weight / scale
		for k := 1; k <= weight; k++ {
			step := (k*total + weight - 1) / weight
			rises[step] = append(rises[step], place)
		}
		heap = append(heap, newPriority(1, place)) // in order already: a heap
	}
	list := make([]uint16, total)
	for slot := range list {
		for _, place := range rises[slot+1] {
			level[place]++
			heap = push(heap, newPriority(level[place], place))
		}
		var winner int
		for stale := true; stale; {
			var top priority
			top, heap = pop(heap)
			winner = top.place()
			stale = top != newPriority(level[winner], winner)
		}
		list[slot] = order[winner]
		level[winner]--
		heap = push(heap, newPriority(level[winner], winner))
	}
	return list
}

// A priority orders the hosts for the next slot. The least gets it: a higher level
// is less, then an earlier place in the order.
type priority int64

func newPriority(level, place int) priority { return priority(-level)<<32 + priority(place) }

// place returns the host's place in the order.
func (c priority) place() int { return int(uint32(c)) }

// push adds c to a binary heap whose least element is the first.
func push(heap []priority, c priority) []priority {
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

// pop takes the least element from such a heap, which must not be empty.
func pop(heap []priority) (priority, []priority) {
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
