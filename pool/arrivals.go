package pool

import (
	"sync"
	"time"
)

// arrivals counts the keys that a host has got a moment ago and that have no
// terminal there yet. A page is loaded some seconds before its terminal opens:
// without them, all who come in these seconds would find the same host with room.
//
// A key is counted until its terminal opens, for one to two periods at most. The
// zero value is ready for use, and safe for concurrent use.
type arrivals struct {
	mu     sync.Mutex
	since  time.Time // when the first period began; zero before the first key
	period int32     // the newest of counts; the first is 1
	counts [2]int64  // by period modulo 2: of the newest one, and of the one before
}

// arrivalPeriod is how long a page may take to open its terminal.
const arrivalPeriod = 30 * time.Second

// An Expectation is a terminal that is expected; the zero value is none.
type Expectation int32

// Expect counts a key that has been sent to the host and will open a terminal.
func (g *Gauges) Expect(now time.Time) Expectation { return Expectation(g.arrivals.add(now)) }

// Meet takes e back, because the terminal is open or won't be. It does nothing
// for none, and for one that has lapsed meanwhile.
func (g *Gauges) Meet(e Expectation) { g.arrivals.take(int32(e)) }

func (a *arrivals) add(now time.Time) (period int32) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.turnLocked(now)
	a.counts[a.period&1]++
	return a.period
}

func (a *arrivals) take(period int32) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if (period == a.period || period == a.period-1) && a.counts[period&1] > 0 {
		a.counts[period&1]--
	}
}

func (a *arrivals) count(now time.Time) int64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.turnLocked(now)
	return a.counts[0] + a.counts[1]
}

// turnLocked makes the period of now the newest, unless a newer one has begun: a
// request counts from when it came, and may have had to wait since. It goes by the
// monotonic clock, which nobody sets.
func (a *arrivals) turnLocked(now time.Time) {
	if a.since.IsZero() {
		a.since = now
	}
	period := 1 + int32(now.Sub(a.since)/arrivalPeriod)
	switch {
	case period <= a.period:
		return
	case period > a.period+1:
		a.counts = [2]int64{}
	default:
		a.counts[period&1] = 0
	}
	a.period = period
}
