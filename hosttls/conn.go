package hosttls

import (
	"crypto/tls"
	"errors"
	"net"
	"sync/atomic"
	"time"
)

// A Conn is a socket to a host, below TLS. It is as safe for concurrent use as its socket.
//
// TLS also writes during a read, because it answers key updates (RFC 8446 §4.6.3). Such a write
// can come long after the last request, whose deadline has passed. It must not fail, because
// crypto/tls can't write any more then. So a write whose deadline has passed before it gets
// lateWrite.
type Conn struct {
	net.Conn
	by atomic.Int64 // the deadline of writes, in nanoseconds since 1970; 0 or less for none
}

// lateWrite is for how long a write lasts that begins after its deadline.
const lateWrite = 5 * time.Second

// Write implements net.Conn.
func (c *Conn) Write(b []byte) (int, error) {
	if now := time.Now(); c.by.Load() <= now.UnixNano() {
		_ = c.SetWriteDeadline(now.Add(lateWrite)) // fails only on a closed connection
	}
	return c.Conn.Write(b)
}

// SetWriteDeadline implements net.Conn.
func (c *Conn) SetWriteDeadline(t time.Time) error {
	c.by.Store(t.UnixNano())
	return c.Conn.SetWriteDeadline(t)
}

// SetDeadline implements net.Conn.
func (c *Conn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

// Socket returns the socket below c.
func (c *Conn) Socket() net.Conn { return c.Conn }

// SetSocket replaces the socket. It must not be called during a read or write.
func (c *Conn) SetSocket(nc net.Conn) { c.Conn = nc }

// Socket returns the socket of a connection to a host, which may have TLS.
func Socket(nc net.Conn) net.Conn {
	if tc, ok := nc.(*tls.Conn); ok {
		if below, ok := tc.NetConn().(*Conn); ok {
			return below.Socket()
		}
	}
	return nc
}
