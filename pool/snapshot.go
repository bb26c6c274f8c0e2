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
	Rebuilding  bool      // the hosts in the ring aren't those of the table any more: the next one is being built
	Frozen      bool
	FrozenSince time.Time
	Alarm       string // what an operator should look at, "" if nothing; names no key
	Peers       []Peer // sorted by name; without ourselves

	ring    []*Host        // by index in Table.Hosts; nil for a host that is no longer known
	index   map[string]int // by host name, into ring
	up      []bool         // by index in ring: serving
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
	placed := table.Hosts()
	s := &Snapshot{
		Hosts: hosts,
		Table: table,
		ring:  make([]*Host, len(placed)),
		index: make(map[string]int, len(placed)),
		up:    make([]bool, len(placed)),
		turn:  new(atomic.Uint64),
	}
	for i, h := range placed {
		s.index[h.Name] = i
		s.ring[i] = s.Host(h.Name)
		s.up[i] = s.ring[i] != nil && s.ring[i].Serving()
	}
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
// It returns false when nobody can serve. If the ring is frozen and the key's
// owner has vanished, the Rule is RuleFrozen and the Host is that owner, for the
// log; an owner that has just failed the request counts as vanished then.
//
// Choose doesn't allocate and takes no lock.
func (s *Snapshot) Choose(key []byte, avoid *Host) (Choice, bool) {
	if len(key) == 0 {
		return s.next(avoid)
	}
	failed := -1
	if avoid != nil {
		if i, ok := s.index[avoid.Name]; ok {
			failed = i
		}
	}
	if s.Frozen {
		if owner := s.Table.Owner(key); owner >= 0 && (owner == failed || s.vanished(owner)) {
			return Choice{s.ring[owner], RuleFrozen}, false
		}
	}
	i, rule := s.Table.Pick(key, s.up, failed)
	if i < 0 {
		return Choice{Rule: rule}, false
	}
	return Choice{s.ring[i], rule}, true
}

// vanished reports whether the host at index i of the ring fails its checks
// though it belongs in the ring.
func (s *Snapshot) vanished(i int) bool {
	h := s.ring[i]
	return h != nil && h.InRing && h.Verdict == Down
}

// next returns the serving hosts one after the other, whatever their weights.
func (s *Snapshot) next(avoid *Host) (Choice, bool) {
	n := uint64(len(s.serving))
	if n == 0 {
		return Choice{Rule: balancer.RuleNone}, false
	}
	turn := s.turn.Add(1) - 1
	for i := range min(n, 2) {
		if h := s.serving[(turn+i)%n]; avoid == nil || h.Name != avoid.Name {
			return Choice{h, balancer.RuleRoundRobin}, true
		}
	}
	return Choice{Rule: balancer.RuleNone}, false
}
