package main

import (
	"context"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"tokenring/config"
	"tokenring/pool"
)

// logStart says what is about to run.
func logStart(log zerolog.Logger, file string, cfg *config.Config) {
	log.Info().Str("version", version()).Str("file", file).Str("name", cfg.Name).Str("policy", cfg.Hash.Policy).
		Str("state_dir", cfg.StateDir).Msg("starting")
}

// stillWaiting is when a balancer that waits for its hosts says which they are.
const stillWaiting = 3 * time.Second

// awaitHosts waits until the hosts are known and checked, which the pool bounds, and
// says what it waits for. It returns false if ctx or back ends before.
func (e *edge) awaitHosts(ctx, back context.Context) bool {
	e.log.Info().Int("listed_hosts", len(e.cfg.Pool.Hosts)).Str("gossip", e.pool.GossipAddr()).Str("peers", e.pool.PeersAddr()).
		Msg("waiting until hosts are found and checked, 10 s at most")
	long := time.NewTimer(stillWaiting)
	defer long.Stop()
	for {
		select {
		case <-e.pool.Settled():
			return true
		case <-ctx.Done():
			return false
		case <-back.Done():
			return false
		case <-long.C:
			names, more := unchecked(e.pool.Snapshot())
			e.log.Info().Strs("unchecked", names).Int("more", more).Msg("still waiting for hosts")
		}
	}
}

// unchecked names some of the hosts that have no verdict yet, and says how many
// more there are.
func unchecked(s *pool.Snapshot) (names []string, more int) {
	const most = 8
	for _, h := range s.Hosts {
		switch {
		case h.Verdict != pool.Unchecked || h.State == pool.Maint:
		case len(names) < most:
			names = append(names, h.Name)
		default:
			more++
		}
	}
	return names, more
}

// A readiness logs when the balancer becomes able to serve, and when it no longer
// is. Its zero value has said nothing. It is safe for concurrent use.
type readiness struct {
	mu   sync.Mutex
	said bool
	why  string // of the last line; "" for ready
}

// noteReadiness says what is new about whether this balancer can serve. Before the
// hosts are known, and while it stops, that is nothing new.
func (e *edge) noteReadiness() {
	select {
	case <-e.pool.Settled():
	default:
		return
	}
	if e.stopping.Load() {
		return
	}
	s := e.pool.Snapshot()
	why := ""
	if err := unable(s); err != nil {
		why = err.Error()
	}
	e.readiness.mu.Lock()
	defer e.readiness.mu.Unlock()
	if e.readiness.said && e.readiness.why == why {
		return
	}
	e.readiness.said, e.readiness.why = true, why
	if why != "" {
		e.log.Warn().Str("why", why).Int("hosts", len(s.Hosts)).Msg("not ready")
		return
	}
	e.log.Info().Int("hosts", len(s.Hosts)).Int("serving", serving(s)).Msg("ready")
}

// serving counts the hosts that may get new requests.
func serving(s *pool.Snapshot) (n int) {
	for _, h := range s.Hosts {
		if h.Serving() {
			n++
		}
	}
	return n
}

// noteStop has readiness checks fail from now on, and says who is still here.
func (e *edge) noteStop() {
	e.stopping.Store(true)
	var terminals, requests int64
	for _, h := range e.pool.Snapshot().Hosts {
		terminals += h.Gauges.Sessions.Load()
		requests += h.Gauges.InFlight.Load()
	}
	e.log.Info().Int64("terminals", terminals).Int64("requests", requests).Stringer("grace", e.cfg.Timeouts.Shutdown).
		Msg("stopping; a second signal ends it at once")
}
