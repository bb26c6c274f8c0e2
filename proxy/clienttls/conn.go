package clienttls

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"sync/atomic"
	"time"

	"tokenring/lastwrite"
	"tokenring/proxy/socket"
	"tokenring/tlsterm"
)

// A Conn is a client's socket below TLS. Its handshake counts for the limit from enter to
// the first write; until then it belongs to one goroutine. After that it is as safe for
// concurrent use as its socket.
//
// TLS also writes during a read, because it answers key updates (RFC 8446 §4.6.3). So a
// write without a deadline, or with one that has passed, gets the deadline
// Options.WriteTimeout.
//
// EndWrites gives crypto/tls less time to write the alert that closes the connection. After
// a write that has failed it has no time, because the client can't read a record after a
// part of another one.
type Conn struct {
	lastwrite.Conn
	opt      *Options
	tls      *tls.Conn               // above it, once the handshake is over
	withhold func() bool             // until the handshake is over
	held     *tlsterm.HandshakeLimit // while this handshake counts; otherwise nil
	by       atomic.Int64            // the deadline of writes as it was set, in nanoseconds since 1970; 0 or less for none
}

func (c *Conn) enter(ctx context.Context, limit *tlsterm.HandshakeLimit) error {
	if err := limit.Acquire(ctx); err != nil {
		return errNotAdmitted
	}
	c.held = limit
	c.opt.Yield()
	return nil
}

func (c *Conn) leave() {
	if c.held != nil {
		c.held.Release()
		c.held = nil
	}
}

// maxMessage is how many bytes are buffered of a handshake message that comes after the
// handshake. crypto/tls would buffer a quarter of a megabyte, but the only such message of
// clients, KeyUpdate, has five bytes.
const maxMessage = 1 << 10

var errMessage = errors.New("a handshake message too long to be a KeyUpdate")

// Read implements net.Conn.
func (c *Conn) Read(b []byte) (int, error) {
	if c.tls != nil && socket.HandshakeBuffered(c.tls) > maxMessage {
		return 0, errMessage
	}
	return c.Conn.Read(b)
}

// Write implements net.Conn.
func (c *Conn) Write(b []byte) (int, error) {
	c.leave()
	if now := time.Now(); c.by.Load() <= now.UnixNano() {
		_ = c.SetWriteDeadline(now.Add(c.opt.WriteTimeout)) // fails only on a closed connection
	}
	n, err := c.Conn.Write(b)
	if err != nil {
		c.EndWrites(time.Now())
	}
	return n, err
}

// Socket returns the socket below c.
func (c *Conn) Socket() net.Conn { return c.Conn.Conn }

// SetSocket replaces the socket. It must not be called during a read or write.
func (c *Conn) SetSocket(nc net.Conn) { c.Conn.Conn = nc }

// SetWriteDeadline implements net.Conn.
func (c *Conn) SetWriteDeadline(t time.Time) error {
	c.by.Store(t.UnixNano())
	return c.Conn.SetWriteDeadline(t)
}

// SetDeadline implements net.Conn.
func (c *Conn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}
