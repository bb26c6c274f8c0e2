package geo

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
)

func entries(text ...string) []Entry {
	var all []Entry
	for i, network := range text {
		all = append(all, Entry{netip.MustParsePrefix(network), Class(i + 1)})
	}
	return all
}

func TestTheLongestNetworkCounts(t *testing.T) {
	m := New(entries("10.0.0.0/8", "10.1.0.0/16", "2001:db8::/32", "2001:db8:1::/48", "192.0.2.7/32", "::ffff:198.51.100.0/120", "2001:db8::1/128"), 0)
	for address, want := range map[string]string{
		"10.2.3.4":              "1 10.2.0.0/15", // 10.0.0.0/8 has a hole: RFC 7871 §7.2.1
		"10.0.0.1":              "1 10.0.0.0/16",
		"10.200.0.1":            "1 10.128.0.0/9",
		"10.1.255.255":          "2 10.1.0.0/16",
		"::ffff:10.1.0.1":       "2 10.1.0.0/16",
		"9.255.255.255":         "0 8.0.0.0/7",
		"11.0.0.0":              "0 11.0.0.0/8",
		"192.0.2.7":             "5 192.0.2.7/32",
		"192.0.2.6":             "0 192.0.2.6/32",
		"198.51.100.9":          "6 198.51.100.0/24",
		"255.255.255.255":       "0 224.0.0.0/3",
		"0.0.0.0":               "0 0.0.0.0/5",
		"2001:db8:1:2::":        "4 2001:db8:1::/48",
		"2001:db8:2::":          "3 2001:db8:2::/47",
		"2001:db8::1":           "7 2001:db8::1/128",
		"2001:db8::":            "3 2001:db8::/128",
		"ffff::":                "0 8000::/1",
		"2001:db9::":            "0 2001:db9::/32",
		"2001:0db8:ffff:ffff::": "3 2001:db8:8000::/33",
	} {
		class, network := m.Lookup(netip.MustParseAddr(address))
		if got := fmt.Sprintf("%d %s", class, network); got != want {
			t.Errorf("%s: %s, not %s", address, got, want)
		}
	}
}

func TestEqualNeighboursAreOneNetwork(t *testing.T) {
	m := New([]Entry{
		{netip.MustParsePrefix("10.0.0.0/9"), 1},
		{netip.MustParsePrefix("10.128.0.0/9"), 1},
		{netip.MustParsePrefix("10.5.0.0/16"), 1},
		{netip.MustParsePrefix("0.0.0.0/0"), 2},
	}, 0)
	if class, network := m.Lookup(netip.MustParseAddr("10.5.1.1")); class != 1 || network.String() != "10.0.0.0/8" {
		t.Error(class, network)
	}
	if m := New(nil, 7); m.Networks() != 2 {
		t.Errorf("a map of nothing has %d networks", m.Networks())
	}
	twice := New([]Entry{{netip.MustParsePrefix("10.0.0.0/8"), 1}, {netip.MustParsePrefix("10.0.0.0/8"), 2}}, 0)
	if class, _ := twice.Lookup(netip.MustParseAddr("10.0.0.1")); class != 2 {
		t.Error("the last of two equal networks doesn't count:", class)
	}
}

// TestAMapSaysWhatItsEntriesSay holds random maps against a search of all entries. The network
// that is told has one class, and none that contains it would.
func TestAMapSaysWhatItsEntriesSay(t *testing.T) {
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 0))
	for range 300 {
		all, other := randomEntries(random), Class(random.IntN(3))
		m := New(append([]Entry(nil), all...), other)
		for range 40 {
			address := randomAddress(random)
			class, network := m.Lookup(address)
			if want := search(all, other, address); class != want {
				t.Fatalf("seed %d: %s has class %d, not %d: %v", seed, address, class, want, all)
			}
			if !network.Contains(address) || !isUniform(all, other, network, class) {
				t.Fatalf("seed %d: %s of %s isn't uniform: %v", seed, network, address, all)
			}
			if network.Bits() > 0 {
				larger, _ := address.Prefix(network.Bits() - 1)
				if isUniform(all, other, larger, class) {
					t.Fatalf("seed %d: the scope %s could be %s: %v", seed, network, larger, all)
				}
			}
		}
	}
}

