package edge

import (
	"tokenring/health"
	"tokenring/lease"
	"tokenring/proxy/secondchance"
	"tokenring/route"
	"tokenring/stream"
)

// leaseBy has checks give leases, if hosts fence themselves. They are signed by the key with which
// peers know this balancer.
func (e *Edge) leaseBy(identity stream.Identity) {
	if !e.cfg.Sessions.Strict {
		return
	}
	e.opt.Logger.Info().Stringer("key", identity.Fingerprint()).Msg("hosts fence themselves: their agents need --balancer with the name and the key of this balancer")
	e.monitor.SetLeasing(health.Leasing{Prove: func(host, challenge string, gives bool) string {
		c := lease.Claim{Host: host, Challenge: challenge, Of: min(max(e.cfg.Peers.Expect, e.pool.Snapshot().Balancers), lease.MaxBalancers)}
		if gives {
			c.Length = e.cfg.Sessions.StrictLease
		}
		return c.Prove(identity.Public(), identity.Sign)
	}})
}

// lease has checks give leases to the hosts of a snapshot that get some.
func (e *Edge) lease(s *route.Snapshot) {
	if !e.cfg.Sessions.Strict {
		return
	}
	hosts := make(map[string]bool, len(s.Hosts))
	for _, h := range s.Hosts {
		hosts[h.Name] = h.Leased
	}
	e.monitor.Lease(hosts)
}

// secondChance returns which answers of hosts the proxy takes for ones that give a request away.
// Hosts that are fenced refuse requests so, also if there are no second chances.
func (e *Edge) secondChance() *secondchance.Config {
	again := e.cfg.Sessions.SecondChance
	if again == nil && e.cfg.Sessions.Strict {
		return &secondchance.Config{FencedOnly: true}
	}
	return again
}
