package steer

import (
	"encoding/binary"
	"math"
	"net/netip"

	"github.com/cespare/xxhash/v2"
)

// Networks of these lengths have one choice of addresses, when a region has more of them than an
// answer has.
const (
	ChoiceBits4 = 24
	ChoiceBits6 = 48
)

// varies reports whether the addresses of an answer depend on the network: a family has more that
// serve than an answer has room for.
func varies(r *Region, set Set, serve int) bool {
	for _, is4 := range []bool{true, false} {
		if count(r, is4, set) > max(1, serve) {
			return true
		}
	}
	return false
}

// Choose returns which of the addresses in set a network is answered, of either family: those of
// weight 0, and then as many as there is room for by weighted rendezvous hashing (Schindelhauer
// and Schomaker, 2005): each address wins networks in proportion to its weight, and when one goes
// only its networks move. The choice is the same for all of a network of ChoiceBits4 or
// ChoiceBits6. It doesn't allocate.
func Choose(r *Region, s *Service, set Set, client netip.Addr) Set {
	seed := xxhash.Sum64String(s.Name) ^ networkHash(client)
	var chosen Set
	for _, is4 := range [...]bool{true, false} {
		chosen |= chooseFamily(r, max(1, s.Serve), set, is4, seed)
	}
	return chosen
}

func chooseFamily(r *Region, serve int, set Set, is4 bool, seed uint64) (chosen Set) {
	n := 0
	for i := range r.Addresses {
		if a := &r.Addresses[i]; a.Addr.Is4() == is4 && set.Has(i) && a.Weight == 0 && n < serve {
			chosen |= 1 << i
			n++
		}
	}
	for ; n < serve; n++ {
		best, most := -1, math.Inf(-1)
		for i := range r.Addresses {
			a := &r.Addresses[i]
			if a.Addr.Is4() != is4 || !set.Has(i) || chosen.Has(i) {
				continue
			}
			if score := score(a, seed); score > most {
				best, most = i, score
			}
		}
		if best < 0 {
			break
		}
		chosen |= 1 << best
	}
	return chosen
}

// score returns how much a network wants an address: weight / -ln(u), with u in (0, 1).
func score(a *Address, seed uint64) float64 {
	address := a.Addr.As16()
	var b [24]byte
	copy(b[:], address[:])
	binary.BigEndian.PutUint64(b[16:], seed)
	u := (float64(xxhash.Sum64(b[:])>>11) + 0.5) / (1 << 53)
	return float64(a.Weight) / -math.Log(u)
}

// networkHash returns a hash of the network that has one choice.
func networkHash(client netip.Addr) uint64 {
	var b [17]byte
	if client.Is4() {
		network := client.As4()
		copy(b[:], network[:ChoiceBits4/8])
		b[16] = 4
	} else {
		network := client.As16()
		copy(b[:], network[:ChoiceBits6/8])
		b[16] = 6
	}
	return xxhash.Sum64(b[:])
}
