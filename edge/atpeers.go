package edge

import (
	"context"
	"slices"
	"time"
)

// countInterval is how often the terminals at peers are counted anew where loads are bounded.
const countInterval = 200 * time.Millisecond

// bounded reports whether the loads of any pool are bounded.
func (e *Edge) bounded() bool {
	return e.cfg.Hash.BoundedLoad > 0 || slices.ContainsFunc(e.parts, func(p *part) bool { return p.cfg.Hash.BoundedLoad > 0 })
}

// runAtPeers keeps the hosts' gauges of terminals at peers until ctx ends, so that all balancers
// agree which host is full.
func (e *Edge) runAtPeers(ctx context.Context) error {
	tick := time.NewTicker(countInterval)
	defer tick.Stop()
	for {
		for _, h := range (allPools{e}).Snapshot().Hosts {
			h.Gauges.AtPeers.Store(int64(e.proxy.Region().Terminals(h.Name)))
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}
