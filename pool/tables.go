package pool

import (
	"fmt"
	"slices"
	"time"

	"tokenring/balancer"
	"tokenring/builder"
	"tokenring/peers"
	"tokenring/pool/eligibility"
	"tokenring/pool/moment"
	"tokenring/pool/waits"
	"tokenring/route"
)

// tables are the table in force, and the orders of tables.
type tables struct {
	ordered   builder.Order // the last order
	served    uint64        // the number of the last order whose product has come
	table     *balancer.Table
	tableAt   time.Time
	count     uint64             // how many tables there have been
	confirmed string             // the digest of the last table that the library has made
	failure   error              // of the last build
	doubt     error              // why the library hasn't confirmed a table; it stays, because an operator has to know
	history   []route.FormerRing // they have the keys that hosts in slow start haven't taken yet
	waiters   []waiter
}

// A waiter is a request of an operator that is answered when what it wants is on disk and
// in the table.
type waiter struct {
	id    uint64 // of the request
	what  string // in its words
	write uint64 // number of the peers.Write that has the override; 0 if none has what the request wants
	order uint64 // number of the order that has the override; 0 until there is one
}

// An answer is the result of a request.
type answer struct {
	id  uint64
	err error
}

// placed returns h as the builder takes it, with the weight in force: the operators', or
// else the host's own.
func (m *machine) placed(h *host) balancer.Host {
	placed := m.own(h)
	if weight, ok := m.capacity.Weights[h.Name]; ok {
		placed.Weight = weight
	}
	return placed
}

// order orders a table if the hosts of the ring or their weights have changed since the
// last order. It also orders tables of former rings that are needed and missing.
// It returns when a host in slow start takes the next part of its keys; zero if no host
// is in slow start.
func (m *machine) order(now time.Time) (next time.Time) {
	wanted := builder.Order{Number: m.ordered.Number, Hosts: make([]balancer.Host, 0, len(m.hosts))}
	ring := make([]route.Member, 0, len(m.hosts))
	for _, h := range m.hosts {
		if !h.eligibility.InRing {
			continue
		}
		member := route.Member{
			Host:      m.inTable(h),
			Serves:    h.Serving || m.freeze.Frozen && !h.eligibility.FailedBefore,
			SlowStart: m.slowStartOf(h.Name),
			Back:      m.registers.SlowStart(h.Name).Back,
		}
		ring = append(ring, member)
		wanted.Hosts = append(wanted.Hosts, member.Host)
		if member.Serves {
			next = moment.Earliest(next, member.SlowStart.Next(now))
		}
	}
	history := route.History(ring, now)
	wanted.Former = route.Reuse(history, m.history, m.table)
	m.history, m.theirs.ring = history, nil
	m.orderIfNew(wanted)
	return next
}

// inTable returns h as it is in the next table. While the ring is frozen, or changes wait, that
// is as it was in the last order: another weight would move keys.
func (m *machine) inTable(h *host) balancer.Host {
	if m.freeze.Frozen || m.holds() {
		return m.inLastOrder(h)
	}
	return m.placed(h)
}

// inLastOrder returns h as it was in the last order; as placed does if it wasn't there.
func (m *machine) inLastOrder(h *host) balancer.Host {
	for _, ring := range [][]balancer.Host{m.theirs.ring, m.ordered.Hosts} {
		if i := route.IndexOf(ring, h.Name); i >= 0 {
			return ring[i]
		}
	}
	return m.placed(h)
}

// orderIfNew orders the tables of wanted if the last order was for others. If no host
// has come when this balancer becomes ready, it orders the ring without hosts. Balancers
// whose hosts have all left have that ring, and a balancer without a table would count as
// divergent.
func (m *machine) orderIfNew(wanted builder.Order) {
	other := !slices.Equal(wanted.Hosts, m.ordered.Hosts) || m.isReady() && m.ordered.Number == 0
	wanted.Known, wanted.Confirmed = m.ordered.Known, m.ordered.Confirmed
	if other {
		wanted.Number++
		wanted.Known, wanted.Confirmed = nil, false
		m.takeHanded(&wanted)
	}
	if other || len(wanted.Former) > 0 && !slices.EqualFunc(wanted.Former, m.ordered.Former, slices.Equal) {
		m.effects.order = &wanted
	}
	m.ordered = wanted
	for i, w := range m.waiters {
		if w.order == 0 {
			m.waiters[i].order = wanted.Number
		}
	}
}

