package steer

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
)

const (
	eu = iota
	us
	ap
)

// three are three regions with an address each, and up is their state if all are well.
func three() ([]Region, *Service, State) {
	regions := []Region{
		{Name: "eu", Addresses: []Address{{Addr: netip.MustParseAddr("192.0.2.1"), Weight: 1}}, Failover: []int{ap}},
		{Name: "us", Addresses: []Address{{Addr: netip.MustParseAddr("192.0.2.2"), Weight: 1}}},
		{Name: "ap", Addresses: []Address{{Addr: netip.MustParseAddr("192.0.2.3"), Weight: 1}}},
	}
	s := &Service{Name: "www", Regions: []int{us, ap, eu}, Serve: 1, TTL: TTL{time.Minute, 20 * time.Second}}
	return regions, s, up(regions)
}

func up(regions []Region) State {
	state := make(State, len(regions))
	for i, r := range regions {
		state[i].Addresses = make([]AddressState, len(r.Addresses))
		for j := range r.Addresses {
			state[i].Addresses[j].Up = true
		}
	}
	return state
}

func TestARegionIsFoundForANetwork(t *testing.T) {
	down := func(which ...int) func([]Region, State) {
		return func(_ []Region, s State) {
			for _, i := range which {
				s[i].Addresses[0].Up = false
			}
		}
	}
	for name, c := range map[string]struct {
		order []int
		set   func([]Region, State)
		want  string
	}{
		"the first of its regions":                           {[]int{eu, us}, nil, "eu first for eu 1m0s"},
		"the next one":                                       {[]int{eu, us}, down(eu), "us next for eu 1m0s"},
		"the failover, before others":                        {[]int{eu}, down(eu), "ap failover for eu 1m0s"},
		"others in the service's order":                      {[]int{us}, down(us), "ap other for us 1m0s"},
		"a network without regions gets the service's order": {nil, nil, "us other for us 1m0s"},
		"none serves: the first, as if it were up":           {[]int{eu, us}, down(eu, us, ap), "eu fallback for eu 20s"},
		"none serves, and the first is taken out": {[]int{eu, us}, func(r []Region, s State) {
			down(us, ap)(r, s)
			r[eu].Mode = No
		}, "us fallback for eu 20s"},
		"all are taken out": {[]int{eu, us}, func(r []Region, s State) {
			for i := range r {
				r[i].Mode = No
			}
		}, "eu fallback for eu 20s"},
		"a region that isn't to be served gives its users away": {[]int{ap, us}, func(r []Region, _ State) { r[ap].Mode = No }, "us next for ap 1m0s"},
		"an operator's word counts more than the file":          {[]int{ap, us}, func(r []Region, s State) { r[ap].Mode, s[ap].Mode = No, Obey }, "ap first for ap 1m0s"},
		"always, whatever its checks say":                       {[]int{eu}, func(r []Region, s State) { down(eu)(r, s); r[eu].Mode = Always }, "eu first for eu 1m0s"},
		"a draining region":                                     {[]int{eu}, func(_ []Region, s State) { s[eu].Draining = true }, "ap failover for eu 1m0s"},
		"one that waits for an operator's word":                 {[]int{eu}, func(_ []Region, s State) { s[eu].Away = true }, "ap failover for eu 1m0s"},
		"the TTL is short while the answer may change":          {[]int{eu}, func(_ []Region, s State) { s[eu].Changing = true }, "eu first for eu 20s"},
		"and while its users may go home":                       {[]int{eu, us}, func(r []Region, s State) { down(eu)(r, s); s[eu].Changing = true }, "us next for eu 20s"},
		"an address that is taken out":                          {[]int{eu}, func(r []Region, _ State) { r[eu].Addresses[0].Mode = No }, "ap failover for eu 1m0s"},
		"an address that is removed and up again":               {[]int{eu}, func(r []Region, s State) { r[eu].Addresses[0].Mode, s[eu].Addresses[0].Away = Remove, true }, "ap failover for eu 1m0s"},
		"an address that is always served":                      {[]int{eu}, func(r []Region, s State) { down(eu)(r, s); r[eu].Addresses[0].Mode = Always }, "eu first for eu 1m0s"},
	} {
		regions, s, state := three()
		if c.set != nil {
			c.set(regions, state)
		}
		o := Decide(regions, s, state, c.order)
		if got := fmt.Sprintf("%s %s for %s %s", regions[o.Region].Name, o.Reason, regions[o.For].Name, o.TTL); got != c.want {
			t.Errorf("%s: %s, not %s", name, got, c.want)
		}
		if o.Serving != 1 {
			t.Errorf("%s: addresses %b", name, o.Serving)
		}
	}
}

