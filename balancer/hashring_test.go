package balancer

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"
)

// plainHash takes the first four bytes of a key for its hash.
func plainHash(key []byte) uint32 { return binary.BigEndian.Uint32(key) }

func keyAt(hash uint32) []byte { return binary.BigEndian.AppendUint32(nil, hash) }

// nearestPoint is HAProxy's rule: next is the first point at or above the hash, prev
// is the point before it. Points at the same place keep the order of insertion.
func nearestPoint(points []point, hash uint32, up []bool) int {
	next, prev := -1, -1
	for i, m := range points {
		if !up[m.host] {
			continue
		}
		if next < 0 || m.at-hash < points[next].at-hash {
			next = i
		}
		if prev < 0 || hash-1-m.at <= hash-1-points[prev].at {
			prev = i
		}
	}
	if hash-points[prev].at <= points[next].at-hash {
		return int(points[prev].host)
	}
	return int(points[next].host)
}

func nextPoint(points []point, hash uint32, up []bool) int {
	next := -1
	for i, m := range points {
		if up[m.host] && (next < 0 || m.at-hash < points[next].at-hash) {
			next = i
		}
	}
	return int(points[next].host)
}

// TestRingFindsThePointByTheRule draws points in narrow ranges, so that many of them
// coincide, and around zero. It looks up hashes at and between all points.
func TestRingFindsThePointByTheRule(t *testing.T) {
	rng := rand.New(rand.NewPCG(51, 52))
	for round := range 3000 {
		width := uint32(1) << (2 + rng.IntN(30))
		from := uint32(0) - width/2 + uint32(rng.IntN(3)-1)*rng.Uint32()
		const hosts = 4
		var points []point
		for i := range hosts + rng.IntN(12) {
			points = append(points, point{from + rng.Uint32N(width), uint16(i % hosts)})
		}
		nearest, rule := round%2 == 0, nextPoint
		if nearest {
			rule = nearestPoint
		}
		c := newHashRing(points, hosts, nearest, plainHash)
		for range 60 {
			hash := from + rng.Uint32N(width)
			if rng.IntN(4) == 0 {
				hash = points[rng.IntN(len(points))].at + uint32(rng.IntN(3)-1)
			}
			up := all(hosts)
			slot := c.locate(c.sum(keyAt(hash)))
			if got, want := int(c.owners[slot]), rule(points, hash, up); got != want {
				t.Fatalf("%x on %x: got host %d, want %d", hash, points, got, want)
			}
			up[c.owners[slot]] = false
			up[rng.IntN(hosts)] = rng.IntN(2) > 0 && c.owners[slot] > 0
			up[(int(c.owners[slot])+1)%hosts] = true
			if up[c.owners[slot]] {
				continue
			}
			if got, want := c.next(slot, uint64(hash), up, -1), rule(points, hash, up); got != want {
				t.Fatalf("%x on %x, up %v: got host %d, want %d", hash, points, up, got, want)
			}
		}
	}
}

func TestSizesOfARingsSlotsAreThoseOfTheirArcs(t *testing.T) {
	rng := rand.New(rand.NewPCG(53, 54))
	for round := range 200 {
		var points []point
		for range 1 + rng.IntN(9) {
			points = append(points, point{rng.Uint32N(64) - 32, 0})
		}
		l := newHashRing(points, 1, round%2 == 0, plainHash).layout(space{})
		count := make([]uint64, len(points))
		for hash := range uint32(200) {
			slot := l.router.locate(l.router.sum(keyAt(hash - 100)))
			count[slot]++
		}
		sum := uint64(0)
		for slot := range count {
			size := l.size(slot)
			if sum += size; size < 200 && size != count[slot] {
				t.Fatalf("%x: slot %d has the size %d, want %d", points, slot, size, count[slot])
			}
		}
		if sum != 1<<32 {
			t.Fatalf("%x: the sizes add up to %d", points, sum)
		}
	}
}
