package main

import (
	"context"
	"fmt"
	"sync"
)

// memory is a trial of quiet clients. The proxies stand side by side, because
// most of the time is spent waiting until their memory has stopped to change; but only one at a
// time is given something to do, and none comes or goes between two readings,
// so that none changes what another shares with it.
type memory struct {
	clients int
	come    string  // the order with which they come
	then    []order // what they do after the first reading
}

func (t memory) take(ctx context.Context, s *stage, m measurement, all []proxy) []result {
	results := make([]result, len(all))
	visits := make([]*visit, len(all))
	for i, p := range all {
		visits[i], results[i].err = s.enter(ctx, p, m, true)
		if visits[i] != nil {
			defer visits[i].end()
		}
	}
	if err := pause(ctx, s.pause/3); err != nil {
		return results // the caller ignores them
	}
	empty := make([]float64, len(all))
	for i, v := range visits {
		if v != nil {
			empty[i], results[i].err = pss(v.running.pid())
		}
	}
	var turn sync.Mutex
	var wg sync.WaitGroup
	for i, v := range visits {
		if v != nil && results[i].err == nil {
			wg.Go(func() { results[i].sample, results[i].err = t.one(ctx, s, v, empty[i], &turn) })
		}
	}
	wg.Wait()
	for i, p := range all {
		s.tell(m, p.name, results[i])
	}
	return results
}

// one takes the memory of one proxy, which holds empty bytes without clients.
// It does something to it only while it holds turn.
func (t memory) one(ctx context.Context, s *stage, v *visit, empty float64, turn *sync.Mutex) (sample, error) {
	crowd, err := v.cast(ctx, "terminals")
	if err != nil {
		return sample{}, err
	}
	var values []float64
	for _, act := range append([]order{{Do: t.come, Count: t.clients, Rate: openRate}}, t.then...) {
		turn.Lock()
		err := crowd.must(act)
		turn.Unlock()
		if err != nil {
			return sample{}, err
		}
		if err := pause(ctx, s.pause); err != nil {
			return sample{}, err
		}
		full, err := pss(v.running.pid())
		if err != nil {
			return sample{}, fmt.Errorf("with %d clients: %w", t.clients, err)
		}
		values = append(values, (full-empty)/float64(t.clients)/1e3, full/1e6)
	}
	return sample{values: values}, nil
}
