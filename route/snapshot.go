package route

import (
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"tokenring/balancer"
)

// RuleFrozen is the Rule of a key that is refused because its host is among the hosts
// that vanished together. The key's session may still be alive on that host, so no other
// host gets the key.
const RuleFrozen balancer.Rule = "frozen"

// RuleSlowStart is the Rule of a key that stays on its old host, because the host that
// the table has for it is in slow start and hasn't taken it yet.
const RuleSlowStart balancer.Rule = "slow-start"

// RuleMoving is the Rule of a key that is refused because its host has just got another
// address, which no check has reached yet. No other host gets the key meanwhile: the
// check ends soon, and a user who was sent elsewhere would be on two hosts within a
// second.
const RuleMoving balancer.Rule = "moving"

// A Peer is another balancer, as the gossip among balancers shows it.
type Peer struct {
	Name    string    `json:"name"`
	Address string    `json:"address,omitempty"` // ip:port of its gossip
	Version string    `json:"version,omitempty"` // of its software
	Digest  string    `json:"digest,omitempty"`  // of its table
	Alive   bool      `json:"alive,omitempty"`
	Leaving bool      `json:"leaving,omitempty"` // it announces that it leaves
	Agrees  bool      `json:"agrees,omitempty"`  // its table is equal to ours
	Since   time.Time `json:"since,omitzero"`    // when Alive or Agrees changed the last time

	Stream    string `json:"stream,omitempty"`     // ip:port at which it accepts streams; "" if it accepts none
	StreamKey string `json:"stream_key,omitempty"` // 64 hexadecimal digits: the fingerprint of its key there
}

// A Snapshot is what a balancer knows of the hosts and of its peers at one moment. It is
// immutable and safe for concurrent use. NewSnapshot makes one.
type Snapshot struct {
	Version uint64    // grows with each snapshot
	At      time.Time // when it was made
	Hosts   []*Host   // sorted by name
	TableInForce
	Freeze
	Alarm     string // what an operator should look at, "" if nothing; it names no key
	Peers     []Peer // the other balancers, sorted by name
	Balancers int    // how many balancers have a vote on hosts, this one among them; 0 counts as one
	Waiting   Waiting
	Severed   string // why clients should go to another balancer: this one can't reach most hosts that others reach; else ""
	// BoundedLoad bounds how many terminals a host may have to get a new key: its share
	// of them all times BoundedLoad. 0 means no bound. Place keeps the bound.
	BoundedLoad float64
	// SlowStart is how long a host that begins to serve takes until it has all its keys;
	// 0 if it has them at once.
	SlowStart time.Duration

	ring           // of Table
	former  []ring // they have the keys that hosts in slow start haven't taken yet
	serving []*Host
	spread  spread
	turn    *atomic.Uint64 // of the round robin; shared with earlier and later snapshots, see Follow
}

// TableInForce is the table by which keys are placed.
type TableInForce struct {
	Table       *balancer.Table
	TableAt     time.Time // when the table was built; zero for the first, empty one
	TableNumber uint64    // counts the tables; 0 for the first, empty one
	Rebuilding  bool      // the hosts of the ring have changed, and the next table is being built
}

// A Freeze says whether the ring is frozen.
type Freeze struct {
	Frozen      bool
	FrozenSince time.Time
	FrozenUntil time.Time // when the freeze ends by itself; zero if the ring isn't frozen
	// FreezesExpired counts the freezes that have ended because their time was over.
	FreezesExpired uint64
}

// NewSnapshot returns a snapshot of hosts and of a table. A nil table stands for an empty
// one. The snapshot owns hosts from now on, and sorts them by name. The caller may set
// the other exported fields before it publishes the snapshot.
func NewSnapshot(table *balancer.Table, hosts []*Host) *Snapshot {
	if table == nil {
		table = new(balancer.Table)
	}
	slices.SortFunc(hosts, func(a, b *Host) int { return strings.Compare(a.Name, b.Name) })
	s := &Snapshot{Hosts: hosts, TableInForce: TableInForce{Table: table}, turn: new(atomic.Uint64)}
	s.ring = newRing(table, s.Host, func(*Host) bool { return true })
	for _, h := range hosts {
		if h.Serving() {
			s.serving = append(s.serving, h)
		}
	}
	return s
}

// Host returns the host with that name, nil if there is none.
func (s *Snapshot) Host(name string) *Host {
	i, ok := slices.BinarySearchFunc(s.Hosts, name, func(h *Host, name string) int { return strings.Compare(h.Name, name) })
	if !ok {
		return nil
	}
	return s.Hosts[i]
}

// A Choice is a host, and the rule by which it was chosen.
type Choice struct {
	Host *Host
	Rule balancer.Rule
}

