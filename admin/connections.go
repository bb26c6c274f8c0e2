package admin

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"tokenring/lastwrite"
	"tokenring/netaddr"
)

// How many connections there may be, in all and from one source (netaddr.SourceOf). If
// there are more, a waiting connection is closed, or the new one if none waits.
const (
	maxConns       = 256
	maxSourceConns = 64
)

// connections are the open connections of a server. Safe for concurrent use.
type connections struct {
	open   sync.WaitGroup // the connections that net/http has
	closed prometheus.Counter

	mu       sync.Mutex
	all      map[*lastwrite.Conn]*connection
	bySource map[netip.Prefix]int
	end      time.Time // of all writes; zero until endWrites is called
}

// A connection is the state of an open connection. It waits until a request on it has
// shown the token or the cookie of a sign-in, and again when that request has been
// answered. Other requests don't end the wait, because a stranger can send the head of
// a request and then nothing.
type connection struct {
	source  netip.Prefix
	waiting bool
	since   time.Time // when it began to wait
}

// connKey is the key of a request's connection in the request's context.
type connKey struct{}

func newConnections() *connections {
	return &connections{
		closed: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "lb_admin_connections_closed_total", Help: "Connections to the admin endpoint that were closed because there were too many.",
		}),
		all:      map[*lastwrite.Conn]*connection{},
		bySource: map[netip.Prefix]int{},
	}
}

func (c *connections) collectors() []prometheus.Collector {
	return []prometheus.Collector{c.closed, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "lb_admin_connections", Help: "Open connections to the admin endpoint.",
	}, func() float64 {
		c.mu.Lock()
		defer c.mu.Unlock()
		return float64(len(c.all))
	})}
}

// listen returns ln with a bound on its connections.
func (c *connections) listen(ln net.Listener) net.Listener { return boundedListener{ln, c} }

type boundedListener struct {
	net.Listener
	conns *connections
}

// Accept implements net.Listener.
func (l boundedListener) Accept() (net.Conn, error) {
	for {
		accepted, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		conn := &lastwrite.Conn{Conn: accepted}
		evicted := l.conns.admit(conn)
		if evicted != nil {
			l.conns.closed.Inc()
			_ = evicted.Close() // net/http sees it and ends what belongs to it
		}
		if evicted != conn {
			return conn, nil
		}
	}
}

// admit adds conn. It returns the connection that the caller must close for it, which
// may be conn itself; nil if there is room.
func (c *connections) admit(conn *lastwrite.Conn) (evicted *lastwrite.Conn) {
	source := netaddr.SourceOf(conn.RemoteAddr().String())
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.bySource[source] >= maxSourceConns:
		evicted = c.toEvictLocked(func(o *connection) bool { return o.source == source })
	case len(c.all) >= maxConns:
		evicted = c.toEvictLocked(func(*connection) bool { return true })
	default:
		c.addLocked(conn, source)
		return nil
	}
	if evicted == nil {
		return conn
	}
	c.removeLocked(evicted)
	c.addLocked(conn, source)
	return evicted
}

// toEvictLocked returns the connection to close, among those for which among is true.
// It is one that waits, from the source with the most connections; of these, the one
// that has waited longest. It is nil if none waits.
func (c *connections) toEvictLocked(among func(*connection) bool) (first *lastwrite.Conn) {
	for conn, is := range c.all {
		if is.waiting && among(is) && (first == nil || c.evictedBeforeLocked(is, c.all[first])) {
			first = conn
		}
	}
	return first
}

func (c *connections) evictedBeforeLocked(a, b *connection) bool {
	if n, m := c.bySource[a.source], c.bySource[b.source]; n != m {
		return n > m
	}
	return a.since.Before(b.since)
}

func (c *connections) addLocked(conn *lastwrite.Conn, source netip.Prefix) {
	c.all[conn] = &connection{source: source, waiting: true, since: time.Now()}
	c.bySource[source]++
	if !c.end.IsZero() {
		conn.EndWrites(c.end)
	}
}

func (c *connections) removeLocked(conn *lastwrite.Conn) {
	is := c.all[conn]
	if is == nil {
		return
	}
	delete(c.all, conn)
	if c.bySource[is.source]--; c.bySource[is.source] == 0 {
		delete(c.bySource, is.source)
	}
}

// endWrites makes all writes on all connections fail after end, also on connections
// that come later.
func (c *connections) endWrites(end time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.end = end
	for conn := range c.all {
		conn.EndWrites(end)
	}
}

// withConn is http.Server.ConnContext.
func withConn(ctx context.Context, conn net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, socketOf(conn))
}

// authenticated notes that the request of ctx has shown the token or a sign-in. Its
// connection isn't closed for others until the request has been answered.
func (c *connections) authenticated(ctx context.Context) {
	conn, _ := ctx.Value(connKey{}).(*lastwrite.Conn)
	c.mu.Lock()
	defer c.mu.Unlock()
	if is := c.all[conn]; is != nil {
		is.waiting = false
	}
}

// changed is http.Server.ConnState. net/http reports a new connection before it starts
// the connection's goroutine, and a closed one when its handler has returned.
func (c *connections) changed(nc net.Conn, state http.ConnState) {
	conn := socketOf(nc)
	switch state {
	case http.StateNew:
		c.open.Add(1)
	case http.StateClosed, http.StateHijacked:
		c.mu.Lock()
		c.removeLocked(conn)
		c.mu.Unlock()
		c.open.Done()
	case http.StateIdle:
		c.mu.Lock()
		defer c.mu.Unlock()
		if is := c.all[conn]; is != nil {
			is.waiting, is.since = true, time.Now()
		}
	}
}

// socketOf returns the socket of a connection that net/http has, nil for a connection
// of another kind.
func socketOf(conn net.Conn) *lastwrite.Conn {
	if t, ok := conn.(*tls.Conn); ok {
		conn = t.NetConn()
	}
	socket, _ := conn.(*lastwrite.Conn)
	return socket
}
