package balancer

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// each runs a test for every policy at its defaults, and for what a parameter
// makes another policy.
func each(t *testing.T, test func(t *testing.T, cfg Config)) {
	t.Helper()
	for _, p := range allPolicies() {
		t.Run(p.name, func(t *testing.T) { test(t, p.cfg) })
	}
}

type namedConfig struct {
	name string
	cfg  Config
}

func allPolicies() []namedConfig {
	return []namedConfig{
		{"consistent", Config{Consistent: ConsistentConfig{Partitions: 2039, Replicas: 40}}},
		{"rendezvous", Config{Policy: PolicyRendezvous, Rendezvous: RendezvousConfig{Slots: 4096}}},
		{"maglev", Config{Policy: PolicyMaglev, Maglev: MaglevConfig{Slots: 4093}}},
		{"ketama", Config{Policy: PolicyKetama}},
		{"haproxy", Config{Policy: PolicyHAProxy}},
		{"haproxy-3.0", Config{Policy: PolicyHAProxy, HAProxy: HAProxyConfig{HashKey: HAProxyHashKey30}}},
		{"haproxy-map", Config{Policy: PolicyHAProxy, HAProxy: HAProxyConfig{Type: HAProxyMapBased, Function: "djb2", Avalanche: new(true)}}},
		{"consistent-seeded", Config{Seed: "0123456789abcdef", Consistent: ConsistentConfig{Partitions: 2039, Replicas: 40}}},
		{"ketama-seeded", Config{Policy: PolicyKetama, Seed: "0123456789abcdef"}},
	}
}

func TestEveryPolicyGivesTheSameTableWhateverTheOrderAndHistory(t *testing.T) {
	each(t, func(t *testing.T, cfg Config) {
		rng := rand.New(rand.NewPCG(41, 42))
		for i := range 12 {
			if !sameAfterHistory(t, cfg, rng, 1+rng.IntN(6)) {
				t.Fatalf("in history %d", i)
			}
		}
	})
}

// TestEveryPolicyMovesAKeyOnceForOneFailure takes each host away. A key goes to its
// host in the table without that host, also if the host is only down or avoided.
func TestEveryPolicyMovesAKeyOnceForOneFailure(t *testing.T) {
	each(t, func(t *testing.T, cfg Config) {
		for _, hosts := range [][]Host{fleet(2), mixed(7), mixed(12)} {
			before := build(t, cfg, hosts...)
			for gone := range hosts {
				after := build(t, cfg, slices.Delete(slices.Clone(hosts), gone, gone+1)...)
				up := all(len(hosts))
				up[gone] = false
				for _, key := range keys(400) {
					if before.Owner(key) != gone {
						continue
					}
					down, rule := before.Pick(key, up, -1)
					avoided, _ := before.Pick(key, all(len(hosts)), gone)
					want := after.Hosts()[after.Owner(key)].Name
					if hosts[down].Name != want || avoided != down || rule != RuleFallback {
						t.Fatalf("%s: %s is down: on %s (%s), avoided: on %s, removed: on %s", key, hosts[gone].Name, hosts[down].Name, rule, hosts[avoided].Name, want)
					}
				}
			}
		}
	})
}

// TestRingsAndRendezvousMoveAKeyOnceForEachOfManyFailures has half of the hosts down.
// All keys go to their hosts in the table of the other half.
func TestRingsAndRendezvousMoveAKeyOnceForEachOfManyFailures(t *testing.T) {
	each(t, func(t *testing.T, cfg Config) {
		if p := cfg.WithDefaults(); p.Policy == PolicyConsistent || p.Policy == PolicyMaglev || p.HAProxy.Type == HAProxyMapBased {
			t.SkipNow() // these have one successor; the others are chosen by score
		}
		rng := rand.New(rand.NewPCG(43, 44))
		for range 20 {
			hosts := mixed(12)
			before, up := build(t, cfg, hosts...), all(12)
			left := slices.DeleteFunc(slices.Clone(hosts), func(h Host) bool {
				up[h.ID-1] = rng.IntN(2) > 0 || h.ID == 1
				return !up[h.ID-1]
			})
			after := build(t, cfg, left...)
			for _, key := range keys(300) {
				got, _ := before.Pick(key, up, -1)
				if want := after.Hosts()[after.Owner(key)].Name; hosts[got].Name != want {
					t.Fatalf("%s with %v up: got %s, want %s", key, up, hosts[got].Name, want)
				}
			}
		}
	})
}

