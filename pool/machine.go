package pool

import (
	"cmp"
	"slices"
	"time"

	"github.com/rs/zerolog"

	"tokenring/balancer"
	"tokenring/builder"
	"tokenring/gossip"
	"tokenring/loglimit"
	"tokenring/peers"
	"tokenring/pool/eligibility"
	"tokenring/pool/handed"
	"tokenring/pool/hostlist"
	"tokenring/pool/moment"
	"tokenring/pool/votes"
	"tokenring/ringlog"
	"tokenring/route"
)

// A machine decides which hosts belong in the ring. It has no sockets, files, goroutines
// or clock. step takes an event and the time, and returns effects, which the caller must
// perform. The machine reads the gauges of hosts and writes to its log. It is not safe for
// concurrent use.
//
// A step takes the event in, and then reconciles once: it assesses the hosts, orders a
// table if the ring has changed since the last order, and publishes a snapshot if
// anything in it is new.
type machine struct {
	settings
	log zerolog.Logger
	known

	records
	allocation
	conflicts // what hosts announce and can't have
	freezing
	tables
	startup
	handover
	council votes.Council
	absent

	peerList
	troubles
	keys hostKeys
	output
}

// known are the hosts, and the lists that some of them are in.
type known struct {
	hosts       []*host // sorted by name
	lists       hostlist.Lists
	edits       edits
	changeLines loglimit.Limiter // of the log, about other addresses of hosts, by host
}

// An allocation is which hosts ask for places in the ring, and what they have got.
type allocation struct {
	demands  []eligibility.Demand // as of the last step
	capacity eligibility.Capacity // what the demands have got
}

// A peerList has the other balancers, and how their tables compare with ours.
type peerList struct {
	announced   []route.Peer    // the peers, as they announce themselves
	peersListen map[string]bool // where, as far as that is known: ip:port
	peers       []route.Peer    // the peers, with Agrees and Since as of the last step
	divergent   []route.Peer    // the peers whose tables have differed from ours for too long
}

// troubles are what operators have to know of files and of gossip.
type troubles struct {
	files   fileAlarms
	refused map[string][]gossip.Refusal // by gossip: what it has refused
}

// output is what has come of the steps.
type output struct {
	rings     *ringlog.Recorder // what the ring was
	published *route.Snapshot   // the last one
	version   uint64            // of it; 0 before the first step
	next      time.Time         // when to step again, if no event comes first
	effects   effects           // of this step, until now
}

// settings are the configuration of a machine.
type settings struct {
	name           string // of this balancer
	hash           balancer.Config
	delays         eligibility.Delays
	limits         AnnounceLimits // with its defaults
	slowStart      time.Duration  // 0: off
	damping        time.Duration  // of hosts that return; 0: off
	ports          []uint16       // at which this balancer listens
	expected       int            // how many balancers there should be, this one among them; 0 if that isn't configured
	dns            bool           // hosts are found by a DNS name
	maxConnections int            // see Connections
	fenceWait      time.Duration  // see votes.Fence; 0: hosts don't fence themselves
	streams        bool           // this balancer has streams to its peers
	within         time.Duration  // how long changes wait for a balancer that is missing; 0: they never do
}

// An event is something that has happened.
type event interface {
	// apply takes the event in. It returns false if nothing follows from it.
	apply(m *machine, now time.Time) bool
}

// tick is the event that nothing has happened but time has passed.
type tick struct{}

func (tick) apply(*machine, time.Time) bool { return true }

// effects are what a step asks its caller to do, in the order of the fields.
type effects struct {
	writes     []peers.Write            // to send to peers, and to write to disk
	operators  []hostlist.Host          // the hosts that operators have added, to write to disk; nil if they haven't changed
	forgotten  []string                 // nodes that the gossip is to forget
	listed     []route.Spec             // the hosts that are listed, if the lists have changed
	configured map[string]route.HostKey // the keys of the configuration, if they are others now, for the gossip
	keys       []keySet                 // of hosts, for the gossip
	order      *builder.Order           // of tables; nil for none
	digest     string                   // of our table, to be announced; "" if it hasn't changed
	snapshot   *route.Snapshot          // to be published; nil if nothing in it is new
	ring       *handed.Ring             // with snapshot: for the next run
	said       []votes.Entry            // all that this balancer says of hosts; nil if that hasn't changed. After snapshot: what it says is in force here
	verdicts   []votes.Entry            // to send to peers
	passOn     []string                 // with snapshot: hosts that gossip has lost and that are up, of which peers that start are to be told
	answers    []answer                 // to operators
	rings      *ringlog.Log             // what the ring was, to be published and written to disk; nil if it hasn't changed
	ready      bool                     // Pool.Ready is to be closed
	next       time.Time                // when to step again, if no event comes first
}

