package route

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"tokenring/balancer"
)

// boundedConfigs are all policies, as small as they may be.
var boundedConfigs = []struct {
	name string
	cfg  balancer.Config
}{
	{"consistent", balancer.Config{Consistent: balancer.ConsistentConfig{Partitions: 2039, Replicas: 40}}},
	{"rendezvous", balancer.Config{Policy: balancer.PolicyRendezvous, Rendezvous: balancer.RendezvousConfig{Slots: 4096}}},
	{"maglev", balancer.Config{Policy: balancer.PolicyMaglev, Maglev: balancer.MaglevConfig{Slots: 4093}}},
	{"ketama", balancer.Config{Policy: balancer.PolicyKetama}},
	{"haproxy, consistent", balancer.Config{Policy: balancer.PolicyHAProxy}},
	{"haproxy, map-based", balancer.Config{Policy: balancer.PolicyHAProxy, HAProxy: balancer.HAProxyConfig{Type: balancer.HAProxyMapBased}}},
}

// boundedSnapshot returns serving hosts ide-1, ide-2, … of these weights.
func boundedSnapshot(t testing.TB, cfg balancer.Config, factor float64, weights ...int) *Snapshot {
	t.Helper()
	var hosts []*Host
	var placed []balancer.Host
	for i, weight := range weights {
		name := fmt.Sprintf("ide-%d", i+1)
		hosts = append(hosts, &Host{Spec: Spec{Name: name, Weight: weight}, AdminState: AdminState{State: Ready}, Health: Health{Verdict: Up}, Standing: Standing{InRing: true}, Gauges: new(Gauges)})
		placed = append(placed, balancer.Host{Name: name, ID: uint32(i + 1), Weight: weight})
	}
	s := NewSnapshot(testTable(t, cfg, placed), hosts)
	s.BoundedLoad = factor
	return s
}

// again returns the snapshot that comes after s: with the same table, after change.
func (s *Snapshot) again(change func(hosts map[string]*Host)) *Snapshot {
	var hosts []*Host
	byName := map[string]*Host{}
	for _, h := range s.Hosts {
		next := *h
		hosts, byName[h.Name] = append(hosts, &next), &next
	}
	change(byName)
	next := NewSnapshot(s.Table, hosts)
	next.BoundedLoad = s.BoundedLoad
	return next
}

func TestBoundIsTheShareTimesTheFactorRoundedUp(t *testing.T) {
	for _, tt := range []struct {
		factor float64
		total  int64
		share  float64
		want   int64
	}{
		{1.25, 0, 0.1, 1},      // the first terminal may go to any host
		{1.25, 7, 0.1, 1},      // 1.25 × 8 × 0.1 = 1
		{1.25, 8, 0.1, 2},      // a little more is rounded up
		{1.1, 9, 1, 11},        // 1.1 × 10 is 11, in spite of rounding errors
		{1.25, 99, 0.25, 32},   // 31.25
		{2, 99, 0.25, 50},      // twice the share
		{1.25, 99, 0.5, 63},    // twice the weight of two others
		{1.01, 999, 0.5, 505},  // hardly more than the share
		{100, 999, 0.1, 10000}, // in effect no bound
	} {
		if got := bound(tt.factor, tt.total, tt.share); got != tt.want {
			t.Errorf("bound(%v, %d, %v) = %d, want %d", tt.factor, tt.total, tt.share, got, tt.want)
		}
	}
}

// TestNoHostGetsMoreThanItsBound opens terminals one by one, each for a new key,
// and closes some.
func TestNoHostGetsMoreThanItsBound(t *testing.T) {
	now, keys := time.Now(), 2000
	if racing {
		keys /= 10 // one goroutine computes
	}
	for _, p := range boundedConfigs {
		for _, weights := range [][]int{{1}, {1, 1, 1}, {1, 2, 3, 4, 5}, {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}} {
			for _, factor := range []float64{1.01, 1.25, 2} {
				t.Run(fmt.Sprintf("%s %v %v", p.name, weights, factor), func(t *testing.T) {
					s := boundedSnapshot(t, p.cfg, factor, weights...)
					rng := rand.New(rand.NewPCG(1, 2))
					var open []*Host
					for i := range keys {
						c, ok := s.Place(s.Key(fmt.Appendf(nil, "key-%d", i)), Placement{}, nil, now)
						if !ok || c.Rule != balancer.RuleOwner && c.Rule != RuleOverflow {
							t.Fatalf("key %d: got %+v, %t", i, c, ok)
						}
						c.Host.Gauges.Sessions.Add(1)
						open = append(open, c.Host)
						most := int64(math.Ceil(factor*float64(len(open))*float64(c.Host.Weight)/float64(sum(weights)) - 1e-9))
						if n := c.Host.Gauges.Sessions.Load(); n > most {
							t.Fatalf("key %d: %s has %d terminals of %d, want up to %d", i, c.Host.Name, n, len(open), most)
						}
						if rng.IntN(3) == 0 {
							j := rng.IntN(len(open))
							open[j].Gauges.Sessions.Add(-1)
							open[j], open = open[len(open)-1], open[:len(open)-1]
						}
					}
				})
			}
		}
	}
}

