package pool

import (
	"context"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"tokenring/gossip"
	"tokenring/gossip/announcement"
	"tokenring/peers"
	"tokenring/pool/eligibility"
	"tokenring/pool/handed"
	"tokenring/proxy/elder"
	"tokenring/route"
	"tokenring/session"
	"tokenring/session/claims"
	"tokenring/session/region"
	"tokenring/stream"
)

// A simBalancer is a balancer of a schedule, over all its processes.
type simBalancer struct {
	w        *simWorld
	name     string
	identity stream.Identity
	process  atomic.Pointer[simProcess] // nil while the balancer is off
	serves   atomic.Pointer[simProcess] // the one that has clients: it is ready

	// What is on its disk.
	registers map[peers.Topic]peers.Register
	ring      *handed.Ring
	cached    []gossip.CachedMember
	olders    []*simProcess            // that carry terminals still
	known     map[string]time.Duration // balancers, and how long they had been away
}

// A simProcess is one process of a balancer: the real machine, sessions, region, registers'
// exchange and streams, joined as package edge joins them. All but the atomic and the
// concurrent parts belong to the goroutine of the schedule.
type simProcess struct {
	*simBalancer
	offset   time.Duration // of its clock
	machine  *machine
	exchange *peers.Exchange
	sessions *session.Sessions
	region   *region.Region
	claims   *claims.Claims
	hub      *stream.Hub
	snapshot atomic.Pointer[route.Snapshot]
	changed  atomic.Pointer[chan struct{}] // closed when there is another snapshot

	ctx      context.Context // ends with the process
	end      context.CancelFunc
	running  sync.WaitGroup
	elders   *elder.Elders // nil if no process was before
	verdicts elder.Verdicts
	began    time.Time

	serving    context.Context // ends when another process takes its place
	endServing context.CancelFunc
	following  sync.WaitGroup // of older processes

	retired atomic.Bool // another process serves

	due     uint64 // counts the times at which the machine wants a step
	orders  uint64
	members map[string]gossip.Member // by node
	seen    map[string]simSighting   // by node: of hosts and of balancers
	peers   []route.Peer
	digest  string // announced
	passOn  []string
	linked  []string             // peers that are connected
	checks  map[string]*simCheck // by host
	ready   bool
}

// now returns the time by the clock of the process.
func (p *simProcess) now() time.Time { return time.Now().Add(p.offset) }

// newProcess returns a process of the balancer that knows nothing yet and doesn't run.
func (b *simBalancer) newProcess(offset time.Duration) *simProcess {
	p := &simProcess{
		simBalancer: b, offset: offset,
		exchange: peers.NewExchange(zerolog.Nop()), sessions: session.New(),
		members: map[string]gossip.Member{}, seen: map[string]simSighting{}, checks: map[string]*simCheck{},
	}
	p.ctx, p.end = context.WithCancel(context.Background())
	p.serving, p.endServing = context.WithCancel(p.ctx)
	p.began = time.Now()
	p.region = region.New(b.w.linger, p.sessions)
	p.claims = claims.New(b.name, simPeers{p})
	p.snapshot.Store(route.NewSnapshot(nil, nil))
	p.changed.Store(new(make(chan struct{})))
	p.hub = stream.New(stream.Options{
		Name: b.name, Boot: b.w.rng.Uint64(), Identity: b.identity,
		Sources: func() stream.Source { return p.region.Watch() },
		Sink:    simSink{p.region},
		Answer:  p.answer,
		Clock:   p.now,
		Dial:    p.dial,
		Log:     zerolog.Nop(),
	})
	return p
}

// dial is the Dial of the streams.
func (p *simProcess) dial(ctx context.Context, address string) (net.Conn, error) {
	return p.w.net.dial(ctx, p.name, "lb-"+address[len("10.0.1."):len("10.0.1.")+1])
}

// A simSink has a region take what peers tell.
type simSink struct{ region *region.Region }

