package pool

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"tokenring/balancer"
	"tokenring/builder"
	"tokenring/gossip"
	"tokenring/gossip/announcement"
	"tokenring/pool/gossips"
	"tokenring/pool/handed"
	"tokenring/pool/hostlist"
	"tokenring/pool/moment"
	"tokenring/pool/votes"
	"tokenring/route"
)

// A handover is what a machine has from another process, whose place it takes: see
// Options.Handed. A machine that has nothing from one has the zero value.
//
//	       handedEvent, again and again      beginEvent        all met, or awaitLimit
//	(new) ──────────────────────────▶ handed ──────────▶ meeting ──────────▶ (as any other)
//
// Until all are met, hosts and peers keep the contact that they had in the other process.
type handover struct {
	handed     bool
	waiting    bool      // for beginEvent: there is no gossip yet
	begun      time.Time // when beginEvent came; zero if it hasn't, or if there is none
	theirs     theirTable
	unmetPeers []route.Peer
}

// A theirTable is the table in force in the other process.
type theirTable struct {
	table     *balancer.Table // nil if this configuration makes others
	at        time.Time
	confirmed bool            // by the library
	ring      []balancer.Host // the last order; nil but in the step in which it comes
}

// A handedEvent is what another process knows, as far as it fits the configuration.
type handedEvent struct {
	handed.Decoded
	id        uint64 // of the request; 0 if there is none
	requested bool
	members   []gossip.CachedMember // of the gossip of hosts and balancers
	others    []gossip.CachedMember // of the gossip among balancers
}

// otherState is what a handedEvent is in words.
const otherState = "the state of the other process"

// errBegun is the answer to a State that comes too late.
var errBegun = errors.New("this balancer has begun to decide by itself")

// apply replaces what m knows by what the other process knows. The configuration of m counts:
// hosts that it doesn't have any more leave, and others come.
func (e handedEvent) apply(m *machine, now time.Time) bool {
	switch {
	case !m.waiting:
		m.effects.answers = append(m.effects.answers, answer{e.id, errBegun})
		return false
	case e.requested:
		m.waiters = append(m.waiters, waiter{id: e.id, what: otherState})
	}
	m.handed = true
	m.readyAt = moment.Past(moment.OrElse(e.ReadyAt, now), now)
	m.registers.Restore(e.Known, now)
	m.lists.Set(route.OriginOperator, e.AddedHosts())
	m.restoreDNS(e.Hosts)
	m.restoreHosts(e.Hosts, now)
	f := e.Freeze.Past(now, m.delays.Freeze.For)
	m.freezing = freezing{freeze: f.Freeze, notice: f.Notice}
	m.restoreTables(e)
	m.restoreRings(e.Recorded)
	m.restorePeers(e.Peers, now)
	m.council.Restore(e.Votes, m.peers)
	m.council.Fence.From = time.Time{}
	m.wait.Restore(e.Waits, now)
	return true
}

// restoreHosts replaces the hosts. Gauges of the same names stay.
func (m *machine) restoreHosts(all []handed.Host, now time.Time) {
	before := m.hosts
	m.hosts = nil
	for _, s := range all {
		if m.find(s.Name) == nil {
			h := restoreHost(s.Past(now))
			h.ballot.Fencing = votes.ResumeFencing(s.Leased, now)
			m.add(h)
		}
	}
	for _, h := range m.hosts {
		if i, ok := slices.BinarySearchFunc(before, h.Name, func(h *host, name string) int { return cmp.Compare(h.Name, name) }); ok {
			h.gauges = before[i].gauges
		}
	}
	m.restoreLists(now)
}

// restoreDNS keeps the hosts that the pool's DNS name had, until it is looked up here.
func (m *machine) restoreDNS(all []handed.Host) {
	if _, found := m.lists[route.OriginDNS]; found || !m.dns {
		return
	}
	var had []hostlist.Host
	for _, h := range all {
		if h.Origin == route.OriginDNS && !h.Leaving {
			had = append(had, hostlist.Host{Spec: h.Spec})
		}
	}
	m.lists.Set(route.OriginDNS, had)
}

// restoreLists has hosts come and leave as the lists say that are in force here.
func (m *machine) restoreLists(now time.Time) {
	names := map[string]bool{}
	for _, list := range m.lists {
		for name := range list {
			names[name] = true
		}
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		listed, origin := m.lists.Find(name)
		m.list(listed, origin, now)
		m.find(name).unmet = false
	}
	for _, h := range m.hosts {
		if h.listed() && !h.Leaving && !names[h.Name] {
			m.unlist(h, gossip.Member{}, now)
		}
	}
	m.effects.listed = m.listedSpecs()
}

