package route

import (
	"slices"

	"tokenring/balancer"
)

// RuleSecondChance is the Rule of a key that another host has than the ring says. The
// ring's host has given the key away: it has answered that it doesn't hold the container of
// the key's user.
const RuleSecondChance balancer.Rule = "second-chance"

// Taken returns what follows from the fact that a host has taken a key which another host
// had given away. It matters more than the ring. The Rule is one of
//
//	RuleSecondChance  the host serves, and gets the key
//	RuleMoving        it has just got another address: the key waits for its first check there
//	RuleUnreachable   it can't be reached from here, and others may serve there
//	RuleFrozen        it has vanished together with many others: no other host gets the key
//	""                it can't serve, or avoid names it: the ring decides
//
// With RuleSecondChance, and only then, ok is true. host is "" for a key that no host has
// taken. avoid is as for Choose.
func (s *Snapshot) Taken(host string, avoid *Host) (c Choice, ok bool) {
	h := s.Host(host)
	switch failed := h != nil && sameHost(h, avoid); {
	case h == nil:
	case s.Frozen && (h.vanished() || h.InRing && failed):
		return Choice{h, RuleFrozen}, false
	case failed:
	case h.InRing && h.Moving:
		return Choice{h, RuleMoving}, false
	case h.InRing && h.Held:
		return Choice{h, RuleUnreachable}, false
	case h.Serving():
		return Choice{h, RuleSecondChance}, true
	}
	return Choice{}, false
}

// NextChance returns the host to ask next for a key that the hosts in tried have given
// away or couldn't be asked for. before are the names of hosts that had the key before, the
// last one first. The order is
//
//   - the hosts in before
//   - the hosts that had the key before hosts came that are in slow start now
//   - the owner and its successor
//   - the hosts in drain, because they had keys before
//   - the other hosts of the table, in the order of Explain
//
// A request without a key has no order of its own: NextChance returns the serving hosts one
// after the other. It returns false if no host is left, and then the Rule is
// balancer.RuleNone. If the next host is moving, is held, or has vanished and the ring is frozen,
// it returns false with RuleMoving, RuleUnreachable or RuleFrozen, because no later host may get
// the key.
func (s *Snapshot) NextChance(key Key, before, tried []string) (Choice, bool) {
	for _, h := range s.chances(key, before) {
		switch {
		case h == nil || slices.Contains(tried, h.Name):
		case s.Frozen && h.vanished():
			return Choice{h, RuleFrozen}, false
		case h.InRing && h.Moving:
			return Choice{h, RuleMoving}, false
		case h.InRing && h.Held:
			return Choice{h, RuleUnreachable}, false
		case h.Serving(), h.drains():
			return Choice{h, RuleSecondChance}, true
		}
	}
	return Choice{Rule: balancer.RuleNone}, false
}

// chances returns the hosts in the order of NextChance. Some may be nil, some may be there
// twice, and some may not serve.
func (s *Snapshot) chances(key Key, before []string) (all []*Host) {
	for _, name := range before {
		all = append(all, s.Host(name))
	}
	if !key.Hashed() {
		turn := int(s.turn.Add(1) % uint64(max(1, len(s.serving))))
		return append(append(all, s.serving[turn:]...), s.serving[:turn]...)
	}
	for i := range s.former {
		r := &s.former[i]
		if at, _ := r.table.PickHash(key.hash, r.up, -1); at >= 0 {
			all = append(all, r.hosts[at])
		}
	}
	for i, c := range s.Table.ExplainHash(key.hash, func(balancer.Host) string { return "" }).Candidates {
		if i == 2 { // after the owner and its successor
			all = s.appendDraining(all)
		}
		all = append(all, s.hosts[c.Host])
	}
	return s.appendDraining(all)
}

// appendDraining appends the hosts in drain.
func (s *Snapshot) appendDraining(all []*Host) []*Host {
	for _, h := range s.Hosts {
		if h.drains() {
			all = append(all, h)
		}
	}
	return all
}

// drains reports whether h is out of the ring only because it drains, and can be asked.
func (h *Host) drains() bool {
	return h.State == Drain && h.WhyNot == WhyDrain && h.Verdict == Up && !h.Leaving
}
