package upstream

import (
	"slices"
	"time"

	"tokenring/http1"
	"tokenring/proxy/proxyheader"
)

// maxIdleConns bounds a host's idle connections.
const maxIdleConns = 256

// Take returns an idle connection for a request, nil if there is none. It closes idle
// connections that the host has closed, or on which the host has sent bytes without a
// request. The connection was opened from the same ends: see Config.SendProxy.
func (h *Host) Take(req *http1.Request, from proxyheader.Ends) *Conn {
	longest := h.cfg.MaxIdle
	if !req.Repeatable() {
		longest = h.SafeIdle.Duration()
	}
	for {
		c := h.pop(longest, from)
		if c == nil || h.stillOpen(c) {
			return c
		}
		c.Close()
	}
}

// pop removes the most recently used connection from these ends from the idle ones and returns it.
// It returns nil if that connection has been idle for too long, because all others have been
// idle for even longer.
func (h *Host) pop(longest time.Duration, from proxyheader.Ends) *Conn {
	h.mu.Lock()
	defer h.mu.Unlock()
	last := len(h.idle) - 1
	for last >= 0 && h.idle[last].from != from {
		last--
	}
	if last < 0 {
		return nil
	}
	c := h.idle[last]
	if c.idle = time.Since(c.since); c.idle > min(longest, c.maxIdle) {
		return nil // expire will close it
	}
	h.idle = slices.Delete(h.idle, last, last+1)
	h.cfg.Idle.Remove(1)
	return c
}

// CloseOldest closes the connection that has been idle for the longest time. It reports
// false if none is idle.
func (h *Host) CloseOldest() bool {
	c := h.takeOldest()
	if c != nil {
		c.Close()
	}
	return c != nil
}

// takeOldest removes the connection that has been idle for the longest time and returns
// it, nil if none is idle.
func (h *Host) takeOldest() *Conn {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.idle) == 0 {
		return nil
	}
	c := h.idle[0]
	h.idle = slices.Delete(h.idle, 0, 1)
	h.cfg.Idle.Remove(1)
	return c
}

// stillOpen reports whether an idle connection can be used, and adjusts SafeIdle.
func (h *Host) stillOpen(c *Conn) bool {
	if !c.silent() {
		h.SafeIdle.Closed(c.idle)
		return false
	}
	h.SafeIdle.Open(c.idle)
	return true
}

// Put gives a connection back after an exchange in which request and answer are whole. It
// keeps the connection as idle or closes it.
func (h *Host) Put(c *Conn) {
	if c.Reader.Buffered() > 0 { // bytes after the answer, which belong to no request
		c.Close()
		return
	}
	c.reused, c.since = true, time.Now()
	c.carried++
	most := 0
	c.maxIdle, most = idleLimit(c.Response.Fields, h.cfg.MaxIdle)
	c.shrink()
	if c.carried >= most || c.maxIdle <= 0 || !h.keep(c) {
		c.Close()
	}
}

// keep adds c to the idle connections. It reports false if there are too many of them, or
// the host is retired.
func (h *Host) keep(c *Conn) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed || len(h.idle) >= maxIdleConns || !h.cfg.Idle.Add() {
		return false
	}
	h.idle = append(h.idle, c)
	if len(h.idle) == 1 {
		h.scheduleLocked()
	}
	return true
}

// scheduleLocked sets the timer of expire to when the oldest idle connection expires.
func (h *Host) scheduleLocked() {
	due := time.Until(h.idle[0].since.Add(h.cfg.MaxIdle))
	if h.expiry == nil {
		h.expiry = time.AfterFunc(due, h.expire)
		return
	}
	h.expiry.Reset(due)
}

// expire closes the connections that have been idle for too long. Its timer runs only
// while there are idle connections.
func (h *Host) expire() {
	for _, c := range h.takeExpired() {
		c.idle = time.Since(c.since)
		h.stillOpen(c)
		c.Close()
	}
}

// takeExpired removes the connections that have been idle for too long and returns them.
func (h *Host) takeExpired() []*Conn {
	h.mu.Lock()
	defer h.mu.Unlock()
	n := 0
	for n < len(h.idle) && time.Since(h.idle[n].since) >= h.cfg.MaxIdle {
		n++
	}
	old := slices.Clone(h.idle[:n])
	h.idle = slices.Delete(h.idle, 0, n)
	h.cfg.Idle.Remove(n)
	if len(h.idle) > 0 {
		h.scheduleLocked()
	}
	return old
}
