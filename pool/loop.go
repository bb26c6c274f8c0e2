package pool

import (
	"context"
	"sync"
	"time"

	"tokenring/gossip"
	"tokenring/notify"
	"tokenring/peers"
	"tokenring/pool/gossips"
	"tokenring/pool/handed"
	"tokenring/route"
)

// A request is on its way to the loop. It has one of what an operator wants, an override,
// a rekey, a change of operators' hosts, to go on without peers, and what another process wants to know or says.
type request struct {
	override *route.Override
	rekey    *route.Rekey
	edit     *route.HostEdit
	insist   *insistence
	state    *handed.Decoded // to be filled in
	handed   *handedEvent
	done     chan error // of capacity 1
}

// event returns the event that has the request.
func (r request) event(id uint64) event {
	switch {
	case r.rekey != nil:
		return rekeyEvent{id, *r.rekey}
	case r.edit != nil:
		return editEvent{id, *r.edit}
	case r.insist != nil:
		return insistEvent{id, r.insist}
	case r.state != nil:
		return stateEvent{id, r.state}
	case r.handed != nil:
		r.handed.id, r.handed.requested = id, true
		return *r.handed
	}
	return overrideEvent{id, *r.override}
}

// Override puts an operator's override in force. It returns when the override is on disk,
// and the snapshot with it and with its table is published; or when ctx or Run ends. Its
// errors wrap route.ErrUnknownHost, or route.ErrOverride if o is wrong or the ring has no
// room for the weight. Other errors say how far the override has come: nothing was
// changed, or it has been taken but isn't on disk or in the ring.
func (p *Pool) Override(ctx context.Context, o route.Override) error {
	return p.ask(ctx, request{override: &o})
}

// streams is what a Pool knows by the streams to its peers.
type streams struct {
	connected notify.Latest[[]string] // see Connected
	clock     func() peers.Clock      // nil if there are none
}

// Connected says to which peers this balancer is connected: each of the two hears the other's
// sessions. It replaces what it was told before. Before the first call none is, unless this balancer
// has no streams: then those are connected that gossip finds. It never blocks; only one goroutine
// may call it.
func (p *Pool) Connected(peers []string) { p.connected.Set(peers) }

// connectedEvent has the names of the peers that are connected.
type connectedEvent []string

func (e connectedEvent) apply(m *machine, _ time.Time) bool {
	m.connected = map[string]bool{}
	for _, name := range e {
		m.connected[name] = true
	}
	return true
}

// Insist has changes of the ring wait no longer for peers that are missing, until these are back:
// for those of the names, or for all. It returns for which they have waited. The error is
// route.ErrNothingWaits if it is none of them.
func (p *Pool) Insist(ctx context.Context, peers []string) ([]string, error) {
	i := &insistence{peers: peers}
	if err := p.ask(ctx, request{insist: i}); err != nil {
		return nil, err
	}
	return i.ended, nil
}

// An insistence is that an operator goes on without peers.
type insistence struct {
	peers []string // all of them if it is empty
	ended []string // to be filled in
}

// insistEvent is a request of an operator.
type insistEvent struct {
	id uint64 // of the request
	*insistence
}

func (e insistEvent) apply(m *machine, now time.Time) bool {
	if e.ended = m.wait.Insist(e.peers, now); len(e.ended) == 0 {
		m.effects.answers = append(m.effects.answers, answer{e.id, route.ErrNothingWaits})
		return false
	}
	m.log.Warn().Strs("balancers", e.ended).Msg("an operator goes on without balancers that are missing")
	m.waiters = append(m.waiters, waiter{id: e.id, what: "the wish to go on"})
	return true
}

// checks has the results of health checks that the loop hasn't taken yet.
type checks struct {
	added notify.Note

	mu     sync.Mutex
	newest map[string]CheckResult // by host
}

func newChecks() checks { return checks{added: notify.NewNote(), newest: map[string]CheckResult{}} }

func (c *checks) add(host string, r CheckResult) {
	c.mu.Lock()
	c.newest[host] = r
	c.mu.Unlock()
	c.added.Leave()
}

// take returns what was added since the last take.
func (c *checks) take() map[string]CheckResult {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := c.newest
	c.newest = map[string]CheckResult{}
	return all
}

// loop gives the machine one event after the other, until ctx ends or until is closed.
func (p *Pool) loop(ctx context.Context, until <-chan struct{}, waiting requests) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-until:
			return
		default:
		}
		e := p.nextEvent(ctx, until, timer.C, waiting)
		if e == nil {
			return
		}
		timer.Reset(time.Until(p.advance(e, waiting)))
	}
}

// advance gives the machine an event, and performs the effects. It returns when the machine
// wants the next event at the latest.
func (p *Pool) advance(e event, waiting requests) (next time.Time) {
	if last, ok := e.(handedEvent); ok && p.machine.waiting {
		p.last = last
		p.remember(last.Known, last.Members.Sequences)
	}
	p.machine.arriving = len(p.gossips.Members.Changed()) > 0 || len(p.gossips.Peers.Received) > 0
	if p.clock != nil {
		p.machine.registers.SetClock(p.clock())
	}
	effects := p.machine.step(e, time.Now())
	p.perform(effects)
	waiting.answer(effects.answers)
	return effects.next
}

