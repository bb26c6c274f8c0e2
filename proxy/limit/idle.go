package limit

import "sync/atomic"

// Idle bounds the idle connections to hosts. The process has a file towards a host for
// each connection of a client that Connections allows. Idle connections may use the files
// that clients don't need at the moment. A nil *Idle has no bound. It is safe for
// concurrent use.
type Idle struct {
	connections *Connections
	n           atomic.Int64
}

// NewIdle returns an Idle for the connections that c counts.
func NewIdle(c *Connections) *Idle { return &Idle{connections: c} }

// Add counts an idle connection. It reports false, and counts none, if there are too many.
func (i *Idle) Add() bool {
	if i == nil {
		return true
	}
	i.n.Add(1)
	if i.Exceeded() {
		i.n.Add(-1)
		return false
	}
	return true
}

// Remove ends the count of n idle connections.
func (i *Idle) Remove(n int) {
	if i != nil {
		i.n.Add(int64(-n))
	}
}

// Exceeded reports whether there are too many idle connections. That happens when clients
// open new connections.
func (i *Idle) Exceeded() bool { return i.n.Load() > max(0, i.connections.free()) }

// Count returns how many idle connections there are. Tests find leaks with it.
func (i *Idle) Count() int64 { return i.n.Load() }
