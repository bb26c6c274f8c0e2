package balancer

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/buraksezer/consistent"
)

// library returns an instance of the library, used plainly: the reference for
// what tables must hold.
func library(cfg ConsistentConfig, hosts []Host) *consistent.Consistent {
	c := consistent.New(nil, consistent.Config{
		Hasher: hasher{}, PartitionCount: cfg.Partitions, ReplicationFactor: cfg.Replicas, Load: cfg.Load,
	})
	for _, h := range hosts {
		for k := range h.Weight {
			c.Add(member(memberName(h.Name, k)))
		}
	}
	return c
}

// owns reports whether m is a member of h.
func owns(h Host, m consistent.Member) bool {
	for k := range h.Weight {
		if m.String() == memberName(h.Name, k) {
			return true
		}
	}
	return false
}

func TestTableHasTheOwnersOfTheLibrary(t *testing.T) {
	hosts := mixed(9)
	table := build(t, Config{}, hosts...)
	reference := library(Config{}.WithDefaults().Consistent, hosts)
	for _, key := range keys(2000) {
		got, want := table.Hosts()[table.Owner(key)], reference.LocateKey(key)
		if !owns(got, want) {
			t.Fatalf("%s: got %s, want %s", key, got.Name, want)
		}
		if table.Slot(key) != reference.FindPartitionID(key) {
			t.Fatalf("%s: got slot %d, want %d", key, table.Slot(key), reference.FindPartitionID(key))
		}
	}
}

func TestForecastsAreTheTablesThatWouldBeBuilt(t *testing.T) {
	each(t, func(t *testing.T, cfg Config) {
		forecaster, err := NewForecaster(cfg)
		if err != nil {
			t.Fatal(err)
		}
		builder := newBuilder(t, cfg)
		for _, hosts := range [][]Host{fleet(1), fleet(3), mixed(20), mixed(7), fleet(60), nil} {
			want, got := rebuild(t, builder, hosts...), rebuild(t, forecaster, hosts...)
			if got.Digest() != want.Digest() { // which covers owners and successors
				t.Errorf("%d hosts: got %s, want %s", len(hosts), got.Digest(), want.Digest())
			}
		}
	})
}

func TestForecasterRefusesWhatNewBuilderDoes(t *testing.T) {
	if _, err := NewForecaster(Config{Policy: "none such"}); err == nil {
		t.Error("got a forecaster for no policy")
	}
}

// TestSuccessorsAreTheLibrarysOwnersAfterARemove removes all members of each host of
// random sets from the library, and compares the new owners of its slots.
func TestSuccessorsAreTheLibrarysOwnersAfterARemove(t *testing.T) {
	rng := rand.New(rand.NewPCG(21, 22))
	for range rounds(150) {
		cfg := ConsistentConfig{Partitions: 40 + rng.IntN(200), Replicas: 1 + rng.IntN(12), Load: 1.05 + rng.Float64()/2}
		hosts := fleet(2 + rng.IntN(10))
		for i := range hosts {
			hosts[i].Weight = 1 + rng.IntN(4)
		}
		checkSuccessors(t, cfg, hosts)
	}
	checkSuccessors(t, Config{}.WithDefaults().Consistent, mixed(6))
}

func checkSuccessors(t *testing.T, cfg ConsistentConfig, hosts []Host) {
	t.Helper()
	table := build(t, Config{Consistent: cfg}, hosts...)
	if ring := newRingOf(t, cfg, hosts); !slices.Equal(ring.owners(), table.layout.owners) {
		t.Fatalf("%+v, %v: the ring's own owners aren't the library's", cfg, hosts)
	}
	reference := library(cfg, hosts)
	for i, absent := range hosts {
		for k := range absent.Weight {
			reference.Remove(memberName(absent.Name, k))
		}
		for slot, owner := range table.layout.owners {
			want := reference.GetPartitionOwner(slot)
			if int(owner) == i && !owns(hosts[table.layout.successors[slot]], want) {
				t.Fatalf("%+v, %v without %s, slot %d: got successor %d, want %s", cfg, hosts, absent.Name, slot, table.layout.successors[slot], want)
			}
		}
		for k := range absent.Weight {
			reference.Add(member(memberName(absent.Name, k)))
		}
	}
}