// nextEvent waits for an event. It returns nil if ctx ends or until is closed first. It adds
// a request to waiting.
func (p *Pool) nextEvent(ctx context.Context, until <-chan struct{}, due <-chan time.Time, waiting requests) event {
	hostsRefused, peersRefused, hostsSecret, peersSecret := p.gossips.Refused()
	select {
	case <-ctx.Done():
		return nil
	case <-until:
		return nil
	case <-p.gossips.Members.Changed():
		joined := p.gossips.Hosts.Joined() // asked before Members, so that the members include what the attempt has found
		return membersEvent{p.gossips.Members.Members(), joined}
	case <-p.checks.added:
		return checksEvent(p.checks.take())
	case <-p.gossips.Peers.Received:
		return registersEvent(p.gossips.Peers.Take())
	case <-p.gossips.Peers.Voted:
		return verdictsEvent(p.gossips.Peers.TakeVerdicts())
	case <-p.gossips.Peers.Passed:
		return passedOnEvent(p.gossips.PassedOn())
	case <-p.gossips.Peers.Members.Changed():
		joined := p.gossips.Peers.Gossip.Joined()
		return peersEvent{gossips.Announced(p.gossips.Peers.Members.Members()), joined}
	case <-hostsRefused:
		return refusalsEvent{gossips.HostsName, p.gossips.Hosts.Refusals()}
	case <-peersRefused:
		return refusalsEvent{gossips.PeersName, p.gossips.Peers.Gossip.Refusals()}
	case <-hostsSecret:
		return secretEvent{gossips.HostsName, p.gossips.Hosts.SecretProblem()}
	case <-peersSecret:
		return secretEvent{gossips.PeersName, p.gossips.Peers.Gossip.SecretProblem()}
	case <-p.aside.Changed():
		return asideEvent(p.aside.Names())
	case names := <-p.connected:
		return connectedEvent(names)
	case <-p.resolver.Changed():
		return addressesEvent(p.resolver.Addresses())
	case r := <-p.requests:
		return r.event(waiting.add(r))
	case c := <-p.keysFile.Changes():
		return configuredEvent{c.Value, c.Err}
	case found := <-p.dns.found:
		return hostsEvent{origin: route.OriginDNS, hosts: found, members: p.gossips.Members.Members()}
	case c := <-p.hostsFile.Changes():
		return hostsEvent{origin: route.OriginFile, hosts: c.Value, err: c.Err, members: p.gossips.Members.Members()}
	case err := <-p.operators.Written:
		return editWrittenEvent{err, p.gossips.Members.Members()}
	case measured := <-p.ringsFile.Measured:
		return measuredEvent(measured)
	case made := <-p.builder.Built():
		return productEvent(made)
	case ack := <-p.store.Acks:
		return ackEvent(ack)
	case <-due:
		return tick{}
	}
}

// runCache writes the members to disk until ctx ends. It begins when the pool is ready:
// before that, it would leave out hosts that haven't come yet.
func (p *Pool) runCache(ctx context.Context) {
	select {
	case <-ctx.Done():
	case <-p.ready:
		p.cache.Run(ctx, p.toCache)
	}
}

// toCache returns the members of both gossips for the cache.
func (p *Pool) toCache(now time.Time) gossip.CachedMembers {
	inRing := func(host string) bool {
		h := p.Snapshot().Host(host)
		return h != nil && h.InRing
	}
	all := p.gossips.ToCache(inRing, now)
	if ring := p.ring.Load(); ring != nil {
		all.Ring = ring.Encode()
	}
	return all
}

// perform does what the machine asks for. It doesn't block.
func (p *Pool) perform(e effects) {
	for _, w := range e.writes {
		p.gossips.Peers.Tell(w.Registers)
		p.gossips.Peers.Drop(w.Dropped...)
		p.store.Write(w)
	}
	if e.operators != nil {
		p.operators.Write(e.operators)
	}
	for _, node := range e.forgotten {
		p.gossips.Members.Forget(node)
	}
	if e.listed != nil {
		p.setListed(e.listed)
	}
	p.applyKeys(e)
	if e.order != nil {
		p.builder.Ask(*e.order)
	}
	if e.digest != "" {
		p.gossips.Peers.Digest(e.digest)
	}
	if e.snapshot != nil {
		p.current.Store(e.snapshot)
		p.ring.Store(e.ring)
		p.gossips.PassOn(e.passOn)
		if p.publish != nil {
			p.publish(e.snapshot)
		}
	}
	if e.said != nil {
		p.gossips.Peers.Say(e.said)
	}
	p.gossips.Peers.TellVerdicts(e.verdicts)
	if e.rings != nil {
		p.rings.Store(e.rings)
		p.ringsFile.Write(e.rings)
	}
	if e.ready {
		close(p.ready)
	}
}

// requests are the requests that wait for an answer, by number.
type requests map[uint64]request

// what returns what r is in the words of its sender.
func (r request) what() string {
	switch {
	case r.handed != nil:
		return otherState
	case r.edit != nil:
		return hostsChange
	case r.insist != nil:
		return "the wish to go on"
	}
	return "the override"
}

// add adds r under a number that no waiting request has, and returns the number.
func (w requests) add(r request) (id uint64) {
	for id = uint64(len(w)); ; id++ {
		if _, taken := w[id]; !taken {
			w[id] = r
			return id
		}
	}
}

// answer sends the answers, and removes the requests.
func (w requests) answer(answers []answer) {
	for _, a := range answers {
		w[a.id].done <- a.err
		delete(w, a.id)
	}
}
