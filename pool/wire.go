package pool

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/hashicorp/memberlist"
)

// A wire is memberlist's own transport, but for dials that end with calls: else
// a departure would wait for connects to hosts that don't answer. While leaving is
// true, dials end with their timeout alone.
type wire struct {
	*memberlist.NetTransport
	calls   context.Context
	leaving *atomic.Bool
}

// DialAddressTimeout implements memberlist.NodeAwareTransport.
func (w *wire) DialAddressTimeout(a memberlist.Address, timeout time.Duration) (net.Conn, error) {
	dialer, ctx := net.Dialer{Timeout: timeout}, w.calls
	if w.leaving.Load() {
		ctx = context.Background()
	}
	return dialer.DialContext(ctx, "tcp", a.Addr)
}

// DialTimeout implements memberlist.Transport.
func (w *wire) DialTimeout(addr string, timeout time.Duration) (net.Conn, error) {
	return w.DialAddressTimeout(memberlist.Address{Addr: addr}, timeout)
}

// advertised returns the address to announce for bind; port 0 stands for the
// bound one. memberlist's guess isn't used: it might be a floating address,
// which would make this node another one at each failover.
func advertised(bind netip.AddrPort, explicit string, seeds []string) (netip.AddrPort, error) {
	if explicit != "" {
		at, err := parseBind(explicit)
		if err != nil {
			return netip.AddrPort{}, fmt.Errorf("advertise: %w", err)
		}
		if !at.Addr().IsValid() || at.Addr().IsUnspecified() {
			return netip.AddrPort{}, fmt.Errorf("advertise: nobody can reach %q", explicit)
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
