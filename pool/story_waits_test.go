package pool

import "time"

// streams has the streams of the peers open that gossip has, but for those that are cut.
func (s *story) streams() {
	var open connectedEvent
	for _, l := range s.lines() {
		if !l.has("lost") && !l.has("cut") {
			open = append(open, l.name)
		}
	}
	s.machine.connected = nil
	open.apply(s.machine, s.now)
}

func (s *story) knew() {
	all := map[string]time.Duration{}
	for _, l := range s.lines() {
		all[l.name] = s.span(l, "ago", 0)
	}
	s.machine.wait.Remember(all, s.now)
	s.step(tick{})
}

func (s *story) insist() {
	i := &insistence{}
	for _, l := range s.lines() {
		i.peers = append(i.peers, l.name)
	}
	s.requests++
	s.insists[s.requests] = true
	s.step(insistEvent{s.requests, i})
}
