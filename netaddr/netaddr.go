// Package netaddr maps addresses to the sources that limits count, and parses networks
// of the configuration. An IPv6 client can use any address of its network, so a limit
// for one client counts networks.
package netaddr

import (
	"fmt"
	"net/netip"
)

// Parse returns the IP address in remote, which has the form "ip:port". It turns an
// IPv4-mapped IPv6 address into IPv4, and removes a zone. It returns false if remote has
// another form, such as the address of a connection that is not TCP.
func Parse(remote string) (addr netip.Addr, ok bool) {
	at, err := netip.ParseAddrPort(remote)
	if err != nil {
		return netip.Addr{}, false
	}
	return at.Addr().Unmap().WithZone(""), true
}

// Source returns the network that counts as one source: the address itself for IPv4, and
// the /64 network for IPv6, since a client with one address of a /64 can use all of them
// (RFC 8981). It returns the zero Prefix for an invalid address. addr must have no zone.
func Source(addr netip.Addr) netip.Prefix {
	bits := addr.BitLen()
	if addr.Is6() {
		bits = 64
	}
	source, _ := addr.Prefix(bits) // fails only for an invalid address
	return source
}

// SourceOf returns the source of a remote address of the form "ip:port". All other forms
// count as one source, the zero Prefix.
func SourceOf(remote string) netip.Prefix {
	addr, _ := Parse(remote)
	return Source(addr)
}

// Shown returns the network of a client as pages and lists show it, in place of the address,
// which is a personal datum: the /24 of IPv4, and the /48 of IPv6. remote is an address, or
// has the form "ip:port". Shown returns "" for all other forms.
func Shown(remote string) string {
	addr, err := netip.ParseAddr(remote)
	if err != nil {
		addr, _ = Parse(remote)
	}
	if !addr.IsValid() {
		return ""
	}
	addr = addr.Unmap().WithZone("")
	bits := 24
	if addr.Is6() {
		bits = 48
	}
	network, _ := addr.Prefix(bits) // fails only for an invalid address
	return network.String()
}

// ParseNetworks parses networks such as "10.0.0.0/8". An IP address without a prefix
// length is a network of one address.
func ParseNetworks(texts []string) ([]netip.Prefix, error) {
	var networks []netip.Prefix
	for _, text := range texts {
		prefix, err := netip.ParsePrefix(text)
		if err != nil {
			ip, ipErr := netip.ParseAddr(text)
			if ipErr != nil {
				return nil, fmt.Errorf("%q isn't a network such as 10.0.0.0/8", text)
			}
			prefix = netip.PrefixFrom(ip, ip.BitLen())
		}
		networks = append(networks, prefix.Masked())
	}
	return networks, nil
}
