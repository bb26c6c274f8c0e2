package main

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
)

// visitors is how many of them there are at a time.
const visitors = 16

// playVisits has visitors come and go, each on a connection of its own. What
// came of it is said when the input has ended.
func playVisits(ctx context.Context, t target, in *json.Decoder, out *json.Encoder) error {
	closing := inputEnds(ctx, in)
	var wg sync.WaitGroup
	var mu sync.Mutex
	var total outturn
	for range visitors {
		wg.Go(func() {
			for closing.Err() == nil {
				err := t.visit(ctx)
				mu.Lock()
				total.count(err)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return out.Encode(total)
}

// count adds one thing that was done, or failed.
func (o *outturn) count(err error) {
	if err == nil {
		o.Count++
		return
	}
	if o.Failures++; o.Fault == "" {
		o.Fault = err.Error()
	}
}

// visits is a load of new connections with one request on each.
type visits struct {
	window
}

func (v visits) run(ctx context.Context, j job, mark func() error) (outcome, error) {
	p, err := cast(ctx, "visits", j.target())
	if err != nil {
		return outcome{}, err
	}
	defer p.end()
	served, links := v.ides.served.Load(), v.ides.links.Load()
	units, err := v.watch(ctx, mark)
	if err != nil {
		return outcome{}, err
	}
	said, err := p.finish()
	if err != nil {
		return outcome{}, err
	}
	if said.Failures > 0 {
		return outcome{units, said.Failures}, fmt.Errorf("%d visits failed, the first with: %s", said.Failures, said.Fault)
	}
	served, links = v.ides.served.Load()-served, v.ides.links.Load()-links
	return outcome{units: units}, plausible(said.Count, served, links, visitors)
}
