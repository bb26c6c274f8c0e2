package balancer

import (
	"fmt"
	"testing"
)

// TestASeedSpreadsTokensThatAimAtOneHost collects tokens that fall on one host, as a
// user could, and finds their hosts with a seed.
func TestASeedSpreadsTokensThatAimAtOneHost(t *testing.T) {
	for _, policy := range []string{PolicyConsistent, PolicyRendezvous, PolicyMaglev, PolicyKetama} {
		cfg := Config{Policy: policy, Consistent: ConsistentConfig{Partitions: 1021, Replicas: 40}, Maglev: MaglevConfig{Slots: 4093}, Rendezvous: RendezvousConfig{Slots: 4096}}
		open := build(t, cfg, fleet(10)...)
		cfg.Seed = "a seed for this test"
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
