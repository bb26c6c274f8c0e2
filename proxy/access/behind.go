package access

import (
	"bytes"
	"net/netip"
	"strings"

	"tokenring/http1"
)

// Behind returns the client for which a proxy at an address has sent a request with these fields. Each
// trusted proxy has added the address before it to X-Forwarded-For, so that is the last one there that
// isn't trusted. What can't be read, and all before it, isn't believed: then it is the proxy itself.
func Behind(proxy netip.Addr, fields []http1.Field, trusts func(netip.Addr) bool) netip.Addr {
	client := proxy
	for i := len(fields) - 1; i >= 0; i-- {
		f := &fields[i]
		if f.Kind != http1.KindXForwardedFor || f.Hop {
			continue
		}
		for rest := f.Value; len(rest) > 0; {
			at := bytes.LastIndexByte(rest, ',')
			addr, ok := parse(string(bytes.TrimSpace(rest[at+1:])))
			switch {
			case !ok:
				return client
			case !trusts(addr):
				return addr
			}
			client, rest = addr, rest[:max(at, 0)]
		}
	}
	return client
}

// parse reads an address, which some proxies write with its port.
func parse(text string) (netip.Addr, bool) {
	if at, err := netip.ParseAddrPort(text); err == nil {
		return at.Addr().Unmap(), true
	}
	addr, err := netip.ParseAddr(strings.Trim(text, "[]"))
	return addr.Unmap(), err == nil
}
