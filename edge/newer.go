package edge

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"tokenring/counters"
	"tokenring/handover"
	"tokenring/pool/votes"
	"tokenring/proxy"
	"tokenring/proxy/elder"
	"tokenring/session"
)

// A newer is the link to a newer generation.
type newer struct {
	id    int
	conn  *handover.Conn
	watch *session.Watch
	ended sync.WaitGroup
}

// addNewer opens the link to a newer generation, and tells it which sessions this one has.
func (g *Generation) addNewer(m handover.Message) error {
	var l handover.Link
	if err := m.Decode(&l); err != nil || len(m.Files) != 1 {
		return fmt.Errorf("%s with %d files: %w", m.Kind, len(m.Files), err)
	}
	conn, err := handover.New(m.Files[0])
	if err != nil {
		return err
	}
	n := &newer{id: l.ID, conn: conn, watch: g.edge.proxy.Watch()}
	g.mu.Lock()
	g.newers[l.ID] = n
	g.mu.Unlock()
	ctx, cancel := context.WithCancel(context.Background())
	n.ended.Go(func() {
		defer cancel()
		if err := conn.Run(ctx, g.ofNewer(n)); err != nil {
			g.log.Error().Err(err).Int("newer", n.id).Msg("a newer generation can't be understood")
		}
		conn.Close()
		g.dropNewer(n)
	})
	n.ended.Go(func() { n.report(ctx) })
	n.ended.Go(func() { n.reportStatus(ctx, g.edge) })
	return nil
}

// dropNewer forgets a newer generation that has ended.
func (g *Generation) dropNewer(n *newer) {
	n.watch.Close()
	g.newest.CompareAndSwap(n, nil)
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.newers, n.id)
}

// report sends the sessions and their changes until ctx ends.
func (n *newer) report(ctx context.Context) {
	for {
		reports, err := n.watch.Next(ctx)
		if err != nil {
			return
		}
		if err := n.conn.Notify(handover.KindSessions, reports); err != nil {
			return // Run ends, too
		}
	}
}

// statusPeriod is how often a generation tells how many connections it has, if that has
// changed.
const statusPeriod = time.Second

// reportStatus sends how many connections there are when that has changed, and when hosts have
// sent bytes to terminals while they do, until ctx ends.
func (n *newer) reportStatus(ctx context.Context, e *Edge) {
	tick := time.NewTicker(statusPeriod)
	defer tick.Stop()
	for told := -1; ; {
		now := handover.Status{Connections: e.proxy.Connections(), LastBytes: e.proxy.LastBytes(votes.QuietAfter)}
		if now.Connections != told || len(now.LastBytes) > 0 {
			if err := n.conn.Notify(handover.KindStatus, now); err != nil {
				return // Run ends, too
			}
			told = now.Connections
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// lastTime is how long the newer generations may take for this one's last words.
const lastTime = time.Second

// reportLast tells the newer generations that its terminals have ended, and what it has
// counted in all.
func (g *Generation) reportLast() {
	counted, err := counters.Take(g.edge.metrics)
	if err != nil {
		g.log.Error().Err(err).Msg("what this generation has counted is lost")
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), lastTime)
	defer cancel()
	for _, n := range g.allNewers() {
		_ = n.watch.CaughtUp(ctx)                         // an error means that it doesn't listen
		_ = n.conn.Notify(handover.KindCounters, counted) // an error means that it has ended
	}
}

// ofNewer handles what a newer generation says.
func (g *Generation) ofNewer(n *newer) handover.Handler {
	return func(ctx context.Context, m handover.Message) (handover.Reply, error) {
		switch m.Kind {
		case handover.KindState:
			return reply(g.state(ctx))
		case handover.KindCounters:
			return reply(counters.Take(g.edge.metrics))
		case handover.KindCaughtUp:
			return reply(nil, n.watch.CaughtUp(ctx))
		case handover.KindList:
			var sel session.Selection
			if err := m.Decode(&sel); err != nil {
				return handover.Reply{}, err
			}
			return reply(g.edge.proxy.Page(sel), nil)
		case handover.KindEndKey:
			var order elder.End
			if err := m.Decode(&order); err != nil {
				return handover.Reply{}, err
			}
			g.edge.proxy.End(order)
			return handover.Reply{}, nil
		}
		return handover.Reply{}, fmt.Errorf("generation of a version that doesn't know %q", m.Kind)
	}
}

// setNewest says which generation serves instead of this one.
func (g *Generation) setNewest(m handover.Message) error {
	var l handover.Link
	if err := m.Decode(&l); err != nil {
		return err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	n := g.newers[l.ID]
	if n == nil {
		return fmt.Errorf("no link to generation %d", l.ID)
	}
	g.newest.Store(n)
	return nil
}

// pass has the newest generation serve a client's connection. If that doesn't answer in time,
// it has the connection nevertheless, and serves it later: it must not get it twice.
func (g *Generation) pass(c proxy.Passed) error {
	n := g.newest.Load()
	if n == nil {
		return errNoNewest
	}
	ctx, cancel := context.WithTimeout(context.Background(), passTimeout)
	defer cancel()
	var t taken
	_, err := n.conn.Call(ctx, handover.KindPass, c, &t, c.File)
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return nil
	case err == nil && t.NotServed:
		return proxy.ErrNotServed
	}
	return err
}
