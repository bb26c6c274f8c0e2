package balancer

import (
	"cmp"
	"math/bits"

	"github.com/cespare/xxhash/v2"
)

// A scorer computes the scores of one host in weighted rendezvous hashing. Every host
// has a score for a key, and the lowest score wins (Thaler and Ravishankar, "Using
// name-based mappings to increase hit rates", 1998; with weights, the host wins that
// maximises -w/ln(h) for a hash h in (0,1), or, which is the same, minimises
// -log2(h)/w). When a host leaves, only its keys move, and they spread over the
// other hosts in proportion to their weights.
//
// Scores are computed in integers. The last bit of math.Log may differ between
// machines, since some have it in assembly and some fuse a multiplication with an
// addition. Two balancers with different scores could send one user to two hosts.
type scorer struct {
	seed   uint64
	weight uint64
}

func newScorer(h Host) scorer {
	return scorer{seed: xxhash.Sum64String("rendezvous:" + h.Name), weight: uint64(h.Weight)}
}

// scorersOf returns the scorers of hosts, by index.
func scorersOf(hosts []Host) []scorer {
	scorers := make([]scorer, len(hosts))
	for i, h := range hosts {
		scorers[i] = newScorer(h)
	}
	return scorers
}

// best returns the index of the host with the lowest score for a key with this hash
// among the hosts that serve, or -1 if none serves. Of equal scores the first wins.
func best(scorers []scorer, hash uint64, up []bool, avoid int) int {
	winner := -1
	var lowest score
	for i, r := range scorers {
		if !serves(i, up, avoid) {
			continue
		}
		if s := r.score(hash); winner < 0 || s.compare(lowest) < 0 {
			winner, lowest = i, s
		}
	}
	return winner
}

// A score is the fraction cost/weight.
type score struct {
	cost, weight uint64
}

// score returns the host's score for a key with this hash.
func (r scorer) score(hash uint64) score {
	return score{cost: negLog2(mix(hash ^ r.seed)), weight: r.weight}
}

// compare returns -1 if s is lower than other, 0 if they are equal and +1 if s is
// higher. It multiplies crosswise instead of dividing: a cost is at most 64<<48 and
// a weight at most 2^8, so that the products fit.
func (s score) compare(other score) int {
	return cmp.Compare(s.cost*other.weight, other.cost*s.weight)
}

// mix spreads all bits of x over all bits of the result; it is a bijection
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
// interpolation in logTable; the error is below 2^-22. It never rises with x. It is
// 0 for the largest x.
func negLog2(x uint64) uint64 {
	if x++; x == 0 {
		return 0
	}
	zeros := uint64(bits.LeadingZeros64(x))
	mantissa := x << zeros << 1 // the places after the leading 1
	step := mantissa >> (64 - 10)
	low, high := logTable[step], logTable[step+1]
	part, _ := bits.Mul64(high-low, mantissa<<10)
	return (zeros+1)<<logBits - low - part
}
