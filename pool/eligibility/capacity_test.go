package eligibility

import (
	"cmp"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"tokenring/balancer"
	"tokenring/gossip"
)

func TestWhichHostsHaveRoomInTheRing(t *testing.T) {
	fewSlots := balancer.Config{Consistent: balancer.ConsistentConfig{Partitions: 101, Replicas: 2}}
	haproxy := balancer.Config{Policy: balancer.PolicyHAProxy}
	host := func(name string, weight int) Demand {
		return Demand{Host: balancer.Host{Name: name, ID: uint32(name[0]), Weight: weight}}
	}
	overridden := func(c Demand, order, weight int) Demand {
		c.Set = SetWeight{true, weight, order}
		return c
	}
	static := func(c Demand) Demand { c.Listed = true; return c }
	id := func(c Demand, id uint32) Demand { c.Host.ID = id; return c }
	for name, row := range map[string]struct {
		cfg    balancer.Config
		all    []Demand
		want   map[string]int // the overrides of weights that count
		excess string
		out    string
	}{
		"no hosts":                               {fewSlots, nil, nil, "", ""},
		"all fit":                                {fewSlots, []Demand{overridden(host("a", 1), 1, 50), overridden(host("b", 1), 2, 50), host("c", 1)}, map[string]int{"a": 50, "b": 50}, "", ""},
		"the heaviest is out":                    {fewSlots, []Demand{host("a", 90), host("b", 50), host("c", 50)}, nil, "", "a"},
		"the last by name of equal hosts is out": {fewSlots, []Demand{host("a", 50), host("b", 50), host("c", 50)}, nil, "", "c"},
		"hosts of the config file come first":    {fewSlots, []Demand{host("a", 10), static(host("b", 95))}, nil, "", "a"},
		"the older override counts":              {fewSlots, []Demand{overridden(host("a", 1), 2, 60), overridden(host("b", 1), 1, 60)}, map[string]int{"b": 60}, "a", ""},
		"a later override counts if it fits":     {fewSlots, []Demand{overridden(host("a", 1), 1, 60), overridden(host("b", 1), 2, 60), overridden(host("c", 1), 3, 30)}, map[string]int{"a": 60, "c": 30}, "b", ""},
		"less weight makes room":                 {fewSlots, []Demand{overridden(host("a", 50), 3, 5), overridden(host("b", 1), 1, 60), overridden(host("c", 1), 2, 60)}, map[string]int{"a": 5, "b": 60}, "c", ""},
		"overrides before announcements":         {fewSlots, []Demand{host("a", 20), overridden(host("b", 1), 1, 90)}, map[string]int{"b": 90}, "", "a"},
		"an override brings in a heavy host":     {fewSlots, []Demand{overridden(host("a", 90), 1, 1), host("b", 50), host("c", 50)}, map[string]int{"a": 1}, "", ""},
		"weight 0 always fits":                   {fewSlots, []Demand{overridden(host("a", 1), 1, 0), host("b", 101)}, map[string]int{"a": 0}, "", ""},
		"without an id":                          {haproxy, []Demand{id(host("a", 1), 0), host("b", 1)}, nil, "", "a"},
		"two of one id":                          {haproxy, []Demand{id(host("a", 1), 7), id(host("b", 1), 7), host("c", 1)}, nil, "", "b"},
		"two of one id modulo 2^20":              {haproxy, []Demand{static(id(host("b", 1), 7+1<<20)), id(host("c", 1), 7)}, nil, "", "c"},
	} {
		got := Allocate(row.all, row.cfg)
		if excess, out := strings.Join(got.Excess, " "), strings.Join(got.Out, " "); !maps.Equal(got.Weights, row.want) || excess != row.excess || out != row.out {
			t.Errorf("%s: %v count, %q don't, out %q; want %v, %q, %q", name, got.Weights, excess, out, row.want, row.excess, row.out)
		}
	}
}

// TestDemandsAreTakenAsIfOneByOne compares places and weights with those that Allocate gives
// if it tries one demand at a time.
func TestDemandsAreTakenAsIfOneByOne(t *testing.T) {
	rng := rand.New(rand.NewPCG(11, 12))
	mapBased := balancer.Config{Policy: balancer.PolicyHAProxy, HAProxy: balancer.HAProxyConfig{Type: balancer.HAProxyMapBased}}
	for name, cfg := range map[string]balancer.Config{
		"consistent": {Consistent: balancer.ConsistentConfig{Partitions: 211, Replicas: 2}},
		"maglev":     {Policy: balancer.PolicyMaglev, Maglev: balancer.MaglevConfig{Slots: 31}},
		"ketama":     {Policy: balancer.PolicyKetama, Ketama: balancer.KetamaConfig{Points: 1000}},
		"haproxy":    {Policy: balancer.PolicyHAProxy},
		"map-based":  mapBased,
	} {
		out, excess := 0, 0
		for n := range 60 {
			all := randomDemands(rng, 50+rng.IntN(150))
			got, want := Allocate(all, cfg), allocateOneByOne(all, cfg)
			out, excess = out+len(got.Out), excess+len(got.Excess)
			if !slices.Equal(got.Out, want.Out) || !slices.Equal(got.Excess, want.Excess) || !maps.Equal(got.Weights, want.Weights) {
				t.Fatalf("%s, set %d of %d hosts: out %q, weights refused %q; want %q, %q", name, n, len(all), got.Out, got.Excess, want.Out, want.Excess)
			}
		}
		if out == 0 || excess == 0 && name != "maglev" {
			t.Errorf("%s: %d places and %d weights were refused: the test tries too little", name, out, excess)
		}
	}
}

