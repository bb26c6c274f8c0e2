package edge

import (
	"context"
	"runtime/debug"
	"time"

	"tokenring/handover"
	"tokenring/pool"
	"tokenring/proxy"
)

// state returns what this generation hands over: what it knows now, or, once it has retired,
// what it knew last.
func (g *Generation) state(ctx context.Context) (Handed, error) {
	g.mu.Lock()
	last := g.last
	g.mu.Unlock()
	if last != nil {
		return *last, nil
	}
	return g.know(ctx)
}

// know returns what this generation knows now.
func (g *Generation) know(ctx context.Context) (Handed, error) {
	h, err := g.edge.state(ctx)
	h.Counts = g.counts.ofEnded()
	return h, err
}

// retire makes this generation a pipe: it carries what it has, and decides nothing. It
// returns when the next one may decide.
func (g *Generation) retire(ctx context.Context) {
	g.retired.Store(true)
	g.edge.retire(ctx, g.pass)
	last, err := g.know(ctx) // when the gossips and the files are let go of
	if err != nil {          // the next one serves from what it has had before
		g.log.Error().Err(err).Msg("what this generation has known last is lost")
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.last = &last
}

// forget forgets what was kept for the case that the next generation fails, and gives memory
// back.
func (g *Generation) forget() {
	g.mu.Lock()
	g.last = nil
	g.mu.Unlock()
	g.edge.proxy.Region().Clear()
	debug.FreeOSMemory()
}

// state returns what the Edge knows.
func (e *Edge) state(ctx context.Context) (h Handed, err error) {
	if h.Pool, err = e.pool.State(ctx); err != nil {
		return h, err
	}
	if err := e.partsState(ctx, &h); err != nil {
		return h, err
	}
	h.Health, h.Placements, h.Takers = e.monitor.State(), e.proxy.Placements(time.Now()), e.proxy.Takers()
	h.Region = e.proxy.Region().State(time.Now())
	h.Admin, h.DigestKey = e.admin.State(), e.digestKey
	h.Tickets, h.OwnTickets = e.certificates.ticketKeys()
	return h, nil
}

// inheritLast takes over what another process has known last. It must be called before Begin.
func (e *Edge) inheritLast(ctx context.Context, h Handed) error {
	if err := e.pool.Update(ctx, h.Pool); err != nil {
		return err
	}
	if err := e.updateParts(ctx, h); err != nil {
		return err
	}
	e.inherit(&h)
	e.admin.Restore(h.Admin)
	return nil
}

// inherit takes over what the checks and the proxy of another process have known.
func (e *Edge) inherit(h *Handed) {
	e.monitor.Restore(h.Health)
	for _, p := range e.parts {
		p.monitor.Restore(h.PoolHealth[p.name])
	}
	e.proxy.RestorePlacements(h.Placements)
	e.proxy.RestoreTakers(h.Takers)
	e.proxy.Region().Restore(h.Region)
}

// retire stops everything but the connections that clients have. When it returns, nothing is
// decided any more. The pool's State then comes when the gossips and the files in the state
// directory are another process's.
func (e *Edge) retire(ctx context.Context, pass func(proxy.Passed) error) {
	e.proxy.Retire(ctx, pass)
	e.stopDeciding(pool.ErrRetired)
}

// status returns what the Edge carries.
func (e *Edge) status() handover.Status {
	terminals := 0
	for _, s := range e.proxy.Live() {
		terminals += s.Tunnels
	}
	return handover.Status{Terminals: terminals, Connections: e.proxy.Connections()}
}

// serving reports whether clients are served.
func (e *Edge) serving() bool {
	select {
	case <-e.accepts:
		return true
	default:
		return false
	}
}