// randomEntries are in few networks, so that they lie in each other.
func randomEntries(random *rand.Rand) []Entry {
	var all []Entry
	for range random.IntN(12) {
		address := randomAddress(random)
		network, _ := address.Prefix(random.IntN(address.BitLen() + 1))
		all = append(all, Entry{network, Class(random.IntN(3))})
	}
	return all
}

func randomAddress(random *rand.Rand) netip.Addr {
	if random.IntN(2) == 0 {
		return netip.AddrFrom4([4]byte{10, byte(random.IntN(3)), 0, byte(random.IntN(4))})
	}
	return netip.AddrFrom16([16]byte{0: 0x20, 1: byte(random.IntN(3)), 15: byte(random.IntN(4))})
}

// search returns the class of an address by looking at each entry.
func search(all []Entry, other Class, address netip.Addr) Class {
	class, longest := other, -1
	for _, e := range all {
		if e.Network.Contains(address) && e.Network.Bits() >= longest {
			class, longest = e.Class, e.Network.Bits()
		}
	}
	return class
}

// isUniform reports whether all addresses of a network have the class.
func isUniform(all []Entry, other Class, network netip.Prefix, class Class) bool {
	if search(all, other, network.Addr()) != class || search(all, other, last(network)) != class {
		return false
	}
	for _, e := range all { // where the class may change
		if network.Overlaps(e.Network) {
			for _, a := range []netip.Addr{e.Network.Addr(), last(e.Network), e.Network.Addr().Prev(), last(e.Network).Next()} {
				if a.IsValid() && network.Contains(a) && search(all, other, a) != class {
					return false
				}
			}
		}
	}
	return true
}

// last returns the last address of a network.
func last(p netip.Prefix) netip.Addr {
	b := p.Addr().AsSlice()
	for i := p.Bits(); i < len(b)*8; i++ {
		b[i/8] |= 0x80 >> (i % 8)
	}
	a, _ := netip.AddrFromSlice(b)
	return a
}

// million returns a map of a million networks of IPv4, as they are announced in the Internet: most
// of them are /24.
func million() []Entry {
	random := rand.New(rand.NewPCG(1, 2))
	all := make([]Entry, 1_000_000)
	for i := range all {
		var b [4]byte
		binary.BigEndian.PutUint32(b[:], random.Uint32())
		network, _ := netip.AddrFrom4(b).Prefix([]int{16, 20, 22, 24, 24, 24, 24}[random.IntN(7)])
		all[i] = Entry{network, Class(random.IntN(3))}
	}
	return all
}

func TestLookingUpDoesNotAllocate(t *testing.T) {
	m := New(entries("10.0.0.0/8", "2001:db8::/32"), 0)
	a, b := netip.MustParseAddr("10.1.1.1"), netip.MustParseAddr("2001:db8::1")
	if n := testing.AllocsPerRun(100, func() { m.Lookup(a); m.Lookup(b) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkLookup(b *testing.B) {
	m := New(million(), 0)
	b.ReportMetric(float64(m.Networks()), "networks")
	random := rand.New(rand.NewPCG(3, 4))
	addresses := make([]netip.Addr, 1<<16)
	for i := range addresses {
		addresses[i] = netip.AddrFrom4([4]byte{byte(random.Uint32()), byte(random.Uint32()), byte(random.Uint32()), byte(random.Uint32())})
	}
	i := 0
	for b.Loop() {
		m.Lookup(addresses[i&(1<<16-1)])
		i++
	}
}

func BenchmarkNew(b *testing.B) {
	all := million()
	for b.Loop() {
		New(append([]Entry(nil), all...), 0)
	}
}
