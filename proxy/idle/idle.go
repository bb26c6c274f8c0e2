// Package idle is the wait of a client's connection between two requests: first in the
// connection's goroutine, then without a goroutine.
package idle

import (
	"sync"
	"time"

	"tokenring/poller"
)

// A Wait is the wait of one connection. Its zero value is busy.
//
//	busy ────────Begin────────▶ waiting ──Register──▶ registered
//	 ▲                            │                     │
//	 ├───── Request, Cancel ──────┘                     │
//	 └───────────────────── Wake ───────────────────────┘
//
// At first the connection's goroutine waits, because the next request of a page comes
// soon, and to start a goroutine again costs more than to keep it. Then the connection is
// registered with a poller, and has no goroutine and no buffer.
//
// Wake, Cancel and Overdue are safe for concurrent use. The other methods are for the
// connection's goroutine.
type Wait struct {
	mu     sync.Mutex
	state  state
	until  time.Time // when the wait times out; zero before Quiet
	poller *poller.Poller
	fd     int
}

type state uint8

const (
	busy state = iota
	waiting
	registered
)

// Begin goes from busy to waiting.
func (w *Wait) Begin() { w.enter(busy, waiting) }

// Left returns how much of the limit is left for which the client may be idle. Before Quiet
// that is the whole limit.
func (w *Wait) Left(limit time.Duration) time.Duration {
	if w.until.IsZero() {
		return limit
	}
	return time.Until(w.until)
}

// Quiet says that nothing has come while the goroutine waited, and how much of the limit is
// left. Only the first call since the last request counts.
func (w *Wait) Quiet(left time.Duration) {
	if w.until.IsZero() {
		w.until = time.Now().Add(left)
	}
}

// Request goes from waiting to busy, because a request has begun. It reports false if
// Cancel was first.
func (w *Wait) Request() bool {
	if !w.enter(waiting, busy) {
		return false
	}
	w.until = time.Time{}
	return true
}

// Cancel goes from waiting to busy, because the connection ends. It reports whether the
// connection was waiting.
func (w *Wait) Cancel() bool { return w.enter(waiting, busy) }

// enter goes from one state to another. It reports false if the state isn't from.
func (w *Wait) enter(from, to state) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.state != from {
		return false
	}
	w.state = to
	return true
}

// Register goes from waiting to registered: p calls h when something comes on the socket
// fd. From then on the goroutine must not use the connection. Register reports false if
// Cancel was first, or if p can't add the socket.
func (w *Wait) Register(p *poller.Poller, fd int, h poller.Handler) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.state != waiting {
		return false
	}
	w.poller, w.fd = p, fd
	if err := p.Add(fd, poller.Input, h); err != nil {
		return false
	}
	w.state = registered
	return true
}

// Wake goes from registered to busy: the connection belongs to the caller. It reports false
// if the connection isn't registered, or another call was first.
func (w *Wait) Wake(h poller.Handler) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.state != registered {
		return false
	}
	w.poller.Remove(w.fd, h)
	w.state = busy
	return true
}

// Overdue reports whether the connection is registered and its wait has timed out.
func (w *Wait) Overdue(now time.Time) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.state == registered && now.After(w.until)
}