func (s simSink) Begin(peer string, _ uint64) stream.Told { return s.region.Begin(peer) }

// newSimMachine returns the machine of a process.
func (p *simProcess) newSimMachine() *machine {
	set := settings{name: p.name, hash: simHash, limits: AnnounceLimits{MaxHostsPerAddress: maxHostsPerAddress}, delays: eligibility.DefaultDelays, slowStart: p.w.slowStart, damping: p.w.damping, within: p.w.linger, expected: len(p.w.balancers)}
	var remembered []peers.Register
	for _, topic := range sortedTopics(p.registers) {
		remembered = append(remembered, p.registers[topic])
	}
	return newMachine(set, nil, remembered, p.w.machineLog(p), p.now())
}

// start starts the balancer, with what is on its disk.
func (b *simBalancer) start(offset time.Duration) {
	p := b.newProcess(offset)
	p.machine = p.newSimMachine()
	p.exchange.Hold(values(b.registers)...)
	p.machine.quiet = startupQuiet
	if b.ring != nil {
		p.machine.restoreRing(handed.DecodeRing(b.ring.Encode(), p.machine.delays.Freeze.For, p.now()))
	}
	p.machine.expect(b.cached)
	p.machine.wait.Remember(b.known, p.now())
	p.run()
	b.w.after(700*time.Millisecond, func() { // the first attempts to join are over
		p.step(membersEvent{p.members, true})
		p.step(peersEvent{p.peers, true})
	})
	b.w.note("", "%s starts", b.name)
	b.process.Store(p)
	p.step(tick{})
}

// run has the process accept streams, and keep its own.
func (p *simProcess) run() {
	ln := p.w.net.listen(p.name)
	p.running.Go(func() { _ = p.hub.Run(p.serving, ln) })
	p.running.Go(func() { _ = p.claims.Run(p.serving) })
}

// crash ends the process as the kernel does.
func (b *simBalancer) crash() {
	p := b.process.Swap(nil)
	b.serves.Store(nil)
	b.w.note("", "%s crashes", b.name)
	for _, process := range append(b.olders, p) {
		process.halt()
		b.w.oracle.processEnds(process)
	}
	b.olders = nil
}

// halt ends all that the process runs.
func (p *simProcess) halt() {
	p.retired.Store(true)
	p.end()
	p.running.Wait()
	p.following.Wait()
}

// step gives the machine an event and performs the effects.
func (p *simProcess) step(e event) {
	if p.retired.Load() {
		return
	}
	behind, compared := p.hub.CommonTime()
	p.machine.registers.SetClock(peers.Clock{Behind: behind, Alone: !compared})
	effects := p.machine.step(e, p.now())
	p.perform(effects)
	p.due++
	due := p.due
	p.w.after(max(0, effects.next.Sub(p.now())), func() {
		if p.due == due {
			p.step(tick{})
		}
	})
}

// perform is Pool.perform, with the network of the schedule.
func (p *simProcess) perform(e effects) {
	if e.said != nil {
		p.exchange.Say(e.said)
	}
	for _, entry := range e.verdicts {
		for _, message := range peers.EncodeVerdicts(entry) {
			p.tell(message)
		}
	}
	for _, write := range e.writes {
		p.write(write)
	}
	for _, node := range e.forgotten {
		delete(p.members, node)
	}
	if e.order != nil {
		p.build(*e.order)
	}
	if e.digest != "" {
		p.digest = e.digest
	}
	if e.snapshot != nil {
		p.publish(e)
	}
	if e.ready {
		p.ready = true
		p.serves.Store(p)
		p.w.note("", "%s is ready", p.name)
		p.w.oracle.started(p.name)
	}
}

