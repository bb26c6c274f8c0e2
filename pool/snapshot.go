package pool

import (
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"tokenring/balancer"
)

// RuleFrozen is the Rule of a Choice that was refused because the key's owner
// is among the hosts that vanished together. The key's session may well live on
// there, so no other host gets the key.
const RuleFrozen balancer.Rule = "frozen"

// RuleWarming is the Rule of a key that stays where it was, because the host that
// comes before in its order warms up and hasn't taken it yet.
const RuleWarming balancer.Rule = "warming"

// A Peer is another balancer, as gossip among balancers shows it.
type Peer struct {
	Name    string
	Address string // of its gossip
	Version string // of its software
	Digest  string // of its table
	Alive   bool
	Agrees  bool      // its table is equal to ours
	Since   time.Time // since when Alive and Agrees have been as they are
}

// A Snapshot is all that is known at one moment. It is immutable and safe for
// concurrent use. Make one with NewSnapshot.
type Snapshot struct {
	Version     uint64    // grows with each snapshot of a Pool
	At          time.Time // when it was made
	Hosts       []*Host   // sorted by name
	Table       *balancer.Table
	TableAt     time.Time // when the table was built; zero for the first, empty one
	TableNumber uint64    // counts the tables; 0 for that one
	Rebuilding  bool      // the hosts in the ring aren't those of the table any more: the next one is being built
	Frozen      bool
	FrozenSince time.Time
	FrozenUntil time.Time // when the freeze ends by itself; zero if the ring isn't frozen
	// FreezesExpired counts the freezes that have ended by themselves.
	FreezesExpired uint64
	Alarm          string // what an operator should look at, "" if nothing; names no key
	Peers          []Peer // sorted by name; without ourselves
	// BoundedLoad is how many times its share of the terminals a host may have when
	// it gets a new key; 0 for no bound. Place keeps it.
	BoundedLoad float64
	// SlowStart is how long a host takes that comes into service until it has all its
	// keys; 0 if it has them at once.
	SlowStart time.Duration

	layer           // of Table
	past    []layer // where keys are that warming hosts haven't taken yet
	serving []*Host
	turn    *atomic.Uint64 // of the round robin; shared by the snapshots of a Pool
}

// NewSnapshot returns a snapshot of hosts, which it keeps and sorts by name, and
// of a table over some of them. Whoever makes it may set the exported fields
// that remain until others see it. A nil table is an empty one.
func NewSnapshot(table *balancer.Table, hosts []*Host) *Snapshot {
	if table == nil {
		table = new(balancer.Table)
	}
	slices.SortFunc(hosts, func(a, b *Host) int { return strings.Compare(a.Name, b.Name) })
	s := &Snapshot{Hosts: hosts, Table: table, turn: new(atomic.Uint64)}
	s.layer = newLayer(table, s.Host, func(*Host) bool { return true })
	for _, h := range hosts {
		if h.Serving() {
			s.serving = append(s.serving, h)
		}
	}
	return s
}

// Host returns the host of that name, nil if there is none.
func (s *Snapshot) Host(name string) *Host {
	i, ok := slices.BinarySearchFunc(s.Hosts, name, func(h *Host, name string) int { return strings.Compare(h.Name, name) })
	if !ok {
		return nil
	}
	return s.Hosts[i]
}

// A Choice is a host and why it was chosen.
type Choice struct {
	Host *Host
	Rule balancer.Rule
}

// Choose says which host serves key: by the table, or in turn when there is no
// key. avoid is a host that has just failed this very request, nil for none; it
// may come from an older snapshot.
//
// While hosts warm up, a key that one of them would have but hasn't taken yet goes
// where it would go if that one and all that came after it weren't there; the
// Rule is RuleWarming then. If nobody older serves, the host has it all the same.
//
// It returns false when nobody can serve. If the ring is frozen and the host that
// has the key has vanished, the Rule is RuleFrozen and the Host is that one, for
// the log; one that has just failed the request counts as vanished then. If the host
// that has the key is moving, the Rule is RuleMoving.
//
// Choose doesn't allocate and takes no lock.
func (s *Snapshot) Choose(key []byte, avoid *Host) (Choice, bool) {
	if len(key) == 0 {
		return s.next(avoid)
	}
	if s.Frozen {
		switch h, rule := s.home(key); {
		case h.vanished() || h != nil && same(h, avoid):
			return Choice{h, RuleFrozen}, false
		case h != nil && h.Serving():
			return Choice{h, rule}, true
		}
	}
	i, rule := s.Table.Pick(key, s.up, s.find(avoid))
	if i < 0 {
		return Choice{Rule: rule}, false
	}
	if s.warm != nil && s.warm[i].past != 0 {
		if h := s.before(key, i, avoid); h != nil {
			return give(h, RuleWarming)
		}
	}
	return give(s.ring[i], rule)
}

// before returns who has key until the host at index i of the table takes it; nil
// if that one has, or nobody older serves.
func (s *Snapshot) before(key []byte, i int, avoid *Host) (h *Host) {
	hash := s.Table.Hash(key)
	for l := &s.layer; l.waits(i, hash); {
		l = &s.past[l.warm[i].past-1]
		if i, _ = l.table.Pick(key, l.up, l.find(avoid)); i < 0 {
			break
		}
		h = l.ring[i]
	}
	return h
}

// home returns who has key in a frozen ring, and by which rule: its owner, or who had
// it before an owner that warms up, each also if it has vanished; and if it failed
// long before that, the next in its order. It is nil if there is none.
func (s *Snapshot) home(key []byte) (*Host, balancer.Rule) {
	l, hash := &s.layer, s.Table.Hash(key)
	i, rule := l.table.Pick(key, l.there, -1)
	for i >= 0 && l.waits(i, hash) {
		l, rule = &s.past[l.warm[i].past-1], RuleWarming
		i, _ = l.table.Pick(key, l.there, -1)
	}
	if i < 0 {
		return nil, balancer.RuleNone
	}
	return l.ring[i], rule
}

// vanished reports whether h, which may be nil, belongs in the ring, doesn't serve,
// and still has its keys if the ring is frozen. One that gossip has found again, or
// elsewhere, and nobody has checked yet is as good as gone: its sessions may live on.
func (h *Host) vanished() bool {
	return h != nil && h.InRing && h.Verdict != Up && !h.FailedBefore
}

// next returns the serving hosts one after the other, whatever their weights. One
// that warms up is passed over in most rounds at first.
func (s *Snapshot) next(avoid *Host) (Choice, bool) {
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

// takesTurn reports whether h isn't passed over in this round: while it warms
// up, it takes part in as many of a hundred rounds as it has per cent of its keys.
func (h *Host) takesTurn(round uint64) bool {
	const spread = 61 // prime to 100: the rounds are far apart
	return h.Warming == (Warming{}) || float64(round*spread%100) < 100*h.Warming.Taken
}
