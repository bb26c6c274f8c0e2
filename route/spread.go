package route

import (
	"math"
	"slices"

	"tokenring/balancer"
)

// RuleLeastConnections is the Rule of a request to a pool whose policy is least-connections.
const RuleLeastConnections balancer.Rule = "least-connections"

// A spread is how requests without a key are spread over the hosts that serve. The zero value is
// in turn, whatever their weights.
type spread struct {
	policy  string    // balancer.PolicyRoundRobin or PolicyLeastConnections; "" for a ring
	weights []float64 // of serving, less what slow starts hold back; nil if all are equal
	sums    []float64 // of the weights of a host and those before
}

// SpreadBy has requests without a key spread by a policy. It must be called before s is published,
// and after SetHistory.
func (s *Snapshot) SpreadBy(policy string) {
	if !(balancer.Config{Policy: policy}).Keyless() {
		return
	}
	s.spread = spread{policy: policy}
	sum, equal := 0.0, true
	for _, h := range s.serving {
		weight := float64(max(1, h.Weight))
		if h.SlowStart != (Progress{}) {
			weight *= max(h.SlowStart.Taken, 0.01)
		}
		sum += weight
		s.spread.weights, s.spread.sums = append(s.spread.weights, weight), append(s.spread.sums, sum)
		equal = equal && weight == s.spread.weights[0]
	}
	if equal {
		s.spread.weights = nil
	}
}

// spreads returns the host of a request without a key, by the policy.
func (s *Snapshot) spreads(avoid *Host) (Choice, bool) {
	switch {
	case s.spread.policy == balancer.PolicyLeastConnections:
		return s.leastConnections(avoid)
	case s.spread.weights != nil:
		return s.weightedTurn(avoid)
	}
	return s.roundRobin(avoid)
}

// weightedTurn returns the host at a point of the line of weights. The points are the multiples
// of the golden ratio, modulo the line's length: any run of them is spread evenly (Weyl), so each
// host gets its share of any run, and no state is needed but the number of the turn.
func (s *Snapshot) weightedTurn(avoid *Host) (Choice, bool) {
	const golden = 0x9e3779b97f4a7c15 // of 2^64
	turn := s.turn.Add(1) - 1
	point := float64(turn*golden) / (1 << 64) * s.spread.sums[len(s.spread.sums)-1]
	at, _ := slices.BinarySearchFunc(s.spread.sums, point, func(sum, point float64) int {
		if sum > point {
			return 1
		}
		return -1
	})
	for i := range s.serving {
		if h := s.serving[(min(at, len(s.serving)-1)+i)%len(s.serving)]; !sameHost(h, avoid) {
			return Choice{h, balancer.RuleRoundRobin}, true
		}
	}
	return Choice{Rule: balancer.RuleNone}, false
}

// leastConnections returns the host with the fewest requests and terminals for its weight. It
// looks at all hosts that serve; of equals, it takes them in turn.
func (s *Snapshot) leastConnections(avoid *Host) (Choice, bool) {
	n := uint64(len(s.serving))
	turn := s.turn.Add(1) - 1
	var best *Host
	least := math.Inf(1)
	for i := range n {
		at := (turn + i) % n
		h, weight := s.serving[at], 1.0
		if s.spread.weights != nil {
			weight = s.spread.weights[at]
		}
		g := h.Gauges
		if load := float64(g.Sessions.Load()+g.AtPeers.Load()+g.InFlight.Load()+1) / weight; load < least && !sameHost(h, avoid) {
			best, least = h, load
		}
	}
	if best == nil {
		return Choice{Rule: balancer.RuleNone}, false
	}
	return Choice{best, RuleLeastConnections}, true
}
