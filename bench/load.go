package main

import "context"

// A load is what is sent to a proxy. Its run gets the proxy into the state that
// is to be measured, calls mark, works, and calls mark again. It returns when
// everything that it started has ended.
type load interface {
	run(ctx context.Context, j job, mark func() error) (outcome, error)
}

// An outcome is what a load has achieved.
type outcome struct {
	units    uint64 // done between the two marks: requests, say
	failures uint64 // of the whole run
}