// TestAWeightThatFitsOnlyBesideALaterOneIsRefused: a list of haproxy's type map-based is half
// as long without the one host whose weight isn't a multiple of 100. But that host is raised
// last.
func TestAWeightThatFitsOnlyBesideALaterOneIsRefused(t *testing.T) {
	cfg := balancer.Config{Policy: balancer.PolicyHAProxy, HAProxy: balancer.HAProxyConfig{Type: balancer.HAProxyMapBased}}
	all := []Demand{demandOf(0, 1, 0)} // it has no id, so not everything fits
	for i := range 1447 {
		d := demandOf(i+1, 100, uint32(i+1))
		d.Listed = true
		all = append(all, d)
	}
	all[4].Host.Weight = 50
	for i, weight := range []int{200, 200, 200, 100} {
		all[i+1].Set = SetWeight{true, weight, i}
	}
	got := Allocate(all, cfg)
	if want := []string{"h0003"}; !slices.Equal(got.Excess, want) || !slices.Equal(got.Out, []string{"h0000"}) {
		t.Errorf("weights refused %q, out %q; want %q and h0000", got.Excess, got.Out, want)
	}
}

// randomDemands returns n demands, of which some have ids that others have, or none, and
// some weights that operators have set.
func randomDemands(rng *rand.Rand, n int) (all []Demand) {
	set := rng.Perm(n) // when operators have set the weights: never two at once
	own, most := []int{1, 4, 40}[rng.IntN(3)], []int{8, 80, 256}[rng.IntN(3)]
	for i := range n {
		c := demandOf(i, rng.IntN(own+1), uint32(1+rng.IntN(20*n)))
		if rng.IntN(50) == 0 {
			c.Host.ID = 0
		}
		c.Listed = rng.IntN(8) == 0
		if rng.IntN(3) == 0 {
			c.Set = SetWeight{true, rng.IntN(most + 1), set[i]}
		}
		all = append(all, c)
	}
	return all
}

// allocateOneByOne does what Allocate promises, slowly.
func allocateOneByOne(all []Demand, cfg balancer.Config) Capacity {
	r, whole := Capacity{Weights: map[string]int{}}, []balancer.Host{}
	for _, c := range all {
		if c.Set.Is {
			c.Host.Weight, r.Weights[c.Host.Name] = c.Set.Weight, c.Set.Weight
		}
		whole = append(whole, c.Host)
	}
	if cfg.Check(whole) == nil {
		return r
	}
	placed := map[string]balancer.Host{}
	fits := func(h balancer.Host, weight int) bool {
		h.Weight = weight
		next := maps.Clone(placed)
		next[h.Name] = h
		if cfg.Check(slices.Collect(maps.Values(next))) != nil {
			return false
		}
		placed = next
		return true
	}
	place := func(firm bool) {
		for _, c := range slices.SortedStableFunc(slices.Values(all), func(a, b Demand) int {
			return cmp.Or(cmp.Compare(a.rank(), b.rank()), cmp.Compare(a.least(), b.least()))
		}) {
			if (c.rank() < 2) == firm && !fits(c.Host, c.least()) {
				r.Out = append(r.Out, c.Host.Name)
			}
		}
	}
	place(true)
	for _, c := range slices.SortedStableFunc(slices.Values(all), func(a, b Demand) int { return cmp.Compare(a.Set.Order, b.Set.Order) }) {
		_, in := placed[c.Host.Name]
		if c.Set.Is && in && c.Set.Weight > c.Host.Weight && !fits(c.Host, c.Set.Weight) {
			r.Excess = append(r.Excess, c.Host.Name)
			delete(r.Weights, c.Host.Name)
		}
	}
	place(false)
	slices.Sort(r.Out)
	slices.Sort(r.Excess)
	return r
}

// demandOf returns the Demand of a host that announces itself.
func demandOf(i, weight int, id uint32) Demand {
	return Demand{Host: balancer.Host{Name: fmt.Sprintf("h%04d", i), ID: id, Weight: weight}}
}

// BenchmarkAllocateWithoutRoom finds places for as many hosts as there may be, of which not
// all have one: the heaviest don't fit, one of two has the id of the other, one of three has
// no id, or all have weights that operators have set and that don't fit together.
func BenchmarkAllocateWithoutRoom(b *testing.B) {
	haproxy := balancer.Config{Policy: balancer.PolicyHAProxy}
	for name, row := range map[string]struct {
		cfg    balancer.Config
		demand func(i int) Demand
	}{
		"heavy":           {balancer.Config{}, func(i int) Demand { return demandOf(i, cmp.Or(i%20, 1), uint32(i+1)) }},
		"one id twice":    {haproxy, func(i int) Demand { return demandOf(i, 1, uint32(max(i, 1))) }},
		"some have no id": {haproxy, func(i int) Demand { return demandOf(i, 1, uint32(i%3)*uint32(i)) }},
		"raised": {haproxy, func(i int) Demand {
			d := demandOf(i, 1, uint32(max(i, 1)))
			d.Set = SetWeight{true, 2, i}
			return d
		}},
	} {
		b.Run(name, func(b *testing.B) {
			var all []Demand
			for i := range gossip.MaxHosts {
				all = append(all, row.demand(i))
			}
			for b.Loop() {
				Allocate(all, row.cfg)
			}
		})
	}
}
