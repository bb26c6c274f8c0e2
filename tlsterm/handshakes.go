package tlsterm

import (
	"context"
	"runtime"
	"sync/atomic"

	"golang.org/x/sync/semaphore"
)

// defaultHandshakes returns the default of MaxHandshakes, the number of processors.
// Handshakes that count don't wait for their clients, so with more of them none would
// be done sooner, and everything else, such as live terminals, would have to wait.
func defaultHandshakes() int { return runtime.GOMAXPROCS(0) }

// A HandshakeLimit bounds the number of TLS handshakes that are computed at the same
// time. When all clients of a region reconnect at once, it serves them in their order,
// instead of all of them slowly. It is safe for concurrent use.
type HandshakeLimit struct {
	slots   *semaphore.Weighted
	waiting atomic.Int64
}

// NewHandshakeLimit returns a limit of n handshakes. If n is 0 or less, the limit is the
// number of processors.
func NewHandshakeLimit(n int) *HandshakeLimit {
	if n <= 0 {
		n = defaultHandshakes()
	}
	return &HandshakeLimit{slots: semaphore.NewWeighted(int64(n))}
}

// Acquire waits until a handshake may begin, in the order of the calls. It returns the
// error of ctx if ctx ends first. After nil the caller must call Release once.
func (l *HandshakeLimit) Acquire(ctx context.Context) error {
	if ctx.Err() == nil && l.slots.TryAcquire(1) {
		return nil
	}
	l.waiting.Add(1)
	defer l.waiting.Add(-1)
	return l.slots.Acquire(ctx, 1)
}

// Release ends a handshake. The caller of Acquire that has waited longest is next.
func (l *HandshakeLimit) Release() { l.slots.Release(1) }

// Waiting returns the number of handshakes that wait in Acquire.
func (l *HandshakeLimit) Waiting() int { return int(l.waiting.Load()) }
