package proxy

import (
	"crypto/tls"
	"sync"
	"time"

	"tokenring/park"
)

// Idleness is a connection's wait between two requests.
//
//	busy ──waitForRequest──▶ waiting ──a while──▶ parked
//	 ▲                          │                   │
//	 ├──────── a request ───────┘                   │
//	 └────────────── event, in a goroutine anew ────┘
//
// For the first moment its goroutine waits, because the next request of a page
// comes soon, and a goroutine that is there costs less than one to come. Then
// the connection is parked: it has no goroutine and no buffer, and is a guest of
// a lot. From either it can be ended by endIfIdle, and by nothing else.
type idleness struct {
	mu    sync.Mutex
	state idleState
	until time.Time // when the client must have spoken; zero before it is parked
	lot   *park.Lot
	fd    int
}

type idleState uint8

const (
	busy idleState = iota
	waiting
	parked
)

// enter goes from one state to another, if it is the first.
func (i *idleness) enter(from, to idleState) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.state != from {
		return false
	}
	i.state = to
	return true
}

// overdue tells whether the time of a parked connection has passed.
func (i *idleness) overdue(now time.Time) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.state == parked && now.After(i.until)
}

// A wait is how waiting for a request has ended.
type wait uint8

const (
	clientGone  wait = iota // or idle for too long, or the listener stops
	requestCame             // its first byte, that is
	clientQuiet             // for so long that the connection may be parked
)

// waitForRequest blocks until the next request begins, or doesn't.
func (c *conn) waitForRequest() wait {
	c.idle.enter(busy, waiting)
	if c.srv.stopping.Load() && c.n > 0 {
		return clientGone
	}
	limit := c.srv.p.cfg.Timeouts.Idle
	switch {
	case c.n == 0:
		limit = c.srv.p.cfg.Timeouts.Head
	case !c.idle.until.IsZero():
		limit = time.Until(c.idle.until)
	}
	patience := min(limit, c.srv.p.cfg.lingering)
	if c.n == 0 {
		patience = limit
	}
	if limit <= 0 {
		return clientGone
	}
	c.readBy.within(patience)
	err := c.in.Wait()
	switch {
	case err == nil && c.idle.enter(waiting, busy):
		c.idle.until = time.Time{}
		return requestCame
	case timedOut(err) && patience < limit:
		if c.idle.until.IsZero() {
			c.idle.until = time.Now().Add(limit - patience)
		}
		return clientQuiet
	case timedOut(err) && c.n == 0:
		c.srv.p.gaveUp(slowStart)
	}
	return clientGone
}

// park leaves the connection to a lot until something comes from the client.
// False: it can't be, and its goroutine has to go on.
func (c *conn) park() bool {
	fd, ok := descriptor(c.tcp)
	if !ok {
		return false
	}
	i := &c.idle
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.state != waiting { // it has just been closed
		return false
	}
	if tc, ok := c.nc.(*tls.Conn); ok {
		shed(tc, 0)
	}
	i.lot, i.fd = c.srv.lot(), fd
	if err := i.lot.Add(fd, park.Input, c); err != nil {
		return false
	}
	i.state = parked
	c.srv.p.opt.Metrics.parked.Inc()
	return true
}

// Ready implements park.Guest: the client has spoken, or has gone.
func (c *conn) Ready(int, park.Event) (more bool) {
	if c.wake() {
		go c.resume()
	}
	return false
}

// Tick implements park.Guest.
func (c *conn) Tick(now time.Time) {
	if c.idle.overdue(now) && c.wake() {
		c.discard()
	}
}

// wake takes a parked connection out of its lot, for the caller to own.
func (c *conn) wake() bool {
	i := &c.idle
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.state != parked {
		return false
	}
	i.lot.Remove(i.fd, c)
	i.state = busy
	c.srv.p.opt.Metrics.parked.Dec()
	return true
}

// endIfIdle makes a connection that waits for a request end. One that is just
// about to wait finds the server stopping. When a request comes at the same
// moment, either it is served or the connection ends, never both.
func (c *conn) endIfIdle() {
	switch {
	case c.idle.enter(waiting, busy):
		c.tcp.Close() // as its goroutine will find
	case c.wake():
		c.discard()
	}
}

// discard ends a connection that has no goroutine.
func (c *conn) discard() {
	c.tcp.Close()
	c.srv.leave(c)
}
