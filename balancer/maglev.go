package balancer

import (
	"fmt"
	"slices"

	"github.com/cespare/xxhash/v2"
)

// maglevPolicy fills a table as Maglev does (Eisenbud et al., "Maglev: a fast and
// reliable software network load balancer", NSDI 2016, §3.4): each host goes
// through all slots in an order of its own, and the hosts take turns at taking
// the next slot that is still free. Hosts' turns are in proportion to their
// weights, so shares are even to within two or three slots; in exchange, a change of the hosts
// moves a few slots between those that stay.
//
// The paper says nothing of fallback. Here the heir of a slot is who gets it in
// the table that is filled without the owner: for each host, the table is filled
// once more.
type maglevPolicy struct {
	cfg  MaglevConfig
	keys keyHash
}

func (p *maglevPolicy) name() string { return PolicyMaglev }

func (p *maglevPolicy) parameters() string {
	return fmt.Sprintf("slots=%d", p.cfg.Slots) + p.keys.mark()
}

// fit implements policy.
func (p *maglevPolicy) fit(hosts []Host) error {
	if len(hosts) > p.cfg.Slots {
		return fmt.Errorf("there are %d hosts, and %d slots aren't enough for that", len(hosts), p.cfg.Slots)
	}
	return nil
}

// place implements policy.
func (p *maglevPolicy) place(hosts []Host) (layout, error) {
	m := newMaglev(p.cfg.Slots, hosts)
	owners, heirs := make([]uint16, p.cfg.Slots), slices.Repeat([]uint16{nobody}, p.cfg.Slots)
	m.fill(-1, func(slot, host int) { owners[slot] = uint16(host) })
	for absent := range hosts {
		if len(hosts) == 1 {
			break
		}
		m.fill(absent, func(slot, host int) {
			if int(owners[slot]) == absent {
				heirs[slot] = uint16(host)
			}
		})
	}
	return slotLayout(hosts, p.keys, owners, heirs), nil
}

// A maglev is what it takes to fill a table of slots: for each host the first
// slot that it wants and the step to the next. Since the number of slots is a
// prime, the steps lead through all of them.
type maglev struct {
	slots       uint32
	first, step []uint32
	weights     []int
	taken       []uint64 // a bit for each slot
	wants       []uint32 // the slot that each host tries next
	credit      []int
}

func newMaglev(slots int, hosts []Host) *maglev {
	n := len(hosts)
	m := &maglev{slots: uint32(slots), taken: make([]uint64, (slots+63)/64), wants: make([]uint32, n), credit: make([]int, n)}
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

// fill calls give with the owner of each slot when all hosts but absent (-1:
// none) share them. In each round a host's credit grows by its weight; who has
// as much as the heaviest host's weight pays that for a slot.
func (m *maglev) fill(absent int, give func(slot, host int)) {
	clear(m.taken)
	clear(m.credit)
	copy(m.wants, m.first)
	price := 0
	for host, weight := range m.weights {
		if host != absent {
			price = max(price, weight)
		}
	}
	for left := m.slots; ; {
		for host, weight := range m.weights {
			if host == absent {
				continue
			}
			if m.credit[host] += weight; m.credit[host] < price {
				continue
			}
			m.credit[host] -= price
			give(int(m.take(host)), host)
			if left--; left == 0 {
				return
			}
		}
	}
}

// take returns the next slot of host's order that is free, and takes it. Whether
// a step passes the end can't be foretold, so there is no branch for it.
func (m *maglev) take(host int) uint32 {
	slot, step, slots, taken := m.wants[host], m.step[host], m.slots, m.taken
	for taken[slot/64]>>(slot%64)&1 != 0 {
		past := int32(slot + step - slots)
		slot = uint32(past + past>>31&int32(slots))
	}
	taken[slot/64] |= 1 << (slot % 64)
	m.wants[host] = slot
	return slot
}