func sum(weights []int) (total int) {
	for _, w := range weights {
		total += w
	}
	return total
}

// TestAnOverflowingKeyGoesToItsNextCandidate fills the candidates of keys one
// after the other.
func TestAnOverflowingKeyGoesToItsNextCandidate(t *testing.T) {
	now := time.Now()
	for _, p := range boundedConfigs {
		t.Run(p.name, func(t *testing.T) {
			for i := range 100 {
				s := boundedSnapshot(t, p.cfg, 1.25, 1, 1, 1, 1, 1)
				key := fmt.Appendf(nil, "key-%d", i)
				order := s.Table.Candidates(key)
				for rank, want := range order[:4] { // with the bound of 1.25, four of five can be full
					rule := RuleOverflow
					if rank == 0 {
						rule = balancer.RuleOwner
					}
					if c, ok := s.Place(s.Key(key), Placement{}, nil, now); !ok || c.Host != s.hosts[want] || c.Rule != rule {
						t.Fatalf("with %d of its candidates full: got %+v, want %s by %s", rank, c, s.hosts[want].Name, rule)
					}
					s.hosts[want].Gauges.Sessions.Add(100)
				}
			}
		})
	}
}

// TestPlaceMovesAKeyOnlyToAHostThatIsNotFull has ide-1 own the key; its next candidates are successor and third.
func TestPlaceMovesAKeyOnlyToAHostThatIsNotFull(t *testing.T) {
	s := boundedSnapshot(t, balancer.Config{}, 1.25, 1, 1, 1, 1)
	key := keyOf(t, s, "ide-1")
	order := s.Table.Candidates(key)
	owner, successor, third := s.hosts[order[0]].Name, s.hosts[order[1]].Name, s.hosts[order[2]].Name
	full := func(names ...string) func(map[string]*Host) {
		return func(hosts map[string]*Host) {
			for _, name := range names {
				hosts[name].Gauges = new(Gauges)
				hosts[name].Gauges.Sessions.Add(100)
			}
		}
	}
	down := func(name string) func(map[string]*Host) { return func(h map[string]*Host) { h[name].Verdict = Down } }
	drain := func(name string) func(map[string]*Host) { return func(h map[string]*Host) { h[name].InRing = false } }
	for _, tt := range []struct {
		name   string
		before Placement
		change []func(map[string]*Host)
		avoid  string
		host   string
		rule   balancer.Rule
	}{
		{"a new key goes to its owner", Placement{}, nil, "", owner, balancer.RuleOwner},
		{"a new key goes past a full owner", Placement{}, fns(full(owner)), "", successor, RuleOverflow},
		{"and past a full successor", Placement{}, fns(full(owner, successor)), "", third, RuleOverflow},
		{"and past a successor that is down", Placement{}, fns(full(owner), down(successor)), "", third, RuleOverflow},
		{"a key at home stays at a full owner", Placement{Host: owner}, fns(full(owner)), "", owner, balancer.RuleOwner},
		{"a key away stays though its owner isn't full", Placement{Host: third, Away: true}, nil, "", third, RulePlaced},
		{"a key away stays at a full host", Placement{Host: third, Away: true}, fns(full(third)), "", third, RulePlaced},
		{"a key away that the ring has there now is at home", Placement{Host: owner, Away: true}, nil, "", owner, balancer.RuleOwner},
		{"a key away stays away while the owner is down", Placement{Host: successor, Away: true}, fns(down(owner)), "", successor, RulePlaced},
		{"a key away loses a host that is down", Placement{Host: third, Away: true}, fns(down(third)), "", owner, balancer.RuleOwner},
		{"a key away loses a host that drains", Placement{Host: third, Away: true}, fns(drain(third)), "", owner, balancer.RuleOwner},
		{"a key away loses a host that is forgotten", Placement{Host: "ide-9", Away: true}, nil, "", owner, balancer.RuleOwner},
		{"and overflows anew", Placement{Host: third, Away: true}, fns(down(third), full(owner)), "", successor, RuleOverflow},
		{"a key at home goes where the ring sends it: the owner is back", Placement{Host: third}, nil, "", owner, balancer.RuleOwner},
		{"but not to a full host", Placement{Host: third}, fns(full(owner)), "", third, RulePlaced},
		{"one failure, one move", Placement{Host: owner}, fns(down(owner)), "", successor, balancer.RuleFallback},
		{"one failure, one move, but not to a full host", Placement{Host: owner}, fns(down(owner), full(successor)), "", third, RuleOverflow},
		{"a retry goes to the successor", Placement{Host: owner}, nil, owner, successor, balancer.RuleFallback},
		{"a retry of a new key goes to the successor", Placement{}, nil, owner, successor, balancer.RuleFallback},
		{"a retry goes past a full successor", Placement{Host: owner}, fns(full(successor)), owner, third, RuleOverflow},
		{"a retry of a key away goes to its owner", Placement{Host: third, Away: true}, nil, third, owner, balancer.RuleOwner},
		{"no other host is left", Placement{}, fns(down(successor), down(third), full(owner), down(s.hosts[order[3]].Name)), "", owner, balancer.RuleOwner},
	} {
		t.Run(tt.name, func(t *testing.T) {
			now := s.again(func(hosts map[string]*Host) {
				for _, change := range tt.change {
					change(hosts)
				}
			})
			got, ok := now.Place(now.Key(key), tt.before, s.Host(tt.avoid), time.Now())
			if !ok || got.Host.Name != tt.host || got.Rule != tt.rule {
				t.Errorf("got %+v, %t, want %s by %s", got, ok, tt.host, tt.rule)
			}
			away := tt.rule == RuleOverflow || tt.rule == RulePlaced
			if p := got.Placement(); p != (Placement{Host: tt.host, Away: away}) {
				t.Errorf("its placement is %+v", p)
			}
		})
	}
}

