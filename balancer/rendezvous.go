package balancer

import "fmt"

// rendezvousPolicy gives each slot to the host with the lowest score for it (scorer
// names the sources). The scores of a slot don't depend on the set of hosts, so a host
// that leaves, joins or gets another weight moves no slots between other hosts. A key
// stays on its fallback when the owner leaves, also if several hosts fail.
type rendezvousPolicy struct {
	cfg  RendezvousConfig
	keys keyHash
}

func (p *rendezvousPolicy) name() string { return PolicyRendezvous }

func (p *rendezvousPolicy) parameters() string {
	return fmt.Sprintf("slots=%d", p.cfg.Slots) + p.keys.parameters()
}

// check implements policy: any set of hosts is possible.
func (p *rendezvousPolicy) check([]Host) error { return nil }

// place implements policy.
func (p *rendezvousPolicy) place(hosts []Host) (layout, error) {
	scorers := scorersOf(hosts)
	owners, successors := make([]uint16, p.cfg.Slots), make([]uint16, p.cfg.Slots)
	for slot := range owners {
		owners[slot], successors[slot] = bestTwo(scorers, slotHash(slot))
	}
	return p.restore(hosts, owners, successors), nil
}

// restore implements restorer.
func (p *rendezvousPolicy) restore(hosts []Host, owners, successors []uint16) layout {
	l := slotLayout(hosts, p.keys, owners, successors)
	l.router = &rendezvousSlots{*l.router.(*slots)}
	return l
}

// slotHash returns the hash for which the hosts' scores decide a slot.
func slotHash(slot int) uint64 { return mix(uint64(slot) + 1) }

// bestTwo returns the hosts with the lowest and the second lowest score. The second is
// noHost if there is only one host. Of equal scores the first wins, as in best.
func bestTwo(scorers []scorer, hash uint64) (first, second uint16) {
	first, second = noHost, noHost
	var lowest, next score
	for i, r := range scorers {
		o := r.score(hash)
		switch {
		case first == noHost:
			first, lowest = uint16(i), o
		case o.compare(lowest) < 0:
			second, next = first, lowest
			first, lowest = uint16(i), o
		case second == noHost || o.compare(next) < 0:
			second, next = uint16(i), o
		}
	}
	return first, second
}

// rendezvousSlots is the router of a rendezvous table: it chooses by the scores of the
// slot, not of the key.
type rendezvousSlots struct {
	slots
}

// next implements router.
func (s *rendezvousSlots) next(slot int, _ uint64, up []bool, avoid int) int {
	if successor := int(s.successor[slot]); serves(successor, up, avoid) && !serves(int(s.owner[slot]), up, avoid) {
		return successor
	}
	return best(s.scorers, slotHash(slot), up, avoid)
}
