package edge

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"tokenring/counters"
	"tokenring/handover"
	"tokenring/proxy"
	"tokenring/proxy/elder"
	"tokenring/session"
)

// An older is the link to an older generation.
type older struct {
	id    int
	conn  *handover.Conn
	ended sync.WaitGroup // its Run

	heard   chan struct{} // closed when its last message was taken in
	certain chan struct{} // closed when the process has ended
	kept    []elder.End   // orders for when they are given; guarded by the lock of the links until then

	mu          sync.Mutex
	elder       *elder.Elder // nil until the Edge is built
	early       []session.Report
	closed      bool
	connections int
	sent        map[string]time.Duration // the last LastBytes

	counted bool // it has ended, and counts.ended has what it has counted; guarded by the lock of counts
}

// addOlders opens the links to older generations. What these say is read when all are open.
func (g *Generation) addOlders(ids []int, files []*os.File) error {
	for i, id := range ids {
		conn, err := handover.New(files[i])
		if err != nil {
			return err
		}
		g.olders[id] = &older{id: id, conn: conn, heard: make(chan struct{}), certain: make(chan struct{})}
	}
	for _, o := range g.olders {
		o.ended.Go(func() { g.listen(o) })
	}
	return nil
}

// listen reads what an older generation says, until that ends.
func (g *Generation) listen(o *older) {
	if err := o.conn.Run(context.Background(), g.ofOlder(o)); err != nil {
		g.log.Error().Err(err).Int("older", o.id).Msg("an older generation can't be understood")
	}
	close(o.heard)
	o.conn.Close()
	g.awaitEnd(o)
	lost := o.close()
	g.counts.end(o)
	g.countElsewhere()
	if lost > 0 {
		g.log.Error().Int("older", o.id).Int("terminals", lost).Msg("an older generation has ended before its terminals")
		return
	}
	g.log.Info().Int("older", o.id).Msg("an older generation has ended")
}

// ofOlder handles what an older generation says.
func (g *Generation) ofOlder(o *older) handover.Handler {
	return func(_ context.Context, m handover.Message) (handover.Reply, error) {
		switch m.Kind {
		case handover.KindSessions:
			var reports []session.Report
			if err := m.Decode(&reports); err != nil {
				g.log.Error().Err(err).Int("older", o.id).Msg("what an older generation carries isn't known")
				return handover.Reply{}, err
			}
			o.update(reports)
			return handover.Reply{}, nil
		case handover.KindCounters:
			var counted counters.Counts
			if err := m.Decode(&counted); err != nil {
				return handover.Reply{}, err
			}
			g.counts.update(o, counted)
			return handover.Reply{}, nil
		case handover.KindStatus:
			return reply(nil, g.setStatus(o, m))
		case handover.KindPass:
			err := g.take(m)
			if errors.Is(err, proxy.ErrNotServed) {
				return handover.Reply{Body: taken{NotServed: true}}, nil
			}
			return reply(taken{}, err)
		}
		return handover.Reply{}, fmt.Errorf("generation of a version that doesn't know %q", m.Kind)
	}
}

// update takes reports in. Before the Edge is built they are kept.
func (o *older) update(reports []session.Report) {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case o.closed:
	case o.elder == nil:
		o.early = append(o.early, reports...)
	default:
		o.elder.Update(reports)
	}
}

// close says that the older generation has ended. It returns how many terminals that had then.
func (o *older) close() (lost int) {
	lost = o.terminals()
	o.mu.Lock()
	elder := o.elder
	o.closed = true
	o.mu.Unlock()
	if elder != nil {
		elder.Close()
	}
	return lost
}

// terminals returns how many terminals the older generation has, as far as is known.
func (o *older) terminals() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.elder == nil {
		return 0
	}
	return o.elder.Terminals()
}

