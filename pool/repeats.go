package pool

import (
	"sync"
	"time"

	"github.com/rs/zerolog"
)

// How often a failure that goes on is logged, and how many are told apart.
const (
	firstRepeat = time.Minute // after the first line; then after twice as long each time
	lastRepeat  = time.Hour   // but so long at the most. One that hasn't come for twice that is new
	maxRepeats  = 64
)

// A repeats keeps failures that come again and again from filling the log: each is
// logged at once, then rarely, with how often it has come. Its zero value is ready for
// use. It is safe for concurrent use, and bounded: what comes beyond maxRepeats
// counts as one failure.
type repeats struct {
	mu  sync.Mutex
	all map[string]*repeat
}

// A repeat is a failure that has come at least once.
type repeat struct {
	times       int
	since, last time.Time
	due         time.Time     // when the next line is
	pause       time.Duration // from that line to the one after
}

// again counts a failure and returns what there is of it, and whether to log it.
func (r *repeats) again(what string, now time.Time) (f repeat, tell bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	one := r.findLocked(what, now)
	one.times++
	one.last = now
	if tell = !now.Before(one.due); tell {
		one.due = now.Add(one.pause)
		one.pause = min(2*one.pause, lastRepeat)
	}
	return *one, tell
}

// over ends a failure, and returns how often it has come.
func (r *repeats) over(what string) (times int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if one := r.all[what]; one != nil {
		times = one.times
		delete(r.all, what)
	}
	return times
}

// lapse ends a failure that hasn't come for firstRepeat. What fails and works in turn
// is logged no more often for it, as it would be with over.
func (r *repeats) lapse(what string, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if one := r.all[what]; one != nil && now.Sub(one.last) >= firstRepeat {
		delete(r.all, what)
	}
}

func (r *repeats) findLocked(what string, now time.Time) *repeat {
	stale := func(f *repeat) bool { return now.Sub(f.last) > 2*lastRepeat }
	if one := r.all[what]; one != nil && !stale(one) {
		return one
	}
	if len(r.all) >= maxRepeats {
		for what, f := range r.all {
			if stale(f) {
				delete(r.all, what)
			}
		}
	}
	if len(r.all) >= maxRepeats {
		what = "" // one for all that are too many
		if one := r.all[what]; one != nil {
			return one
		}
	}
	if r.all == nil {
		r.all = map[string]*repeat{}
	}
	one := &repeat{since: now, pause: firstRepeat}
	r.all[what] = one
	return one
}

// on adds to a line how often f has come, if that is more than once.
func (f repeat) on(e *zerolog.Event) *zerolog.Event {
	if f.times > 1 {
		e = e.Int("times", f.times).Time("since", f.since)
	}
	return e
}