// TestOneFailureMovesAKeyOnce follows keys whose host first goes down and then
// out of the table.
func TestOneFailureMovesAKeyOnce(t *testing.T) {
	hosts := mixed(15)
	builder := newBuilder(t, Config{})
	before := rebuild(t, builder, hosts...)
	for _, gone := range []int{0, 7, 14} {
		after := rebuild(t, builder, slices.Delete(slices.Clone(hosts), gone, gone+1)...)
		up := all(len(hosts))
		up[gone] = false
		for _, key := range keys(3000) {
			if before.Owner(key) != gone {
				continue
			}
			down, rule := before.Pick(key, up, -1)
			removed := after.Owner(key)
			if got, want := before.Hosts()[down].Name, after.Hosts()[removed].Name; got != want || rule != RuleFallback {
				t.Fatalf("%s: on %s while %s is down (%s), on %s once it is removed", key, got, hosts[gone].Name, rule, want)
			}
		}
	}
}

// TestLeavingHostMovesOnlyItsOwnKeys counts the slots of other hosts that move: few up
// to maxBounded, none above it. README.md and docs/hashing.md say so. The slots of the
// host that leaves go to many successors.
func TestLeavingHostMovesOnlyItsOwnKeys(t *testing.T) {
	t.Parallel()
	forecaster, err := NewForecaster(Config{})
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		hosts int
		most  float64 // of the others' slots
	}{
		{18, 0.005}, // the worst number of hosts below maxBounded
		{50, 0.001},
		{maxBounded, 0.001},
		{maxBounded + 1, 0.0015}, // where the bound comes into force
		{500, 0},
		{1000, 0},
	} {
		if racing && row.hosts > 50 {
			break // one goroutine computes: there is no race to find
		}
		hosts := fleet(row.hosts)
		before := rebuild(t, forecaster, hosts...)
		for gone := 0; gone < row.hosts; gone += 1 + row.hosts/6 {
			after := rebuild(t, forecaster, slices.Delete(slices.Clone(hosts), gone, gone+1)...)
			moved, successors := movedWithout(before, after, gone)
			if moved > row.most {
				t.Errorf("%d hosts, %s left: %.3f %% of the others' slots moved, want at most %.3f %%", row.hosts, hosts[gone].Name, 100*moved, 100*row.most)
			}
			if want := min(30, (row.hosts-1)/2, before.Slots()/row.hosts/2); successors < want {
				t.Errorf("%d hosts, %s left: %d hosts share its slots, want at least %d", row.hosts, hosts[gone].Name, successors, want)
			}
		}
	}
}

// movedWithout returns which part of the other hosts' slots has moved after the host
// with index gone has left, and how many hosts have got slots of that host.
func movedWithout(before, after *Table, gone int) (others float64, successors int) {
	moved, stayed, successor := 0, 0, map[string]bool{}
	for slot := range before.Slots() {
		now := after.Hosts()[after.SlotOwner(slot)].Name
		switch {
		case before.SlotOwner(slot) == gone:
			successor[now] = true
		case now == before.Hosts()[before.SlotOwner(slot)].Name:
			stayed++
		default:
			moved++
		}
	}
	return float64(moved) / float64(moved+stayed), len(successor)
}

// TestTheLibraryAgreesWhereTheBoundEnds crosses maxBounded. An instance of the library
// can't change its bound, so the policy must make a new one.
func TestTheLibraryAgreesWhereTheBoundEnds(t *testing.T) {
	t.Parallel()
	if racing {
		t.Skip("only one goroutine computes, and with the race detector it takes ten times as long")
	}
	forecaster, err := NewForecaster(Config{})
	if err != nil {
		t.Fatal(err)
	}
	builder := newBuilder(t, Config{})
	for _, n := range []int{maxBounded, maxBounded + 1, maxBounded + 2, maxBounded - 1} {
		want, got := rebuild(t, forecaster, fleet(n)...), rebuild(t, builder, fleet(n)...)
		if got.Digest() != want.Digest() {
			t.Errorf("%d hosts: the library's table is %s, the forecast %s", n, got.Digest(), want.Digest())
		}
		most := int(math.Ceil(float64(want.Slots()) / float64(n) * 1.25))
		if bound := slices.Max(counts(want)) <= most; bound != (n <= maxBounded) {
			t.Errorf("%d hosts: the largest has %d slots, the bound would be %d", n, slices.Max(counts(want)), most)
		}
	}
}

// counts returns the slots of each host.
func counts(table *Table) []int {
	owned := make([]int, len(table.Hosts()))
	for slot := range table.Slots() {
		owned[table.SlotOwner(slot)]++
	}
	return owned
}

