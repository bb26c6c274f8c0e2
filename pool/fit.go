package pool

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"tokenring/balancer"
)

// A claimant is a host that wants a place in the ring.
type claimant struct {
	host   balancer.Host // with its own weight
	static bool
	word   Decision // on its weight; zero if that is its own
}

// A room is which of the claimants a table can hold, and which of the weights that
// operators have decided.
type room struct {
	weights map[string]int // those that operators have decided and that count, by host
	excess  []string       // hosts about whose weights there are decisions that don't
	out     []string       // hosts for which there is no place
}

// share gives claimants, who are sorted by name, places. check says why no table can
// hold hosts. If one can't hold all, those of the config file and those about whose
// weights operators have decided go first, then their decisions, in order of time, and
// then the others, the lightest first. So it depends on nothing but the claimants, and
// all balancers share alike, whoever came first at each of them.
func share(all []claimant, check func([]balancer.Host) error) room {
	r := room{weights: map[string]int{}}
	whole := make([]balancer.Host, len(all))
	for i, c := range all {
		whole[i] = c.host
		if weight := c.word.weight(); weight != OwnWeight {
			whole[i].Weight = weight
			r.weights[c.host.Name] = weight
		}
	}
	if check(whole) == nil {
		return r
	}
	order := slices.Clone(all)
	slices.SortStableFunc(order, func(a, b claimant) int {
		return cmp.Or(cmp.Compare(a.rank(), b.rank()), cmp.Compare(a.least(), b.least()))
	})
	firm, _ := slices.BinarySearchFunc(order, 2, func(c claimant, rank int) int { return cmp.Compare(c.rank(), rank) })
	t := trial{check: check}
	r.place(&t, order[:firm])
	r.raise(&t, order[:firm])
	r.place(&t, order[firm:])
	slices.Sort(r.excess)
	slices.Sort(r.out)
	return r
}

// rank returns c's turn: 0 for a host of the config file, 1 for one about whose weight
// operators have decided, 2 for the others.
func (c claimant) rank() int {
	switch {
	case c.static:
		return 0
	case c.word.Weight != nil:
		return 1
	}
	return 2
}

// least returns the weight that c has at least: its own, or the less that operators
// have decided.
func (c claimant) least() int {
	if weight := c.word.weight(); weight != OwnWeight {
		return min(weight, c.host.Weight)
	}
	return c.host.Weight
}

// place gives claimants places, as far as there are any.
func (r *room) place(t *trial, all []claimant) {
	for _, c := range all {
		h := c.host
		h.Weight = c.least()
		if !t.holds(h) {
			r.out = append(r.out, h.Name)
		}
	}
}

// raise gives claimants that have places the greater weights that operators have
// decided, as far as there is room.
func (r *room) raise(t *trial, all []claimant) {
	raised := slices.DeleteFunc(slices.Clone(all), func(c claimant) bool {
		return c.word.weight() <= c.host.Weight || slices.Contains(r.out, c.host.Name)
	})
	slices.SortStableFunc(raised, func(a, b claimant) int { return a.word.compare(b.word) })
	for _, c := range raised {
		h := c.host
		h.Weight = c.word.weight()
		if !t.holds(h) {
			r.excess = append(r.excess, h.Name)
			delete(r.weights, h.Name)
		}
	}
}

// A trial is a growing set of hosts that fit into a table.
type trial struct {
	check func([]balancer.Host) error
	hosts []balancer.Host
}

// holds adds h, instead of the one of that name, if the set fits then.
func (t *trial) holds(h balancer.Host) bool {
	hosts := slices.DeleteFunc(slices.Clone(t.hosts), func(old balancer.Host) bool { return old.Name == h.Name })
	if hosts = append(hosts, h); t.check(hosts) != nil {
		return false
	}
	t.hosts = hosts
	return true
}

// fit decides who has a place in the ring if it comes to that, and with what weight.
func (k *keeper) fit() {
	var all []claimant
	for _, h := range k.hosts {
		if !h.said.Leaving {
			c := claimant{host: h.said.placed(), static: h.static}
			if word, ok := k.decided.weight(h.name); ok {
				c.word = word
			}
			all = append(all, c)
		}
	}
	if k.version > 0 && slices.Equal(all, k.claimants) {
		return
	}
	before := k.room
	k.claimants, k.room = all, share(all, k.p.o.Hash.Check)
	switch {
	case slices.Equal(k.out, before.out) && slices.Equal(k.excess, before.excess):
	case len(k.out)+len(k.excess) > 0:
		k.log.Error().Strs("hosts", k.out).Strs("weights", k.excess).Msg("the ring has no room for these hosts, or for their decided weights")
	default:
		k.log.Info().Msg("the ring has room for all hosts and weights again")
	}
}

// alarms says for whom there is no room and what to do.
func (r room) alarms() (all []string) {
	if len(r.out) > 0 {
		all = append(all, "the ring has no room for "+few(r.out)+", which gets no new users: give hosts less weight, or an id of its own")
	}
	if len(r.excess) > 0 {
		all = append(all, "the ring has no room for the weights that were decided for "+few(r.excess)+", so these don't count: decide smaller ones, or give back the hosts' own")
	}
	return all
}

// few names some hosts.
func few(hosts []string) string {
	names := strings.Join(hosts[:min(len(hosts), maxNamed)], ", ")
	if more := len(hosts) - maxNamed; more > 0 {
		names += fmt.Sprintf(" and %d more", more)
	}
	return names
}
