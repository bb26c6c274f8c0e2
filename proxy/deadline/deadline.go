// Package deadline sets the deadlines of reads and writes, so cheaply that it can be done
// before each of them.
package deadline

import (
	"errors"
	"os"
	"time"
)

// A Lazy is the read or write deadline of one connection. Setting a deadline takes a lock
// and a timer of the runtime, which costs too much before each read. So a Lazy sets the
// deadline a quarter later than asked, and doesn't move it while it is late enough.
//
// A Lazy isn't safe for concurrent use.
type Lazy struct {
	set func(time.Time) error
	at  time.Time
}

// New returns a Lazy that sets its deadline by set, a method of net.Conn.
func New(set func(time.Time) error) Lazy { return Lazy{set: set} }

// Within makes the connection's next operation fail if it takes longer than d, up to a
// quarter of d late.
func (l *Lazy) Within(d time.Duration) {
	now := time.Now()
	if left := l.at.Sub(now); left >= d && left <= d+d/4 {
		return
	}
	l.Set(now.Add(d + d/4))
}

// Set sets the deadline to an exact time. The zero time removes the deadline.
func (l *Lazy) Set(at time.Time) {
	l.at = at
	_ = l.set(at) // fails only on a closed connection, which the next operation reports
}

// Forget makes the next Within set the deadline in any case. It is for a deadline that may
// have been changed without the Lazy.
func (l *Lazy) Forget() { l.at = time.Time{} }

// Passed reports whether the deadline has passed or was never set.
func (l *Lazy) Passed() bool { return !time.Now().Before(l.at) }

// Exceeded reports whether err says that a deadline has passed.
func Exceeded(err error) bool { return errors.Is(err, os.ErrDeadlineExceeded) }
