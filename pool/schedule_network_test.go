package pool

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"net"
	"sync"
	"time"
)

// A simNetwork joins the balancers and the hosts of a schedule, by their names. Each direction
// between two of them can be cut, or slow. It is safe for concurrent use.
type simNetwork struct {
	seed      uint64
	mu        sync.Mutex
	ways      map[way]*wayState
	changed   chan struct{} // closed and replaced when a way is mended
	listeners map[string]*simListener
	carrying  sync.WaitGroup
}

// A way is one direction between two machines.
type way struct{ from, to string }

// A wayState is what is wrong with a way.
type wayState struct {
	cut  bool
	slow time.Duration // how much longer it takes at most
}

func newSimNetwork(seed uint64) *simNetwork {
	return &simNetwork{seed: seed, ways: map[way]*wayState{}, changed: make(chan struct{}), listeners: map[string]*simListener{}}
}

func (n *simNetwork) stateLocked(w way) *wayState {
	s := n.ways[w]
	if s == nil {
		s = &wayState{}
		n.ways[w] = s
	}
	return s
}

func (n *simNetwork) setCut(w way, cut bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.stateLocked(w).cut = cut
	close(n.changed)
	n.changed = make(chan struct{})
}

func (n *simNetwork) setSlow(w way, slow time.Duration) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.stateLocked(w).slow = slow
}

// open reports whether packets get from one machine to another.
func (n *simNetwork) open(from, to string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return !n.stateLocked(way{from, to}).cut
}

// joined reports whether two machines reach each other.
func (n *simNetwork) joined(a, b string) bool { return n.open(a, b) && n.open(b, a) }

// delay returns how long a packet takes that is sent now. It depends on nothing else that happens
// at this moment: goroutines that go on at one moment do so in any order, and a schedule should
// be the same each time.
func (n *simNetwork) delay(from, to string) time.Duration { return n.delayOf(0, from, to) }

// delayOf is delay for one of several packets of a moment: those with different numbers take
// different times, so that what follows has an order.
func (n *simNetwork) delayOf(number uint64, from, to string) time.Duration {
	h := fnv.New64a()
	fmt.Fprint(h, from, " ", to, " ", n.seed, number)
	rng := rand.New(rand.NewPCG(h.Sum64(), uint64(time.Now().UnixNano())))
	n.mu.Lock()
	slow := n.stateLocked(way{from, to}).slow
	n.mu.Unlock()
	d := 50*time.Microsecond + time.Duration(rng.Int64N(int64(3*time.Millisecond)))
	if slow > 0 {
		d += time.Duration(rng.Int64N(int64(slow)))
	}
	return d
}

// awaitOpen waits until a way is open. It returns false if ctx ends first.
func (n *simNetwork) awaitOpen(ctx context.Context, w way) bool {
	for {
		n.mu.Lock()
		cut, changed := n.stateLocked(w).cut, n.changed
		n.mu.Unlock()
		if !cut {
			return true
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return false
		}
	}
}

var errSimRefused = errors.New("connection refused")

// listen returns the listener of a machine, in the place of the one before.
func (n *simNetwork) listen(name string) *simListener {
	l := &simListener{name: name, network: n, conns: make(chan net.Conn), closed: make(chan struct{})}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.listeners[name] = l
	return l
}

// dial opens a connection as TCP does: it waits while the ways are cut.
func (n *simNetwork) dial(ctx context.Context, from, to string) (net.Conn, error) {
	for _, w := range []way{{from, to}, {to, from}} {
		if !n.awaitOpen(ctx, w) || !sleepFor(ctx, n.delay(w.from, w.to)) {
			return nil, ctx.Err()
		}
	}
	n.mu.Lock()
	l := n.listeners[to]
	n.mu.Unlock()
	if l == nil {
		return nil, errSimRefused
	}
	near, nearEnd := net.Pipe()
	far, farEnd := net.Pipe()
	select {
	case l.conns <- simConn{far, from}:
	case <-l.closed:
		return nil, errSimRefused
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	n.carry(way{from, to}, nearEnd, farEnd)
	n.carry(way{to, from}, farEnd, nearEnd)
	return simConn{near, to}, nil
}

// carry carries what one end of a connection writes to the other one: in its order, late, and
// not while the way is cut.
func (n *simNetwork) carry(w way, from, to net.Conn) {
	type piece struct {
		at    time.Time
		bytes []byte // nil for the end
	}
	const waiting = 64
	queue := make(chan piece, waiting)
	ctx, gone := context.WithCancel(context.Background())
	n.carrying.Go(func() {
		defer close(queue)
		var last time.Time
		for {
			buf := make([]byte, 16<<10)
			k, err := from.Read(buf)
			at := time.Now().Add(n.delay(w.from, w.to))
			if at.Before(last) {
				at = last
			}
			last = at
			p := piece{at: at}
			if err == nil {
				p.bytes = buf[:k]
			}
			select {
			case queue <- p:
			case <-ctx.Done():
				return
			}
			if err != nil {
				return
			}
		}
	})
	n.carrying.Go(func() {
		defer gone()
		defer to.Close()
		for p := range queue {
			time.Sleep(time.Until(p.at))
			n.awaitOpen(context.Background(), w)
			if p.bytes == nil {
				return
			}
			if _, err := to.Write(p.bytes); err != nil {
				from.Close()
				return
			}
		}
	})
}

// sleepFor sleeps. It returns false if ctx ends first.
func sleepFor(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}

// A simConn is one end of a connection, to the machine of a name.
type simConn struct {
	net.Conn
	peer string
}

func (c simConn) RemoteAddr() net.Addr { return simAddr(c.peer) }

// A simAddr is the address of a balancer: lb-1 is 10.0.1.1.
type simAddr string

func (a simAddr) Network() string { return "tcp" }
func (a simAddr) String() string  { return "10.0.1." + string(a[len(a)-1:]) + ":7948" }

// A simListener accepts the connections to one machine.
type simListener struct {
	name    string
	network *simNetwork
	conns   chan net.Conn
	once    sync.Once
	closed  chan struct{}
}

func (l *simListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *simListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *simListener) Addr() net.Addr { return simAddr(l.name) }
