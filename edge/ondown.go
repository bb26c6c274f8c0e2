package edge

import (
	"context"
	"time"

	"github.com/rs/zerolog"

	"tokenring/config"
	"tokenring/proxy/tunnel"
	"tokenring/route"
)

// A downCloser closes the terminals of hosts that have been down for health.close_after, if
// health.on_down says so. It is not safe for concurrent use.
type downCloser struct {
	e      *Edge
	log    zerolog.Logger
	shares map[string]int // by host: how many terminals are closed in a tick
}

// downSpread is the time over which the terminals of a host are closed, so that their clients don't
// all connect elsewhere at one moment.
const downSpread = 10 * time.Second

// minDownShare is how many terminals of a host are closed in a tick, if there are so many.
const minDownShare = 10

// close closes as many terminals as may be closed now.
func (d *downCloser) close(ctx context.Context, cfg config.HealthConfig, s *route.Snapshot, now time.Time) {
	if cfg.OnDown != config.OnDownClose {
		return
	}
	for _, h := range s.Hosts {
		open := h.Gauges.Sessions.Load()
		if at := silentSince(s, h); at.IsZero() || now.Sub(at) < cfg.CloseAfter || open == 0 {
			delete(d.shares, h.Name)
			continue
		}
		if d.shares[h.Name] == 0 {
			d.shares[h.Name] = max(minDownShare, int(open*int64(drainTick)/int64(downSpread)))
			d.log.Warn().Str("host", h.Name).Int64("terminals", open).Msg("a host has been down for health.close_after: its terminals are closed")
		}
		d.e.closeSome(ctx, h.Name, d.shares[h.Name], tunnel.ByHostDown)
	}
}

// silentSince returns since when a host is down and silent; zero if it isn't, or if a frozen ring
// waits for it: the network may be broken, and the terminals may work again. Nor is it if terminals of
// another balancer or process work there.
func silentSince(s *route.Snapshot, h *route.Host) time.Time {
	if s.Frozen && !h.FailedBefore || h.Sends() {
		return time.Time{}
	}
	return h.SilentSince()
}
