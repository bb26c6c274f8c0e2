package gossip

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/hashicorp/memberlist"

	"tokenring/gossip/announcement"
)

// The bounds of a gossip.
const (
	MaxBalancers = 256
	MaxHosts     = 2048
)

// A Filter says which nodes with sound metadata may be members. Its zero value admits
// balancers, and hosts that announce a service at the IP address of their own gossip.
type Filter struct {
	Only     announcement.Role // 0 for any
	Networks []netip.Prefix    // of service addresses, whatever the gossip's; empty for the gossip's own
	Loopback bool              // this process is on loopback itself, and so may services be
	Own      []netip.AddrPort  // where this process listens; an unspecified address stands for all of this machine's
	// Listed reports whether a host of a name is listed, and so isn't known by what is
	// announced. nil: none is. It must not block.
	Listed func(host string) bool
	// Proven reports whether a host of a name is known to serve. Where there are absurdly
	// many hosts, one that isn't proven gives its place to another one. nil: each keeps it.
	// It must not block.
	Proven func(host string) bool
	// Serving reports whether a host of a name passes its checks at present. The name of
	// such a host isn't given to another one that signs. nil: none does. It must not block.
	Serving  func(host string) bool
	Anywhere bool // services may be anywhere: this process calls none
}

// admit says why a node that announces m may not be a member, nil if it may. from is the
// address of its gossip.
func (f Filter) admit(m announcement.Metadata, from netip.AddrPort) error {
	if f.Only != 0 && m.Role != f.Only {
		return fmt.Errorf("members of the role %q aren't admitted here", strings.TrimSuffix(m.Role.Prefix(), "/"))
	}
	if m.Role != announcement.HostRole {
		return nil
	}
	if f.Listed != nil && f.Listed(m.Name) {
		return errors.New("a host of that name is listed: in pool.hosts, in pool.hosts_file, or by operators")
	}
	if f.Anywhere {
		return nil
	}
	service := netip.MustParseAddrPort(m.Address) // checked by announcement.Decode
	if err := f.admitLocal(service); err != nil {
		return err
	}
	return f.admitNetwork(service.Addr(), from.Addr())
}

// mustReach reports whether a node that announces m may be a member only once it has
// answered at the address of its gossip: else the address of its service, which must have
// the same IP address, could be anybody's. At 127.0.0.1 and ::1 a whole region is one
// machine, a demo or a test.
func (f Filter) mustReach(m announcement.Metadata, from netip.AddrPort) bool {
	oneMachine := from.Addr() == netip.IPv6Loopback() || from.Addr() == netip.AddrFrom4([4]byte{127, 0, 0, 1})
	return m.Role == announcement.HostRole && !f.Anywhere && len(f.Networks) == 0 && !(oneMachine && f.Loopback)
}

// admitLocal refuses addresses that no network can allow: they lead to this machine, to
// whatever is beside it, or to this balancer itself.
func (f Filter) admitLocal(service netip.AddrPort) error {
	ip := service.Addr()
	switch {
	case ip.IsLinkLocalUnicast(), ip.IsLoopback() && !f.Loopback:
		return fmt.Errorf("its service address %s is local to the machine", service)
	case slices.ContainsFunc(f.Own, func(own netip.AddrPort) bool { return reaches(service, own) }):
		return fmt.Errorf("its service address %s is this balancer's own", service)
	}
	return nil
}

// admitNetwork refuses services that are elsewhere than they may be. On loopback, all
// addresses are those of one machine.
func (f Filter) admitNetwork(service, gossip netip.Addr) error {
	if len(f.Networks) > 0 {
		if slices.ContainsFunc(f.Networks, func(network netip.Prefix) bool { return network.Contains(service) }) {
			return nil
		}
		return fmt.Errorf("its service address %s is in no allowed network", service)
	}
	if service == gossip || f.Loopback && service.IsLoopback() && gossip.IsLoopback() {
		return nil
	}
	return fmt.Errorf("its service address %s isn't that of its gossip, and no allowed network has it", service)
}

// reaches reports whether a connection to address ends at a socket that listens on own.
func reaches(address, own netip.AddrPort) bool {
	if address.Port() != own.Port() {
		return false
	}
	return address.Addr() == own.Addr().Unmap() || own.Addr().IsUnspecified() && isOfThisMachine(address.Addr())
}

// isOfThisMachine reports whether this machine has an IP address at present.
func isOfThisMachine(ip netip.Addr) bool {
	if ip.IsLoopback() {
		return true
	}
	all, err := net.InterfaceAddrs()
	if err != nil {
		return true // it can't be told: what is in doubt stays out
	}
	return slices.ContainsFunc(all, func(a net.Addr) bool {
		prefix, err := netip.ParsePrefix(a.String())
		return err == nil && prefix.Addr().Unmap() == ip
	})
}

// checkProtocol refuses a node whose protocol versions exclude ours. memberlist
// would let it in, and from then on refuse every state exchange that mentions
// it: one such node would keep all others apart.
func checkProtocol(n *memberlist.Node) error {
	const speak = memberlist.ProtocolVersion2Compatible
	protocol := n.PMin <= memberlist.ProtocolVersionMin && n.PMax >= speak && n.PCur >= memberlist.ProtocolVersionMin && n.PCur <= speak
	if !protocol || n.DMin != 0 || n.DMax != 0 || n.DCur != 0 {
		return fmt.Errorf("it speaks the protocol versions %d-%d, now %d", n.PMin, n.PMax, n.PCur)
	}
	return nil
}
