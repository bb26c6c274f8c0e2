package tlsterm

import (
	"context"
	"sync/atomic"

	"golang.org/x/sync/semaphore"
)

// DefaultHandshakes is how many handshakes run at once unless configured.
const DefaultHandshakes = 1024

// A Gate bounds how many handshakes run at once, so that a whole region which
// reconnects in one moment is served one part after the other, first come
// first served, instead of all too slowly. Safe for concurrent use.
type Gate struct {
	slots   *semaphore.Weighted
	waiting atomic.Int64
}

// NewGate returns a gate with n places; DefaultHandshakes if n is 0 or less.
func NewGate(n int) *Gate {
	if n <= 0 {
		n = DefaultHandshakes
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
