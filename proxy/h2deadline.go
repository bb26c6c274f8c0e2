package proxy

import (
	"sync"
	"time"
)

// A streamDeadline bounds one direction of a stream. net/http has such deadlines,
// but a timer of its own that is set on a stream that has just ended is stopped by
// nobody: it keeps all that the stream's connection has until it fires. So the
// timer is ours, and net/http hears of a deadline when it has passed.
//
// Its methods are safe for concurrent use.
type streamDeadline struct {
	mu     sync.Mutex
	expire func() // not called once stop has returned
	timer  *time.Timer
	at     time.Time
	over   bool
}

// set moves the deadline. It is the set of a deadline.
func (d *streamDeadline) set(at time.Time) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.at = at
	switch {
	case d.over:
	case d.timer == nil:
		d.timer = time.AfterFunc(time.Until(at), d.fire)
	default:
		d.timer.Reset(time.Until(at))
	}
	return nil
}

func (d *streamDeadline) fire() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.over && !time.Now().Before(d.at) { // else it was moved at this moment
		d.expire()
	}
}

// stop ends the deadline, with its stream.
func (d *streamDeadline) stop() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.over = true
	if d.timer != nil {
		d.timer.Stop()
	}
}