func TestEveryPolicyPicksInTheOrderOfTheCandidates(t *testing.T) {
	each(t, func(t *testing.T, cfg Config) {
		table := build(t, cfg, mixed(9)...)
		rng := rand.New(rand.NewPCG(45, 46))
		for _, key := range keys(300) {
			order := table.Candidates(key)
			if sorted := slices.Sorted(slices.Values(order)); !slices.Equal(sorted, []int{0, 1, 2, 3, 4, 5, 6, 7, 8}) {
				t.Fatalf("%s: got candidates %v, want each host once", key, order)
			}
			up, avoid := make([]bool, 9), rng.IntN(10)-1
			for i := range up {
				up[i] = rng.IntN(3) == 0
			}
			want := slices.IndexFunc(order, func(host int) bool { return up[host] && host != avoid })
			if want >= 0 {
				want = order[want]
			}
			if got, _ := table.Pick(key, up, avoid); got != want {
				t.Fatalf("%s, up %v, avoiding %d, candidates %v: got %d, want %d", key, up, avoid, order, got, want)
			}
		}
	})
}

// TestEverySuccessorOwnsItsSlotOnceTheOwnerHasLeft checks all slots of the policies that
// have successors.
func TestEverySuccessorOwnsItsSlotOnceTheOwnerHasLeft(t *testing.T) {
	each(t, func(t *testing.T, cfg Config) {
		hosts := mixed(8)
		before := build(t, cfg, hosts...)
		if before.layout.successors == nil {
			t.SkipNow()
		}
		for gone := range hosts {
			after := build(t, cfg, slices.Delete(slices.Clone(hosts), gone, gone+1)...)
			for slot, owner := range before.layout.owners {
				successor := before.layout.successors[slot]
				if int(owner) == gone && hosts[successor].Name != after.Hosts()[after.SlotOwner(slot)].Name {
					t.Fatalf("slot %d: the successor is %s, but without %s it is %s's", slot, hosts[successor].Name, hosts[gone].Name, after.Hosts()[after.SlotOwner(slot)].Name)
				}
			}
		}
	})
}

// bounds returns the least and the largest share that a policy promises at its
// defaults, for a host of this weight among n hosts whose weights have this sum.
func bounds(cfg Config, weight, n, sum int) (low, high float64) {
	fair := float64(weight) / float64(sum)
	var spread float64 // of the share, five standard deviations
	switch cfg = cfg.WithDefaults(); cfg.Policy {
	case PolicyRendezvous:
		spread = 5 * math.Sqrt(fair/float64(cfg.Rendezvous.Slots))
	case PolicyMaglev:
		slots := float64(cfg.Maglev.Slots)
		return fair - 2/slots, fair + (1+float64(weight*n)/float64(sum))/slots
	case PolicyKetama:
		spread = 5 * fair / math.Sqrt(float64(weight*cfg.Ketama.Points))
	case PolicyHAProxy:
		if cfg.HAProxy.Type == HAProxyMapBased {
			return fair, fair
		}
		spread = 5 * fair / math.Sqrt(float64(2*weight*haproxyScale)) // nearest points: half the variance
	default:
		return 0.6 * fair, cfg.Consistent.Load*fair + 2*float64(weight)/float64(cfg.Consistent.Partitions)
	}
	return fair - spread, fair + spread
}

func TestEveryPolicysSharesAreWithinItsBounds(t *testing.T) {
	each(t, func(t *testing.T, cfg Config) {
		for _, hosts := range [][]Host{fleet(1), fleet(3), fleet(10), mixed(25), {{"a", 1, 1}, {"b", 2, 7}, {"c", 3, 100}, {"d", 4, 256}}} {
			if cfg.WithDefaults().Policy == PolicyConsistent && totalWeight(hosts) > 100 {
				continue // more members than the few partitions of the test are for
			}
			sum := 0.0
			for i, share := range build(t, cfg, hosts...).Shares() {
				low, high := bounds(cfg, hosts[i].Weight, len(hosts), totalWeight(hosts))
				if sum += share; share < low-1e-9 || share > high+1e-9 {
					t.Errorf("%d hosts: %s of weight %d has %.4f, want %.4f to %.4f", len(hosts), hosts[i].Name, hosts[i].Weight, share, low, high)
				}
			}
			if math.Abs(sum-1) > 1e-9 {
				t.Errorf("%d hosts: the shares add up to %v, want 1", len(hosts), sum)
			}
		}
	})
}

