package balancer

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// narrow are the policies with limits that few hosts reach, and how many sets of
// hosts each is tried with: a table of ketama may have a million points here.
var narrow = []struct {
	namedConfig
	sets int
}{
	{namedConfig{"consistent", Config{Consistent: ConsistentConfig{Partitions: 61, Replicas: 3}}}, 400},
	{namedConfig{"rendezvous", Config{Policy: PolicyRendezvous, Rendezvous: RendezvousConfig{Slots: 64}}}, 400},
	{namedConfig{"maglev", Config{Policy: PolicyMaglev, Maglev: MaglevConfig{Slots: 7}}}, 400},
	{namedConfig{"ketama", Config{Policy: PolicyKetama, Ketama: KetamaConfig{Points: 1000}}}, 20},
	{namedConfig{"haproxy", Config{Policy: PolicyHAProxy}}, 400},
	{namedConfig{"haproxy-map", Config{Policy: PolicyHAProxy, HAProxy: HAProxyConfig{Type: HAProxyMapBased}}}, 400},
}

// odd returns hosts that may be too heavy, too many, or have clashing numbers.
func odd(rng *rand.Rand) []Host {
	hosts := fleet(rng.IntN(12))
	heaviest := []int{3, 30, 256}[rng.IntN(3)]
	for i := range hosts {
		hosts[i].Weight = rng.IntN(heaviest + 1)
		switch rng.IntN(40) {
		case 0:
			hosts[i].ID = 0
		case 1:
			hosts[i].ID = 3 + HAProxyIDs
		case 2:
			hosts[i].ID = MaxHAProxyID + 1
		}
	}
	return hosts
}

func TestCheckPredictsWhetherATableCanBeBuilt(t *testing.T) {
	t.Parallel()
	for _, p := range narrow {
		t.Run(p.name, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(7, 8))
			builder := newBuilder(t, p.cfg)
			refused, sets := 0, max(5, rounds(p.sets)/2)
			for range sets {
				hosts := odd(rng)
				want := p.cfg.Check(hosts)
				_, got := builder.Build(hosts)
				if (got == nil) != (want == nil) || want != nil && !strings.HasSuffix(got.Error(), want.Error()) {
					t.Fatalf("%v: Check says %v, Build %v", hosts, want, got)
				}
				if want != nil {
					refused++
					continue
				}
				rng.Shuffle(len(hosts), func(i, j int) { hosts[i], hosts[j] = hosts[j], hosts[i] })
				if part := hosts[:len(hosts)/2]; p.cfg.Check(part) != nil {
					t.Fatalf("%v pass, but not the part %v: %v", hosts, part, p.cfg.Check(part))
				}
			}
			if (refused == 0) != (p.name == "rendezvous") || refused == sets {
				t.Errorf("%d of %d were refused: the test tries too little", refused, sets)
			}
		})
	}
}

func TestWhetherLessWeightFits(t *testing.T) {
	t.Parallel()
	for _, p := range narrow {
		rng := rand.New(rand.NewPCG(9, 10))
		refused := 0
		for range rounds(4000) {
			hosts := odd(rng)
			fits := p.cfg.Check(hosts) == nil
			if !fits {
				refused++
			}
			for i := range hosts {
				hosts[i].Weight = rng.IntN(hosts[i].Weight + 1)
			}
			if err := p.cfg.Check(hosts); fits && err != nil && p.cfg.LessFits() {
				t.Fatalf("%s: %v don't fit, but more weight did: %v", p.name, hosts, err)
			}
		}
		if refused == 0 && p.name != "rendezvous" {
			t.Errorf("%s: none was refused: the test tries too little", p.name)
		}
	}
	mapBased := Config{Policy: PolicyHAProxy, HAProxy: HAProxyConfig{Type: HAProxyMapBased}}
	hosts := fleet(2000)
	for i := range hosts {
		hosts[i].Weight = 200
	}
	before := mapBased.Check(hosts)
	hosts[0].Weight = 199
	if after := mapBased.Check(hosts); before != nil || after == nil || mapBased.LessFits() {
		t.Errorf("map-based: %v before, and with less weight %v, LessFits %t", before, after, mapBased.LessFits())
	}
}

func TestCheckKnowsEachPolicysLimit(t *testing.T) {
	heavy := func(n int) []Host {
		hosts := fleet(n)
		for i := range hosts {
			hosts[i].Weight = 256
		}
		return hosts
	}
	prime := slices.Concat(heavy(100), []Host{{Name: "odd", ID: 999, Weight: 255}})
	for _, row := range []struct {
		policy string
		hosts  []Host
		want   string // "" accepts them
	}{
		{"consistent", heavy(16), ""},
		{"consistent", heavy(17), "4352; at most 4096"},
		{"rendezvous", heavy(maxHosts), ""},
		{"rendezvous", heavy(maxHosts + 1), "4097 hosts; at most 4096"},
		{"maglev", fleet(4093), ""},
		{"maglev", fleet(4094), "4094 hosts; at most 4093"},
		{"ketama", heavy(25), ""},
		{"ketama", heavy(26), "1064960 points"},
		{"haproxy", heavy(256), ""},
		{"haproxy", heavy(257), "1052672 points"},
		{"haproxy", []Host{{Name: "a", Weight: 1}}, `host "a" has the id 0`},
		{"haproxy", []Host{{Name: "a", Weight: 0}}, ""},
		{"haproxy", []Host{{Name: "a", ID: 5, Weight: 1}, {Name: "b", ID: 5 + HAProxyIDs, Weight: 1}}, "can't distinguish"},
		{"haproxy-map", heavy(2048), ""},
		{"haproxy-map", append(slices.Clone(prime), heavy(160)[100:]...), "too many for type map-based"},
		{"consistent", []Host{{Name: "a#1", Weight: 1}}, "can't contain"},
		{"consistent", []Host{{Name: "a", Weight: 257}}, "not in 0..256"},
	} {
		i := slices.IndexFunc(allPolicies(), func(p namedConfig) bool { return p.name == row.policy })
		cfg := allPolicies()[i].cfg
		if row.policy == "consistent" {
			cfg = Config{}
		}
		err := cfg.Check(row.hosts)
		if (err == nil) != (row.want == "") || err != nil && !strings.Contains(err.Error(), row.want) {
			t.Errorf("%s, %d hosts: got %v, want %q", row.policy, len(row.hosts), err, row.want)
		}
	}
}

func BenchmarkCheck(b *testing.B) {
	for _, p := range []namedConfig{{PolicyConsistent, Config{}}, {PolicyHAProxy, Config{Policy: PolicyHAProxy}}} {
		hosts := fleet(1000)
		b.Run(fmt.Sprintf("%s/%d", p.name, len(hosts)), func(b *testing.B) {
			for b.Loop() {
				if err := p.cfg.Check(hosts); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