func TestAServiceHasItsOwnRegions(t *testing.T) {
	regions, s, state := three()
	s.Regions = []int{us}
	if o := Decide(regions, s, state, []int{eu, ap}); o.Region != us {
		t.Errorf("%+v", o)
	}
}

// families is a region with two addresses of IPv4 and two of IPv6.
func families() Region {
	return Region{Name: "eu", Addresses: []Address{
		{Addr: netip.MustParseAddr("192.0.2.1"), Weight: 1},
		{Addr: netip.MustParseAddr("192.0.2.2"), Weight: 1},
		{Addr: netip.MustParseAddr("2001:db8::1"), Weight: 1},
		{Addr: netip.MustParseAddr("2001:db8::2"), Weight: 1},
	}}
}

// TestARegionServesInBothFamilies: what is down has D, what operators have taken out N.
func TestARegionServesInBothFamilies(t *testing.T) {
	for _, c := range []struct {
		minHealthy int
		addresses  string
		serves     bool
	}{
		{0, "UUUU", true},
		{0, "DUDU", true},
		{0, "UUDD", false}, // its users would come to another region by IPv6
		{0, "DDUU", false},
		{2, "UUUU", true},
		{2, "DUUU", false},
		{2, "NUUU", false},
		{3, "UUUU", true}, // more than there are
	} {
		r := families()
		r.MinHealthy = c.minHealthy
		state := up([]Region{r})[0]
		for i, letter := range c.addresses {
			switch letter {
			case 'D':
				state.Addresses[i].Up = false
			case 'N':
				state.Addresses[i].Mode = No
			}
		}
		if _, serves := serving(&r, &state); serves != c.serves {
			t.Errorf("%d, %s: %v", c.minHealthy, c.addresses, serves)
		}
	}
}

func TestAddressesShareNetworksByWeight(t *testing.T) {
	r := Region{Addresses: []Address{
		{Addr: netip.MustParseAddr("192.0.2.1"), Weight: 1}, {Addr: netip.MustParseAddr("192.0.2.2"), Weight: 3}, {Addr: netip.MustParseAddr("192.0.2.3"), Weight: 4},
	}}
	s := &Service{Name: "www", Serve: 1}
	all := allOf(&r, &up([]Region{r})[0])
	counts, moved := map[Set]int{}, 0
	const networks = 20000
	for i := range networks {
		client := netip.AddrFrom4([4]byte{10, byte(i >> 8), byte(i), 1})
		chosen := Choose(&r, s, all, client)
		counts[chosen]++
		if other := Choose(&r, s, all, netip.AddrFrom4([4]byte{10, byte(i >> 8), byte(i), 200})); other != chosen {
			t.Fatal("a network has two choices")
		}
		if without := Choose(&r, s, all&^2, client); without != chosen && chosen != 2 {
			moved++
		}
	}
	for i, share := range []float64{1. / 8, 3. / 8, 4. / 8} {
		if got := float64(counts[1<<i]) / networks; got < share-0.015 || got > share+0.015 {
			t.Errorf("address %d has %.3f of the networks, not %.3f", i, got, share)
		}
	}
	if moved > 0 {
		t.Errorf("%d networks of other addresses moved when one went", moved)
	}
}

func TestAddressesOfWeight0AreInEveryAnswer(t *testing.T) {
	r := families()
	r.Addresses[0].Weight, r.Addresses[2].Weight = 0, 0
	all := allOf(&r, &up([]Region{r})[0])
	client := netip.MustParseAddr("10.0.0.1")
	if got := Choose(&r, &Service{Serve: 1}, all, client); got != 0b0101 {
		t.Errorf("one of each family: %b", got)
	}
	if got := Choose(&r, &Service{Serve: 2}, all, client); got != 0b1111 {
		t.Errorf("two: %b", got)
	}
	if got := Choose(&r, &Service{Serve: 9}, all&^0b1001, client); got != 0b0110 {
		t.Errorf("those that serve: %b", got)
	}
}

