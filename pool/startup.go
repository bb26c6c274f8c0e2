package pool

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"time"

	"tokenring/balancer"
	"tokenring/gossip"
	"tokenring/gossip/announcement"
	"tokenring/peers"
	"tokenring/pool/gossips"
	"tokenring/pool/handed"
	"tokenring/pool/hostlist"
	"tokenring/pool/moment"
	"tokenring/ringlog"
	"tokenring/route"
	"tokenring/statefile"
)

// How long a balancer waits after its start.
const (
	readyLimit = 10 * time.Second // until it is ready in any case
	awaitLimit = 8 * time.Second  // for the hosts of the last run; the rest is for building the table
	// startupQuiet is how long no new host must come, if the balancer remembers no hosts
	// of the last run. Then it takes the hosts that have come for all hosts.
	startupQuiet = 2 * time.Second
)

// A startup has the hosts for which a balancer waits after its start. If it remembers
// hosts that were in the ring, it waits for these until they have come or operators have
// taken them out. If it remembers none, it waits until no new host has come for a while.
//
// A host that doesn't come counts as a host of the ring that fails: see addMissing.
type startup struct {
	started        time.Time
	readyAt        time.Time             // when this balancer, in this process or one before, was ready; zero if it isn't
	readySaid      bool                  // Pool.Ready is closed
	awaited        []gossip.CachedMember // hosts that were in the ring and haven't come yet
	remembersHosts bool                  // at least one host was awaited
	remembered     handed.Ring           // of the last run
	cameAt         time.Time             // when the last host came; zero if none has come
	quiet          time.Duration         // how long no new host must have come if no hosts are remembered; 0 without gossip

	joined, peersJoined bool // the first attempts to join the gossips are over
	arriving            bool // gossip has more events for the machine; set before each step
}

// isReady reports whether this balancer is ready, or was before it was handed to this
// process.
func (s *startup) isReady() bool { return !s.readyAt.IsZero() }

// expect begins to wait for the members that were in the ring.
func (s *startup) expect(all []gossip.CachedMember) {
	for _, c := range all {
		if c.InRing {
			s.awaited = append(s.awaited, c)
			s.remembersHosts = true
		}
	}
}

// came ends the wait for a host, because the host has come.
func (s *startup) came(host string, now time.Time) {
	s.cameAt = now
	s.dismiss(func(name string) bool { return name == host })
}

// inLastRun returns how a host that is awaited was in the last run; the zero value if it isn't
// awaited.
func (s *startup) inLastRun(host string) gossip.CachedMember {
	for _, c := range s.awaited {
		if c.Spec.Name == host {
			return c
		}
	}
	return gossip.CachedMember{}
}

// dismiss ends the wait for all hosts for which which returns true.
func (s *startup) dismiss(which func(host string) bool) {
	s.awaited = slices.DeleteFunc(s.awaited, func(c gossip.CachedMember) bool { return which(c.Metadata().Name) })
}

// until returns the time at which the wait for hosts ends; zero if it has ended.
func (s *startup) until() time.Time {
	switch {
	case len(s.awaited) > 0:
		return s.started.Add(awaitLimit)
	case s.remembersHosts || s.quiet == 0 || s.cameAt.IsZero():
		return time.Time{}
	}
	return s.cameAt.Add(s.quiet)
}

// missingWhy is why a missing host counts as down. It isn't checked, because another
// service may have its address now.
const missingWhy = "gossip hasn't found it since this balancer started"

// addMissing adds awaited hosts that haven't come in time, as hosts of the ring that
// fail, from now on if they didn't before. So the ring freezes if they are too many, else they are removed. It
// leaves out a host that a running balancer would have forgotten by now. If the ring was frozen
// when the last run ended, it doesn't wait: the freeze goes on with all its hosts.
func (m *machine) addMissing(now time.Time) {
	if m.isReady() {
		return
	}
	m.dismiss(func(host string) bool { return m.registers.State(host).State != route.Ready })
	if len(m.awaited) == 0 || now.Before(m.started.Add(awaitLimit)) && !m.freeze.Frozen {
		return
	}
	for _, c := range m.awaited {
		announced := c.Metadata()
		if m.find(announced.Name) != nil || now.Sub(c.Seen) >= m.delays.ForgetLost {
			continue
		}
		m.add(&host{
			Metadata:    announced,
			gossip:      c.Gossip,
			contact:     route.Missing,
			lostAt:      c.Seen,
			proven:      true,
			location:    location{address: announced.Address, since: c.Seen, check: CheckResult{Verdict: route.Down, Error: missingWhy, At: now}},
			eligibility: m.remembered.Eligibility(announced.Name),
		})
		m.log.Warn().Str("host", announced.Name).Time("seen", c.Seen).Msg("a host of the ring hasn't come since this balancer started")
	}
	m.awaited = nil
}

