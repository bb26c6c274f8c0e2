package pool

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/rs/zerolog"

	"tokenring/balancer"
)

// known is what is known about one host.
type known struct {
	name    string
	static  bool
	said    meta      // by the config file or in its metadata
	address string    // ip:port of its machine; "" as long as its name hasn't resolved
	several bool      // its name has several addresses
	moved   time.Time // when that became its address; older verdicts aren't about it
	moving  bool      // it served at the address before, and no check of this one has counted yet
	contact Contact
	lostAt  time.Time   // since when contact is Lost or Missing
	heard   CheckResult // the last one about address
	ruling  ruling
	gauges  *Gauges

	serving bool
	came    time.Time // when it began to serve; zero if that was before we were settled
	unsure  bool      // it came when nobody had served here for long: whoever was there before knows better
	went    time.Time // when it ceased to; zero if it hasn't since then
	kept    bool      // a frozen ring has refused its keys to others since then
}

// A waiter waits for the table that an order makes, and for the disk.
type waiter struct {
	number uint64 // of the order; 0 until the next look
	page   uint64
	done   chan error
}

// A keeper is the state of a Pool. One goroutine owns it: New's, then Run's.
//
// Whatever happens, it takes the news in (meet, hear, learn, decide, swap, file) and
// then looks once: judges, orders a table if the ring isn't the table's any
// more, and publishes if anything is to be seen.
type keeper struct {
	p     *Pool
	log   zerolog.Logger
	hosts []*known // sorted by name
	record
	claimants []claimant // as of the last look
	room                 // which of them there is room for

	freeze   freeze
	gone     []string // the hosts that have frozen the ring, or nearly
	expiries uint64   // of freezes
	notice   notice

	asked   order  // what the builder is to make, or has made
	served  uint64 // the number of the last product
	table   *balancer.Table
	tableAt time.Time
	tables  uint64 // how many there have been
	failure error  // of the last build
	doubt   error  // why the library hasn't confirmed a table; it stays, for somebody must look
	pasts   []past // where the keys are that warming hosts haven't taken yet
	waiters []waiter

	others  []Peer // as of the last look
	discord []Peer // those of them whose tables have differed for too long

	outset
	version uint64 // of the last snapshot
}

// A record is what a balancer that runs remembers, and what of it is on disk.
type record struct {
	memory
	written uint64    // the number of the last page
	saved   receipt   // of the last page that the scribe is done with
	savedAt time.Time // when that came
}

// staleness is how old CheckedAt may be in a snapshot, patrol how often the
// keeper looks though nothing has happened, saveRetry how long it waits until what
// couldn't be written to disk is written once more.
const (
	staleness = time.Second
	patrol    = 30 * time.Second
	saveRetry = 10 * time.Second
)

func newKeeper(p *Pool, remembered memory) *keeper {
	k := &keeper{p: p, log: p.log, record: record{memory: remembered}, table: new(balancer.Table)}
	for _, h := range p.static {
		static := &known{
			name:   h.Name,
			static: true,
			said:   meta{Role: roleHost, Name: h.Name, ID: h.ID, Address: h.Address, Weight: *h.Weight, Zone: h.Zone},
		}
		if _, _, named := splitName(h.Address); !named {
			static.address = h.Address
		}
		k.add(static)
	}
	return k
}

// run keeps the state until ctx ends.
func (k *keeper) run(ctx context.Context) {
	k.started = time.Now()
	next := k.started
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-k.p.roster.changed:
			k.meet(k.p.roster.list(), time.Now())
		case <-k.p.heardNote:
			if !k.hear(k.p.overheard()) {
				next = earliest(next, time.Now().Add(staleness))
				timer.Reset(time.Until(next))
				continue
			}
		case <-k.p.peers.heard:
			k.learn(k.p.peers.take(), time.Now())
		case <-k.p.peers.roster.changed:
		case <-k.p.asides.changed:
		case <-k.p.resolver.changed:
			k.resolve(k.p.resolver.list(), time.Now())
		case r := <-k.p.requests:
			k.decide(r, time.Now())
		case made := <-k.p.builder.built:
			k.swap(made, time.Now())
		case r := <-k.p.scribe.saved:
			k.file(r, time.Now())
		case <-timer.C:
		}
		next = k.look(time.Now())
		timer.Reset(time.Until(next))
	}
}

// find returns the place of a host by name.
func (k *keeper) find(name string) (int, bool) {
	return slices.BinarySearchFunc(k.hosts, name, func(h *known, name string) int { return cmp.Compare(h.name, name) })
}

func (k *keeper) add(h *known) {
	h.gauges = new(Gauges)
	i, _ := k.find(h.name)
	k.hosts = slices.Insert(k.hosts, i, h)
}

