package claims

import "tokenring/route"

// Stay returns what the host of a claim means for the key. It has no time.
func (w Where) Stay() route.Stay {
	rule := route.RuleLingering
	if w.Kind == Held || w.Kind == Live {
		rule = route.RuleSessionAtPeer
	}
	return route.Stay{Host: w.Host, Rule: rule, Peer: w.Peer}
}

// ToBeKnown reports whether this balancer is about to learn of the host, which is h here, nil if
// it isn't known, what a peer that uses it knows already: that it is there, or that it is up.
func (w Where) ToBeKnown(h *route.Host) bool {
	if h == nil {
		return w.Kind >= Lingers
	}
	return w.Kind >= Held && h.Disputed()
}
