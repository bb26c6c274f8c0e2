package proxy

import (
	"errors"
	"os"
	"time"
)

// A deadline is the read or write deadline of one connection, moved lazily:
// setting one costs a lock and a timer in the runtime, too much for every read.
// So it is set a quarter late, and left alone while it is late enough. It fires
// between once and one and a quarter times the wanted duration.
//
// A deadline belongs to one goroutine at a time.
type deadline struct {
	set func(time.Time) error
	at  time.Time
}

// within makes the connection's next operation fail if it takes longer than d,
// give or take the quarter.
func (t *deadline) within(d time.Duration) {
	now := time.Now()
	if left := t.at.Sub(now); left >= d && left <= d+d/4 {
		return
	}
	t.at = now.Add(d + d/4)
	_ = t.set(t.at) // fails only on a closed connection, which the next operation reports
}

// timedOut tells whether err is a deadline that passed.
func timedOut(err error) bool { return errors.Is(err, os.ErrDeadlineExceeded) }
