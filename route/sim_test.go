package route

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"tokenring/balancer"
)

// simConfigs are all policies, as small as they may be. When hosts come and go, some
// policies move keys between hosts that stay, too (docs/hashing.md). astray bounds the
// part of the moves that may be such moves.
var simConfigs = []struct {
	name   string
	cfg    balancer.Config
	astray float64
}{
	{"consistent", balancer.Config{Consistent: balancer.ConsistentConfig{Partitions: 2039, Replicas: 40}}, 0.05},
	{"rendezvous", balancer.Config{Policy: balancer.PolicyRendezvous, Rendezvous: balancer.RendezvousConfig{Slots: 4096}}, 0},
	{"maglev", balancer.Config{Policy: balancer.PolicyMaglev, Maglev: balancer.MaglevConfig{Slots: 4093}}, 0.05},
	{"ketama", balancer.Config{Policy: balancer.PolicyKetama}, 0},
	{"haproxy", balancer.Config{Policy: balancer.PolicyHAProxy}, 0},
	{"haproxy-map", balancer.Config{Policy: balancer.PolicyHAProxy, HAProxy: balancer.HAProxyConfig{Type: balancer.HAProxyMapBased}}, 1},
}

// A sim is a region as one balancer sees it: hosts come, fail, return and leave, and
// time passes. Tables are built at once.
type sim struct {
	t       testing.TB
	cfg     balancer.Config
	lasts   time.Duration
	now     time.Time
	hosts   []*simHost // sorted by name
	returns uint64     // of all hosts
	ids     uint32     // given to hosts
	keys    [][]byte
	astray  float64 // see simConfigs
	frozen  bool
}

type simHost struct {
	Member
	number uint64 // of its last return, counted over all hosts
}

// newSim returns a region of so many hosts that have had all their keys for long.
func newSim(t testing.TB, cfg balancer.Config, hosts int) *sim {
	t.Helper()
	s := &sim{t: t, cfg: cfg, lasts: 30 * time.Second, now: t0}
	for i := range hosts {
		s.add(fmt.Sprintf("old-%d", i))
	}
	for i := range 1500 {
		s.keys = append(s.keys, fmt.Appendf(nil, "key-%d", i))
	}
	return s
}

func (s *sim) add(name string) *simHost {
	s.ids++
	h := &simHost{Member: Member{Host: balancer.Host{Name: name, ID: s.ids, Weight: 1}, Serves: true}}
	s.hosts = append(s.hosts, h)
	slices.SortFunc(s.hosts, func(a, b *simHost) int { return strings.Compare(a.Host.Name, b.Host.Name) })
	return h
}

func (s *sim) find(name string) *simHost {
	return s.hosts[slices.IndexFunc(s.hosts, func(h *simHost) bool { return h.Host.Name == name })]
}

// comes makes a host begin to serve, whether it is new or not.
func (s *sim) comes(name string) {
	back := slices.ContainsFunc(s.hosts, func(h *simHost) bool { return h.Host.Name == name })
	if !back {
		s.add(name)
	}
	h := s.find(name)
	h.Back = back
	s.returns++
	h.number = s.returns
	h.Serves, h.SlowStart = true, NewSlowStart(s.now, s.lasts)
}

func (s *sim) fails(name string) { s.find(name).Serves = false }

func (s *sim) leaves(name string) {
	s.hosts = slices.DeleteFunc(s.hosts, func(h *simHost) bool { return h.Host.Name == name })
}

func (s *sim) pass(d time.Duration) { s.now = s.now.Add(d) }

func (s *sim) table(hosts []balancer.Host) *balancer.Table { return testTable(s.t, s.cfg, hosts) }

// snapshot returns the snapshot that the balancer publishes now.
func (s *sim) snapshot() *Snapshot {
	var ring []Member
	var placed []balancer.Host
	var hosts []*Host
	starts := map[string]SlowStart{}
	for _, h := range s.hosts {
		t := h.Member
		t.Serves = t.Serves || s.frozen
		ring, placed = append(ring, t), append(placed, h.Host)
		starts[h.Host.Name] = h.SlowStart
		verdict := Down
		if h.Serves {
			verdict = Up
		}
		hosts = append(hosts, &Host{Spec: Spec{Name: h.Host.Name, Weight: 1}, AdminState: AdminState{State: Ready}, Standing: Standing{InRing: true}, Health: Health{Verdict: verdict}, Gauges: new(Gauges)})
	}
	history := History(ring, s.now)
	for i := range history {
		history[i].Table = s.table(history[i].Hosts)
	}
	snap := NewSnapshot(s.table(placed), hosts)
	snap.Frozen = s.frozen
	snap.SetHistory(history, func(name string) SlowStart { return starts[name] }, s.now)
	return snap
}

// places are hosts by key.
type places []string

// look returns the hosts that the keys have now.
func (s *sim) look() places {
	snap := s.snapshot()
	where := make(places, len(s.keys))
	for i, key := range s.keys {
		if c, ok := snap.Choose(snap.Key(key), nil); ok {
			where[i] = c.Host.Name
		}
	}
	return where
}

// owners returns the hosts that the keys have in the end.
func (s *sim) owners() places {
	snap := s.snapshot()
	where := make(places, len(s.keys))
	for i, key := range s.keys {
		if at, _ := snap.Table.Pick(key, snap.up, -1); at >= 0 {
			where[i] = snap.hosts[at].Name
		}
	}
	return where
}

// A move is a key that goes to another host.
type move struct {
	key      int
	from, to string
}

func (before places) to(after places) (moves []move) {
	for i := range before {
		if before[i] != after[i] {
			moves = append(moves, move{i, before[i], after[i]})
		}
	}
	return moves
}

// count returns how many keys a host has.
func (p places) count(host string) (n int) {
	for _, at := range p {
		if at == host {
			n++
		}
	}
	return n
}

// onEachPolicy runs a test on regions of every policy.
func onEachPolicy(t *testing.T, hosts int, test func(t *testing.T, s *sim)) {
	t.Helper()
	for _, c := range simConfigs {
		t.Run(c.name, func(t *testing.T) {
			s := newSim(t, c.cfg, hosts)
			s.astray = c.astray
			test(t, s)
		})
	}
}
