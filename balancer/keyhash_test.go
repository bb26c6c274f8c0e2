package balancer

import (
	"encoding/binary"
	"fmt"
	"testing"
)

// TestSipHashGivesThePapersAnswers uses the key 00 01 … 0f and the inputs 00 01 …,
// as in the paper's appendix A and the vectors of its authors.
func TestSipHashGivesThePapersAnswers(t *testing.T) {
	key := make([]byte, 64)
	for i := range key {
		key[i] = byte(i)
	}
	k0, k1 := binary.LittleEndian.Uint64(key), binary.LittleEndian.Uint64(key[8:])
	for length, want := range map[int]uint64{
		0:  0x726fdb47dd0e0e31,
		1:  0x74f839c593dc67fd,
		7:  0xab0200f58b01d137,
		8:  0x93f5f5799a932462,
		15: 0xa129ca6149be45e5,
		63: 0x958a324ceb064572,
	} {
		if got := sipHash(k0, k1, key[:length]); got != want {
			t.Errorf("%d bytes: got %016x, want %016x", length, got, want)
		}
	}
}

// TestASeedScattersTokensThatAimAtOneHost collects tokens that fall on one host,
// as a user could, and looks where they fall with a seed.
func TestASeedScattersTokensThatAimAtOneHost(t *testing.T) {
	for _, policy := range []string{PolicyConsistent, PolicyRendezvous, PolicyMaglev, PolicyKetama} {
		cfg := Config{Policy: policy, Consistent: ConsistentConfig{Partitions: 1021, Replicas: 40}, Maglev: MaglevConfig{Slots: 4093}, Rendezvous: RendezvousConfig{Slots: 4096}}
		open := build(t, cfg, fleet(10)...)
		cfg.Seed = "nobody knows this one"
		seeded := build(t, cfg, fleet(10)...)
		aimed, hit := 0, make([]int, 10)
		for i := 0; aimed < 2000; i++ {
			if key := fmt.Appendf(nil, "chosen-%d", i); open.Owner(key) == 3 {
				aimed++
				hit[seeded.Owner(key)]++
			}
		}
		for host, n := range hit {
			if n > 2*aimed/10 {
				t.Errorf("%s: %d of %d tokens aimed at host 3 fall on host %d", policy, n, aimed, host)
			}
		}
		if before, after := open.Digest(), seeded.Digest(); before == after {
			t.Errorf("%s: the digest doesn't tell that there is a seed", policy)
		}
		if m := Compare(open, seeded); m.Method != MethodIndependent || m.Moved < 0.85 {
			t.Errorf("%s: got %.2f moved (%s), want about 0.9 by product of shares", policy, m.Moved, m.Method)
		}
	}
}