// write tells peers of registers, and writes them to disk.
func (p *simProcess) write(w peers.Write) {
	p.exchange.Hold(w.Registers...)
	p.exchange.Drop(w.Dropped...)
	for _, r := range w.Registers {
		p.tell(peers.EncodeMessage(r))
		p.registers[r.Topic] = r
	}
	for _, topic := range w.Dropped {
		delete(p.registers, topic)
	}
	p.w.after(time.Millisecond, func() { p.step(ackEvent{Number: w.Number}) })
}

// publish is what follows from a new snapshot: see Proxy.Use and Edge.usePeers.
func (p *simProcess) publish(e effects) {
	before := p.snapshot.Swap(e.snapshot)
	close(*p.changed.Swap(new(make(chan struct{}))))
	if before.Table.Digest() != e.snapshot.Table.Digest() {
		p.w.note("", "%s has the table %.6s of %s", p.name, e.snapshot.Table.Digest(), hostNames(e.snapshot.Table.Hosts()))
	}
	p.ring, p.passOn = e.ring, e.passOn
	p.cached = p.cached[:0]
	maint := map[string]bool{}
	var down []string
	for _, h := range e.snapshot.Hosts {
		if h.Verdict == route.Down {
			down = append(down, h.Name)
		}
		old := before.Host(h.Name)
		if old == nil || old.Verdict != h.Verdict || old.Held != h.Held || old.State != h.State || old.InRing != h.InRing {
			p.w.note("", "%s has %s %s held=%v state=%s in ring=%v %s", p.name, h.Name, h.Verdict, h.Held, h.State, h.InRing, h.WhyNot)
		}
		if h.State == route.Maint && (old == nil || old.State != route.Maint) {
			maint[h.Name] = true
		}
		if h.InRing {
			m := announcement.Metadata{Role: announcement.HostRole, Spec: h.Spec}
			p.cached = append(p.cached, gossip.CachedMember{Node: m.Node(), Spec: h.Spec, InRing: true, Seen: p.now(), Gossip: gossipOf(h.Name)})
		}
	}
	if before.Frozen != e.snapshot.Frozen {
		p.w.note("", "%s frozen=%v", p.name, e.snapshot.Frozen)
	}
	if p.elders != nil {
		p.elders.Follow(nil, down)
	}
	if len(maint) > 0 {
		p.sessions.End(func(at *route.Endpoint) bool { return maint[at.Name] }, "maint")
	}
	var all []stream.Peer
	for _, peer := range e.snapshot.Peers {
		var key stream.Fingerprint
		if key.UnmarshalText([]byte(peer.StreamKey)) == nil {
			all = append(all, stream.Peer{Name: peer.Name, Address: peer.Stream, Fingerprint: key})
		}
	}
	p.hub.SetPeers(all)
}

// endDrains closes the terminals of hosts whose drains have come to their deadlines: see
// edge/drain.go, without a rate.
func (p *simProcess) endDrains() {
	s := p.snapshot.Load()
	p.sessions.End(func(at *route.Endpoint) bool {
		h := s.Host(at.Name)
		return h != nil && h.State == route.Drain && h.DrainEnd.Over(p.now())
	}, "drain")
}

// link tells the machine which peers are connected: see Edge.
func (p *simProcess) link() {
	names := []string{}
	for _, s := range p.hub.Status() {
		if s.Up && s.Heard {
			names = append(names, s.Name)
		}
	}
	if p.linked == nil || !slices.Equal(names, p.linked) {
		p.linked = names
		p.w.note("", "%s is connected to %v", p.name, names)
		p.step(connectedEvent(names))
	}
}

func sortedTopics(all map[peers.Topic]peers.Register) []peers.Topic {
	var topics []peers.Topic
	for topic := range all {
		topics = append(topics, topic)
	}
	slices.SortFunc(topics, func(a, b peers.Topic) int { return strings.Compare(a.String(), b.String()) })
	return topics
}

func values(all map[peers.Topic]peers.Register) (list []peers.Register) {
	for _, topic := range sortedTopics(all) {
		list = append(list, all[topic])
	}
	return list
}
