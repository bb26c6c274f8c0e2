package gossip

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"time"
)

// Sockets are the two sockets of a gossip, which have the same port.
type Sockets struct {
	Packets net.PacketConn // UDP
	Streams net.Listener   // TCP
}

// maxListens is how many free ports are tried: one that is free for TCP may be in use
// for UDP.
const maxListens = 10

// Listen opens the sockets of a gossip on an address as Config.Bind has it. They belong
// to the caller, who closes them or hands them to Open.
func Listen(bind string) (Sockets, error) {
	at, err := parseBind(bind)
	if err != nil {
		return Sockets{}, err
	}
	for range maxListens {
		var s Sockets
		if s, err = listenAt(at); err == nil {
			return s, nil
		}
		if at.Port() != 0 {
			break
		}
	}
	return Sockets{}, fmt.Errorf("gossip on %s: %w", bind, err)
}

func listenAt(at netip.AddrPort) (Sockets, error) {
	var ip net.IP // nil: all addresses
	if at.Addr().IsValid() {
		ip = at.Addr().AsSlice()
	}
	streams, err := net.ListenTCP("tcp", &net.TCPAddr{IP: ip, Port: int(at.Port()), Zone: at.Addr().Zone()})
	if err != nil {
		return Sockets{}, err
	}
	packets, err := net.ListenUDP("udp", &net.UDPAddr{IP: ip, Port: streams.Addr().(*net.TCPAddr).Port, Zone: at.Addr().Zone()})
	if err != nil {
		streams.Close()
		return Sockets{}, err
	}
	return Sockets{Packets: packets, Streams: streams}, nil
}

// Close closes those of the sockets that there are.
func (s Sockets) Close() error {
	var packets, streams error
	if s.Packets != nil {
		packets = s.Packets.Close()
	}
	if s.Streams != nil {
		streams = s.Streams.Close()
	}
	return cmp.Or(packets, streams)
}

// addr returns the address of the sockets.
func (s Sockets) addr() (netip.AddrPort, error) {
	if s.Packets == nil || s.Streams == nil {
		return netip.AddrPort{}, errors.New("a gossip needs a socket for packets and one for streams")
	}
	at, err := netip.ParseAddrPort(s.Streams.Addr().String())
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("socket: %w", err)
	}
	return netip.AddrPortFrom(at.Addr().Unmap(), at.Port()), nil
}

// CheckBind says what is wrong with a bind address, nil if nothing.
func CheckBind(bind string) error {
	_, err := parseBind(bind)
	return err
}

// parseBind reads "ip:port" or ":port". Without an IP address, Addr is the zero
// value. A name is refused: memberlist would take it for all addresses.
func parseBind(bind string) (netip.AddrPort, error) {
	host, port, err := net.SplitHostPort(bind)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("the address %q is not ip:port or :port", bind)
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("the address %q needs a port of 0 to 65535", bind)
	}
	var ip netip.Addr
	if host != "" {
		if ip, err = netip.ParseAddr(host); err != nil {
			return netip.AddrPort{}, fmt.Errorf("the address %q needs an IP address, not a name", bind)
		}
	}
	return netip.AddrPortFrom(ip.Unmap(), uint16(n)), nil
}

// advertised returns the address to announce for sockets at bind. memberlist's guess
// isn't used: it might be a floating address, and then this node would become another
// one at each failover.
func advertised(bind netip.AddrPort, explicit string, seeds []string) (netip.AddrPort, error) {
	if explicit != "" {
		at, err := parseBind(explicit)
		if err != nil {
			return netip.AddrPort{}, fmt.Errorf("advertise: %w", err)
		}
		if !at.Addr().IsValid() || at.Addr().IsUnspecified() {
			return netip.AddrPort{}, fmt.Errorf("advertise: no member can reach %q", explicit)
		}
		return netip.AddrPortFrom(at.Addr(), cmp.Or(at.Port(), bind.Port())), nil
	}
	if bind.Addr().IsValid() && !bind.Addr().IsUnspecified() {
		return bind, nil
	}
	for _, seed := range seeds {
		if ip, ok := sourceFor(seed); ok {
			return netip.AddrPortFrom(ip, bind.Port()), nil
		}
	}
	ip, err := onlyAddress()
	return netip.AddrPortFrom(ip, bind.Port()), err
}

// sourceFor returns the local address from which the kernel would reach seed. It
// sends nothing. A name that leads to loopback is our own, and doesn't count.
func sourceFor(seed string) (netip.Addr, bool) {
	conn, err := net.DialTimeout("udp", seed, time.Second)
	if err != nil {
		return netip.Addr{}, false
	}
	defer conn.Close()
	local, err := netip.ParseAddrPort(conn.LocalAddr().String())
	if err != nil {
		return netip.Addr{}, false
	}
	_, notLiteral := netip.ParseAddrPort(seed)
	ip := local.Addr().Unmap()
	return ip, !ip.IsLoopback() || notLiteral == nil
}

// onlyAddress returns the one address of this machine that others can reach,
// IPv4 first. With several it is an error: choosing is the operator's.
func onlyAddress() (netip.Addr, error) {
	all, err := net.InterfaceAddrs()
	if err != nil {
		return netip.Addr{}, fmt.Errorf("find an address to advertise: %w", err)
	}
	var v4, v6 []netip.Addr
	for _, a := range all {
		prefix, err := netip.ParsePrefix(a.String())
		switch ip := prefix.Addr(); {
		case err != nil || !ip.IsGlobalUnicast():
		case ip.Is4():
			v4 = append(v4, ip)
		default:
			v6 = append(v6, ip)
		}
	}
	if len(v4) == 0 {
		v4 = v6
	}
	switch len(v4) {
	case 1:
		return v4[0], nil
	case 0:
		return netip.Addr{}, errors.New("this machine has no address to advertise; set advertise")
	}
	return netip.Addr{}, fmt.Errorf("this machine has several addresses, %v; set advertise to the one that others reach, not a floating one", v4)
}
