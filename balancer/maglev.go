package balancer

import (
	"fmt"
	"slices"

	"github.com/cespare/xxhash/v2"
)

// maglevPolicy fills a table as Maglev does (Eisenbud et al., "Maglev: a fast and
// reliable software network load balancer", NSDI 2016, §3.4). Each host has its own
// order of all slots. The hosts take turns, and each takes the next slot of its order
// that is still free. The number of turns is in proportion to the weight, so shares
// are even to within two or three slots. In exchange, a change of the hosts moves a
// few slots between hosts that stay.
//
// The paper doesn't define a fallback. Here the table is filled once more without
// each host, and the successor of a slot is its owner in the table without its
// present owner.
type maglevPolicy struct {
	cfg  MaglevConfig
	keys keyHash
}

func (p *maglevPolicy) name() string { return PolicyMaglev }

func (p *maglevPolicy) parameters() string {
	return fmt.Sprintf("slots=%d", p.cfg.Slots) + p.keys.parameters()
}

// check implements policy.
func (p *maglevPolicy) check(hosts []Host) error {
	if len(hosts) > p.cfg.Slots {
		return fmt.Errorf("there are %d hosts; at most %d are possible, the number of slots", len(hosts), p.cfg.Slots)
	}
	return nil
}

// place implements policy.
func (p *maglevPolicy) place(hosts []Host) (layout, error) {
	m := newMaglev(p.cfg.Slots, hosts)
	owners, successors := make([]uint16, p.cfg.Slots), slices.Repeat([]uint16{noHost}, p.cfg.Slots)
	m.fill(-1, func(slot, host int) { owners[slot] = uint16(host) })
	for absent := range hosts {
		if len(hosts) == 1 {
			break
		}
		m.fill(absent, func(slot, host int) {
			if int(owners[slot]) == absent {
				successors[slot] = uint16(host)
			}
		})
	}
	return slotLayout(hosts, p.keys, owners, successors), nil
}

// A maglev fills tables of slots. Each host has a first slot and a step to the next
// slot of its order. Since the number of slots is a prime, the steps reach all slots.
type maglev struct {
	slots       uint32
	first, step []uint32
	weights     []int
	taken       []uint64 // a bit for each slot
	wanted      []uint32 // the slot that each host tries next
	credit      []int
}

func newMaglev(slots int, hosts []Host) *maglev {
	n := len(hosts)
	m := &maglev{slots: uint32(slots), taken: make([]uint64, (slots+63)/64), wanted: make([]uint32, n), credit: make([]int, n)}
	for _, h := range hosts {
		m.first = append(m.first, uint32(xxhash.Sum64String("maglev first:"+h.Name)%uint64(slots)))
		step := uint32(1)
		if slots > 2 {
			step += uint32(xxhash.Sum64String("maglev step:"+h.Name) % uint64(slots-1))
		}
		m.step = append(m.step, step)
		m.weights = append(m.weights, h.Weight)
	}
	return m
}

// fill distributes the slots over all hosts but absent (-1: none is absent), and calls
// assign with the owner of each slot. In each round a host's credit grows by its
// weight. A slot costs the weight of the heaviest host.
func (m *maglev) fill(absent int, assign func(slot, host int)) {
	clear(m.taken)
	clear(m.credit)
	copy(m.wanted, m.first)
	cost := 0
	for host, weight := range m.weights {
		if host != absent {
			cost = max(cost, weight)
		}
	}
	for left := m.slots; ; {
		for host, weight := range m.weights {
			if host == absent {
				continue
			}
			if m.credit[host] += weight; m.credit[host] < cost {
				continue
			}
			m.credit[host] -= cost
			assign(int(m.take(host)), host)
			if left--; left == 0 {
				return
			}
		}
	}
}

// take returns the next free slot of host's order, and marks it as taken. The CPU
// can't predict whether a step passes the end, so the code has no branch for it.
func (m *maglev) take(host int) uint32 {
	slot, step, slots, taken := m.wanted[host], m.step[host], m.slots, m.taken
	for taken[slot/64]>>(slot%64)&1 != 0 {
		past := int32(slot + step - slots)
		slot = uint32(past + past>>31&int32(slots))
	}
	taken[slot/64] |= 1 << (slot % 64)
	m.wanted[host] = slot
	return slot
}
