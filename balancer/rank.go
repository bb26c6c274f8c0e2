package balancer

import (
	"cmp"
	"math/bits"

	"github.com/cespare/xxhash/v2"
)

// A rank is what a host brings into a weighted rendezvous: every host makes an
// offer for the key, and the lowest wins (Thaler and Ravishankar, "Using
// name-based mappings to increase hit rates", 1998; with weights, the host that
// maximises -w/ln(h) for a hash h in (0,1), which is the one that minimises
// -log2(h)/w). When a host goes, only its keys move, and they spread over the
// others in proportion to their weights.
//
// The price is integer arithmetic throughout. math.Log may differ in its last
// bit between machines, since some have it in assembly and some fuse a multiply
// with an add; two balancers that differ once in a while would be two hosts for
// one user.
type rank struct {
	seed   uint64
	weight uint64
}

func newRank(h Host) rank {
	return rank{seed: xxhash.Sum64String("rendezvous:" + h.Name), weight: uint64(h.Weight)}
}

// ranksOf returns the ranks of hosts, by index.
func ranksOf(hosts []Host) []rank {
	ranks := make([]rank, len(hosts))
	for i, h := range hosts {
		ranks[i] = newRank(h)
	}
	return ranks
}

// best returns the index of the host with the best rank for a key with this
// hash among those that may be picked, -1 if there is none. Of equal hosts the
// first wins.
func best(ranks []rank, hash uint64, up []bool, avoid int) int {
	winner := -1
	var lowest offer
	for i, r := range ranks {
		if !serves(i, up, avoid) {
			continue
		}
		if o := r.offer(hash); winner < 0 || o.compare(lowest) < 0 {
			winner, lowest = i, o
		}
	}
	return winner
}

// An offer is what a host asks for a key: price/weight.
type offer struct {
	price, weight uint64
}

// offer returns the host's offer for a key with this hash.
func (r rank) offer(hash uint64) offer {
	return offer{price: negLog2(mix(hash ^ r.seed)), weight: r.weight}
}

// compare returns -1 if o is lower than other, +1 if it is higher. It compares
// the fractions crosswise: a price is at most 64<<48 and a weight at most 2^8,
// so the products fit.
func (o offer) compare(other offer) int {
	return cmp.Compare(o.price*other.weight, other.price*o.weight)
}

// mix scatters all bits of x over all bits of the result; it is a bijection
// (the finaliser of Steele, Lea and Flood, "Fast splittable pseudorandom number
// generators", 2014, in the variant of Stafford's Mix13).
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

const (
	logBits  = 48 // binary places of negLog2 and logTable
	logSteps = 1 << 10
)

// logTable[i] is log2(1 + i/logSteps) with logBits binary places, rounded down.
var logTable = func() (table [logSteps + 1]uint64) {
	for i := range logSteps {
		table[i] = log2(1<<63 + uint64(i)<<(63-10))
	}
	table[logSteps] = 1 << logBits
	return table
}()

// log2 returns the binary logarithm of m/2^63, for m with its top bit set. Each
// squaring of a number in [1,2) yields one more binary place.
func log2(m uint64) (places uint64) {
	for range logBits {
		hi, lo := bits.Mul64(m, m)
		places <<= 1
		if hi>>63 == 1 {
			places |= 1
			m = hi
		} else {
			m = hi<<1 | lo>>63
		}
	}
	return places
}

// negLog2 returns -log2((x+1)/2^64) with logBits binary places, by linear
// interpolation in logTable; the error is below 2^-22. It never
// rises with x. An x of all ones is worth 0.
func negLog2(x uint64) uint64 {
	if x++; x == 0 {
		return 0
	}
	zeros := uint64(bits.LeadingZeros64(x))
	mantissa := x << zeros << 1 // the places behind the leading 1
	step := mantissa >> (64 - 10)
	low, high := logTable[step], logTable[step+1]
	part, _ := bits.Mul64(high-low, mantissa<<10)
	return (zeros+1)<<logBits - low - part
}
