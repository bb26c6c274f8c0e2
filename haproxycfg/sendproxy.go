package haproxycfg

// sendProxy has lb tell the hosts of a pool the client by the PROXY protocol, if HAProxy tells all of
// them.
func (t *translation) sendProxy(all []*server) {
	const mixed = "send-proxy: lb sends the header of the PROXY protocol to all hosts of a pool or to none, and HAProxy sends others none: put this host into a pool of its own, with send_proxy"
	for _, s := range allOrNone(all, func(s *server) *directive { return s.sendProxy }, mixed) {
		t.plan.sendProxy.set(s.directive, "pool.send_proxy", "v2", "lb sends version 2 of the header, with the addresses alone")
	}
}
