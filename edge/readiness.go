package edge

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"tokenring/route"
)

// Ready returns why this balancer can't serve clients, nil if it can.
func (e *Edge) Ready() error {
	select {
	case <-e.pool.Ready():
	default:
		return errors.New("the hosts haven't been checked yet")
	}
	if err := e.partsReady(); err != nil {
		return err
	}
	if e.stopping.Load() {
		return errors.New("stopping")
	}
	return unable(e.pool.Snapshot())
}

// unable returns why no token gets a host, or why another balancer can serve far more of them.
// It is nil if clients are welcome.
func unable(s *route.Snapshot) error {
	if s.Severed != "" {
		return errors.New(s.Severed)
	}
	for _, placed := range s.Table.Hosts() {
		if h := s.Host(placed.Name); h != nil && h.Serving() {
			return nil
		}
	}
	if slices.ContainsFunc(s.Hosts, (*route.Host).Serving) {
		return errors.New("the hosts that can serve aren't in a ring yet")
	}
	return errors.New("no host can serve")
}

// stillWaiting is the time after which a balancer logs for which hosts it still waits.
const stillWaiting = 3 * time.Second

// awaitHosts waits until the hosts are known and checked, and logs for which hosts it
// waits. The pool bounds that time. It returns false if ctx or back ends first.
func (e *Edge) awaitHosts(ctx, back context.Context) bool {
	e.opt.Logger.Info().Int("listed_hosts", len(e.cfg.ListedHosts())).Str("gossip", e.pool.GossipAddr()).Str("peers", e.pool.PeersAddr()).
		Msg("waiting until hosts are found and checked, 10 s at most")
	long := time.NewTimer(stillWaiting)
	defer long.Stop()
	for {
		select {
		case <-e.pool.Ready():
			return e.awaitParts(ctx, back)
		case <-ctx.Done():
			return false
		case <-back.Done():
			return false
		case <-long.C:
			names, more := unchecked(e.pool.Snapshot())
			e.opt.Logger.Info().Strs("unchecked", names).Int("more", more).Msg("still waiting for hosts")
		}
	}
}

// unchecked returns the names of some hosts that have no verdict yet, and how many more
// such hosts there are.
func unchecked(s *route.Snapshot) (names []string, more int) {
	const most = 8
	for _, h := range s.Hosts {
		switch {
		case h.Verdict != route.Unchecked || h.State == route.Maint:
		case len(names) < most:
			names = append(names, h.Name)
		default:
			more++
		}
	}
	return names, more
}

// A readiness is the last log line about whether the balancer can serve. The zero value
// means that there was none. It is safe for concurrent use.
type readiness struct {
	mu     sync.Mutex
	logged bool
	why    string // why the balancer couldn't serve; "" if it could
}

// noteReadiness logs whether this balancer can serve, if that has changed. It logs nothing
// before the hosts are known, and nothing while the balancer stops.
func (e *Edge) noteReadiness() {
	select {
	case <-e.pool.Ready():
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
	if e.readiness.logged && e.readiness.why == why {
		return
	}
	e.readiness.logged, e.readiness.why = true, why
	if why != "" {
		e.opt.Logger.Warn().Str("why", why).Int("hosts", len(s.Hosts)).Msg("not ready")
		return
	}
	e.opt.Logger.Info().Int("hosts", len(s.Hosts)).Int("serving", serving(s)).Msg("ready")
}

// serving counts the hosts that may get new requests.
func serving(s *route.Snapshot) (n int) {
	for _, h := range s.Hosts {
		if h.Serving() {
			n++
		}
	}
	return n
}

// noteStop makes readiness checks fail from now on, and logs how many terminals and
// requests are still open.
func (e *Edge) noteStop() {
	e.stopping.Store(true)
	var terminals, requests int64
	for _, h := range (allPools{e}).Snapshot().Hosts {
		terminals += h.Gauges.Sessions.Load()
		requests += h.Gauges.InFlight.Load()
	}
	e.opt.Logger.Info().Int64("terminals", terminals).Int64("requests", requests).Stringer("delay", e.cfg.Shutdown.Delay).Stringer("grace", e.cfg.Shutdown.Grace).
		Msg("stopping; a second signal ends it at once")
}
