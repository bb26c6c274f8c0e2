package proxy

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"tokenring/tlsterm"
)

// A Listener says how the connections of one listening socket are served.
type Listener struct {
	TLS      *tls.Config   // nil for plain HTTP
	Gate     *tlsterm.Gate // bounds the handshakes that are being computed; nil for no bound
	Redirect string        // not "": answer every request with a redirect to this https port
}

// A server is one listening socket and the connections that came from it.
type server struct {
	p        *Proxy
	l        Listener
	stopping atomic.Bool
	hard     context.Context // ends when what is left is closed

	mu    sync.Mutex
	conns map[*conn]struct{}
	wg    sync.WaitGroup
}

// Serve accepts connections from ln, and serves them, until ctx ends. Then it
// closes ln, lets requests finish and tunnels run for Timeouts.Shutdown, closes
// what is left, and returns nil when the last connection has ended. It returns
// earlier only if ln fails.
func (p *Proxy) Serve(ctx context.Context, ln net.Listener, l Listener) error {
	s := &server{p: p, l: l, conns: make(map[*conn]struct{})}
	if l.TLS != nil {
		s.l.TLS = admitted(l.TLS, l.Gate)
	}
	stop := context.AfterFunc(ctx, func() { ln.Close() })
	defer stop()
	hard, kill := context.WithCancel(context.WithoutCancel(ctx))
	defer kill()
	s.hard = hard
	err := s.accept(ctx, ln)
	s.shutdown(kill)
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// accept runs until the listener is closed. Being short of descriptors or
// memory is no reason to end: it waits a little for connections to go away.
func (s *server) accept(ctx context.Context, ln net.Listener) error {
	for {
		nc, err := ln.Accept()
		switch {
		case err == nil:
			s.start(ctx, nc)
		case errors.Is(err, net.ErrClosed), ctx.Err() != nil:
			return fmt.Errorf("accept on %s: %w", ln.Addr(), err)
		default:
			s.p.opt.Metrics.acceptErrors.Inc()
			s.p.opt.Logger.Warn().Err(err).Stringer("address", ln.Addr()).Msg("accept paused")
			select {
			case <-time.After(100 * time.Millisecond):
			case <-ctx.Done():
			}
		}
	}
}

func (s *server) start(ctx context.Context, nc net.Conn) {
	c := newConn(s, nc)
	s.mu.Lock()
	s.conns[c] = struct{}{}
	s.mu.Unlock()
	m := s.p.opt.Metrics
	m.accepted.Inc()
	m.connections.Inc()
	s.wg.Go(func() {
		defer m.connections.Dec()
		defer s.forget(c)
		defer c.survive()
		c.serve(ctx)
	})
}

func (s *server) forget(c *conn) {
	s.mu.Lock()
	delete(s.conns, c)
	s.mu.Unlock()
}

// shutdown wakes the idle connections, so that they end, and gives the others
// their time.
func (s *server) shutdown(kill context.CancelFunc) {
	s.stopping.Store(true)
	s.each((*conn).endIfIdle)
	timer := time.AfterFunc(s.p.cfg.Timeouts.Shutdown, func() {
		kill()
		s.each((*conn).abort)
	})
	defer timer.Stop()
	s.wg.Wait()
}

func (s *server) each(do func(*conn)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		do(c)
	}
}
