package limit

import (
	"context"
	"sync/atomic"
	"time"
)

// MaxPerConnection is how many streams of HTTP/2 a client may open at once on one
// connection, at most.
const MaxPerConnection = 128

// Streams bounds the requests of HTTP/2 that are sent to hosts at the same time, because
// each of them needs a file for the connection to its host. One stream of each connection
// may always be sent. Every further stream counts as a connection. Streams bounds the
// further streams of all connections, and gives a quarter of them to one source at most.
// So a client that opens many streams doesn't take the places of other clients.
//
// It is safe for concurrent use.
type Streams struct {
	connections *Connections
	waits       func()
	most        int64 // further streams of all connections; as many again may wait
	share       int64 // further streams of one source
	open        atomic.Int64
	waiting     atomic.Int64
}

// NewStreams returns a Streams that allows most further streams and counts them in c. It
// calls waits when a stream begins to wait for a place.
func NewStreams(most int, c *Connections, waits func()) *Streams {
	return &Streams{connections: c, waits: waits, most: int64(most), share: int64(max(most/4, 1))}
}

// PerConnection returns how many streams a client may open on one connection: about as
// many as one source may have.
func (s *Streams) PerConnection() int {
	const least = 8
	return int(max(least, min(MaxPerConnection, s.share+1)))
}

// Usage returns the numbers of further streams and of streams that wait for a place. Tests
// find leaks with it.
func (s *Streams) Usage() (open, waiting int64) { return s.open.Load(), s.waiting.Load() }

// add counts a further stream of a source. It reports false, and counts none, if there
// are too many.
func (s *Streams) add(from *Source) bool {
	switch {
	case s.open.Add(1) > s.most:
	case !from.addStream(s.share):
	case s.connections.addStream():
		return true
	default:
		from.removeStream()
	}
	s.open.Add(-1)
	return false
}

// remove ends what add began.
func (s *Streams) remove(from *Source) {
	s.connections.Remove()
	from.removeStream()
	s.open.Add(-1)
}

// A Place is the permission for a stream to use a connection to a host, or the reason why
// there is none.
type Place uint8

const (
	NoPlace Place = iota // the stream ended while it waited
	Refused              // no place became free in time, or too many streams wait
	Own                  // the place of the connection
	Further              // a further stream, which Streams counts
)

// Granted reports whether p is a permission.
func (p Place) Granted() bool { return p == Own || p == Further }

// ConnStreams are the streams of one connection. It is safe for concurrent use.
type ConnStreams struct {
	limit  *Streams
	source *Source       // nil for a trusted client
	own    chan struct{} // full while a stream has the place of the connection
}

// Of returns the ConnStreams of a new connection. The source is nil for a trusted client.
func (s *Streams) Of(from *Source) ConnStreams {
	return ConnStreams{limit: s, source: from, own: make(chan struct{}, 1)}
}

// Acquire returns a place for a stream. If there is none, it waits for the place of the
// connection, for a timeout at most. It doesn't wait if too many streams wait already.
func (c *ConnStreams) Acquire(ctx context.Context, timeout time.Duration) Place {
	select {
	case c.own <- struct{}{}:
		return Own
	default:
	}
	if c.limit.add(c.source) {
		return Further
	}
	defer c.limit.waiting.Add(-1)
	if c.limit.waiting.Add(1) > c.limit.most {
		return Refused
	}
	c.limit.waits()
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	select {
	case c.own <- struct{}{}:
		return Own
	case <-timer.C:
		return Refused
	case <-ctx.Done():
		return NoPlace
	}
}

// Release gives a place back.
func (c *ConnStreams) Release(p Place) {
	switch p {
	case Own:
		<-c.own
	case Further:
		c.limit.remove(c.source)
	}
}
