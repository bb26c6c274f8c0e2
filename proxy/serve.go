package proxy

import (
	"context"
	"crypto/tls"
	"errors"
	"maps"
	"net"
	"runtime"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"tokenring/park"
	"tokenring/tlsterm"
)

// A Listener says how the connections of one listening socket are served.
type Listener struct {
	TLS      *tls.Config   // nil for plain HTTP
	Gate     *tlsterm.Gate // bounds the handshakes that are being computed; nil for no bound
	HTTP2    bool          // offer it to TLS clients
	Redirect string        // not "": answer every request with a redirect to this https port

	// HalfCloseAborts has a client that ends its direction of a plain connection
	// count as one that has left. Over TLS it always does.
	HalfCloseAborts bool

	RedirectKey bool // redirects repeat the parameters that hold the key
}

// A server is one listening socket and all that came from it.
type server struct {
	p        *Proxy
	l        Listener
	lots     []*park.Lot
	h2       *h2server     // nil if the listener doesn't speak HTTP/2
	turn     atomic.Uint32 // whose turn it is among the lots
	stopping atomic.Bool
	hard     context.Context // ends when what is left is closed

	mu    sync.Mutex
	lives map[life]struct{}
	wg    sync.WaitGroup // one for each life
}

// A life is a client's connection, or the tunnel that one has become.
type life interface {
	endIfIdle() // at the beginning of a shutdown
	abort()     // at its end
}

// Serve accepts TCP connections from ln, and serves them, until ctx ends. Then
// it closes ln, lets requests finish and tunnels run for Timeouts.Shutdown,
// closes what is left, and returns nil when the last connection has ended. It
// returns earlier only if ln or the kernel's epoll fails.
func (p *Proxy) Serve(ctx context.Context, ln net.Listener, l Listener) error {
	s := &server{p: p, l: l, lives: make(map[life]struct{})}
	if l.TLS != nil {
		s.l.TLS = admitted(offering(l.TLS, l.HTTP2), l.Gate)
		if l.HTTP2 {
			s.l.TLS = withholding(s.l.TLS, l.TLS)
		}
	}
	accepting, stop := context.WithCancel(ctx)
	defer stop()
	context.AfterFunc(accepting, func() { ln.Close() })
	hard, kill := context.WithCancel(context.WithoutCancel(ctx))
	defer kill()
	s.hard = hard
	closeLots, err := s.openLots(stop)
	if err != nil {
		return err
	}
	closeH2 := s.openH2()
	err = s.accept(accepting, ln)
	s.shutdown(kill)
	if partErr := errors.Join(closeH2(), closeLots()); partErr != nil {
		return partErr
	}
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// openLots sets the lots to work in which tunnels and idle connections wait: one
// for each processor, because the bytes of a tunnel are moved by its lot's
// goroutine. They have ended when the function that is returned has. A lot that
// fails calls stop.
func (s *server) openLots(stop func()) (closeAll func() error, err error) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(s.hard))
	var running errgroup.Group
	for range runtime.GOMAXPROCS(0) {
		lot, err := park.New(s.p.cfg.Timeouts.tick())
		if err != nil {
			cancel()
			return nil, errors.Join(err, running.Wait())
		}
		s.lots = append(s.lots, lot)
		running.Go(func() error {
			err := lot.Run(ctx)
			if err != nil {
				stop()
			}
			return err
		})
	}
	return func() error { cancel(); return running.Wait() }, nil
}

// openH2 sets net/http's server to work, if the listener needs it. It has ended
// when the function that is returned has.
func (s *server) openH2() (closeIt func() error) {
	if s.l.TLS == nil || !s.l.HTTP2 {
		return func() error { return nil }
	}
	s.h2 = s.newH2()
	var running errgroup.Group
	running.Go(s.h2.serve)
	return func() error { return errors.Join(s.h2.http.Close(), running.Wait()) }
}

// lot returns a place for one more guest, each lot in turn.
func (s *server) lot() *park.Lot {
	return s.lots[s.turn.Add(1)%uint32(len(s.lots))]
}

// help has a lot's guests served before the caller's own work, each lot in turn.
func (s *server) help() { s.lot().Help() }

func (s *server) start(ctx context.Context, nc net.Conn) {
	s.p.opt.Metrics.accepted.Inc()
	c := newConn(s, nc)
	s.enter(c)
	go c.run(ctx)
}

// enter counts a life, and leave ends its count. A connection that becomes a
// tunnel enters as the one before it leaves as the other.
func (s *server) enter(l life) {
	s.p.opt.Metrics.connections.Inc()
	s.p.room.enter()
	s.wg.Add(1)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lives[l] = struct{}{}
}

func (s *server) leave(l life) {
	s.mu.Lock()
	delete(s.lives, l)
	s.mu.Unlock()
	s.p.opt.Metrics.connections.Dec()
	s.p.room.leave()
	s.wg.Done()
}

// shutdown ends the idle connections, and gives the others their time.
func (s *server) shutdown(kill context.CancelFunc) {
	s.stopping.Store(true)
	s.each(life.endIfIdle)
	telling, told := context.WithCancel(s.hard)
	var tell sync.WaitGroup
	defer tell.Wait()
	defer told()
	if s.h2 != nil {
		tell.Go(func() { s.h2.stop(telling) })
	}
	timer := time.AfterFunc(s.p.cfg.Timeouts.Shutdown, func() {
		kill()
		s.each(life.abort)
	})
	defer timer.Stop()
	s.wg.Wait()
}

// each calls do for all that live now, without the lock: they may leave.
func (s *server) each(do func(life)) {
	s.mu.Lock()
	lives := slices.Collect(maps.Keys(s.lives))
	s.mu.Unlock()
	for _, l := range lives {
		do(l)
	}
}

// reportPanic says where a programmer's error is, which one connection has met.
// What is logged holds no bytes of a request: a runtime.Error speaks of types and
// indexes, a stack of addresses.
func (s *server) reportPanic(cause any, request []byte) {
	text := "not a runtime error"
	if err, ok := cause.(runtime.Error); ok {
		text = err.Error()
	}
	s.p.opt.Metrics.panics.Inc()
	s.p.opt.Logger.Error().Str("panic", text).Bytes("request", request).Bytes("stack", debug.Stack()).
		Msg("a connection was ended by a fault of this program; please report it")
}
