package conflict

import (
	"maps"
	"slices"

	"tokenring/route"
)

// By default, the greatest weight of a machine is so many times the median, and at least
// so much.
const (
	WeightFactor   = 8
	LeastMaxWeight = 8
)

// limitMachines bars the hosts of a machine that are too many, and limits the weights of
// the others. Weights that operators have set have no limit, and leave it to the others.
func (r Result) limitMachines(all []contender, maxHosts int) {
	admitted, weights, full := make(map[string]int, len(all)), make(map[string]int, len(all)), map[string]bool{} // by machine
	for _, c := range all {
		switch {
		case r.Barred[c.Name] != "":
			continue
		case admitted[c.Machine] >= maxHosts:
			r.Barred[c.Name] = route.WhyAtAddress
			full[c.Machine] = true
			continue
		}
		admitted[c.Machine]++
		weight := min(c.Weight, r.MaxWeight-weights[c.Machine])
		if c.WeightSet {
			if weight < c.Weight && !c.Operator {
				r.Unset[c.Name] = weight
			}
			continue
		}
		weights[c.Machine] += weight
		switch {
		case weight == c.Weight:
			continue
		case weight == 0:
			r.Barred[c.Name] = route.WhyMaxWeight
		default:
			r.Limited[c.Name] = weight
		}
		if admitted[c.Machine] > 1 {
			full[c.Machine] = true
		}
	}
	for _, c := range all {
		if full[c.Machine] && r.Barred[c.Name] == "" {
			r.Contested[c.Name] = true
		}
	}
}

// defaultMaxWeight returns how much weight the hosts of one machine may have together. It
// follows from all machines of which a host exists and isn't barred. A machine with many
// hosts has no more say than another one.
func (r Result) defaultMaxWeight(hosts []Host) int {
	together := make(map[string]int, len(hosts)) // by machine
	for _, h := range hosts {
		if h.Proven && h.Weight > 0 && r.Barred[h.Name] == "" {
			together[h.Machine] += h.Weight
		}
	}
	all := slices.Sorted(maps.Values(together))
	if len(all) == 0 {
		return LeastMaxWeight
	}
	return max(LeastMaxWeight, WeightFactor*all[(len(all)-1)/2])
}