// meet compares the hosts with the members of the gossip. A host that is no
// longer a member at all is lost.
func (k *keeper) meet(members map[string]member, now time.Time) {
	for _, m := range members {
		if m.meta.Role == roleHost && !m.recalled {
			k.greet(m, now)
		}
	}
	for _, h := range k.hosts {
		m, ok := members[h.said.node()]
		if h.static || ok && !m.lost || h.contact == Lost || h.contact == Missing {
			continue
		}
		h.contact, h.lostAt = Lost, now
		if h.said.Leaving {
			k.log.Info().Str("host", h.name).Msg("host has left")
		} else {
			k.log.Warn().Str("host", h.name).Msg("gossip has lost a host")
		}
	}
}

// greet takes in what a member says of itself.
func (k *keeper) greet(m member, now time.Time) {
	i, ok := k.find(m.meta.Name)
	switch {
	case !ok:
		k.add(&known{name: m.meta.Name, said: m.meta, address: m.meta.Address, contact: Alive})
		k.outset.greet(m.meta.Name, now)
		k.log.Info().Str("host", m.meta.Name).Str("address", m.meta.Address).Int("weight", m.meta.Weight).Msg("host joined")
		return
	case k.hosts[i].static: // the doorman refuses such a member
		return
	}
	h := k.hosts[i]
	if h.contact == Missing {
		h.contact, h.lostAt, h.heard, h.moved = Alive, time.Time{}, CheckResult{}, now
		k.log.Info().Str("host", h.name).Msg("a missing host has come")
	}
	k.move(h, m.meta.Address, now)
	if h.said.Weight != m.meta.Weight {
		k.log.Info().Str("host", h.name).Int("from", h.said.Weight).Int("weight", m.meta.Weight).Msg("host announced another weight")
	}
	if m.meta.Leaving && !h.said.Leaving {
		k.log.Info().Str("host", h.name).Msg("host is leaving")
	}
	h.said = m.meta
	if !m.lost && h.contact == Lost {
		h.contact, h.lostAt = Alive, time.Time{}
		k.log.Info().Str("host", h.name).Msg("gossip has found the host again")
	}
}

// unresolvedWhy is why a host is held for down of whose name no address is known.
const unresolvedWhy = "its name doesn't resolve"

// resolve takes in to which addresses the names of hosts have been resolved.
func (k *keeper) resolve(found map[string]resolution, now time.Time) {
	for host, r := range found {
		i, ok := k.find(host)
		if !ok {
			continue
		}
		k.hosts[i].several = r.several
		switch {
		case r.address != "":
			k.move(k.hosts[i], r.address, now)
		case r.failing && k.hosts[i].heard.Verdict == Unchecked:
			k.hosts[i].heard = CheckResult{Verdict: Down, Error: unresolvedWhy, At: now}
		}
	}
}

// hear takes results of checks in, and reports whether they say anything new. Most
// don't: there is one after each check. One about another address than the host's
// says nothing of it. One that doesn't count changes no verdict, but why there is
// none yet.
func (k *keeper) hear(all map[string]CheckResult) (fresh bool) {
	for name, news := range all {
		i, ok := k.find(name)
		if !ok || k.hosts[i].contact == Missing || news.Address != k.hosts[i].address || news.At.Before(k.hosts[i].moved) {
			continue
		}
		h := k.hosts[i]
		if news.Verdict == Unchecked && h.heard.Verdict != Unchecked {
			continue
		}
		fresh = fresh || h.heard.Verdict != news.Verdict || h.heard.Error != news.Error
		if h.heard.Verdict != news.Verdict {
			k.log.Info().Str("host", name).Stringer("verdict", news.Verdict).Str("why", news.Error).Msg("host checked")
		}
		h.heard = news
		h.moving = h.moving && news.Verdict == Unchecked
	}
	return fresh
}

// verify takes in what the library has said of a forecast.
func (k *keeper) verify(made product) {
	switch {
	case made.doubt != nil:
		k.doubt = made.doubt
		k.log.Error().Err(made.doubt).Bool("replaced", made.verified).Msg("the library doesn't confirm the ring that was forecast")
	case made.verified:
		k.log.Debug().Str("digest", made.table.Digest()).Dur("took", made.took).Msg("ring confirmed by the library")
	}
}

// swap puts a new table in force, or takes in tables of the past.
func (k *keeper) swap(made product, now time.Time) {
	for i, table := range made.before {
		for j := range k.pasts {
			if p := &k.pasts[j]; table != nil && slices.Equal(p.hosts, made.past[i]) {
				p.table, p.exact = table, true
			}
		}
	}
	k.verify(made)
	if made.number < k.served || made.table == nil && made.err == nil {
		return // a later one is in force, or there is nothing but the past
	}
	k.served, k.failure = made.number, made.err
	if made.err != nil {
		k.log.Error().Err(made.err).Msg("the ring could not be built; the one before stays")
		return
	}
	if made.table == k.table {
		return
	}
	k.table, k.tableAt = made.table, now
	k.tables++
	k.p.peers.show(made.table.Digest())
	k.log.Info().Int("hosts", len(made.table.Hosts())).Str("digest", made.table.Digest()).Dur("took", made.took).Msg("ring changed")
}
