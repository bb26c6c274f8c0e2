// Package decisions counts the requests for which a host is being chosen, so that a process
// which retires can wait until it chooses none any more.
package decisions

import (
	"context"
	"sync/atomic"

	"tokenring/notify"
)

// A Counter counts the requests for which a host is being chosen or connected to. Make it with
// New. Safe for concurrent use.
type Counter struct {
	under   atomic.Int64
	awaited atomic.Bool // Stop waits for them
	stopped atomic.Bool
	none    notify.Note
	ending  chan struct{} // closed by Stop
}

// New returns a Counter of none.
func New() Counter { return Counter{none: notify.NewNote(), ending: make(chan struct{})} }

// Begin counts a request until End. It reports false, and counts none, if nothing is
// decided any more.
func (d *Counter) Begin() bool {
	d.under.Add(1)
	if d.stopped.Load() {
		d.End()
		return false
	}
	return true
}

// End ends what Begin began.
func (d *Counter) End() {
	if d.under.Add(-1) == 0 && d.awaited.Load() {
		d.none.Leave()
	}
}

// Over reports whether nothing is decided any more.
func (d *Counter) Over() bool { return d.stopped.Load() }

// Ending is closed when Stop is called: whoever waits then is to decide nothing any more.
func (d *Counter) Ending() <-chan struct{} { return d.ending }

// Stop waits until there are none, or ctx ends. From then on there are no further ones. It
// is called once.
func (d *Counter) Stop(ctx context.Context) {
	defer d.stopped.Store(true)
	d.awaited.Store(true)
	close(d.ending)
	for d.under.Load() > 0 {
		select {
		case <-d.none:
		case <-ctx.Done():
			return
		}
	}
}
