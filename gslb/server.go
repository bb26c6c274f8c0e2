package gslb

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"tokenring/dnswire"
)

// A Server answers queries at its sockets from the table that is in force.
type Server struct {
	nsid        string
	cookies     *dnswire.CookieSecret // nil for no cookies
	idle        time.Duration
	table       atomic.Pointer[Table]
	connections chan struct{} // a place for each
	tcp         counts
	udp         []*udp
	listeners   []*net.TCPListener
}

// Listen opens the sockets of a configuration: of UDP one per processor and address, among which
// the kernel spreads clients. name is that of the server, which it tells who asks for it. The
// caller calls Serve or Close.
func Listen(ctx context.Context, c *Config, name string) (*Server, error) {
	s := &Server{nsid: name, idle: c.Limits.TCPIdle, connections: make(chan struct{}, c.Limits.TCP)}
	for _, address := range c.Listen {
		if err := s.listen(ctx, address); err != nil {
			s.Close()
			return nil, fmt.Errorf("listen at %s: %w", address, err)
		}
	}
	return s, nil
}

func (s *Server) listen(ctx context.Context, address string) error {
	var plain net.ListenConfig
	ln, err := plain.Listen(ctx, "tcp", address)
	if err != nil {
		return err
	}
	s.listeners = append(s.listeners, ln.(*net.TCPListener))
	at := ln.Addr().String() // with the port, if the address has none
	shared := net.ListenConfig{Control: reusePort}
	for range runtime.GOMAXPROCS(0) {
		conn, err := shared.ListenPacket(ctx, "udp", at)
		if err != nil {
			return err
		}
		u, err := newUDP(s, conn.(*net.UDPConn))
		if err != nil {
			return errors.Join(err, conn.Close())
		}
		s.udp = append(s.udp, u)
	}
	return nil
}

// reusePort lets several sockets have one address.
func reusePort(_, _ string, raw syscall.RawConn) error {
	var setErr error
	err := raw.Control(func(fd uintptr) {
		setErr = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
	})
	return errors.Join(err, setErr)
}

// Addrs returns the addresses at which queries are answered.
func (s *Server) Addrs() []net.Addr {
	var all []net.Addr
	for _, ln := range s.listeners {
		all = append(all, ln.Addr())
	}
	return all
}

// Use has all queries answered from t from now on.
func (s *Server) Use(t *Table) { s.table.Store(t) }

// Close closes the sockets.
func (s *Server) Close() {
	for _, u := range s.udp {
		u.conn.Close()
	}
	for _, ln := range s.listeners {
		ln.Close()
	}
}

// reply returns what is in the OPT record of an answer besides its body. cookie is a buffer for it.
func (s *Server) reply(q *dnswire.Query, t *Table, scope int, from netip.Addr, now time.Time, cookie []byte) dnswire.Reply {
	r := dnswire.Reply{UDPSize: udpSize, NSID: s.nsid, Subnet: t.plan.clientSubnet, Scope: uint8(scope)}
	if s.cookies != nil && len(q.EDNS.Cookie) > 0 {
		r.Cookie, _ = s.cookies.AppendCookie(cookie, q.EDNS.Cookie, from, now)
	}
	return r
}

// Serve answers queries until ctx ends, and closes the sockets. Use must have been called.
func (s *Server) Serve(ctx context.Context) error {
	defer s.Close()
	group, ctx := errgroup.WithContext(ctx)
	for _, u := range s.udp {
		group.Go(func() error { return u.run(ctx) })
	}
	for _, ln := range s.listeners {
		group.Go(func() error { return s.serveTCP(ctx, ln) })
	}
	return group.Wait()
}

// counts count what one goroutine, or a few, has answered.
type counts struct {
	byRcode [16]atomic.Uint64 // of the lower four bits of codes
	badVers atomic.Uint64
	dropped atomic.Uint64 // messages that get no answer
	unsent  atomic.Uint64
	refused atomic.Uint64 // connections beyond the limit
}

func (c *counts) add(r dnswire.Rcode) {
	if r == dnswire.BadVers {
		c.badVers.Add(1)
		return
	}
	c.byRcode[r&0xf].Add(1)
}

// of returns how many answers had a code.
func (c *counts) of(r dnswire.Rcode) uint64 {
	if r == dnswire.BadVers {
		return c.badVers.Load()
	}
	return c.byRcode[r].Load()
}