// staleness is how old CheckedAt may be in a snapshot. maxIdle is the longest time without
// a step.
const (
	staleness = time.Second
	maxIdle   = 30 * time.Second
)

// newMachine returns a machine with the hosts that are listed, of which none serves yet,
// and with the registers of the last run.
func newMachine(s settings, listed map[route.Origin][]hostlist.Host, remembered []peers.Register, log zerolog.Logger, now time.Time) *machine {
	m := &machine{settings: s, log: log, absent: newAbsent(s), known: known{lists: hostlist.Lists{}}, tables: tables{table: new(balancer.Table)}, troubles: troubles{refused: map[string][]gossip.Refusal{}}}
	m.files.secrets = map[string]string{}
	m.council.Fence = votes.Fence{Wait: s.fenceWait, Expect: s.expected, From: now.Add(votes.NoticedAfter)}
	m.rings = ringlog.NewRecorder(new(ringlog.Log), m.ringStarts())
	m.registers = peers.NewSet(func(host string) bool { return m.find(host) != nil })
	for origin, hosts := range listed {
		m.lists.Set(origin, hosts)
	}
	for origin, hosts := range listed {
		for _, h := range hosts {
			if _, counts := m.lists.Find(h.Name); counts == origin {
				m.list(h, origin, now)
			}
		}
	}
	m.registers.Restore(remembered, now)
	m.resolveConflicts(now)
	m.allocate()
	m.assess(now)
	m.published = m.snapshot(route.NewSnapshot(nil, nil), now)
	return m
}

// step takes e in. now must not be earlier than in the last step.
func (m *machine) step(e event, now time.Time) effects {
	m.effects = effects{}
	if m.started.IsZero() {
		m.started = now
	}
	if e.apply(m, now) || m.version == 0 { // the first step publishes, whatever its event is
		m.next = m.reconcile(now)
	} else {
		m.next = moment.Earliest(m.next, now.Add(staleness))
	}
	m.effects.next = m.next
	return m.effects
}

// reconcile updates everything that follows from what is known. It returns the latest time
// for the next call.
func (m *machine) reconcile(now time.Time) (next time.Time) {
	m.addMissing(now)
	next = moment.Earliest(now.Add(maxIdle), m.endMoves(now))
	next = moment.Earliest(next, m.endMeeting(now))
	next = moment.Earliest(next, m.vote(now))
	next = moment.Earliest(next, m.resolveConflicts(now))
	m.allocate()
	next = moment.Earliest(next, m.assess(now))
	m.learnKeys(now)
	m.updateServices(now)
	next = moment.Earliest(next, m.order(now))
	next = moment.Earliest(next, m.compare(now))
	m.publish(now)
	m.answer()
	next = moment.Earliest(next, m.retryWrite(now))
	next = moment.Earliest(next, m.becomeReady(now))
	m.recordRing(now)
	return next
}

// find returns the host with a name, nil if there is none.
func (m *machine) find(name string) *host {
	if i, ok := m.index(name); ok {
		return m.hosts[i]
	}
	return nil
}

// index returns the index of the host with a name. It returns false if there is none; the
// index is then where the host would be.
func (m *machine) index(name string) (int, bool) {
	return slices.BinarySearchFunc(m.hosts, name, func(h *host, name string) int { return cmp.Compare(h.Name, name) })
}

// names returns the names of the hosts for which which returns true.
func (m *machine) names(which func(*host) bool) (names []string) {
	for _, h := range m.hosts {
		if which(h) {
			names = append(names, h.Name)
		}
	}
	return names
}

// add adds h, whose name must be new.
func (m *machine) add(h *host) {
	h.gauges = new(route.Gauges)
	i, _ := m.index(h.Name)
	m.hosts = slices.Insert(m.hosts, i, h)
}
