package balancer

import (
	"math"
	"math/rand/v2"
	"testing"
)

func TestNegLog2IsTheLogarithm(t *testing.T) {
	const limit = 1.0 / (1 << 22)
	rng := rand.New(rand.NewPCG(1, 2))
	for range 100_000 {
		x := rng.Uint64() >> rng.IntN(64)
		want := 64 - math.Log2(float64(x)+1)
		got := float64(negLog2(x)) / (1 << logBits)
		if math.Abs(got-want) > limit {
			t.Fatalf("negLog2(%d) = %v, want %v", x, got, want)
		}
	}
}

func TestNegLog2NeverRises(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	check := func(x uint64) {
		if x > 0 && negLog2(x) > negLog2(x-1) {
			t.Fatalf("negLog2(%d) = %d, more than %d at one less", x, negLog2(x), negLog2(x-1))
		}
	}
	for step := range uint64(logSteps) {
		for d := range uint64(5) {
			check(step<<54 + d - 3) // around the steps of the table, where a slip would show
			check((1<<63+step<<53)>>20 + d - 3)
		}
	}
	for range 100_000 {
		check(rng.Uint64() >> rng.IntN(64))
	}
}

// TestNegLog2IsTheSameEverywhere pins the values. If they changed, balancers would send
// fallback traffic of one key to two hosts during an upgrade.
func TestNegLog2IsTheSameEverywhere(t *testing.T) {
	for _, row := range []struct{ x, want uint64 }{
		{0, 64 << logBits},
		{1<<63 - 1, 1 << logBits},
		{math.MaxUint64, 0},
		{math.MaxUint64 - 1, 1},
		{0x0123456789abcdef, 0x7d053f782c0bd},
		{0xb504f333f9de6484, 0x800000c11cbd},
	} {
		if got := negLog2(row.x); got != row.want {
			t.Errorf("negLog2(%#x) = %#x, want %#x", row.x, got, row.want)
		}
	}
}

// TestFallbackSharesFollowTheWeights draws 40,000 keys over 12 hosts of weights
// 1 to 3; the tolerance is about five standard deviations.
func TestFallbackSharesFollowTheWeights(t *testing.T) {
	const n = 40_000
	hosts := mixed(12)
	scorers, total := scorersOf(hosts), totalWeight(hosts)
	count := make([]int, len(scorers))
	rng := rand.New(rand.NewPCG(5, 6))
	for range n {
		count[best(scorers, rng.Uint64(), all(len(scorers)), -1)]++
	}
	for i, r := range scorers {
		want := n * float64(r.weight) / float64(total)
		if math.Abs(float64(count[i])-want) > 5*math.Sqrt(want) {
			t.Errorf("host %d of weight %d: got %d keys, want about %.0f", i, r.weight, count[i], want)
		}
	}
}

func TestLostFallbackHostMovesOnlyItsKeysToAllOthers(t *testing.T) {
	scorers := scorersOf(fleet(10))
	up, without := all(10), all(10)
	without[4] = false
	successors := map[int]bool{}
	rng := rand.New(rand.NewPCG(7, 8))
	for range 10_000 {
		hash := rng.Uint64()
		before, after := best(scorers, hash, up, -1), best(scorers, hash, without, -1)
		switch {
		case before == 4:
			successors[after] = true
		case before != after:
			t.Fatalf("a key of host %d moved to %d", before, after)
		}
	}
	if len(successors) != 9 {
		t.Errorf("the keys went to %d hosts, want all 9 others", len(successors))
	}
}
