// Package lastwrite bounds when the last write to a connection ends, whatever deadlines
// are set above.
package lastwrite

import (
	"errors"
	"net"
	"sync/atomic"
	"time"
)

// A Conn is a connection whose writes can be bounded all together. Its zero value, with a
// net.Conn, has no bound. It is as safe for concurrent use as its net.Conn.
//
// It belongs below TLS: crypto/tls tries for five seconds to write the alert that closes
// the connection, even if the other side reads nothing.
type Conn struct {
	net.Conn
	last atomic.Int64 // the latest deadline of a write, in nanoseconds since 1970; 0 for no bound
}

// EndWrites makes all writes fail after a moment, also a write in progress. A later call
// can only make it an earlier one.
func (c *Conn) EndWrites(last time.Time) {
	for old := c.last.Load(); old == 0 || last.UnixNano() < old; old = c.last.Load() {
		if c.last.CompareAndSwap(old, last.UnixNano()) {
			break
		}
	}
	_ = c.SetWriteDeadline(last) // fails only on a closed connection
}

// SetWriteDeadline implements net.Conn.
func (c *Conn) SetWriteDeadline(t time.Time) error {
	for {
		last := c.last.Load()
		if last != 0 && (t.IsZero() || t.UnixNano() > last) {
			t = time.Unix(0, last)
		}
		err := c.Conn.SetWriteDeadline(t)
		if c.last.Load() == last { // otherwise t may have replaced the deadline of EndWrites
			return err
		}
	}
}

// SetDeadline implements net.Conn.
func (c *Conn) SetDeadline(t time.Time) error {
	return errors.Join(c.Conn.SetReadDeadline(t), c.SetWriteDeadline(t))
}
