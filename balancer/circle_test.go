package balancer

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"
)

// plainHash takes the first four bytes of a key for its hash.
func plainHash(key []byte) uint32 { return binary.BigEndian.Uint32(key) }

func keyAt(hash uint32) []byte { return binary.BigEndian.AppendUint32(nil, hash) }

// nearestMark is HAProxy's rule, word for word: next is the first mark at or above
// the hash, prev the one before it, in the order of insertion where they coincide.
func nearestMark(marks []mark, hash uint32, up []bool) int {
	next, prev := -1, -1
	for i, m := range marks {
		if !up[m.host] {
			continue
		}
		if next < 0 || m.at-hash < marks[next].at-hash {
			next = i
		}
		if prev < 0 || hash-1-m.at <= hash-1-marks[prev].at {
			prev = i
		}
	}
	if hash-marks[prev].at <= marks[next].at-hash {
		return int(marks[prev].host)
	}
	return int(marks[next].host)
}

func nextMark(marks []mark, hash uint32, up []bool) int {
	next := -1
	for i, m := range marks {
		if up[m.host] && (next < 0 || m.at-hash < marks[next].at-hash) {
			next = i
		}
	}
	return int(marks[next].host)
}

// TestCircleFindsThePointByTheRule draws points in narrow places, so that there
// are many ties, and around zero; and asks at and between all of them.
func TestCircleFindsThePointByTheRule(t *testing.T) {
	rng := rand.New(rand.NewPCG(51, 52))
	for round := range 3000 {
		width := uint32(1) << (2 + rng.IntN(30))
		from := uint32(0) - width/2 + uint32(rng.IntN(3)-1)*rng.Uint32()
		const hosts = 4
		var marks []mark
		for i := range hosts + rng.IntN(12) {
			marks = append(marks, mark{from + rng.Uint32N(width), uint16(i % hosts)})
		}
		nearest, rule := round%2 == 0, nextMark
		if nearest {
			rule = nearestMark
		}
		c := newCircle(marks, hosts, nearest, plainHash)
		for range 60 {
			hash := from + rng.Uint32N(width)
			if rng.IntN(4) == 0 {
				hash = marks[rng.IntN(len(marks))].at + uint32(rng.IntN(3)-1)
			}
			up := all(hosts)
			slot := c.locate(c.sum(keyAt(hash)))
			if got, want := int(c.owners[slot]), rule(marks, hash, up); got != want {
				t.Fatalf("%x on %x: got host %d, want %d", hash, marks, got, want)
			}
			up[c.owners[slot]] = false
			up[rng.IntN(hosts)] = rng.IntN(2) > 0 && c.owners[slot] > 0
			up[(int(c.owners[slot])+1)%hosts] = true
			if up[c.owners[slot]] {
				continue
			}
			if got, want := c.next(slot, uint64(hash), up, -1), rule(marks, hash, up); got != want {
				t.Fatalf("%x on %x, up %v: got host %d, want %d", hash, marks, up, got, want)
			}
		}
	}
}

func TestSizesOfACirclesSlotsAreThatOfTheirArcs(t *testing.T) {
	rng := rand.New(rand.NewPCG(53, 54))
	for round := range 200 {
		var marks []mark
		for range 1 + rng.IntN(9) {
			marks = append(marks, mark{rng.Uint32N(64) - 32, 0})
		}
		l := newCircle(marks, 1, round%2 == 0, plainHash).layout(space{})
		count := make([]uint64, len(marks))
		for hash := range uint32(200) {
			slot := l.router.locate(l.router.sum(keyAt(hash - 100)))
			count[slot]++
		}
		sum := uint64(0)
		for slot := range count {
			size := l.size(slot)
			if sum += size; size < 200 && size != count[slot] {
				t.Fatalf("%x: slot %d has the size %d, want %d", marks, slot, size, count[slot])
			}
		}
		if sum != 1<<32 {
			t.Fatalf("%x: the sizes add up to %d", marks, sum)
		}
	}
}
