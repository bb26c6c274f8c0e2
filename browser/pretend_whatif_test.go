package browser

import (
	"maps"
	"math"
	"slices"
)

// A change is the body of a what-if.
type change struct {
	Leave []string
	Join  []struct {
		Name       string
		Weight, ID int
	}
	Weights map[string]int
	Policy  string
}

// whatif is the answer to a change of the hosts, which moves no more than it has
// to, or of the policy, which moves everything anywhere. Terminals are spread as
// the tokens are.
func (p *pretence) whatif(c change) fields {
	before, after := fairShares(p.hosts), fairShares(c.apply(p.hosts))
	ideal, routes := fewestMoves(before, after)
	moved, method, policy := ideal, "exact", p.ring["policy"].(string)
	if c.Policy != "" {
		moved, routes = allMoves(before, after)
		method, policy = "independent", c.Policy
	}
	total := 0
	for _, h := range p.hosts {
		total += h["sessions"].(int)
	}
	for _, r := range routes {
		r["sessions"] = part(r["share"].(float64), total)
	}
	limit, _ := p.status["confirm_share"].(float64) // earlier versions have none
	return fields{
		"method": method, "moved": moved, "ideal": ideal, "astray": moved - ideal,
		"sessions": total, "sessions_moved": part(moved, total), "sessions_exact": method == "exact",
		"routes": routes, "routes_left_out": 0, "confirm_share": limit, "needs_confirmation": moved > limit,
		"before": side(p.ring["digest"], p.ring["policy"], before, total), "after": side("", policy, after, total),
	}
}

// apply returns the hosts as they would be.
func (c change) apply(hosts []fields) (changed []fields) {
	for _, h := range hosts {
		h := maps.Clone(h)
		name := h["name"].(string)
		if weight, ok := c.Weights[name]; ok {
			h["weight"] = weight
		}
		if !slices.Contains(c.Leave, name) {
			changed = append(changed, h)
		}
	}
	for _, j := range c.Join {
		changed = append(changed, fields{"name": j.Name, "weight": j.Weight, "in_ring": true})
	}
	return changed
}

// part is a share of total, rounded.
func part(share float64, total int) int { return int(math.Round(share * float64(total))) }

// side is one of the two rings of an answer.
func side(digest, policy any, shares map[string]float64, sessions int) fields {
	hosts := []fields{}
	for _, name := range slices.Sorted(maps.Keys(shares)) {
		hosts = append(hosts, fields{"host": name, "weight": 1, "share": shares[name], "sessions": part(shares[name], sessions)})
	}
	return fields{"digest": digest, "policy": policy, "slots": 16381, "hosts": hosts}
}

// fewestMoves returns the routes from those that get less to those that get more.
func fewestMoves(before, after map[string]float64) (moved float64, routes []fields) {
	for name, share := range after {
		moved += max(0, share-before[name])
	}
	return moves(before, after, func(from, to string) float64 {
		return max(0, before[from]-after[from]) * max(0, after[to]-before[to]) / moved
	})
}

// allMoves returns the routes of keys whose host afterwards has nothing to do with
// the one before.
func allMoves(before, after map[string]float64) (moved float64, routes []fields) {
	return moves(before, after, func(from, to string) float64 { return before[from] * after[to] })
}

func moves(before, after map[string]float64, share func(from, to string) float64) (moved float64, routes []fields) {
	routes = []fields{} // [] rather than null in JSON
	for _, from := range slices.Sorted(maps.Keys(before)) {
		for _, to := range slices.Sorted(maps.Keys(after)) {
			if s := share(from, to); from != to && s > 0 {
				moved += s
				routes = append(routes, fields{"from": from, "to": to, "share": s})
			}
		}
	}
	return moved, routes
}
