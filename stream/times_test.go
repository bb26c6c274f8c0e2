package stream

import (
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// A network joins nodes in a bubble. While it is cut, connections stay, and what is written
// is lost.
type network struct {
	cut   atomic.Bool
	dials atomic.Int64

	mu        sync.Mutex
	listeners map[string]*listener
}

func (n *network) listen(address string) *listener {
	n.mu.Lock()
	defer n.mu.Unlock()
	l := &listener{conns: make(chan net.Conn), closed: make(chan struct{})}
	n.listeners[address] = l
	return l
}

func (n *network) dial(ctx context.Context, address string) (net.Conn, error) {
	n.dials.Add(1)
	n.mu.Lock()
	l := n.listeners[address]
	n.mu.Unlock()
	if n.cut.Load() {
		<-ctx.Done()
		return nil, context.Cause(ctx)
	}
	here, there := net.Pipe()
	select {
	case l.conns <- lossy{there, n}:
		return lossy{here, n}, nil
	case <-l.closed:
		return nil, errors.New("nobody listens")
	}
}

// node returns a node that is joined by the network and has the times of a balancer.
func (n *network) node(t testing.TB, name string, options ...func(*Options)) *node {
	x := newNode(t, name, append(options, func(o *Options) { o.Dial = n.dial })...)
	x.ln.Close()
	x.ln, x.self.Address, x.hub.times = n.listen(name), name, defaultTimes
	return x
}

type lossy struct {
	net.Conn
	network *network
}

func (l lossy) Write(b []byte) (int, error) {
	if l.network.cut.Load() {
		return len(b), nil
	}
	return l.Conn.Write(b)
}

type listener struct {
	conns  chan net.Conn
	once   sync.Once
	closed chan struct{}
}

func (l *listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *listener) Addr() net.Addr { return &net.UnixAddr{} }
func (l *listener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

// TestACutIsNoticedAndHeals holds the times that operators are told: three seconds of silence,
// and two until the next attempt at most.
func TestACutIsNoticedAndHeals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &network{listeners: map[string]*listener{}}
		var nodes []*node
		for _, name := range []string{"lb-a", "lb-b"} {
			nodes = append(nodes, n.node(t, name))
		}
		a, b := nodes[0], nodes[1]
		a.src.report(on(1, "ide-1", 1))
		a.start(b)
		b.start(a)
		both := func(up bool) {
			t.Helper()
			synctest.Wait()
			for _, s := range []PeerStatus{a.status(b), b.status(a)} {
				if s.Up != up || s.Heard != up {
					t.Errorf("%v: %+v, want %v", time.Now(), s, up)
				}
			}
		}
		time.Sleep(500 * time.Millisecond) // one may have been refused at first
		both(true)
		time.Sleep(time.Hour)
		both(true)
		if got := n.dials.Load(); got > 4 {
			t.Errorf("%d dials within an hour of quiet", got)
		}

		n.cut.Store(true)
		time.Sleep(1900 * time.Millisecond) // the last sign of life is a second old at most
		both(true)
		time.Sleep(1200 * time.Millisecond)
		both(false)
		before := n.dials.Load()
		time.Sleep(time.Minute)
		if got := n.dials.Load() - before; got < 2*8 || got > 2*20 { // each takes 5 s, and a pause of 2 s at most
			t.Errorf("%d dials within a minute of a cut", got)
		}
		n.cut.Store(false)
		time.Sleep(7100 * time.Millisecond) // a dial that hangs, and a pause
		both(true)
		a.stop()
		b.stop()
	})
}