func TestJoiningHostTakesItsShareAndMovesLittleElse(t *testing.T) {
	builder := newBuilder(t, Config{})
	before := rebuild(t, builder, fleet(50)...)
	after := rebuild(t, builder, fleet(51)...)
	taken, astray := 0, 0
	for slot := range before.Slots() {
		was, now := before.SlotOwner(slot), after.SlotOwner(slot)
		switch {
		case now == 50: // the new host sorts last, so the others keep their index
			taken++
		case now != was:
			astray++
		}
	}
	slots := float64(before.Slots())
	if share := float64(taken) / slots; share < 0.7/51 || share > 1.3/51 {
		t.Errorf("the new host took %.4f of the slots, want about %.4f", share, 1.0/51)
	}
	if share := float64(astray) / slots; share > 0.001 {
		t.Errorf("%.3f %% of the slots moved between old hosts, want at most 0.1 %%", 100*share)
	}
}

func TestSharesAreWithinTheMeasuredBounds(t *testing.T) {
	for _, row := range []struct {
		hosts     int
		low, high float64 // of the fair share
	}{
		{2, 0.8, 1.2},
		{10, 0.8, 1.25},
		{50, 0.7, 1.25},
	} {
		sum := 0.0
		for i, share := range build(t, Config{}, fleet(row.hosts)...).Shares() {
			sum += share
			if got := share * float64(row.hosts); got < row.low || got > row.high {
				t.Errorf("host %d of %d has %.2f of its fair share, want %.2f to %.2f", i, row.hosts, got, row.low, row.high)
			}
		}
		if math.Abs(sum-1) > 1e-9 {
			t.Errorf("%d hosts: the shares add up to %v, want 1", row.hosts, sum)
		}
	}
}

func TestSharesFollowTheWeights(t *testing.T) {
	hosts := fleet(9)
	for i := range hosts {
		hosts[i].Weight = []int{1, 4, 10}[i%3]
	}
	for i, share := range build(t, Config{}, hosts...).Shares() {
		fair := float64(hosts[i].Weight) / 45
		if got := share / fair; got < 0.75 || got > 1.25 {
			t.Errorf("host %d of weight %d has %.2f of its fair share, want 0.75 to 1.25", i, hosts[i].Weight, got)
		}
	}
}

// TestChangedWeightMovesKeysOnlyOneWay raises a weight: keys come to that host,
// and next to none moves between others.
func TestChangedWeightMovesKeysOnlyOneWay(t *testing.T) {
	hosts := fleet(20)
	builder := newBuilder(t, Config{})
	before := rebuild(t, builder, hosts...)
	hosts[3].Weight = 2
	after := rebuild(t, builder, hosts...)
	came, left, astray := 0, 0, 0
	for slot := range before.Slots() {
		was, now := before.SlotOwner(slot), after.SlotOwner(slot)
		switch {
		case was == now:
		case now == 3:
			came++
		case was == 3:
			left++
		default:
			astray++
		}
	}
	if came < before.Slots()/30 || left+astray > before.Slots()/1000 {
		t.Errorf("of %d slots %d came, %d left and %d moved elsewhere; want about 1/21, 0 and 0", before.Slots(), came, left, astray)
	}
}

// TestMappingIsTheOneThatUsersHave pins a table at the default parameters. If it
// fails, an upgrade of this balancer would move users' keys.
func TestMappingIsTheOneThatUsersHave(t *testing.T) {
	table := build(t, Config{}, mixed(5)...)
	if got, want := table.Digest(), "1827f5142534055d"; got != want {
		t.Errorf("got digest %s, want %s", got, want)
	}
	for _, row := range []struct {
		key  string
		slot int
		want []int
	}{
		{"alice", 5680, []int{1, 2, 0, 4, 3}},
		{"bob", 13204, []int{0, 2, 4, 1, 3}},
		{"carol", 14041, []int{1, 4, 0, 2, 3}},
		{"", 14560, []int{2, 1, 0, 4, 3}},
	} {
		key := []byte(row.key)
		if got := table.Slot(key); got != row.slot {
			t.Errorf("%q: got slot %d, want %d", row.key, got, row.slot)
		}
		if got := table.Candidates(key); !slices.Equal(got, row.want) {
			t.Errorf("%q: got candidates %v, want %v", row.key, got, row.want)
		}
	}
}
