package main

import (
	"context"
	"fmt"
	"time"
)

// A load is what is sent to a proxy that is to be kept as busy as it can be. Its
// run gets the proxy into the state that is to be measured, calls mark, works,
// and calls mark again. It returns when everything that it started has ended.
type load interface {
	run(ctx context.Context, j job, mark func() error) (outcome, error)
}

// An outcome is what a load has achieved.
type outcome struct {
	units    uint64 // done between the two marks: requests, say
	failures uint64 // of the whole run
}

// A window is the time between the two marks of a load, whose units are what
// the hosts serve meanwhile.
type window struct {
	ides   *hosts
	warmUp time.Duration // the load runs for so long before
	length time.Duration
}

// watch marks the window's begin and end, and counts what is served between.
func (w window) watch(ctx context.Context, mark func() error) (uint64, error) {
	if err := pause(ctx, w.warmUp); err != nil {
		return 0, err
	}
	if err := mark(); err != nil {
		return 0, err
	}
	before := w.ides.served.Load()
	if err := pause(ctx, w.length); err != nil {
		return 0, err
	}
	err := mark()
	return w.ides.served.Load() - before, err
}

// pause waits for d. It returns earlier, with an error, if ctx ends.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// plausible compares what the load and the hosts have counted over the whole
// run with so many connections: if a proxy answered by itself, or asked twice, or
// opened a connection for every request, then its figure is one for another job.
func plausible(said, served, links, connections uint64) error {
	slack := 2 * connections // requests that were under way at the end
	most := connections * (hostCount + 1)
	switch {
	case served+slack < said, said+slack < served:
		return fmt.Errorf("the load got %d answers, but the hosts gave %d", said, served)
	case links > most && links*10 > served:
		return fmt.Errorf("%d connections to the hosts for %d requests: they aren't kept alive", links, served)
	}
	return nil
}
