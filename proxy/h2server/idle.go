package h2server

import (
	"io"
	"time"
)

// This package ends idle connections itself. If a connection of net/http ends while it has
// streams, net/http starts its idle timer again, and the timer keeps the connection's
// memory for IdleTimeout. net/http has the timeout of the connection preface.
//
//	open ──no stream for IdleTimeout──▶ leaving: GOAWAY, and our direction closed ──▶ ended

// idlePeriod returns how often a connection is checked. An idle connection ends up to one
// period late.
func (c *Conn) idlePeriod() time.Duration { return c.idleTimeout / 4 }

// watchIdle starts checking the connection, until it is closed.
func (c *Conn) watchIdle() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.active = c.began
	c.idle = time.AfterFunc(c.idlePeriod(), c.checkIdle)
}

// touch records that a stream has begun or ended. mu is held.
func (c *Conn) touch() { c.active = time.Now() }

// checkIdle ends the connection if it is idle. The connection's timer calls it.
func (c *Conn) checkIdle() {
	if !c.retain() {
		return
	}
	defer c.release()
	if !c.leave() {
		return
	}
	c.endWith(c.guard.GoAway())
}

// leave reports whether the connection is idle and is to end now. From then on net/http gets
// no more frames: GOAWAY tells the client that later requests aren't served (RFC 9113
// §6.8).
func (c *Conn) leave() bool {
	const own = 2 // users of an idle connection: itself, and checkIdle
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.leaving {
		return false
	}
	c.leaving = c.guard.Begun() && c.users.Load() <= own && time.Since(c.active) >= c.idleTimeout
	if !c.leaving {
		c.idle.Reset(c.idlePeriod())
	}
	return c.leaving
}

// drain reads and drops what the client still sends after GOAWAY.
func (c *Conn) drain() (int, error) {
	_, _ = io.Copy(io.Discard, c.Conn) // for clienttls.CloseTimeout
	return 0, io.EOF
}