// rebuilding reports whether the table in force isn't the table of the ring.
func (m *machine) rebuilding() bool { return m.served != m.ordered.Number || m.failure != nil }

// productEvent is what the builder has made.
type productEvent builder.Product

// apply puts a new table in force, and takes in tables of former rings.
func (made productEvent) apply(m *machine, now time.Time) bool {
	for i, table := range made.FormerTables {
		for j := range m.history {
			if f := &m.history[j]; table != nil && slices.Equal(f.Hosts, made.Former[i]) {
				f.Table, f.Exact = table, true
			}
		}
	}
	m.verify(made)
	if made.Number < m.served || made.Table == nil && made.Err == nil {
		return true // a later table is in force, or there are only tables of former rings
	}
	m.served, m.failure = made.Number, made.Err
	if made.Err != nil {
		m.log.Error().Err(made.Err).Msg("the ring could not be built; the ring before it stays in force")
		return true
	}
	if made.Table == m.table {
		return true
	}
	m.table, m.tableAt = made.Table, now
	m.count++
	m.effects.digest = made.Table.Digest()
	m.log.Info().Int("hosts", len(made.Table.Hosts())).Str("digest", made.Table.Digest()).Dur("took", made.Took).Msg("ring changed")
	return true
}

// verify takes in the library's result for a forecast.
func (m *machine) verify(made productEvent) {
	if made.Verified {
		m.confirmed = made.Table.Digest()
	}
	switch {
	case made.Doubt != nil:
		m.doubt = made.Doubt
		m.log.Error().Err(made.Doubt).Bool("replaced", made.Verified).Msg("the library doesn't confirm the ring of the forecast")
	case made.Verified:
		m.log.Debug().Str("digest", made.Table.Digest()).Dur("took", made.Took).Msg("the library has confirmed the ring")
	}
}

// await has a request answered later: see answer. If the request was refused, err says why,
// and the answer comes at once.
func (m *machine) await(id, write uint64, err error) {
	if err != nil {
		m.effects.answers = append(m.effects.answers, answer{id, err})
		return
	}
	m.waiters = append(m.waiters, waiter{id: id, what: "the override", write: write})
}

// answer answers the requests whose overrides are on disk and in the table in force, and
// the requests for which one of the two has failed.
func (m *machine) answer() {
	m.waiters = slices.DeleteFunc(m.waiters, func(w waiter) bool {
		var err error
		switch {
		case w.write > m.saved.Number:
			return false
		case w.write > 0 && m.saved.Err != nil:
			err = fmt.Errorf("%s is in force but not on disk: %w", w.what, m.saved.Err)
		case w.order > m.served:
			return false
		case m.failure != nil:
			err = fmt.Errorf("%s is in force but the ring could not be rebuilt: %w", w.what, m.failure)
		}
		m.effects.answers = append(m.effects.answers, answer{w.id, err})
		return true
	})
}

// peersEvent has the peers and what they announce.
type peersEvent struct {
	peers  []route.Peer // without Agrees and Since
	joined bool         // the first attempt to join is over
}

func (e peersEvent) apply(m *machine, _ time.Time) bool {
	m.peersJoined = e.joined
	m.setPeers(e.peers)
	return true
}

// compare compares the tables of the peers with ours. It returns when to compare again
// though nothing has happened; zero for never.
func (m *machine) compare(now time.Time) (next time.Time) {
	before := m.divergent
	m.peers = peers.Compare(m.announced, m.peers, m.table.Digest(), now)
	m.divergent, next = peers.Divergent(m.peers, before, m.rebuilding(), now)
	for _, p := range m.divergent {
		if !slices.ContainsFunc(before, func(old route.Peer) bool { return old.Name == p.Name }) {
			m.log.Error().Str("peer", p.Name).Time("since", p.Since).Str("theirs", p.Digest).Str("ours", m.table.Digest()).
				Msg("another balancer places tokens by another ring")
		}
	}
	if len(before) > 0 && len(m.divergent) == 0 {
		m.log.Info().Msg("no balancer places tokens by another ring any more")
	}
	return next
}

// absent is which balancers are missing, and which changes of the ring wait for them.
type absent struct {
	wait      waits.Wait
	connected map[string]bool // the peers with open streams; nil if this balancer has no streams
}

func newAbsent(s settings) absent {
	a := absent{wait: waits.Wait{Within: s.within}}
	if s.streams {
		a.connected = map[string]bool{}
	}
	return a
}