// Choose returns the host that serves a key. It chooses by the table, or by round robin
// if the request has no key. avoid is a host that has just failed this request, nil for
// none; it may be of an older snapshot.
//
// If the host that the table has for the key is in slow start and hasn't taken the key
// yet, the key goes where it would go without this host and without all hosts that came
// later. The Rule is RuleSlowStart then. If no older host serves, the host in slow start
// gets the key.
//
// Choose returns false if no host can serve. If the ring is frozen and the key's host
// has vanished, the Rule is RuleFrozen, and the Host is the vanished host, for the log.
// avoid counts as vanished then. If the key's host is moving or held, the Rule is RuleMoving
// or RuleUnreachable.
//
// Choose makes no allocation and takes no lock.
func (s *Snapshot) Choose(key Key, avoid *Host) (Choice, bool) {
	if !key.Present() {
		return s.spreads(avoid)
	}
	if s.Frozen {
		switch h, rule := s.frozenHost(key.hash); {
		case h.vanished() || h != nil && sameHost(h, avoid):
			return Choice{h, RuleFrozen}, false
		case h != nil && h.Serving():
			return Choice{h, rule}, true
		}
	}
	i, rule := s.Table.PickHash(key.hash, s.up, s.find(avoid))
	if i < 0 {
		return Choice{Rule: rule}, false
	}
	if s.slow != nil && s.slow[i].former != 0 {
		if h := s.olderHost(key.hash, i, avoid); h != nil {
			return choose(h, RuleSlowStart)
		}
	}
	return choose(s.hosts[i], rule)
}

// olderHost returns the host that has the key of this hash until the host at index i of
// the table takes it. It returns nil if the host at i has taken the key already, or if
// no older host serves.
func (s *Snapshot) olderHost(hash uint64, i int, avoid *Host) (h *Host) {
	for r := &s.ring; r.waits(i, hash); {
		r = &s.former[r.slow[i].former-1]
		if i, _ = r.table.PickHash(hash, r.up, r.find(avoid)); i < 0 {
			break
		}
		h = r.hosts[i]
	}
	return h
}

// frozenHost returns the host that has the key of this hash in a frozen ring, and the
// rule. Usually that is the key's owner, or the older host that has the key while the
// owner is in slow start. Whether this host has vanished doesn't matter. Hosts that
// failed long before the freeze are skipped. The result is nil if no host is left.
func (s *Snapshot) frozenHost(hash uint64) (*Host, balancer.Rule) {
	r := &s.ring
	i, rule := r.table.PickHash(hash, r.upOrVanished, -1)
	for i >= 0 && r.waits(i, hash) {
		r, rule = &s.former[r.slow[i].former-1], RuleSlowStart
		i, _ = r.table.PickHash(hash, r.upOrVanished, -1)
	}
	if i < 0 {
		return nil, balancer.RuleNone
	}
	return r.hosts[i], rule
}

// vanished reports whether h is in the ring, doesn't pass its checks, and didn't fail
// them long before a freeze. A frozen ring keeps the keys of such a host. A host that
// gossip has found again counts as vanished until a check has passed. h may be nil.
func (h *Host) vanished() bool {
	return h != nil && h.InRing && h.Verdict != Up && !h.FailedBefore
}

// roundRobin returns the serving hosts one after the other. Their weights don't matter.
// At first, a host in slow start is skipped in most rounds.
func (s *Snapshot) roundRobin(avoid *Host) (Choice, bool) {
	n := uint64(len(s.serving))
	if n == 0 {
		return Choice{Rule: balancer.RuleNone}, false
	}
	turn := s.turn.Add(1) - 1
	var first *Host
	for i := range n {
		h := s.serving[(turn+i)%n]
		if avoid != nil && h.Name == avoid.Name {
			continue
		}
		if h.takesTurn(turn / n) {
			return Choice{h, balancer.RuleRoundRobin}, true
		}
		if first == nil {
			first = h
		}
	}
	if first == nil {
		return Choice{Rule: balancer.RuleNone}, false
	}
	return Choice{first, balancer.RuleRoundRobin}, true
}

// takesTurn reports whether h takes part in this round. A host in slow start that has n
// per cent of its keys takes part in n of a hundred rounds.
func (h *Host) takesTurn(round uint64) bool {
	const spread = 61 // has no common factor with 100, so the n rounds are spread evenly
	return h.SlowStart == (Progress{}) || float64(round*spread%100) < 100*h.SlowStart.Taken
}

// DisagreeSince returns the time since which a living peer has had another table than
// this balancer. If there are several such peers, it is the earliest time. It is zero if
// all peers agree.
func (s *Snapshot) DisagreeSince() (since time.Time) {
	for _, p := range s.Peers {
		if p.Alive && !p.Agrees && (since.IsZero() || p.Since.Before(since)) {
			since = p.Since
		}
	}
	return since
}

// Follow makes s go on with the round robin of previous. It must be called before s is
// published.
func (s *Snapshot) Follow(previous *Snapshot) { s.turn = previous.turn }

// Equal reports whether s and t are the same except for their times and numbers.
func (s *Snapshot) Equal(t *Snapshot) bool {
	return slices.Equal(s.Hosts, t.Hosts) && s.Table == t.Table && slices.EqualFunc(s.rings(), t.rings(), (*ring).same) && s.Rebuilding == t.Rebuilding &&
		s.Frozen == t.Frozen && s.Alarm == t.Alarm && s.Severed == t.Severed && s.Balancers == t.Balancers && slices.Equal(s.Peers, t.Peers) && s.Waiting.equal(t.Waiting)
}

// holdsKeys reports whether the keys of h go to no other host: it serves, its keys wait for
// its first check, or it is held.
func (h *Host) holdsKeys() bool { return h.Serving() || h.Moving || h.InRing && h.Held }

// choose returns the choice of h, which has the key. It returns false if h is moving, or
// held.
func choose(h *Host, rule balancer.Rule) (Choice, bool) {
	switch {
	case h.Moving:
		return Choice{h, RuleMoving}, false
	case h.Held:
		return Choice{h, RuleUnreachable}, false
	}
	return Choice{h, rule}, true
}