// TestSharesAreThoseOfTheKeys counts keys. The tolerance is five standard
// deviations.
func TestSharesAreThoseOfTheKeys(t *testing.T) {
	each(t, func(t *testing.T, cfg Config) {
		const n = 20_000
		table := build(t, cfg, mixed(6)...)
		count := make([]float64, 6)
		for _, key := range keys(n) {
			count[table.Owner(key)]++
		}
		for host, share := range table.Shares() {
			if off := math.Abs(count[host] - n*share); off > 5*math.Sqrt(n*share) {
				t.Errorf("host %d: got %.0f of %d keys, its share is %.4f", host, count[host], n, share)
			}
		}
	})
}

// TestOnlyNecessaryKeysMove changes the set in every way. Rings and rendezvous move no
// keys between hosts that don't change; the other policies move few.
func TestOnlyNecessaryKeysMove(t *testing.T) {
	allowed := map[string]float64{"consistent": 0.02, "consistent-seeded": 0.02, "maglev": 0.12, "haproxy-map": 1}
	for _, p := range allPolicies() {
		hosts := mixed(12)
		before := build(t, p.cfg, hosts...)
		for name, change := range map[string]Change{
			"leave":   {Leave: []string{"ide-0004"}},
			"join":    {Join: []Host{{"new", 99, 2}}},
			"heavier": {Weights: map[string]int{"ide-0007": 3}},
			"lighter": {Weights: map[string]int{"ide-0003": 1}},
			"all":     {Leave: []string{"ide-0005"}, Join: []Host{{"new", 99, 2}}, Weights: map[string]int{"ide-0003": 0}},
		} {
			changed, err := change.Apply(hosts)
			if err != nil {
				t.Fatal(err)
			}
			m := Compare(before, build(t, p.cfg, changed...))
			if m.Method != MethodExact || m.Astray > allowed[p.name] || m.Moved < m.Ideal/2 {
				t.Errorf("%s, %s: %.4f of the keys moved, %.4f astray (%s); ideal %.4f", p.name, name, m.Moved, m.Astray, m.Method, m.Ideal)
			}
		}
	}
}

// TestPickOfNoPolicyAllocates picks owners, and all kinds of fallback.
func TestPickOfNoPolicyAllocates(t *testing.T) {
	each(t, func(t *testing.T, cfg Config) {
		table, key := build(t, cfg, mixed(20)...), keys(1)[0]
		up := all(20)
		for _, host := range table.Candidates(key) {
			if n := testing.AllocsPerRun(100, func() { table.Pick(key, up, -1) }); n != 0 {
				t.Errorf("%v up: got %v allocations, want 0", up, n)
			}
			up[host] = false
		}
	})
}

func TestNoTwoPoliciesHaveOneDigest(t *testing.T) {
	seen := map[string]string{}
	for _, p := range append(allPolicies(),
		namedConfig{"another seed", Config{Policy: PolicyKetama, Seed: "0123456789abcdeg"}},
		namedConfig{"another function", Config{Policy: PolicyHAProxy, HAProxy: HAProxyConfig{Function: "wt6"}}},
		namedConfig{"no avalanche", Config{Policy: PolicyHAProxy, HAProxy: HAProxyConfig{Function: "sdbm"}}},
		namedConfig{"fewer points", Config{Policy: PolicyKetama, Ketama: KetamaConfig{Points: 40}}},
		namedConfig{"fewer slots", Config{Policy: PolicyMaglev, Maglev: MaglevConfig{Slots: 4091}}},
	) {
		ids := fleet(3)
		ids[2].ID = 77
		weights := fleet(3)
		weights[0].Weight = 2
		for kind, hosts := range map[string][]Host{"": fleet(3), " and ids": ids, " and weights": weights, " and no hosts": nil} {
			if numbered := p.cfg.Policy == PolicyHAProxy; kind == " and ids" && !numbered {
				if got, want := build(t, p.cfg, hosts...).Digest(), build(t, p.cfg, fleet(3)...).Digest(); got != want {
					t.Errorf("%s: other ids change the digest, though not the places", p.name)
				}
				continue
			}
			digest := build(t, p.cfg, hosts...).Digest()
			if other, found := seen[digest]; found {
				t.Errorf("%s%s has the digest of %s", p.name, kind, other)
			}
			seen[digest] = p.name + kind
		}
	}
}