// becomeReady makes this balancer ready when it is time. It returns when to call it again
// at the latest, or now if the ring without hosts is to be ordered; zero if there is no
// need for a step.
func (m *machine) becomeReady(now time.Time) (next time.Time) {
	switch {
	case m.readySaid:
		return time.Time{}
	case m.handed:
		if m.rebuilding() || len(m.ordered.Former) > 0 {
			return time.Time{}
		}
	case m.waiting: // no host can be found or checked yet
		return time.Time{}
	default:
		limit := m.started.Add(readyLimit)
		if until := m.until(); now.Before(limit) && (!m.complete() || now.Before(until)) {
			if until.After(now) {
				return moment.Earliest(until, limit)
			}
			return limit
		}
	}
	m.readyAt, m.readySaid = moment.OrElse(m.readyAt, now), true
	m.effects.ready = true
	if m.ordered.Number == 0 {
		return now
	}
	return time.Time{}
}

// complete reports whether everything has come that this balancer waits for at its start,
// except for hosts.
func (m *machine) complete() bool {
	if !m.joined || !m.peersJoined || m.arriving {
		return false
	}
	if _, found := m.lists[route.OriginDNS]; m.dns && !found {
		return false
	}
	if len(m.hosts) == 0 && m.quiet > 0 { // hosts can only come by gossip
		return false
	}
	unchecked := func(h *host) bool { // a host in maintenance isn't checked at all
		return h.check.Verdict == route.Unchecked && m.registers.State(h.Name).State != route.Maint
	}
	return !slices.ContainsFunc(m.hosts, unchecked) && !m.rebuilding() && len(m.ordered.Former) == 0
}

// openAtOnce makes the machine from what is on disk, and opens the gossips.
func (p *Pool) openAtOnce(s settings, listed map[route.Origin][]hostlist.Host) error {
	e, err := p.openFiles()
	if err != nil {
		return err
	}
	listed[route.OriginOperator] = e.operators
	p.setMachine(newMachine(s, listed, e.registers, p.log, time.Now()))
	e.remember = p.addMembers()
	e.start(p.machine, time.Now())
	p.rings.Store(p.machine.rings.Log())
	return p.gossips.Start()
}

// openLater makes a machine that waits for Begin.
func (p *Pool) openLater(s settings, listed map[route.Origin][]hostlist.Host, o Options) (err error) {
	if err := cmp.Or(peers.CheckFiles(o.StateDir), statefile.CheckReadable(o.StateDir, hostlist.FileName)); err != nil {
		return err
	}
	if p.decoder, err = balancer.NewForecaster(o.Hash); err != nil {
		return err
	}
	if p.begin = o.Begin; p.begin == nil {
		begun := make(chan struct{})
		close(begun)
		p.begin = begun
	}
	p.setMachine(newMachine(s, listed, nil, p.log, time.Now()))
	p.machine.waiting = true
	if o.Handed != nil {
		p.last = p.decode(*o.Handed)
		p.machine.handed = true
	}
	return nil
}

func (p *Pool) setMachine(m *machine) {
	m.files.dir, m.keys.configured = p.dir, p.configured
	p.machine = m
	p.setListed(m.listedSpecs())
	p.current.Store(m.published)
	p.rings.Store(m.rings.Log())
}

// Update replaces what Options.Handed was by what the other process knows now. It returns
// when that is in force, with its table. It must be called before Begin is closed.
func (p *Pool) Update(ctx context.Context, s handed.State) error {
	if p.decoder == nil {
		return errBegun
	}
	e := p.decode(s)
	return p.ask(ctx, request{handed: &e})
}

// awaitBegin gives the machine what another process has handed over, and events, until
// Begin. It returns false if ctx ends first.
func (p *Pool) awaitBegin(ctx context.Context, waiting requests) bool {
	if p.machine.handed {
		if p.last.Doubt != "" {
			p.builder.Mistrust()
		}
		p.advance(p.last, waiting)
	}
	p.loop(ctx, p.begin, waiting)
	return ctx.Err() == nil
}

// open opens the files and the gossips, when another process has let go of them.
func (p *Pool) open() (beginEvent, error) {
	e, err := p.openFiles()
	if err == nil {
		e.remember = p.addMembers()
		err = p.gossips.Start()
	}
	return e, err
}

// openFiles opens what is in StateDir.
func (p *Pool) openFiles() (beginEvent, error) {
	registers, err := p.store.Open(p.dir)
	if err != nil {
		return beginEvent{}, err
	}
	operators, listed, err := p.operators.Open(p.dir, p.log)
	if err != nil {
		return beginEvent{}, err
	}
	p.cache = gossip.OpenCache(p.dir, p.log)
	rings := p.ringsFile.Open(p.dir)
	p.aside.Refresh() // all may have put a file aside
	p.remember(registers, p.cache.Sequences())
	return beginEvent{
		registers: registers,
		operators: operators,
		listed:    listed,
		unused:    slices.Concat(p.store.Alarms(), []string{p.operators.Alarm(), p.ringsFile.Alarm()}),
		rings:     rings,
		aside:     p.aside.Names(),
		ring:      p.cache.Ring(),
		peers:     p.lastPeers(),
		gossip:    p.gossips.Hosts != nil,
		joined:    p.gossips.Hosts.Joined(),
		alone:     p.gossips.Peers.Gossip.Joined(),
	}, nil
}

