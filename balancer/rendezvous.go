package balancer

import "fmt"

// rendezvousPolicy gives each slot to the host that wins the weighted rendezvous
// for it (the sources are at rank). The ranking of a slot never changes, so
// whoever leaves, joins or gets another weight moves no slot between others, and
// the fallback is where the key stays, however many hosts fail.
type rendezvousPolicy struct {
	cfg  RendezvousConfig
	keys keyHash
}

func (p *rendezvousPolicy) name() string { return PolicyRendezvous }

func (p *rendezvousPolicy) parameters() string {
	return fmt.Sprintf("slots=%d", p.cfg.Slots) + p.keys.mark()
}

// fit implements policy: any hosts do.
func (p *rendezvousPolicy) fit([]Host) error { return nil }

// place implements policy.
func (p *rendezvousPolicy) place(hosts []Host) (layout, error) {
	ranks := ranksOf(hosts)
	owners, heirs := make([]uint16, p.cfg.Slots), make([]uint16, p.cfg.Slots)
	for slot := range owners {
		owners[slot], heirs[slot] = bestTwo(ranks, drawOf(slot))
	}
	return layout{
		owners: owners,
		heirs:  heirs,
		space:  space{"64 bits", p.keys},
		router: &rendezvousSlots{slots{keys: p.keys, count: uint64(p.cfg.Slots), owner: owners, heir: heirs, ranks: ranks}},
	}, nil
}

// drawOf returns the hash for which the hosts make their offers for a slot.
func drawOf(slot int) uint64 { return mix(uint64(slot) + 1) }

// bestTwo returns the hosts of the best and the second best rank, as best would
// one after the other; nobody for the second if there is one host.
func bestTwo(ranks []rank, hash uint64) (first, second uint16) {
	first, second = nobody, nobody
	var lowest, next offer
	for i, r := range ranks {
		o := r.offer(hash)
		switch {
		case first == nobody:
			first, lowest = uint16(i), o
		case o.compare(lowest) < 0:
			second, next = first, lowest
			first, lowest = uint16(i), o
		case second == nobody || o.compare(next) < 0:
			second, next = uint16(i), o
		}
	}
	return first, second
}

// rendezvousSlots is the router of a rendezvous table: whoever is next in rank for
// the slot.
type rendezvousSlots struct {
	slots
}

// next implements router.
func (s *rendezvousSlots) next(slot int, _ uint64, up []bool, avoid int) int {
	if heir := int(s.heir[slot]); serves(heir, up, avoid) && !serves(int(s.owner[slot]), up, avoid) {
		return heir
	}
	return best(s.ranks, drawOf(slot), up, avoid)
}
