package balancer

import (
	"fmt"
	"math/bits"
	"slices"
)

// maxPoints is the largest number of points on a circle.
const maxPoints = 1 << 20

// fitCircle says why hosts with so many points per unit of weight have too many,
// nil if they haven't.
func fitCircle(hosts []Host, points int) error {
	total := totalWeight(hosts)
	if n := total * points; n > maxPoints {
		return fmt.Errorf("the weights add up to %d, which makes %d points; at most %d are possible", total, n, maxPoints)
	}
	return nil
}

// A mark is a point on a circle and the host to which it belongs.
type mark struct {
	at   uint32
	host uint16
}

// A circle is a ring of 2^32 places on which hosts have points, and a key belongs
// to a point near its hash: the next one upwards, or the nearest on either side.
// Each point has a slot; slots and points have the same order.
type circle struct {
	hash    func(key []byte) uint32
	nearest bool // else upwards
	hosts   int
	points  []uint32 // in their order on the circle, which may begin anywhere
	ends    []uint32 // ascending, see layout
	owners  []uint16
	starts  []uint32 // the first slot that ends at or behind a multiple of 1<<shift
	shift   int
}

// newCircle returns the circle of these marks, at least one. Where marks
// coincide, those that come earlier in the list are met earlier on the way
// upwards.
func newCircle(marks []mark, hosts int, nearest bool, hash func([]byte) uint32) *circle {
	c := &circle{hash: hash, nearest: nearest, hosts: hosts}
	order := make([]uint64, len(marks))
	for i, m := range marks {
		order[i] = uint64(m.at)<<32 | uint64(i)
	}
	slices.Sort(order)
	for _, o := range order {
		m := marks[uint32(o)]
		c.points = append(c.points, m.at)
		c.owners = append(c.owners, m.host)
	}
	c.cut()
	c.index()
	return c
}

// layout returns c as a layout of the space that the hash function spans.
func (c *circle) layout(s space) layout {
	return layout{owners: c.owners, ends: c.ends, space: s, router: c}
}

// cut sets where the slots end: at their points, or where two points are equally
// near, which still belongs to the lower one. The slot that crosses zero is the
// first.
func (c *circle) cut() {
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

// rotate brings the last of list to its front.
func rotate[T any](list []T) {
	last := list[len(list)-1]
	copy(list[1:], list)
	list[0] = last
}

// index notes where to begin to look for a hash, by its upper bits.
func (c *circle) index() {
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
func (c *circle) sum(key []byte) uint64 { return uint64(c.hash(key)) }

// locate implements router.
func (c *circle) locate(place uint64) int {
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

// crowded is how many slots may begin at equal upper bits before they are halved;
// usually there are one or none.
const crowded = 8

// next implements router: it looks for the key's point again as if only the hosts
// that serve had points. The walk is as long as they are rare.
func (c *circle) next(slot int, hash uint64, up []bool, avoid int) int {
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

// walk returns the first slot beside slot, in one direction, whose owner serves.
func (c *circle) walk(slot, step int, up []bool, avoid int) int {
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
