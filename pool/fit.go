package pool

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"tokenring/balancer"
)

// fit decides which of the operators' weights count. Each was refused if there was
// no room for it, but not so two that two balancers took at the same time; nor does
// anybody ask when the policy is changed.
func (k *keeper) fit() {
	own := make([]balancer.Host, len(k.hosts))
	for i, h := range k.hosts {
		own[i] = h.said.placed()
	}
	weights, excess := k.decided.fitting(own, k.p.o.Hash.Check)
	switch {
	case slices.Equal(excess, k.excess):
	case len(excess) > 0:
		k.log.Error().Strs("hosts", excess).Msg("weights by operators' decision don't count, because the ring has no room for them")
	default:
		k.log.Info().Msg("all weights by operators' decision count again")
	}
	if k.excess = excess; maps.Equal(weights, k.weights) {
		return
	}
	k.weights = weights
	k.p.roster.weigh(maps.Clone(weights))
}

// excessAlarm says whose weights don't count and what to do.
func excessAlarm(hosts []string) string {
	names := strings.Join(hosts[:min(len(hosts), maxNamed)], ", ")
	if more := len(hosts) - maxNamed; more > 0 {
		names += fmt.Sprintf(" and %d more", more)
	}
	return "the ring has no room for the weights that were decided for " + names + ", so these don't count: decide smaller ones, or give back the hosts' own"
}

// fitting returns the decided weights that count, by host, and the hosts of own whose
// decided weights don't: those for which check finds no room beside the others. Less
// weight than a host's own comes first, then who was decided first. It depends on
// nothing but the registers and the hosts, so that all balancers choose alike.
func (r registers) fitting(own []balancer.Host, check func([]balancer.Host) error) (weights map[string]int, excess []string) {
	weights = r.weights()
	hosts := slices.Clone(own)
	var places []int // of the hosts about which there is a decision
	for i, h := range own {
		if weight, ok := weights[h.Name]; ok {
			hosts[i].Weight = weight
			places = append(places, i)
		}
	}
	if len(places) == 0 || check(hosts) == nil {
		return weights, nil
	}
	raises := func(i int) int { return cmp.Compare(weights[own[i].Name], own[i].Weight) }
	slices.SortFunc(places, func(i, j int) int {
		a, b := r[topic{own[i].Name, aboutWeight}], r[topic{own[j].Name, aboutWeight}]
		return cmp.Or(cmp.Compare(max(0, raises(i)), max(0, raises(j))), a.compare(b), cmp.Compare(i, j))
	})
	copy(hosts, own)
	for _, i := range places {
		full := check(hosts) != nil
		hosts[i].Weight = weights[own[i].Name]
		if check(hosts) == nil || full && raises(i) < 0 {
			continue
		}
		hosts[i].Weight = own[i].Weight
		delete(weights, own[i].Name)
		excess = append(excess, own[i].Name)
	}
	slices.Sort(excess)
	return weights, excess
}