// TestMappingOfEveryPolicyIsTheOneThatUsersHave pins tables at the defaults. If
// it fails, an upgrade of this balancer would move users' keys.
func TestMappingOfEveryPolicyIsTheOneThatUsersHave(t *testing.T) {
	const seed = "a seed of sixteen or more bytes"
	for _, row := range []struct {
		cfg    Config
		digest string
		alice  []int
	}{
		{Config{Seed: seed}, "47583b8f11cfd016", []int{2, 3, 0, 1, 4}},
		{Config{Policy: PolicyRendezvous}, "5149a567c3f87ab3", []int{2, 1, 3, 4, 0}},
		{Config{Policy: PolicyMaglev}, "3b7e1345f3808e51", []int{0, 1, 2, 4, 3}},
		{Config{Policy: PolicyKetama}, "a91475f2e8a65c74", []int{0, 2, 4, 1, 3}},
		{Config{Policy: PolicyKetama, Seed: seed}, "ead568d395f06d9c", []int{3, 2, 4, 1, 0}},
		{Config{Policy: PolicyHAProxy}, "cab9f7f26057793a", []int{3, 2, 0, 1, 4}},
		{Config{Policy: PolicyHAProxy, HAProxy: HAProxyConfig{Type: HAProxyMapBased}}, "247440fde1400aa7", []int{1, 2, 4, 3, 0}},
	} {
		table := build(t, row.cfg, mixed(5)...)
		if got, order := table.Digest(), table.Candidates([]byte("alice")); got != row.digest || !slices.Equal(order, row.alice) {
			t.Errorf("%s, seed %t: got %q, %v, want %q, %v", table.Policy(), row.cfg.Seed != "", got, order, row.digest, row.alice)
		}
	}
}

// TestEveryPolicyPlacesAKeyByItsHashAlone is needed by code that keeps hashes of keys
// instead of keys.
func TestEveryPolicyPlacesAKeyByItsHashAlone(t *testing.T) {
	each(t, func(t *testing.T, cfg Config) {
		before, after := build(t, cfg, mixed(7)...), build(t, cfg, mixed(5)...)
		if empty := build(t, cfg); empty.SameHash(before) || before.SameHash(empty) || empty.Hash([]byte("k")) != 0 || empty.OwnerOf(1) != -1 {
			t.Error("a table without hosts has a hash or an owner")
		}
		if !before.SameHash(after) {
			t.Fatal("tables of one Config: got different hashes")
		}
		for _, key := range keys(500) {
			hash := before.Hash(key)
			if got, want := before.OwnerOf(hash), before.Owner(key); got != want {
				t.Fatalf("%s: got host %d of the hash, %d of the key", key, got, want)
			}
			if got, want := after.OwnerOf(hash), after.Owner(key); got != want {
				t.Fatalf("%s: got host %d of the other table's hash, %d of the key", key, got, want)
			}
		}
	})
}

func TestPoliciesWithTheSameHashReportIt(t *testing.T) {
	table := func(cfg Config) *Table { return build(t, cfg, fleet(3)...) }
	plain := table(Config{})
	for name, test := range map[string]struct {
		other *Table
		want  bool
	}{
		"another policy": {table(Config{Policy: PolicyRendezvous}), true},
		"a seed":         {table(Config{Seed: "0123456789abcdef"}), false},
		"a ring":         {table(Config{Policy: PolicyKetama}), false},
	} {
		if got := plain.SameHash(test.other); got != test.want {
			t.Errorf("%s: got %t, want %t", name, got, test.want)
		}
	}
}
