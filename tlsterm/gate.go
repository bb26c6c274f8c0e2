package tlsterm

import (
	"context"
	"runtime"
	"sync/atomic"

	"golang.org/x/sync/semaphore"
)

// defaultHandshakes is how many handshakes are computed at once unless
// configured: one for each processor. A handshake in the gate doesn't wait for
// its client, so more of them would be done no sooner, and all else, live
// terminals above all, would stand in line behind them.
func defaultHandshakes() int { return runtime.GOMAXPROCS(0) }

// A Gate bounds how many handshakes run at once, so that a whole region which
// reconnects in one moment is served one part after the other, first come
// first served, instead of all too slowly. Safe for concurrent use.
type Gate struct {
	slots   *semaphore.Weighted
	waiting atomic.Int64
}

// NewGate returns a gate with n places; one for each processor if n is 0 or less.
func NewGate(n int) *Gate {
	if n <= 0 {
		n = defaultHandshakes()
	}
	return &Gate{slots: semaphore.NewWeighted(int64(n))}
}

// Enter takes a place, and waits in line for it if there is none. It returns
// the context's error if that ends first; only after nil must Leave be called.
func (g *Gate) Enter(ctx context.Context) error {
	if ctx.Err() == nil && g.slots.TryAcquire(1) {
		return nil
	}
	g.waiting.Add(1)
	defer g.waiting.Add(-1)
	return g.slots.Acquire(ctx, 1)
}

// Leave gives the place back to whoever has waited longest.
func (g *Gate) Leave() { g.slots.Release(1) }

// Waiting returns how many stand in line.
func (g *Gate) Waiting() int { return int(g.waiting.Load()) }
