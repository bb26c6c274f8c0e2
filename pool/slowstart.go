package pool

import (
	"time"

	"tokenring/peers"
	"tokenring/route"
)

// slowStartOf returns the last slow start of a host, the zero value if it has had none.
func (m *machine) slowStartOf(host string) route.SlowStart {
	last := m.registers.SlowStart(host)
	slow := route.NewSlowStart(last.Since, last.Lasts)
	if m.holds() {
		return slow.StandStill(m.wait.Since)
	}
	return slow
}

// progress returns how far a host is in its slow start. It is the zero value if the host
// has all its keys, or if there is no earlier ring that could have them meanwhile.
func (m *machine) progress(h *host, now time.Time) route.Progress {
	s := m.slowStartOf(h.Name)
	if !h.Serving || s.Over(now) || !route.HasFormerRing(m.history, s) {
		return route.Progress{}
	}
	return route.Progress{Since: m.registers.SlowStart(h.Name).Since, Until: s.End(), Taken: float64(s.Taken(now)) / float64(s.Parts())}
}

// updateServices finds out which hosts have begun or ceased to serve, and begins slow
// starts. Until this balancer is ready it begins none: all hosts are new to a balancer
// that starts, and it must move no key.
func (m *machine) updateServices(now time.Time) {
	var came []*host
	for _, h := range m.hosts {
		serving := h.eligibility.InRing && !h.waits && (h.ballot.Assessed() == route.Up || h.moving)
		h.KeysKept = h.KeysKept || m.freeze.Frozen && h.eligibility.InRing && !h.eligibility.FailedBefore && !serving
		switch {
		case serving == h.Serving:
			continue
		case !m.isReady():
		case serving:
			h.Began = now
			came = append(came, h)
		default:
			h.Ceased = now
		}
		h.Serving = serving
	}
	var news []peers.Register
	for _, h := range came {
		if s, ok := m.slowStartFor(h, now); ok && m.takeSlowStart(s, now, &news) {
			m.log.Info().Str("host", h.Name).Dur("lasts", s.Lasts).Msg("host begins its slow start")
		}
	}
	m.correctSlowStarts(now, &news)
	m.save(news, now)
}

// takeSlowStart takes in a slow start of this balancer. It returns false if the slow start
// doesn't count; else it adds the register to news.
func (m *machine) takeSlowStart(s peers.SlowStart, now time.Time, news *[]peers.Register) bool {
	r, err := s.Register()
	if err != nil || !m.registers.Merge(r, now) {
		return false
	}
	*news = append(*news, r)
	return true
}

// clockError is how much the clocks of balancers may differ.
const clockError = time.Second

// correctSlowStarts makes slow starts of serving hosts begin now if they begin in the
// future. That happens when the clock of a balancer was ahead, and the host would have no
// keys until then. If several balancers do so, the earliest time counts.
func (m *machine) correctSlowStarts(now time.Time, news *[]peers.Register) {
	for _, h := range m.hosts {
		s := m.registers.SlowStart(h.Name)
		if !h.Serving || !s.Since.After(now.Add(clockError)) {
			continue
		}
		m.log.Warn().Str("host", h.Name).Time("since", s.Since).Msg("the beginning of a slow start is in the future, so it begins now: the clock of a balancer is or was wrong")
		s.Since = now
		m.takeSlowStart(s, now, news)
	}
}

// observedWithin is the longest difference between the times at which balancers see the
// same host come. If the difference is longer, the host counts as having come twice, and
// balancers on which it has served meanwhile contradict.
const observedWithin = 10 * time.Second

// returnWindow is how long after a thaw the ring still counts as frozen for hosts that
// vanished and return. The first of them thaw the ring, and the others may need more than
// one round of checks and gossip after a partition.
const returnWindow = 30 * time.Second

// slowStartFor returns the slow start of a host that has just begun to serve. It returns
// false if the host needs none. A host that vanished with others and returns to a frozen
// ring needs none: it still has the sessions of the keys that the ring has kept for it.
// If a peer has seen the host come already, it is the same slow start, and begins at the
// earlier of the two times.
func (m *machine) slowStartFor(h *host, now time.Time) (peers.SlowStart, bool) {
	returned := h.KeysKept && (m.freeze.Frozen || now.Sub(m.freeze.Thawed) < returnWindow)
	h.KeysKept, h.NoneEstablished = false, false
	s := m.registers.SlowStart(h.Name)
	seen := !s.Since.Before(h.Ceased)
	if h.Ceased.IsZero() { // as far as this balancer knows, the host is new
		seen = now.Sub(s.Since) < observedWithin
	}
	if !seen {
		s = peers.SlowStart{Host: h.Name, Number: s.Number + 1, Lasts: m.slowStart, Back: route.IndexOf(m.ordered.Hosts, h.Name) >= 0}
		if h.NoneEstablished = !m.established(now); h.NoneEstablished || returned || s.Lasts == 0 {
			return s, false
		}
	}
	s.Since = now
	return s, true
}

// established reports whether any host has been serving for at least the time of a slow
// start. In a region where all hosts are new, slow starts would send all keys to the
// first host.
func (m *machine) established(now time.Time) bool {
	for _, h := range m.hosts {
		if h.Serving && (h.Began.IsZero() || now.Sub(h.Began) >= m.slowStart) {
			return true
		}
	}
	return false
}

// contradict returns the register that counts instead of a peer's register. If the peer
// has seen a host come that was serving here before, the slow start begins when it began
// here. So no key leaves the host, neither here nor at the peer.
func (m *machine) contradict(r peers.Register) peers.Register {
	s, ok := r.SlowStart()
	if !ok {
		return r
	}
	known := m.registers.SlowStart(s.Host)
	if !m.servesBefore(s) || !known.Since.Before(s.Since) {
		return r
	}
	s.Since, s.Lasts, s.Back = known.Since, known.Lasts, known.Back
	if ours, err := s.Register(); err == nil {
		return ours
	}
	return r
}

// servesBefore reports whether the host of s serves here and has served since before
// s.Since. It is false if the peer knows better: if the host came before this balancer was
// ready, or if it came at about the same time and got no slow start here because all hosts
// were new.
func (m *machine) servesBefore(s peers.SlowStart) bool {
	h := m.find(s.Host)
	if h == nil || !h.Serving || !m.isReady() {
		return false
	}
	switch {
	case h.Began.IsZero():
		return s.Since.After(m.readyAt)
	case h.NoneEstablished:
		return s.Since.Sub(h.Began) > observedWithin
	}
	return true
}
