package edge

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"tokenring/handover"
	"tokenring/proxy/elder"
)

// A token is never on two hosts, whichever processes carry its terminals. So what the newest
// generation orders has happened in the older ones before it goes on; and one that doesn't
// obey, because it hangs or can't be reached, has been killed by then.

// How long an older generation may take until it is killed.
const (
	downTimeout = time.Second     // to hear which hosts are down; it isn't killed for that
	endTimeout  = 5 * time.Second // to end terminals; new ones of the same keys wait meanwhile
	exitTime    = 5 * time.Second // to end when its link has
)

// order has an older generation end terminals. It returns when they have ended. Until serve
// is called, orders are kept and nothing is ended: this generation may fail yet.
func (g *Generation) order(o *older, order elder.End) error {
	if g.keep(o, order) {
		return nil
	}
	if order.Why == elder.WhyDown { // only requests wait for these hosts: nothing to kill a process for
		if err := o.call(context.Background(), downTimeout, handover.KindEndKey, order, nil); !errors.Is(err, handover.ErrGone) {
			return err
		}
		return nil
	}
	for _, part := range parts(order) {
		err := o.call(context.Background(), endTimeout, handover.KindEndKey, part, nil)
		if err := g.obeyed(o, err, "it hasn't ended terminals ("+order.Why+")"); err != nil {
			return err
		}
	}
	return nil
}

// partKeys is how many keys an order names at most. Ending their terminals takes a fraction of
// endTimeout, also on a busy machine: a process with many of them must not count as one that
// hangs.
const partKeys = 200

// parts returns an order as one or more.
func parts(order elder.End) (all []elder.End) {
	for keys := range slices.Chunk(order.Keys, partKeys) {
		all = append(all, elder.End{Keys: keys, Why: order.Why})
	}
	if len(order.Hosts) > 0 || len(all) == 0 {
		all = append(all, elder.End{Hosts: order.Hosts, Why: order.Why})
	}
	return all
}

// keep keeps an order if orders aren't given yet. It reports whether it has done so.
func (g *Generation) keep(o *older, order elder.End) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	select {
	case <-g.orders:
		return false
	default:
		o.kept = append(o.kept, order)
		return true
	}
}

// beginOrders gives the orders that were kept, and from now on all others at once.
func (g *Generation) beginOrders() {
	g.mu.Lock()
	close(g.orders)
	g.mu.Unlock()
	var giving sync.WaitGroup
	for _, o := range g.olders {
		giving.Go(func() {
			for _, order := range o.kept {
				if err := g.order(o, order); err != nil {
					g.log.Error().Err(err).Msg("an older generation hasn't ended its connections")
				}
			}
		})
	}
	giving.Wait()
}

// obeyed returns when an older generation has done what it was told, or has ended. err is its
// answer, and disobeyed says what an error means.
func (g *Generation) obeyed(o *older, err error, disobeyed string) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, handover.ErrGone):
		<-o.certain
		return nil
	}
	return g.mustEnd(o, 0, fmt.Sprintf("%s: %v", disobeyed, err))
}

// awaitEnd returns when an older generation whose link has ended has ended itself.
func (g *Generation) awaitEnd(o *older) {
	defer close(o.certain)
	select {
	case <-g.orders:
	case <-g.over:
		return
	}
	if err := g.mustEnd(o, exitTime, "its link to the newest generation has ended"); err != nil {
		g.log.Error().Err(err).Msg("it isn't known whether an older generation has ended")
	}
}

// mustEnd returns when an older generation has ended. If that takes longer than patience, the
// parent kills it. A generation that has retired or stopped has nothing to say, and does
// nothing here.
func (g *Generation) mustEnd(o *older, patience time.Duration, why string) error {
	select {
	case <-g.over:
		return nil
	default:
	}
	if g.retired.Load() {
		return nil
	}
	kill := handover.Kill{ID: o.id, Why: why, Terminals: o.terminals(), Patience: patience}
	if _, err := g.parent.Call(context.Background(), handover.KindKill, kill, nil); err != nil {
		return fmt.Errorf("generation %d must end, since %s: %w", o.id, why, err)
	}
	return nil
}