// adoptOlders makes the terminals of older generations known to e, and waits until all that
// there are now have come.
func (g *Generation) adoptOlders(ctx context.Context, e *Edge) error {
	for _, o := range g.olders {
		elder := e.proxy.NewElder(func(order elder.End) error { return g.order(o, order) })
		o.mu.Lock()
		o.elder = elder
		elder.Update(o.early)
		o.early = nil
		elder.Sent(o.sent)
		closed := o.closed
		o.mu.Unlock()
		if closed {
			elder.Close()
			continue
		}
		if err := o.caughtUp(ctx); err != nil {
			return err
		}
	}
	return nil
}

// caughtUp waits until the older generation has told all that it carries now. One that has
// ended carries nothing.
func (o *older) caughtUp(ctx context.Context) error {
	err := o.call(ctx, stateTimeout, handover.KindCaughtUp, nil, nil)
	if err == nil || errors.Is(err, handover.ErrGone) {
		return nil
	}
	return fmt.Errorf("generation %d hasn't said what it carries: %w", o.id, err)
}

// call calls an older generation, and gives up after a time.
func (o *older) call(ctx context.Context, within time.Duration, kind string, body, into any) error {
	_, err := o.conn.CallWithin(ctx, within, kind, body, into)
	return err
}

// inherit returns what the generation that serves hands over; nil if there is none, or if it
// knows too little itself.
func (g *Generation) inherit(ctx context.Context) (*Handed, error) {
	from := g.olders[g.serving]
	if from == nil {
		return nil, nil
	}
	var h Handed
	err := from.call(ctx, stateTimeout, handover.KindState, nil, &h)
	switch {
	case err == nil:
		return &h, nil
	case errors.Is(err, handover.ErrGone):
		return nil, nil
	}
	return nil, fmt.Errorf("generation %d hasn't handed over what it knows: %w", g.serving, err)
}

// inheritLast takes over what the generation before has decided last.
func (g *Generation) inheritLast(ctx context.Context) error {
	from := g.olders[g.serving]
	if from == nil {
		return nil
	}
	var asking sync.WaitGroup
	for _, o := range g.olders { // all that they carry must be known before anything is decided
		asking.Go(func() {
			err := o.call(ctx, stateTimeout, handover.KindCaughtUp, nil, nil)
			if ctx.Err() != nil {
				return
			}
			if err := g.obeyed(o, err, "it hasn't said what it carries"); err != nil {
				g.log.Error().Err(err).Msg("what an older generation carries isn't known")
			}
		})
	}
	asking.Wait()
	var h Handed
	if err := from.call(ctx, stateTimeout, handover.KindState, nil, &h); err != nil {
		return err
	}
	g.counts.inherit(h.Counts)
	return g.edge.inheritLast(ctx, h)
}

// setStatus notes what an older generation carries: its connections count against
// limits.connections here, and bytes for its terminals show that their hosts live.
func (g *Generation) setStatus(o *older, m handover.Message) error {
	var s handover.Status
	if err := m.Decode(&s); err != nil {
		return err
	}
	o.mu.Lock()
	o.connections, o.sent = s.Connections, s.LastBytes
	elder := o.elder
	o.mu.Unlock()
	if elder != nil {
		elder.Sent(s.LastBytes)
	}
	g.countElsewhere()
	return nil
}

// countElsewhere sums up the connections of older generations.
func (g *Generation) countElsewhere() {
	n := 0
	for _, o := range g.olders {
		o.mu.Lock()
		if !o.closed {
			n += o.connections
		}
		o.mu.Unlock()
	}
	if e := g.built(); e != nil {
		e.proxy.SetConnectionsElsewhere(n)
	}
}

// take serves a connection that an older generation passes on.
func (g *Generation) take(m handover.Message) error {
	var c proxy.Passed
	if len(m.Files) != 1 {
		return fmt.Errorf("%s: %d files", m.Kind, len(m.Files))
	}
	if err := m.Decode(&c); err != nil {
		return err
	}
	c.File = m.Files[0]
	e := g.built()
	if e == nil || !e.serving() || g.retired.Load() { // it is worth trying again: another one is about to serve
		return errNoNewest
	}
	err := e.proxy.Take(c)
	if g.retired.Load() && errors.Is(err, proxy.ErrNotServed) {
		return errNoNewest
	}
	return err
}