// restoreHost returns the host of s. Gossip hasn't met it yet in this process.
func restoreHost(s handed.Host) *host {
	return &host{
		Metadata: s.Metadata(),
		origin:   s.Origin, by: s.ListedBy, several: s.Several, gossip: s.Gossip, proven: s.Proven, contact: s.Contact, lostAt: s.LostAt,
		location: location{
			address: s.Resolved, since: s.Since, moved: s.Moved, moving: s.Moving, passed: s.Passed,
			check: CheckResult{Address: s.Resolved, Verdict: s.Verdict, Error: s.Error, Refused: s.Refused, Gate: s.Gate, At: s.CheckedAt},
		},
		ballot:      restoreBallot(s.Check),
		changes:     addressChanges{service: s.ServiceChange, gossip: s.GossipChange},
		eligibility: s.Eligibility,
		Service:     s.Service,
		unmet:       s.Contact == route.Alive,
	}
}

// restoreBallot goes on from the votes that have led to c. A host that was voted down is down until
// it is steady.
func restoreBallot(c handed.Check) votes.Ballot {
	b := votes.Ballot{FailedAt: c.FailedAt, DownSince: c.DownSince, Decision: votes.Decision{Verdict: c.Verdict, Held: c.Held}}
	b.Steadiness = votes.Steadiness{VotedDown: c.VotedDown, Excused: c.Excused, Since: c.SteadySince}
	if c.VotedDown {
		b.Verdict = route.Down
	}
	return b
}

// restoreTables keeps the tables at hand: order puts the one in force that it needs.
func (m *machine) restoreTables(e handedEvent) {
	m.theirs = theirTable{table: e.InForce, at: e.Table.At, confirmed: e.Table.Confirmed, ring: e.LastOrder}
	m.count = max(m.count, e.Count)
	m.history = append(m.history, e.History...)
	if t := e.InForce; t != nil {
		m.history = append(m.history, route.FormerRing{Hosts: t.Hosts(), Table: t, Exact: true})
	}
	if e.Doubt != "" && m.doubt == nil {
		m.doubt = errors.New(e.Doubt)
	}
}

// takeHanded puts the table of the other process in force if o needs that one, and marks o
// so that nobody builds it again.
func (m *machine) takeHanded(o *builder.Order) {
	t := m.theirs.table
	if t == nil || !slices.Equal(t.Hosts(), o.Hosts) {
		return
	}
	o.Known, o.Confirmed = t, m.theirs.confirmed
	m.served, m.failure = o.Number, nil
	if t == m.table {
		return
	}
	m.table, m.tableAt = t, m.theirs.at
	if m.theirs.confirmed {
		m.confirmed = t.Digest()
	}
	m.effects.digest = t.Digest()
	m.log.Info().Int("hosts", len(t.Hosts())).Str("digest", t.Digest()).Msg("ring taken over")
}

// restorePeers replaces the peers.
func (m *machine) restorePeers(all []route.Peer, now time.Time) {
	m.peers = slices.Clone(all)
	for i := range m.peers {
		m.peers[i].Since = moment.Past(m.peers[i].Since, now)
	}
	m.unmetPeers = slices.Clone(m.peers)
	m.setPeers(nil)
}

// setPeers sets the peers as gossip has them. Those that it hasn't met yet stay as they
// were.
func (m *machine) setPeers(all []route.Peer) {
	m.unmetPeers = slices.DeleteFunc(m.unmetPeers, func(p route.Peer) bool {
		return slices.ContainsFunc(all, func(met route.Peer) bool { return met.Name == p.Name })
	})
	m.announced = append(slices.Clip(all), m.unmetPeers...)
	m.peersListen = peerAddresses(m.announced, m.ports)
}

// endMeeting gives up hosts and peers that gossip hasn't met in time. It returns when to
// call it again at the latest; zero if all are met, or if gossip hasn't begun.
func (m *machine) endMeeting(now time.Time) (next time.Time) {
	if m.begun.IsZero() {
		return time.Time{}
	}
	due := m.begun.Add(awaitLimit)
	if now.Before(due) {
		if len(m.unmetPeers) > 0 || slices.ContainsFunc(m.hosts, func(h *host) bool { return h.unmet }) {
			return due
		}
		return time.Time{}
	}
	if len(m.unmetPeers) > 0 {
		unmet := m.unmetPeers
		m.unmetPeers = nil
		m.setPeers(slices.DeleteFunc(slices.Clone(m.announced), func(p route.Peer) bool {
			return slices.ContainsFunc(unmet, func(u route.Peer) bool { return u.Name == p.Name })
		}))
	}
	for _, h := range m.hosts {
		if h.unmet {
			h.unmet, h.contact, h.lostAt = false, route.Lost, now
			m.log.Warn().Str("host", h.Name).Msg("gossip has lost a host: it hasn't met the host since this process began")
		}
	}
	return time.Time{}
}

// ErrNotReady is the error of State before Ready: then there is nothing to hand over.
var ErrNotReady = errors.New("this balancer has just started and doesn't know its hosts yet")

// State returns what the pool knows. While Run ends, it waits until Run has let go of the
// gossips and of the state directory, so that what it returns is the last word. It is an
// error if the pool isn't ready, or if ctx ends before.
func (p *Pool) State(ctx context.Context) (handed.State, error) {
	d := new(handed.Decoded)
	err := p.ask(ctx, request{state: d})
	if errors.Is(err, ErrStopped) {
		p.final.Lock()
		defer p.final.Unlock()
		err = p.machine.capture(d)
	}
	if err != nil {
		return handed.State{}, err
	}
	s := d.Encode()
	s.At, s.Version = time.Now(), p.self.Version
	s.PoolLabel, s.PeersLabel = p.gossips.Label(gossips.HostsName), p.gossips.Label(gossips.PeersName)
	s.Members = p.otherMembers(s.Hosts, s.At)
	return s, nil
}

