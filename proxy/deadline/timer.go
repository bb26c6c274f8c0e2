package deadline

import (
	"sync"
	"time"
)

// A Timer bounds one direction of a stream of HTTP/2. net/http has such deadlines, but if
// one is set on a stream that has just ended, its timer is never stopped and keeps the
// memory of the connection until it fires. So a Timer is used instead, and net/http gets a
// deadline only when the deadline has passed.
//
// Its methods are safe for concurrent use.
type Timer struct {
	Expire func() // called when the deadline passes, but not after Stop has returned. It must be set before the first call of Set

	mu    sync.Mutex
	timer *time.Timer
	at    time.Time
	over  bool
}

// Set sets the deadline. It always returns nil; New needs a function that returns an error.
func (t *Timer) Set(at time.Time) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.at = at
	switch {
	case t.over:
	case t.timer == nil:
		t.timer = time.AfterFunc(time.Until(at), t.fire)
	default:
		t.timer.Reset(time.Until(at))
	}
	return nil
}

func (t *Timer) fire() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.over && !time.Now().Before(t.at) { // otherwise Set was called at the same moment
		t.Expire()
	}
}

// Stop ends the deadline, with its stream.
func (t *Timer) Stop() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.over = true
	if t.timer != nil {
		t.timer.Stop()
	}
}
