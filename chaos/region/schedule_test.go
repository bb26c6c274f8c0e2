package region

import (
	"math/rand/v2"
	"testing"

	"tokenring/chaos/oracle"
)

// newSchedule returns a schedule of a region that doesn't run.
func newSchedule(seed uint64) *schedule {
	r := &Region{}
	for range balancers {
		r.Balancers = append(r.Balancers, &Balancer{})
	}
	for range hosts {
		r.Hosts = append(r.Hosts, &Host{})
	}
	return &schedule{region: r, rng: rand.New(rand.NewPCG(seed, 0))}
}

func TestEachKindHasItsTurn(t *testing.T) {
	for seed := range uint64(50) {
		s, seen := newSchedule(seed), map[oracle.Kind]int{}
		for range faults {
			f, target, ok := s.take()
			if !ok {
				t.Fatalf("seed %d: no target is free, though nothing is broken", seed)
			}
			seen[f.kind]++
			s.giveBack(f, target)
		}
		if len(seen) < len(faults)-1 { // when one is left, the next turn begins
			t.Errorf("seed %d: only %v", seed, seen)
		}
	}
}

func TestFaultsDontShareATarget(t *testing.T) {
	for seed := range uint64(200) {
		s := newSchedule(seed)
		first, a, _ := s.take()
		second, b, ok := s.take()
		if !ok {
			continue
		}
		if a.host != nil && a.host == b.host || a.balancer != nil && a.balancer == b.balancer {
			t.Errorf("seed %d: %s and %s have one target", seed, first.kind, second.kind)
		}
		if first.network && second.balancer || second.network && first.balancer {
			t.Errorf("seed %d: %s and %s at once", seed, first.kind, second.kind)
		}
	}
}
