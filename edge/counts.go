package edge

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"tokenring/counters"
	"tokenring/handover"
)

// countsTimeout is how long an older generation may take to say what it has counted; what it
// said before counts then.
const countsTimeout = 500 * time.Millisecond

// counts are what other generations of this balancer have counted. It is safe for concurrent
// use.
type counts struct {
	mu        sync.Mutex
	recovered bool                    // ended is what a crashed generation has told, which knew more than any that lives
	ended     map[int]counters.Counts // of generations that have ended, by number; 0: of those before
	last      map[*older]counters.Counts
}

func newCounts() *counts {
	return &counts{ended: map[int]counters.Counts{}, last: map[*older]counters.Counts{}}
}

// inherit takes over what another process knows of ended generations. What is known of a
// generation already stays: both have it from that generation. After recover it does nothing.
func (c *counts) inherit(ended map[int]counters.Counts) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.recovered {
		return
	}
	for id, counted := range ended {
		if _, known := c.ended[id]; !known || id == 0 {
			c.ended[id] = counted
		}
	}
}

// recover takes over what a generation that has crashed had last told the parent.
func (c *counts) recover(text json.RawMessage) error {
	if len(text) == 0 {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := json.Unmarshal(text, &c.ended); err != nil {
		return err
	}
	c.recovered = true
	return nil
}

// addEnded makes one sum of the generations that have ended until now. It is called when
// nothing is inherited any more.
func (c *counts) addEnded() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended = map[int]counters.Counts{0: counters.Sum(slices.Collect(maps.Values(c.ended))...)}
}

// ofEnded returns what the ended generations have counted.
func (c *counts) ofEnded() map[int]counters.Counts {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.ended)
}

// update notes what a living generation has counted. What comes after end is ignored: an
// answer may be late.
func (c *counts) update(o *older, counted counters.Counts) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !o.counted {
		c.last[o] = counted
	}
}

// end notes that a generation has ended.
func (c *counts) end(o *older) {
	c.mu.Lock()
	defer c.mu.Unlock()
	o.counted = true
	if counted, known := c.last[o]; known {
		c.ended[o.id] = counted.Ended()
		delete(c.last, o)
	}
}

// sum returns what all other generations have counted.
func (c *counts) sum() counters.Counts {
	c.mu.Lock()
	defer c.mu.Unlock()
	return counters.Sum(slices.Concat(slices.Collect(maps.Values(c.ended)), slices.Collect(maps.Values(c.last)))...)
}

// others asks the older generations what they have counted, and returns that with what the
// ended ones have.
func (g *Generation) others() counters.Counts {
	var asking sync.WaitGroup
	for _, o := range g.olders {
		asking.Go(func() {
			var counted counters.Counts
			switch err := o.conn.Ask(context.Background(), countsTimeout, handover.KindCounters, nil, &counted); {
			case err == nil:
				g.counts.update(o, counted)
			case errors.Is(err, handover.ErrGone): // it has told before its end, which may not have been read yet
				select {
				case <-o.heard:
				case <-time.After(countsTimeout):
				}
			}
		})
	}
	asking.Wait()
	return g.counts.sum()
}

// savePeriod is how often the generation that serves tells the parent what it has counted,
// besides each time when that is shown. A crash loses at most what was counted since, and no
// counter that somebody has seen jumps back.
const savePeriod = 5 * time.Second

// saveCounts tells the parent what was counted, until this generation has retired or ctx ends.
func (g *Generation) saveCounts(ctx context.Context) {
	tick := time.NewTicker(savePeriod)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		own, err := counters.Take(g.edge.metrics)
		if err != nil || g.retired.Load() {
			return
		}
		g.save(own)
	}
}

// save tells the parent what this generation has counted, unless it has retired.
func (g *Generation) save(own counters.Counts) {
	if g.retired.Load() {
		return
	}
	all := g.counts.ofEnded()
	all[g.id] = own.Ended()
	_ = g.parent.Notify(handover.KindCounters, all) // an error means that the parent has gone, which ends this process
}
