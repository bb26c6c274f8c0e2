// Package limit bounds the numbers of connections and streams, so that the process always
// has a file for the connection to a host, and one client doesn't use up what others
// need.
package limit

import (
	"context"
	"sync/atomic"

	"tokenring/notify"
)

// Connections counts and bounds the connections of all listeners together, and the further
// streams of HTTP/2 connections (see Streams). If several listeners find a free place at
// the same moment, all of them take it, so there may be a few connections more than the
// limit. It is safe for concurrent use.
type Connections struct {
	limit     int64
	open      atomic.Int64 // with those elsewhere
	elsewhere atomic.Int64
	freed     notify.Note // a place has become free
}

// NewConnections returns a Connections with a limit.
func NewConnections(limit int) *Connections {
	return &Connections{limit: int64(limit), freed: notify.NewNote()}
}

// Wait waits until there is a free place or ctx ends. It calls full once if it has to
// wait.
func (c *Connections) Wait(ctx context.Context, full func()) {
	if c.open.Load() < c.limit {
		return
	}
	full()
	for c.open.Load() >= c.limit {
		select {
		case <-c.freed:
		case <-ctx.Done():
			return
		}
	}
	c.freed.Leave() // another listener may wait as well
}

// Add counts a connection, even beyond the limit.
func (c *Connections) Add() { c.open.Add(1) }

// addStream counts a stream. It reports false, and counts none, if only an eighth of the
// places is left, which is reserved for new connections.
func (c *Connections) addStream() bool {
	if c.open.Add(1) <= c.limit-c.limit/8 {
		return true
	}
	c.Remove()
	return false
}

// Open returns how many connections and further streams this process has open.
func (c *Connections) Open() int { return int(c.open.Load() - c.elsewhere.Load()) }

// SetElsewhere says how many connections other processes of the balancer have open. They
// count, too.
func (c *Connections) SetElsewhere(n int) {
	if more := int64(n) - c.elsewhere.Swap(int64(n)); c.open.Add(more) < c.limit {
		c.freed.Leave()
	}
}

// Remove ends what Add or addStream began.
func (c *Connections) Remove() {
	if c.open.Add(-1) == c.limit-1 {
		c.freed.Leave()
	}
}

// free returns how many places are free. It may be negative.
func (c *Connections) free() int64 { return c.limit - c.open.Load() }
