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
)

// How many connections there may be, in all and from one source (see sourceOf).
// Beyond that, one that waits is closed for the newcomer, and the newcomer itself if
// none waits.
const (
	maxConns       = 256
	maxSourceConns = 64
)

// connections are the open ones of a server. Safe for concurrent use.
type connections struct {
	open   sync.WaitGroup // those that net/http has
	closed prometheus.Counter

	mu       sync.Mutex
	all      map[net.Conn]*connection
	bySource map[netip.Prefix]int
}

// A connection is what is known of an open one. It waits until a request on it has
// shown the token or the cookie of a sign-in, and again when that request has been
// answered. Other requests leave it waiting: anybody can send the head of one and
// then nothing.
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
		all:      map[net.Conn]*connection{},
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
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		superfluous := l.conns.admit(conn)
		if superfluous != nil {
			l.conns.closed.Inc()
			_ = superfluous.Close() // net/http sees it and ends what belongs to it
		}
		if superfluous != conn {
			return conn, nil
		}
	}
}

// admit makes room for conn, and returns the connection that has to be closed for
// it, which may be conn itself; nil if none has.
func (c *connections) admit(conn net.Conn) (superfluous net.Conn) {
	source := sourceOf(conn.RemoteAddr().String())
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.bySource[source] >= maxSourceConns:
		superfluous = c.firstToGoLocked(func(o *connection) bool { return o.source == source })
	case len(c.all) >= maxConns:
		superfluous = c.firstToGoLocked(func(*connection) bool { return true })
	default:
		c.addLocked(conn, source)
		return nil
	}
	if superfluous == nil {
		return conn
	}
	c.removeLocked(superfluous)
	c.addLocked(conn, source)
	return superfluous
}

// firstToGoLocked returns the connection that gives way: of those that wait, one of
// the source with the most connections, and of these the one that has waited
// longest. It returns nil if none among them waits.
func (c *connections) firstToGoLocked(among func(*connection) bool) (first net.Conn) {
	for conn, is := range c.all {
		if is.waiting && among(is) && (first == nil || c.goesBeforeLocked(is, c.all[first])) {
			first = conn
		}
	}
	return first
}

func (c *connections) goesBeforeLocked(a, b *connection) bool {
	if n, m := c.bySource[a.source], c.bySource[b.source]; n != m {
		return n > m
	}
	return a.since.Before(b.since)
}

func (c *connections) addLocked(conn net.Conn, source netip.Prefix) {
	c.all[conn] = &connection{source: source, waiting: true, since: time.Now()}
	c.bySource[source]++
}

func (c *connections) removeLocked(conn net.Conn) {
	is := c.all[conn]
	if is == nil {
		return
	}
	delete(c.all, conn)
	if c.bySource[is.source]--; c.bySource[is.source] == 0 {
		delete(c.bySource, is.source)
	}
}

// withConn is http.Server.ConnContext.
func withConn(ctx context.Context, conn net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, accepted(conn))
}

// entitled notes that the request with this context has shown that it may ask: its
// connection isn't closed for others until it has been answered.
func (c *connections) entitled(ctx context.Context) {
	conn, _ := ctx.Value(connKey{}).(net.Conn)
	c.mu.Lock()
	defer c.mu.Unlock()
	if is := c.all[conn]; is != nil {
		is.waiting = false
	}
}

// changed is http.Server.ConnState. net/http reports a new connection before it
// starts its goroutine, and a closed one when its handler is done.
func (c *connections) changed(conn net.Conn, state http.ConnState) {
	conn = accepted(conn)
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

// accepted returns the connection that Accept has returned for conn, which may be
// TLS on it.
func accepted(conn net.Conn) net.Conn {
	if t, ok := conn.(*tls.Conn); ok {
		return t.NetConn()
	}
	return conn
}