// lastPeers returns the balancers of the last run, and how long each had been away when that
// ended. There are none if there is no gossip among balancers any more.
func (p *Pool) lastPeers() map[string]time.Duration {
	if p.gossips.Peers.Gossip == nil {
		return nil
	}
	var ended time.Time
	for _, c := range slices.Concat(p.cache.Pool(), p.cache.Peers()) {
		ended = moment.Latest(ended, c.Seen)
	}
	all := map[string]time.Duration{}
	for _, c := range p.cache.Peers() {
		all[c.Spec.Name] = ended.Sub(c.Seen)
	}
	return all
}

// addMembers gives the gossips the members that are known from another process or an
// earlier run. It returns those of hosts and balancers.
func (p *Pool) addMembers() []gossip.CachedMember {
	return p.gossips.AddCached(slices.Concat(p.last.members, p.cache.Pool()), slices.Concat(p.last.others, p.cache.Peers()))
}

// remember tells the gossips of registers and of hosts' announcements that were known
// before. It must be called before the first announcement comes.
func (p *Pool) remember(registers []peers.Register, sequences []announcement.Sequence) {
	p.gossips.Peers.Hold(registers...)
	rememberKeys(p.gossips.Keys, registers)
	p.gossips.Keys.RestoreSequences(sequences)
}

// decode returns s without what this configuration can't use. A host that it doesn't admit
// leaves: its sessions stay.
func (p *Pool) decode(s handed.State) handedEvent {
	if s.Version != p.self.Version { // it may know better
		s.Doubt, s.Table.Confirmed = "", false
	}
	e := handedEvent{Decoded: handed.Decode(s, p.decoder, p.log)}
	for i, h := range e.Hosts {
		switch {
		case h.Origin != route.OriginGossip || h.Leaving:
		case p.admits(h, s.PoolLabel):
			e.members = append(e.members, h.Cached(s.At))
		default:
			e.Hosts[i].Leaving, e.Hosts[i].Contact, e.Hosts[i].LostAt = true, route.Lost, s.At
		}
	}
	if s.PoolLabel == p.gossips.Label(gossips.HostsName) {
		e.members = append(e.members, s.Members.Pool...)
	}
	if s.PeersLabel == p.gossips.Label(gossips.PeersName) {
		e.others = s.Members.Peers
	} else {
		e.Peers = nil
	}
	return e
}

// admits reports whether the gossip takes the host of h, that comes from a gossip with a
// label, for a member.
func (p *Pool) admits(h handed.Host, label string) bool {
	return label == p.gossips.Label(gossips.HostsName) && p.gossips.Admits(h.Metadata(), h.Gossip)
}

// A beginEvent is that the machine decides by itself from now on: the gossips are open, and
// so is the state directory.
type beginEvent struct {
	registers []peers.Register // on disk
	operators []hostlist.Host  // those on disk that operators have added
	listed    bool             // operators counts, not what the other process has handed over
	rings     *ringlog.Log     // what the ring was, by what is on disk; nil for nothing
	unused    []string         // alarms about what is on disk
	aside     []string
	gossip    bool                     // hosts come by gossip
	remember  []gossip.CachedMember    // of the last run, as gossip has taken them
	peers     map[string]time.Duration // balancers of the last run, and how long each had been away when that ended
	ring      []json.RawMessage        // of the last run, as handed.Ring.Encode has it
	joined    bool                     // there is no gossip of hosts and balancers to join
	alone     bool                     // there is no gossip among balancers to join
}

// apply takes in what is on disk. It may be newer than what the other process has handed
// over, if that has crashed.
func (e beginEvent) apply(m *machine, now time.Time) bool {
	m.waiting, m.begun = false, now
	for _, r := range e.registers {
		if m.registers.Merge(r, now) {
			m.learned(r, now)
		}
	}
	if e.listed {
		m.replaceList(hostsEvent{origin: route.OriginOperator, hosts: e.operators}, now)
	}
	if !m.handed {
		m.started = now
	}
	e.start(m, now)
	return true
}

// start tells m what there is, and what it has to wait for unless another process has
// waited.
func (e beginEvent) start(m *machine, now time.Time) {
	m.joined, m.peersJoined = e.joined, e.alone
	m.openRings(e.rings)
	m.files.unused, m.files.aside = e.unused, e.aside
	if m.handed {
		return
	}
	m.restoreRing(handed.DecodeRing(e.ring, m.delays.Freeze.For, now))
	m.wait.Remember(e.peers, now)
	if e.gossip {
		m.quiet = startupQuiet
		m.expect(e.remember)
	}
}
