package h2server

import (
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"tokenring/http2"
	"tokenring/proxy/clienttls"
	"tokenring/proxy/deadline"
)

// An Owner serves the streams of a connection, and is told how the connection ends. Only
// ServeStream may block.
type Owner interface {
	// ServeStream answers a request. It may panic with http.ErrAbortHandler, which
	// resets the stream.
	ServeStream(http.ResponseWriter, *http.Request)
	// Refused says that the guard has refused requests, or knows that net/http does.
	Refused(...http2.Refusal)
	// Failed says why the connection ends: an http2.Flood, an http2.Error, or the deadline
	// for the connection preface.
	Failed(error)
	// Ended says that the connection and the last of its streams have ended.
	Ended()
}

// A Conn is a client's connection. net/http serves it, and reads and writes through it, so
// that the guard sees each frame before net/http does.
type Conn struct {
	net.Conn    // TLS
	socket      net.Conn
	server      *Server
	owner       Owner
	idleTimeout time.Duration
	began       time.Time
	users       atomic.Int64 // the connection and each of its streams; at 0 all have ended
	closing     sync.Once

	ready []byte // bytes that have passed the guard, for Read only

	mu      sync.Mutex
	guard   *http2.Guard
	active  time.Time   // when a stream last began or ended
	idle    *time.Timer // calls checkIdle
	leaving bool        // net/http gets no more frames
	sent    http2.Sent  // by net/http
}

// Read implements net.Conn. It returns the bytes that pass the guard.
func (c *Conn) Read(p []byte) (int, error) {
	for len(c.ready) == 0 {
		n, err := c.Conn.Read(p)
		if leaving, guardErr := c.pass(p[:n]); leaving {
			return c.drain()
		} else if n > 0 {
			err = guardErr
		}
		if err != nil {
			if deadline.Exceeded(err) { // net/http sets a deadline only for the preface
				c.owner.Failed(err)
			}
			return 0, err
		}
	}
	n := copy(p, c.ready)
	c.ready = c.ready[n:]
	return n, nil
}

// pass gives b to the guard.
func (c *Conn) pass(b []byte) (leaving bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.leaving {
		return true, nil
	}
	last := c.guard.LastStream()
	c.ready, err = c.guard.Pass(b, c.now())
	if c.guard.LastStream() != last {
		c.touch()
	}
	c.owner.Refused(c.guard.Refusals()...)
	if err != nil {
		c.owner.Failed(err)
	}
	return false, err
}

// Write implements net.Conn.
func (c *Conn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.mu.Lock()
	c.guard.Wrote(n)
	c.sent.Wrote(p[:n])
	c.mu.Unlock()
	return n, err
}

// Cancelled counts a stream that ended before its answer. It closes the connection if the
// client cancels too many.
func (c *Conn) Cancelled() {
	c.mu.Lock()
	err := c.guard.Cancelled(c.now())
	c.mu.Unlock()
	if err != nil {
		c.owner.Failed(err)
		c.socket.Close()
	}
}

func (c *Conn) now() float64 { return time.Since(c.began).Seconds() }

// Close implements net.Conn. net/http calls it when it has finished with the connection.
func (c *Conn) Close() error {
	err := error(nil)
	c.closing.Do(func() {
		c.mu.Lock()
		c.leaving = true
		c.idle.Stop()
		c.guard.End()
		c.owner.Refused(c.guard.Refusals()...)
		c.mu.Unlock()
		clienttls.EndWrites(c.Conn)
		err = c.Conn.Close()
		c.server.forget(c)
		c.release()
	})
	return err
}

// Abort closes the socket at once. net/http then ends the contexts of the streams.
func (c *Conn) Abort() { c.socket.Close() }

// retain counts a user of the connection. It reports false if the connection has ended.
func (c *Conn) retain() bool {
	for {
		n := c.users.Load()
		if n == 0 {
			return false
		}
		if c.users.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// finished releases the connection at the end of a stream.
func (c *Conn) finished() {
	c.mu.Lock()
	c.touch()
	c.mu.Unlock()
	c.release()
}

func (c *Conn) release() {
	if c.users.Add(-1) == 0 {
		c.owner.Ended()
	}
}
