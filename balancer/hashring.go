package balancer

import (
	"fmt"
	"math/bits"
	"slices"
)

// maxPoints is the largest number of points on a hash ring.
const maxPoints = 1 << 20

// checkPoints returns an error if hosts have more than maxPoints points together,
// with perWeight points per unit of weight.
func checkPoints(hosts []Host, perWeight int) error {
	total := totalWeight(hosts)
	if n := total * perWeight; n > maxPoints {
		return fmt.Errorf("the weights add up to %d, which makes %d points; at most %d are possible", total, n, maxPoints)
	}
	return nil
}

// A point is a place on a hash ring and the host to which it belongs.
type point struct {
	at   uint32
	host uint16
}

// A hashRing is a ring of 2^32 places, the router of ketama and haproxy. Each host
// has points on it. A key belongs to the next point at or above its hash, or, if
// nearest is set, to the nearest point on either side. Each point has a slot; slots
// and points have the same order.
type hashRing struct {
	hash    func(key []byte) uint32
	nearest bool // else the next point upwards
	hosts   int
	points  []uint32 // in their order on the ring; any of them may be the first
	ends    []uint32 // ascending, see layout
	owners  []uint16
	starts  []uint32 // the first slot that ends at or after a multiple of 1<<shift
	shift   int
}

// newHashRing returns the ring of points, of which there is at least one. Points at
// the same place keep their order in the list.
func newHashRing(points []point, hosts int, nearest bool, hash func([]byte) uint32) *hashRing {
	c := &hashRing{hash: hash, nearest: nearest, hosts: hosts}
	order := make([]uint64, len(points))
	for i, m := range points {
		order[i] = uint64(m.at)<<32 | uint64(i)
	}
	slices.Sort(order)
	for _, o := range order {
		m := points[uint32(o)]
		c.points = append(c.points, m.at)
		c.owners = append(c.owners, m.host)
	}
	c.cut()
	c.index()
	return c
}

// layout returns the ring as a layout; s identifies its hash function.
func (c *hashRing) layout(s space) layout {
	return layout{owners: c.owners, ends: c.ends, space: s, router: c}
}

// cut sets the ends of the slots. A slot ends at its point. With nearest it ends
// halfway to the next point; a hash in the middle belongs to the lower point. The
// slot that crosses zero is the first.
func (c *hashRing) cut() {
	if !c.nearest {
		c.ends = c.points
		return
	}
	last := len(c.points) - 1
	c.ends = make([]uint32, len(c.points))
	for i, at := range c.points {
		c.ends[i] = at + (c.points[(i+1)%len(c.points)]-at)/2
	}
	if c.ends[last] < c.points[last] {
		rotate(c.ends)
		rotate(c.points)
		rotate(c.owners)
	}
}

// rotate moves the last element of list to the front.
func rotate[T any](list []T) {
	last := list[len(list)-1]
	copy(list[1:], list)
	list[0] = last
}

// index sets starts, which tells by the upper bits of a hash where the search for
// its slot begins.
func (c *hashRing) index() {
	c.shift = 32 - bits.Len(uint(len(c.ends)))
	c.starts = make([]uint32, 1<<(32-c.shift)+1)
	slot := 0
	for i := range c.starts {
		for slot < len(c.ends) && uint64(c.ends[slot]) < uint64(i)<<c.shift {
			slot++
		}
		c.starts[i] = uint32(slot)
	}
}

// sum implements router.
func (c *hashRing) sum(key []byte) uint64 { return uint64(c.hash(key)) }

// locate implements router.
func (c *hashRing) locate(place uint64) int {
	hash := uint32(place)
	bucket := hash >> c.shift
	slot, limit := c.starts[bucket], c.starts[bucket+1]
	for limit-slot > crowded {
		if middle := (slot + limit) / 2; c.ends[middle] < hash {
			slot = middle + 1
		} else {
			limit = middle
		}
	}
	for slot < limit && c.ends[slot] < hash {
		slot++
	}
	if int(slot) == len(c.ends) {
		slot = 0
	}
	return int(slot)
}

// crowded is the number of slots with equal upper bits from which locate searches
// in halves. Usually there is one slot or none.
const crowded = 8

// next implements router: it finds the key's point as if only the hosts that serve
// had points. The fewer hosts serve, the more points it visits.
func (c *hashRing) next(slot int, hash uint64, up []bool, avoid int) int {
	if !anyServes(c.hosts, up, avoid) {
		return -1
	}
	above := c.walk(slot, 1, up, avoid)
	if !c.nearest {
		return int(c.owners[above])
	}
	below := c.walk(slot, -1, up, avoid)
	if uint32(hash)-c.points[below] <= c.points[above]-uint32(hash) { // modulo 2^32
		return int(c.owners[below])
	}
	return int(c.owners[above])
}

// walk returns the first slot after slot whose owner serves. step is the direction:
// 1 upwards, -1 downwards.
func (c *hashRing) walk(slot, step int, up []bool, avoid int) int {
	for {
		switch slot += step; slot {
		case len(c.owners):
			slot = 0
		case -1:
			slot = len(c.owners) - 1
		}
		if serves(int(c.owners[slot]), up, avoid) {
			return slot
		}
	}
}

// anyServes reports whether one of the hosts may be picked.
func anyServes(hosts int, up []bool, avoid int) bool {
	for host := range min(hosts, len(up)) {
		if up[host] && host != avoid {
			return true
		}
	}
	return false
}
