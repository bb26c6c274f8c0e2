package edge

import (
	"context"
	"time"

	"tokenring/balancer"
	"tokenring/proxy/elder"
	"tokenring/proxy/tunnel"
	"tokenring/route"
	"tokenring/session"
)

// A drainer closes the terminals of hosts whose drains have come to their deadlines. It is not
// safe for concurrent use.
type drainer struct {
	e      *Edge
	credit map[string]float64 // by host: how many terminals may be closed now
}

// drainTick is how often terminals are closed. Each time it is as many as the time since the
// last one allows.
const drainTick = time.Second

// runDrains closes terminals of hosts that drain or that are down, until ctx ends.
func (e *Edge) runDrains(ctx context.Context) error {
	d := drainer{e: e, credit: map[string]float64{}}
	down := downCloser{e: e, log: e.part("proxy"), shares: map[string]int{}}
	tick := time.NewTicker(drainTick)
	defer tick.Stop()
	for {
		select {
		case now := <-tick.C:
			d.close(ctx, allPools{e}.Snapshot(), now)
			down.close(ctx, e.cfg.Health, e.pool.Snapshot(), now)
			for _, p := range e.parts {
				down.close(ctx, p.cfg.Health, p.pool.Snapshot(), now)
			}
		case <-ctx.Done():
			return nil
		}
	}
}

// close closes as many terminals as may be closed now.
func (d *drainer) close(ctx context.Context, s *route.Snapshot, now time.Time) {
	for _, h := range s.Hosts {
		if h.State != route.Drain || !h.DrainEnd.Over(now) || h.Gauges.Sessions.Load() == 0 {
			delete(d.credit, h.Name)
			continue
		}
		share := d.share(h)
		d.credit[h.Name] = min(d.credit[h.Name]+share, max(share, 1))
		if n := int(d.credit[h.Name]); n > 0 {
			d.credit[h.Name] -= float64(d.e.closeSome(ctx, h.Name, n, tunnel.ByDrain))
		}
	}
}

// share returns how many of a host's terminals this balancer closes in a tick, so that all
// balancers together close as many as may be closed, each in proportion to those that it has.
func (d *drainer) share(h *route.Host) float64 {
	own, others := float64(h.Gauges.Sessions.Load()), float64(d.e.proxy.Region().Terminals(h.Name))
	return float64(h.DrainEnd.PerSecond()) * drainTick.Seconds() * own / (own + others)
}

// closeSome closes the sessions of a host that were idle the longest, whole, of n terminals or
// one session at least, in all processes of this balancer. It returns how many terminals that
// were.
func (e *Edge) closeSome(ctx context.Context, host string, n int, why tunnel.Reason) (closed int) {
	var keys []balancer.Digest
	seen := map[balancer.Digest]bool{}
	for _, t := range e.ownTerminals(ctx, session.Selection{Host: host, Limit: n}).Terminals {
		if seen[t.Digest] {
			continue
		}
		_, tunnels := e.proxy.Session(t.Digest)
		if closed > 0 && closed+tunnels > n {
			break
		}
		seen[t.Digest] = true
		keys, closed = append(keys, t.Digest), closed+tunnels
	}
	e.proxy.End(elder.End{Keys: keys, Why: string(why)})
	return closed
}
