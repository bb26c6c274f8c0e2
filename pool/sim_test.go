package pool

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"tokenring/balancer"
)

// simConfigs are all policies, as small as they may be. When hosts come and go,
// some move keys between hosts that stay, too (docs/hashing.md): astray bounds what
// part of the moves that may be.
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

// A sim is a region as one balancer sees it: hosts come, fail, return and leave,
// and time goes by. Tables are there at once.
type sim struct {
	t       testing.TB
	build   *balancer.Builder
	tables  map[string]*balancer.Table
	lasts   time.Duration
	now     time.Time
	hosts   []*simHost // sorted by name
	comings uint64     // of all hosts
	keys    [][]byte
	astray  float64 // see simConfigs
	frozen  bool
}

type simHost struct {
	tenure
	last warmUp
}

// newSim returns a region of so many hosts that have long been there.
func newSim(t testing.TB, cfg balancer.Config, hosts int) *sim {
	t.Helper()
	b, err := balancer.NewBuilder(cfg)
	if err != nil {
		t.Fatal(err)
	}
	s := &sim{t: t, build: b, tables: map[string]*balancer.Table{}, lasts: 30 * time.Second, now: t0}
	for i := range hosts {
		s.add(fmt.Sprintf("old-%d", i))
	}
	for i := range 1500 {
		s.keys = append(s.keys, fmt.Appendf(nil, "key-%d", i))
	}
	return s
}

func (s *sim) add(name string) *simHost {
	id := uint32(len(s.tables) + 1)
	for _, h := range s.hosts {
		id = max(id, h.host.ID+1)
	}
	h := &simHost{tenure: tenure{host: balancer.Host{Name: name, ID: id, Weight: 1}, serves: true}, last: warmUp{Host: name}}
	s.hosts = append(s.hosts, h)
	slices.SortFunc(s.hosts, func(a, b *simHost) int { return strings.Compare(a.host.Name, b.host.Name) })
	return h
}

func (s *sim) find(name string) *simHost {
	return s.hosts[slices.IndexFunc(s.hosts, func(h *simHost) bool { return h.host.Name == name })]
}

// comes begins the service of a host, new or not.
func (s *sim) comes(name string) {
	back := slices.ContainsFunc(s.hosts, func(h *simHost) bool { return h.host.Name == name })
	if !back {
		s.add(name)
	}
	h := s.find(name)
	h.back = back
	s.comings++
	h.last.Number, h.last.Since, h.last.Lasts = s.comings, s.now, s.lasts
	h.serves, h.ramp = true, h.last.ramp()
}

func (s *sim) fails(name string) { s.find(name).serves = false }

func (s *sim) leaves(name string) {
	s.hosts = slices.DeleteFunc(s.hosts, func(h *simHost) bool { return h.host.Name == name })
}

func (s *sim) pass(d time.Duration) { s.now = s.now.Add(d) }

func (s *sim) table(hosts []balancer.Host) *balancer.Table {
	id := fmt.Sprint(hosts)
	if s.tables[id] == nil {
		table, err := s.build.Build(hosts)
		if err != nil {
			s.t.Fatal(err)
		}
		s.tables[id] = table
	}
	return s.tables[id]
}

// snapshot returns what the balancer publishes now.
func (s *sim) snapshot() *Snapshot {
	var ring []tenure
	var placed []balancer.Host
	var hosts []*Host
	ramps := map[string]ramp{}
	for _, h := range s.hosts {
		t := h.tenure
		t.serves = t.serves || s.frozen
		ring, placed = append(ring, t), append(placed, h.host)
		ramps[h.host.Name] = h.ramp
		verdict := Down
		if h.serves {
			verdict = Up
		}
		hosts = append(hosts, &Host{Name: h.host.Name, Weight: 1, State: Ready, InRing: true, Verdict: verdict, Gauges: new(Gauges)})
	}
	pasts := pastsOf(ring, s.now)
	for i := range pasts {
		pasts[i].table = s.table(pasts[i].hosts)
	}
	snap := NewSnapshot(s.table(placed), hosts)
	snap.Frozen = s.frozen
	snap.remember(pasts, func(name string) ramp { return ramps[name] }, s.now)
	return snap
}

// places are hosts by key.
type places []string

// look says where the keys are now.
func (s *sim) look() places {
	snap := s.snapshot()
	where := make(places, len(s.keys))
	for i, key := range s.keys {
		if c, ok := snap.Choose(key, nil); ok {
			where[i] = c.Host.Name
		}
	}
	return where
}

// owners says where the keys are to be in the end.
func (s *sim) owners() places {
	snap := s.snapshot()
	where := make(places, len(s.keys))
	for i, key := range s.keys {
		if at, _ := snap.Table.Pick(key, snap.up, -1); at >= 0 {
			where[i] = snap.ring[at].Name
		}
	}
	return where
}

// A move is a key on its way.
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