func fns(all ...func(map[string]*Host)) []func(map[string]*Host) { return all }

func TestAFrozenRingKeepsKeysAwayFromOtherHosts(t *testing.T) {
	s := boundedSnapshot(t, balancer.Config{}, 1.25, 1, 1, 1, 1)
	key := keyOf(t, s, "ide-1")
	frozen := func(gone ...string) *Snapshot {
		next := s.again(func(hosts map[string]*Host) {
			for _, name := range gone {
				hosts[name].Verdict = Down
			}
		})
		next.Frozen = true
		return next
	}
	for _, tt := range []struct {
		name   string
		s      *Snapshot
		before Placement
		avoid  *Host
		host   string
		rule   balancer.Rule
		ok     bool
	}{
		{"a key away has its host", frozen("ide-1", "ide-2", "ide-3"), Placement{Host: "ide-4", Away: true}, nil, "ide-4", RulePlaced, true},
		{"a key away whose host has vanished has none", frozen("ide-2", "ide-3", "ide-4"), Placement{Host: "ide-4", Away: true}, nil, "ide-4", RuleFrozen, false},
		{"nor one whose host can't be reached", frozen("ide-1", "ide-2", "ide-3"), Placement{Host: "ide-4", Away: true}, s.Host("ide-4"), "ide-4", RuleFrozen, false},
		{"nor a key whose owner has vanished", frozen("ide-1", "ide-2", "ide-3"), Placement{Host: "ide-1"}, nil, "ide-1", RuleFrozen, false},
		{"nor a new one", frozen("ide-1", "ide-2", "ide-3"), Placement{}, nil, "ide-1", RuleFrozen, false},
		{"a key whose owner is there has it", frozen("ide-2", "ide-3", "ide-4"), Placement{}, nil, "ide-1", balancer.RuleOwner, true},
	} {
		if got, ok := tt.s.Place(tt.s.Key(key), tt.before, tt.avoid, time.Now()); ok != tt.ok || got.Host.Name != tt.host || got.Rule != tt.rule {
			t.Errorf("%s: got %+v, %t", tt.name, got, ok)
		}
	}
}

