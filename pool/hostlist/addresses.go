package hostlist

import (
	"net"
	"net/netip"
	"strings"

	"tokenring/route"
)

// OfAddresses returns the hosts that addresses stand for, in a pool. Each is called by its address
// and port, such as api/10.0.0.5-8080.
func OfAddresses(pool string, all []netip.Addr, port string) []Host {
	hosts := make([]Host, 0, len(all))
	for _, ip := range all {
		name := strings.ReplaceAll(ip.WithZone("").StringExpanded(), ":", "-") + "-" + port
		hosts = append(hosts, Host{Spec: route.Spec{Name: route.InPool(pool, name), Address: net.JoinHostPort(ip.String(), port), Weight: 1}})
	}
	return hosts
}