// holds reports whether changes of the ring wait that can. The first ring of a process doesn't.
func (m *machine) holds() bool { return m.wait.Waits() && m.isReady() }

// hold has the changes wait that can, while balancers are missing: it takes them out of all, by
// the index of each host. It returns when it changes though nothing happens; zero for never.
func (m *machine) hold(all []eligibility.Eligibility, now time.Time) (next time.Time) {
	next = m.findMissing(now)
	hosts := make([]waits.Host, len(all))
	places := make([]waits.Place, len(all))
	for i, h := range m.hosts {
		hosts[i] = m.becomes(h, all[i])
		places[i] = hosts[i].After
	}
	var changes []string
	if m.holds() {
		places, changes = waits.Hold(hosts)
		changes = append(changes, m.standing(now)...)
	}
	for i, h := range m.hosts {
		e := &all[i]
		switch p := places[i]; {
		case p.InRing == e.InRing:
		case p.InRing:
			e.InRing, e.Admitted, e.WhyNot, e.Forget = true, true, "", false
		default:
			e.InRing, e.Admitted, e.WhyNot = false, false, route.WhyWaits
		}
		h.Away = places[i].Away
		h.waits = e.InRing && h.Away && !hosts[i].After.Away
	}
	return moment.Earliest(next, m.wait.Note(changes, now))
}

// becomes returns what becomes of a host by an assessment.
func (m *machine) becomes(h *host, e eligibility.Eligibility) waits.Host {
	frozen := m.freeze.Frozen && !e.FailedBefore
	up := h.ballot.Verdict == route.Up || h.moving
	after := waits.Place{Host: m.placed(h), InRing: e.InRing, Away: !up && !h.ballot.Held && !frozen}
	if m.freeze.Frozen {
		after.Host = m.inLastOrder(h)
	}
	out, can := e.WhyNot, e.InRing && !h.ballot.Held
	switch e.WhyNot {
	case route.WhyDrain, route.WhyWeight, route.WhyNoRoom, route.WhyBackup: // a backup goes no earlier than the host comes that it makes room for
		can = e.Admitted
	case route.WhyLeaving:
		out, can = "removed from its list", h.isRemoved() && up
	}
	return waits.Host{
		Before: waits.Place{Host: m.inLastOrder(h), InRing: h.eligibility.InRing, Away: h.Away},
		After:  after, WhyOut: out, AtOnce: !can, Up: up, Known: !h.since.IsZero(),
	}
}

// standing says of which hosts the slow start stands still that would have gone on.
func (m *machine) standing(now time.Time) (changes []string) {
	for _, h := range m.hosts {
		s := m.registers.SlowStart(h.Name)
		slow := m.slowStartOf(h.Name)
		if h.Serving && route.NewSlowStart(s.Since, s.Lasts).Taken(now) != slow.Taken(now) && route.HasFormerRing(m.history, slow) {
			changes = append(changes, h.Name+" goes on with its slow start")
		}
	}
	return changes
}

// findMissing finds out which balancers are missing. A process that another one hands over to
// takes that one's word until it begins.
func (m *machine) findMissing(now time.Time) (next time.Time) {
	if m.handover.waiting {
		return time.Time{}
	}
	var all []waits.Peer
	for _, p := range m.announced {
		if p.Leaving {
			continue
		}
		all = append(all, waits.Peer{
			Name:      p.Name,
			Connected: p.Alive && (p.Stream == "" || m.connected == nil || m.connected[p.Name]),
			Unmet:     slices.ContainsFunc(m.unmetPeers, func(u route.Peer) bool { return u.Name == p.Name }),
		})
	}
	unseen := m.expected - 1 - len(all)
	if unseen > 0 && !m.handed {
		if due := m.started.Add(readyLimit); now.Before(due) { // they may still come
			unseen, next = 0, due
		}
	}
	before := m.wait.Misses()
	next = moment.Earliest(next, m.wait.Update(all, unseen, now))
	if misses := m.wait.Misses(); misses != before {
		if s := m.wait.Waiting(); misses {
			m.log.Warn().Strs("balancers", s.For).Time("since", s.Since).Time("until", s.Until).Msg("balancers are missing: changes of the ring that can wait do so")
		} else {
			m.log.Info().Msg("changes of the ring wait for no balancer any more")
		}
	}
	return next
}
