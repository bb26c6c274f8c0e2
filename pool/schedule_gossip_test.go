package pool

import (
	"net/netip"
	"slices"
	"time"

	"tokenring/gossip"
	"tokenring/gossip/announcement"
	"tokenring/route"
)

// A simSighting is what gossip has found out about a member.
type simSighting struct {
	lostFor time.Duration
	version int // of its announcement
}

// tell sends a message of the gossip to all peers, some times, because some are lost.
func (p *simProcess) tell(message []byte) {
	const times, period = 4, 200 * time.Millisecond
	for i := range times {
		p.w.after(time.Duration(i)*period, func() {
			for _, other := range p.w.balancers {
				if other != p.simBalancer && p.w.net.open(p.name, other.name) && p.w.rng.Float64() > p.w.loss {
					p.w.deliver(p.name, other, message)
				}
			}
		})
	}
}

// deliver has a balancer receive a message after its delay.
func (w *simWorld) deliver(from string, to *simBalancer, message []byte) {
	w.after(w.net.delay(from, to.name)+time.Duration(w.rng.Int64N(int64(200*time.Millisecond))), func() {
		if p := to.process.Load(); p != nil {
			p.exchange.Receive(message)
			p.taken()
		}
	})
}

// taken has the machine take in what has been received.
func (p *simProcess) taken() {
	if all := p.exchange.Take(); len(all) > 0 {
		p.step(registersEvent(all))
	}
	if all := p.exchange.TakeVerdicts(); len(all) > 0 {
		p.step(verdictsEvent(all))
	}
}

// pushPull is an exchange of state between two balancers.
func (w *simWorld) pushPull(a, b *simBalancer) {
	const limit = 1 << 20
	from, to := a.process.Load(), b.process.Load()
	if from == nil || to == nil || !w.net.joined(a.name, b.name) {
		return
	}
	w.deliver(a.name, b, from.exchange.State(limit))
	w.deliver(b.name, a, to.exchange.State(limit))
	for _, pair := range [][2]*simProcess{{from, to}, {to, from}} {
		var all passedOnEvent
		for _, name := range pair[0].passOn {
			if h := pair[0].machine.find(name); h != nil {
				m := h.Metadata
				m.Gossip = h.gossip
				all = append(all, m)
			}
		}
		if len(all) > 0 {
			w.after(w.net.delay(pair[0].name, pair[1].name), func() { pair[1].step(all) })
		}
	}
}

// look is what gossip finds out in one round: which hosts and balancers are there, as far as
// they are joined with this one, by way of others if need be, and what they announce.
func (p *simProcess) look(round time.Duration) {
	joined := p.w.joinedWith(p.name)
	changed, announced := false, false
	for _, h := range p.w.hosts {
		if p.lookAt(announcement.HostRole.Prefix()+h.name, joined[h.name] && h.gossips(), h.version, round) {
			p.meet(h, joined[h.name] && h.gossips())
			changed = true
		}
	}
	var list []route.Peer
	for _, b := range p.w.balancers {
		if b == p.simBalancer {
			continue
		}
		other := b.process.Load()
		here := other != nil && joined[b.name]
		i := slices.IndexFunc(p.peers, func(known route.Peer) bool { return known.Name == b.name })
		var was route.Peer
		if i >= 0 {
			was = p.peers[i]
		}
		is := was
		if p.lookAt(b.name, here, b.announcedBy(other), round) {
			is = b.asPeer(other, was, here)
		}
		if is != was {
			announced = true
			if is.Alive && !was.Alive {
				p.w.pushPull(p.simBalancer, b)
			}
		}
		if is.Name != "" {
			list = append(list, is)
		}
	}
	if changed {
		p.step(membersEvent{p.members, true})
	}
	p.link()
	if announced {
		p.known = map[string]time.Duration{}
		for _, peer := range list {
			p.known[peer.Name] = 0
		}
		p.peers = list
		p.step(peersEvent{list, true})
	}
}

// lookAt reports whether a round of gossip brings news of a member. It takes some rounds
// until a member counts as lost.
func (p *simProcess) lookAt(node string, here bool, version int, round time.Duration) bool {
	s, known := p.seen[node]
	const suspicion = 3 * time.Second
	switch {
	case here && known && s.lostFor == 0 && s.version == version:
		return false
	case here:
		if p.w.rng.IntN(3) == 0 { // it comes with a later round
			return false
		}
		p.seen[node] = simSighting{version: version}
		return true
	case !known:
		return false
	}
	before := s.lostFor
	s.lostFor += round
	p.seen[node] = s
	return before < suspicion && s.lostFor >= suspicion
}

// meet takes in what gossip has of a host.
func (p *simProcess) meet(h *simHost, here bool) {
	m := h.metadata()
	node := m.Node()
	member := gossip.Member{Metadata: m, Addr: gossipOf(h.name)}
	if !here {
		member = p.members[node]
		member.Lost, member.LostAt = true, p.now()
	}
	p.members[node] = member
}

// announcedBy returns a number of what a process of the balancer announces, which changes with
// that.
func (b *simBalancer) announcedBy(p *simProcess) int {
	if p == nil {
		return 0
	}
	n := 1
	for _, c := range []byte(p.digest) {
		n = 31*n + int(c)
	}
	return n
}

// asPeer returns the balancer as gossip shows it to others.
func (b *simBalancer) asPeer(p *simProcess, was route.Peer, here bool) route.Peer {
	if !here {
		was.Alive = false
		return was
	}
	return route.Peer{
		Name: b.name, Address: "10.0.1." + b.name[3:] + ":7947", Alive: true, Digest: p.digest,
		Stream: simAddr(b.name).String(), StreamKey: b.identity.Fingerprint().String(),
	}
}

func gossipOf(host string) netip.AddrPort {
	return netip.MustParseAddrPort("10.0.0." + host[len("ide-"):] + ":7946")
}
