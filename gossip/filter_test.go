package gossip

import (
	"net"
	"net/netip"
	"testing"
)

func TestAHostIsOnlyWhereItsGossipIsOrWhereANetworkAllows(t *testing.T) {
	networks := func(all ...string) (f Filter) {
		for _, network := range all {
			f.Networks = append(f.Networks, netip.MustParsePrefix(network))
		}
		return f
	}
	local := Filter{Loopback: true}
	localNetworks := networks("127.0.0.0/8", "169.254.0.0/16", "10.0.0.0/8")
	localNetworks.Loopback = true
	for _, row := range []struct {
		what            string
		filter          Filter
		service, gossip string
		want            bool
	}{
		{"its gossip's address", Filter{}, "10.0.0.1:4000", "10.0.0.1:7946", true},
		{"its gossip's address, IPv6", Filter{}, "[fd00::1]:4000", "[fd00::1]:7946", true},
		{"another private address", Filter{}, "10.0.0.1:22", "10.0.0.9:7946", false},
		{"an allowed network", networks("10.1.0.0/16", "10.0.0.0/16"), "10.0.0.1:4000", "10.0.0.9:7946", true},
		{"no allowed network", networks("10.1.0.0/16"), "10.0.0.1:4000", "10.0.0.9:7946", false},
		{"its gossip's address, in no allowed network", networks("10.1.0.0/16"), "10.0.0.1:4000", "10.0.0.1:7946", false},
		{"loopback", Filter{}, "127.0.0.1:4000", "127.0.0.1:7946", false},
		{"loopback, allowed by mistake", networks("0.0.0.0/0"), "127.0.0.1:4000", "10.0.0.9:7946", false},
		{"loopback, IPv6, allowed by mistake", networks("::/0"), "[::1]:4000", "10.0.0.9:7946", false},
		{"link-local, such as a cloud's metadata", networks("0.0.0.0/0"), "169.254.169.254:80", "10.0.0.9:7946", false},
		{"link-local, its gossip's address", Filter{}, "169.254.1.2:4000", "169.254.1.2:7946", false},
		{"loopback of a balancer that is there", local, "127.0.0.2:4000", "127.0.0.1:7946", true},
		{"another machine, by a gossip on loopback", local, "10.0.0.1:4000", "127.0.0.1:7946", false},
		{"loopback, by a gossip on another machine", local, "127.0.0.1:4000", "10.0.0.9:7946", false},
		{"loopback of a balancer that is there, in an allowed network", localNetworks, "127.0.0.1:4000", "10.0.0.9:7946", true},
		{"link-local of a balancer on loopback", localNetworks, "169.254.169.254:80", "127.0.0.1:7946", false},
		{"anything, for an agent", Filter{Anywhere: true}, "127.0.0.1:4000", "10.0.0.9:7946", true},
	} {
		m := hostMeta("ide-1")
		m.Address = row.service
		if err := row.filter.admit(m, netip.MustParseAddrPort(row.gossip)); (err == nil) != row.want {
			t.Errorf("%s: got %v, want it in: %t", row.what, err, row.want)
		}
	}
}

func TestNoHostIsAtTheBalancersOwnAddress(t *testing.T) {
	ours := ownAddress(t)
	for _, row := range []struct {
		own, service string
		want         bool
	}{
		{"10.0.0.1:8080", "10.0.0.1:8080", false},
		{"10.0.0.1:8080", "10.0.0.1:4000", true}, // a host beside the balancer
		{"10.0.0.1:8080", "10.0.0.2:8080", true},
		{"[::ffff:10.0.0.1]:8080", "10.0.0.1:8080", false},
		{"0.0.0.0:8080", ours + ":8080", false},
		{"[::]:8080", ours + ":8080", false}, // a socket for IPv6 takes IPv4, too
		{"[::]:8080", "127.0.0.1:8080", false},
		{"[::]:8080", ours + ":4000", true},
		{"0.0.0.0:8080", "192.0.2.1:8080", true},
	} {
		f := Filter{
			Own: []netip.AddrPort{netip.MustParseAddrPort("10.0.9.9:1"), netip.MustParseAddrPort(row.own)}, Loopback: true,
			Networks: []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0")},
		}
		m := hostMeta("ide-1")
		m.Address = row.service
		if err := f.admit(m, gossipAt(1)); (err == nil) != row.want {
			t.Errorf("a balancer on %s, a service at %s: got %v, want it in: %t", row.own, row.service, err, row.want)
		}
	}
}

// ownAddress returns an IPv4 address of this machine, of loopback if it has no other.
func ownAddress(t *testing.T) string {
	t.Helper()
	all, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range all {
		if prefix, err := netip.ParsePrefix(a.String()); err == nil && prefix.Addr().Is4() && !prefix.Addr().IsLoopback() && !prefix.Addr().IsLinkLocalUnicast() {
			return prefix.Addr().String()
		}
	}
	return "127.0.0.1"
}
