package proxyheader

import (
	"encoding/binary"
	"net/netip"
)

// Ends are the two ends of a client's connection to this balancer, as a header tells them to a host.
// The zero value stands for a connection that is the balancer's own, such as a check.
type Ends struct {
	Client netip.AddrPort // its port is 0 if it isn't known
	Server netip.AddrPort // where the client has connected to; not valid if it isn't known
}

// Append appends a header of version 2, without TLVs. It is LOCAL if the client isn't known. Ends of
// two families are told as addresses of IPv6, as HAProxy does.
func (e Ends) Append(dst []byte) []byte {
	dst = append(dst, signature...)
	client, server := e.Client.Addr().Unmap(), e.Server.Addr().Unmap()
	switch {
	case !client.IsValid():
		return append(dst, local2, 0, 0, 0)
	case !server.IsValid() && client.Is4():
		server = netip.IPv4Unspecified()
	case !server.IsValid():
		server = netip.IPv6Unspecified()
	}
	if client.Is4() && server.Is4() {
		dst = append(dst, proxy2, tcp4, 0, 2*4+4)
		dst = append(append(dst, client.AsSlice()...), server.AsSlice()...)
	} else {
		from, to := client.As16(), server.As16()
		dst = append(dst, proxy2, tcp6, 0, 2*16+4)
		dst = append(append(dst, from[:]...), to[:]...)
	}
	dst = binary.BigEndian.AppendUint16(dst, e.Client.Port())
	return binary.BigEndian.AppendUint16(dst, e.Server.Port())
}
