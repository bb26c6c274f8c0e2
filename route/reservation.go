package route

import (
	"sync"
	"time"
)

// reservations counts the keys that a host has just got and that have no terminal there
// yet. A user loads the page some seconds before the terminal opens. Without the count,
// a host would look free to all users who come in these seconds.
//
// A key counts until its terminal opens, but no longer than one to two periods. The
// zero value is ready for use, and safe for concurrent use.
type reservations struct {
	mu     sync.Mutex
	since  time.Time // when the first period began; zero before the first key
	period int32     // the newest of counts; the first is 1
	counts [2]int64  // of the newest period and the one before it; the index is the period modulo 2
}

// reservationPeriod is how long a page may take at least until its terminal opens.
const reservationPeriod = 30 * time.Second

// A Reservation counts a terminal on a host before it opens. The zero value is no
// reservation.
type Reservation int32

// Reserve counts a key that has been sent to the host and is expected to open a
// terminal.
func (g *Gauges) Reserve(now time.Time) Reservation { return Reservation(g.reservations.add(now)) }

// Release ends r, because the terminal has opened or will not open. It does nothing if r
// is the zero value or has expired.
func (g *Gauges) Release(r Reservation) { g.reservations.take(int32(r)) }

func (r *reservations) add(now time.Time) (period int32) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.turnLocked(now)
	r.counts[r.period&1]++
	return r.period
}

func (r *reservations) take(period int32) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if (period == r.period || period == r.period-1) && r.counts[period&1] > 0 {
		r.counts[period&1]--
	}
}

func (r *reservations) count(now time.Time) int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.turnLocked(now)
	return r.counts[0] + r.counts[1]
}

// turnLocked makes the period of now the newest, unless a newer one has begun. That
// happens because now is the time when a request came, and the request may have waited
// since. It uses the monotonic clock.
func (r *reservations) turnLocked(now time.Time) {
	if r.since.IsZero() {
		r.since = now
	}
	period := 1 + int32(now.Sub(r.since)/reservationPeriod)
	switch {
	case period <= r.period:
		return
	case period > r.period+1:
		r.counts = [2]int64{}
	default:
		r.counts[period&1] = 0
	}
	r.period = period
}