// TestRemovalAfterAFailureMovesNoKeyTwice follows keys over the failure of ide-5
// and its removal from the table, while ide-1 is full.
func TestRemovalAfterAFailureMovesNoKeyTwice(t *testing.T) {
	now := time.Now()
	for _, p := range boundedConfigs {
		t.Run(p.name, func(t *testing.T) {
			s := boundedSnapshot(t, p.cfg, 1.25, 1, 1, 1, 1, 1)
			table := testTable(t, p.cfg, s.Table.Hosts()[:4])
			down := s.again(func(h map[string]*Host) { h["ide-5"].Verdict = Down })
			removed := NewSnapshot(table, s.again(func(h map[string]*Host) { h["ide-5"].Verdict, h["ide-5"].InRing = Down, false }).Hosts)
			removed.BoundedLoad = s.BoundedLoad
			moved, overflowed := 0, 0
			for i := range 500 {
				key := fmt.Appendf(nil, "key-%d", i)
				s.Host("ide-1").Gauges.Sessions.Store(0)
				first, _ := s.Place(s.Key(key), Placement{}, nil, now)
				s.Host("ide-1").Gauges.Sessions.Store(1000)
				second, _ := down.Place(down.Key(key), first.Placement(), nil, now)
				if second.Host.Name == first.Host.Name {
					continue
				}
				moved++
				if second.Rule == RuleOverflow {
					overflowed++
				}
				if p.name == "haproxy, map-based" && !second.Placement().Away {
					continue // the smaller map moves nearly all keys, whichever host had them
				}
				if third, _ := removed.Place(removed.Key(key), second.Placement(), nil, now); third.Host.Name != second.Host.Name {
					t.Fatalf("%s: on %s, then %s, then %s", key, first.Host.Name, second.Host.Name, third.Host.Name)
				}
			}
			if moved == 0 || overflowed == 0 {
				t.Errorf("%d keys moved, %d of them past a full host: the test is about both", moved, overflowed)
			}
		})
	}
}

func TestWithoutABoundPlaceIsChoose(t *testing.T) {
	s := boundedSnapshot(t, balancer.Config{}, 0, 1, 1, 1)
	s.Host("ide-1").Gauges.Sessions.Add(1000)
	key := keyOf(t, s, "ide-1")
	if c, ok := s.Place(s.Key(key), Placement{Host: "ide-2", Away: true}, nil, time.Now()); !ok || c.Host.Name != "ide-1" || c.Rule != balancer.RuleOwner {
		t.Errorf("got %+v, %t", c, ok)
	}
	if l := s.Loads(time.Now())["ide-1"]; l != (Load{Sessions: 1000}) || l.Full() {
		t.Errorf("its load is %+v", l)
	}
}

func TestRequestsWithoutKeyAreNotPlaced(t *testing.T) {
	s := boundedSnapshot(t, balancer.Config{}, 1.25, 1, 1)
	s.Host("ide-1").Gauges.Sessions.Add(1000)
	turns := map[string]int{}
	for range 10 {
		c, _ := s.Place(Key{}, Placement{}, nil, time.Now())
		turns[c.Host.Name]++
	}
	if turns["ide-1"] != 5 {
		t.Errorf("got %v, want turns", turns)
	}
}

func TestPlaceDoesNotAllocateForAKeyThatStays(t *testing.T) {
	s := boundedSnapshot(t, balancer.Config{}, 1.25, 1, 1, 1)
	key, now := keyOf(t, s, "ide-1"), time.Now()
	home, away := Placement{Host: "ide-1"}, Placement{Host: "ide-2", Away: true}
	if n := testing.AllocsPerRun(100, func() {
		s.Place(s.Key(key), home, nil, now)
		s.Place(s.Key(key), away, nil, now)
	}); n != 0 {
		t.Errorf("Place allocates %v times", n)
	}
}

func TestLoadsBoundOnlyHostsThatServe(t *testing.T) {
	now := time.Now()
	s := boundedSnapshot(t, balancer.Config{}, 1.25, 1, 1, 2, 1).again(func(h map[string]*Host) { h["ide-4"].Verdict = Down })
	s.Host("ide-1").Gauges.Sessions.Add(4)
	s.Host("ide-2").Gauges.Reserve(now)
	s.Host("ide-4").Gauges.Sessions.Add(100) // it doesn't serve, so its terminals don't count
	for name, want := range map[string]Load{
		"ide-1": {4, 0, 2}, // 1.25 × 6 / 4
		"ide-2": {0, 1, 2},
		"ide-3": {0, 0, 4},
		"ide-4": {100, 0, 0},
	} {
		if got := s.Loads(now)[name]; got != want || got.Full() != (name == "ide-1") {
			t.Errorf("%s: got %+v, full: %t, want %+v", name, got, got.Full(), want)
		}
	}
}

// TestTerminalsAtPeersCount: a host is full by the terminals of all balancers.
func TestTerminalsAtPeersCount(t *testing.T) {
	s := boundedSnapshot(t, boundedConfigs[0].cfg, 1.25, 1, 1)
	one := s.Host("ide-1").Gauges
	one.Sessions.Store(1)
	if l := s.Loads(time.Now())["ide-1"]; l.Full() {
		t.Errorf("with one terminal: %+v is full", l)
	}
	one.AtPeers.Store(1)
	if l := s.Loads(time.Now())["ide-1"]; l != (Load{Sessions: 2, Bound: 2}) || !l.Full() {
		t.Errorf("with another one at a peer: got %+v, want two, which is full", l)
	}
}