// TestInvariants holds in random states: an answer is never empty (I1), is of one region (I5), has
// the same families whatever the state (I6), is the network's first region if that serves (I2),
// and moves only with its region (I4).
func TestInvariants(t *testing.T) {
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 0))
	for range 5000 {
		regions, s := randomRegions(random)
		state, order := randomState(random, regions), random.Perm(len(regions))[:random.IntN(len(regions)+1)]
		o := Decide(regions, s, state, order)
		client := netip.AddrFrom4([4]byte{10, byte(random.IntN(256)), byte(random.IntN(256)), 1})
		chosen := Choose(&regions[o.Region], s, o.Serving, client)
		for _, is4 := range []bool{true, false} {
			if n := count(&regions[o.Region], is4, chosen); n == 0 || n > s.Serve {
				t.Fatalf("seed %d: %d addresses of a family: %+v %+v", seed, n, regions, state)
			}
		}
		if !slices.Contains(s.Regions, o.Region) {
			t.Fatalf("seed %d: a region that the service doesn't have", seed)
		}
		if !o.Varies && chosen != o.Serving {
			t.Fatalf("seed %d: the outcome says that it doesn't vary, and %b of %b are chosen", seed, chosen, o.Serving)
		}
		for _, r := range order {
			if !slices.Contains(s.Regions, r) {
				continue
			}
			if _, serves := serving(&regions[r], &state[r]); serves && o.Region != r {
				t.Fatalf("seed %d: the first region that serves is %d, and %d is answered", seed, r, o.Region)
			} else if serves {
				break
			}
		}
		unmoved(t, seed, random, regions, s, state, order, o)
	}
}

// unmoved changes a region that isn't answered for the worse: nothing moves.
func unmoved(t *testing.T, seed uint64, random *rand.Rand, regions []Region, s *Service, state State, order []int, o Outcome) {
	other := random.IntN(len(regions))
	if other == o.Region || o.Reason == Fallback {
		return
	}
	worse := slices.Clone(state)
	worse[other].Mode = No
	if again := Decide(regions, s, worse, order); again.Region != o.Region || again.Serving != o.Serving {
		t.Fatalf("seed %d: %d went, and an answer of %d is %d now", seed, other, o.Region, again.Region)
	}
}

func randomRegions(random *rand.Rand) ([]Region, *Service) {
	regions := make([]Region, 1+random.IntN(5))
	s := &Service{Name: "www", Serve: 1 + random.IntN(3), TTL: TTL{time.Minute, time.Second}}
	for i := range regions {
		r := &regions[i]
		r.Name, r.Mode, r.MinHealthy = strings.Repeat("r", i+1), randomMode(random), random.IntN(3)
		r.Failover = random.Perm(len(regions))[:random.IntN(len(regions))]
		for j := range 1 + random.IntN(3) {
			r.Addresses = append(r.Addresses, Address{netip.AddrFrom4([4]byte{192, 0, byte(i), byte(j)}), randomMode(random), random.IntN(3)},
				Address{netip.AddrFrom16([16]byte{0x20, 1, 14: byte(i), 15: byte(j)}), randomMode(random), random.IntN(3)})
		}
		if len(s.Regions) == 0 || random.IntN(3) > 0 {
			s.Regions = append(s.Regions, i)
		}
	}
	return regions, s
}

func randomMode(random *rand.Rand) Mode {
	return append(slices.Clone(Modes), "", "", "")[random.IntN(len(Modes)+3)]
}

func randomState(random *rand.Rand, regions []Region) State {
	state := make(State, len(regions))
	for i, r := range regions {
		state[i] = RegionState{Mode: randomMode(random), Away: random.IntN(5) == 0, Draining: random.IntN(5) == 0, Addresses: make([]AddressState, len(r.Addresses))}
		for j := range state[i].Addresses {
			state[i].Addresses[j] = AddressState{randomMode(random), random.IntN(3) > 0, random.IntN(5) == 0}
		}
	}
	return state
}

func TestChoosingDoesNotAllocate(t *testing.T) {
	r, s := families(), &Service{Name: "www", Serve: 1}
	client := netip.MustParseAddr("10.0.0.1")
	if n := testing.AllocsPerRun(100, func() { Choose(&r, s, 0b1111, client) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