// stateEvent is a request for the State.
type stateEvent struct {
	id   uint64
	into *handed.Decoded
}

func (e stateEvent) apply(m *machine, _ time.Time) bool {
	m.effects.answers = append(m.effects.answers, answer{e.id, m.capture(e.into)})
	return false
}

// capture takes down what m knows.
func (m *machine) capture(into *handed.Decoded) error {
	if !m.isReady() {
		return ErrNotReady
	}
	into.ReadyAt = m.readyAt
	into.Freeze, into.Waits = handed.Freeze{Freeze: m.freeze, Notice: m.notice}, m.wait.State
	into.Table = handed.Table{At: m.tableAt, Confirmed: m.confirmed != "" && m.confirmed == m.table.Digest()}
	into.Count = m.count
	if m.doubt != nil {
		into.Doubt = m.doubt.Error()
	}
	into.Hosts = make([]handed.Host, len(m.hosts))
	for i, h := range m.hosts {
		into.Hosts[i] = h.state()
	}
	for _, name := range slices.Sorted(maps.Keys(m.lists[route.OriginOperator])) {
		l := m.lists[route.OriginOperator][name]
		into.Listed = append(into.Listed, hostlist.Added{Spec: l.Spec, By: l.By})
	}
	into.Peers = slices.Clone(m.peers)
	into.Votes = m.council.Entries()
	into.Known, into.InForce, into.LastOrder, into.History = m.registers.All(), m.table, m.ordered.Hosts, slices.Clone(m.history)
	into.Recorded = m.rings.Log()
	return nil
}

// otherMembers returns the members of both gossips, and the numbers of announcements, but
// for what hosts have already.
func (p *Pool) otherMembers(hosts []handed.Host, now time.Time) gossip.CachedMembers {
	byName := make(map[string]handed.Host, len(hosts))
	for _, h := range hosts {
		byName[h.Name] = h
	}
	all := p.toCache(now)
	all.Ring = nil // the hosts and the freeze are handed over themselves
	all.Pool = slices.DeleteFunc(all.Pool, func(c gossip.CachedMember) bool {
		_, known := byName[c.Name]
		return known && c.Metadata().Role == announcement.HostRole
	})
	all.Sequences = slices.DeleteFunc(all.Sequences, func(s announcement.Sequence) bool {
		h := byName[s.Host]
		return h.Key == s.Key && h.Sequence >= s.Number
	})
	return all
}

// state returns what is known of h.
func (h *host) state() handed.Host {
	return handed.Host{
		Spec:      h.Spec,
		Announced: handed.Announced{Version: h.Version, Leaving: h.Leaving, Drain: h.Drain, Gossip: h.gossip, Key: h.Key, Sequence: h.Sequence},
		Origin:    h.origin, ListedBy: h.by, Several: h.several, Proven: h.proven, Contact: h.contact, LostAt: h.lostAt,
		Location: handed.Location{
			Resolved: h.address, Since: h.since, Moved: h.moved, Moving: h.moving, Passed: h.passed,
			ServiceChange: h.changes.service, GossipChange: h.changes.gossip,
		},
		Check: handed.Check{
			Verdict: h.check.Verdict, Error: h.check.Error, Refused: h.check.Refused, Gate: h.check.Gate, FailedAt: h.ballot.FailedAt, CheckedAt: h.check.At,
			Held: h.ballot.Held, Leased: h.ballot.Leased, DownSince: h.ballot.DownSince,
			VotedDown: h.ballot.VotedDown, Excused: h.ballot.Excused, SteadySince: h.ballot.Steadiness.Since,
		},
		Eligibility: h.eligibility,
		Service:     h.Service,
	}
}

// restoreRing goes on from the ring of the last run. Its hosts are in the ring again when they
// come, as they would be if this balancer had gone on: those that are listed are here already.
// If their first checks fail, they count as hosts that vanish now, or since when they failed.
func (m *machine) restoreRing(r handed.Ring) {
	m.remembered = r
	if !m.delays.Freeze.IsOff() {
		m.freezing = freezing{freeze: r.Freeze.Freeze, notice: r.Freeze.Notice}
	}
	for _, h := range m.hosts {
		if _, ok := r.Host(h.Name, h.Address, h.ID); ok {
			h.eligibility = r.Eligibility(h.Name)
		}
	}
}

// ring returns what is to be kept of the ring for the next run.
func (m *machine) ring() *handed.Ring {
	r := &handed.Ring{Freeze: handed.Freeze{Freeze: m.freeze, Notice: m.notice}}
	for _, h := range m.hosts {
		if h.eligibility.InRing {
			r.Hosts = append(r.Hosts, handed.RingHost{Name: h.Name, Address: h.Address, ID: h.ID, FailingSince: h.eligibility.FailingSince})
		}
	}
	return r
}
