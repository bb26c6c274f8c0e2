package proxy

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"tokenring/loglimit"
	"tokenring/netaddr"
	"tokenring/poller"
	"tokenring/proxy/access"
	"tokenring/proxy/clienttls"
	"tokenring/proxy/deadline"
	"tokenring/proxy/fields"
	"tokenring/proxy/h2server"
	"tokenring/proxy/metrics"
	"tokenring/proxy/proxyheader"
	"tokenring/tlsterm"
)

// A Listener says how the connections of one listening socket are served.
type Listener struct {
	Address        string                  // as the configuration has it; see Proxy.Take
	TLS            *tls.Config             // nil for plain HTTP
	HandshakeLimit *tlsterm.HandshakeLimit // of the handshakes that are computed at once; nil for no limit
	HTTP2          bool                    // offer it to TLS clients
	Redirect       string                  // the https port to which every request is redirected; "" for no redirects

	// HalfCloseAborts says that a client has left if it ends its direction of a
	// connection without TLS. With TLS it always has.
	HalfCloseAborts bool

	ProxyHeader bool // connections begin with a header of the PROXY protocol, and come from trusted networks
	RedirectKey bool // redirects repeat the parameters that hold the key

	Access []*access.Rules  // by which clients' connections are refused, before TLS
	Fields []*fields.Config // changes of fields, after those of Config.Fields
}

// A server is one listening socket, and the connections that were accepted from it.
type server struct {
	p        *Proxy
	l        Listener
	pollers  []*poller.Poller
	tls      *clienttls.Terminator // nil for plain HTTP
	h2       *h2server.Server      // nil if the listener doesn't speak HTTP/2
	plans    []*fields.Plan        // by the index of the route and one, at 0 for no route; nil if no fields are changed
	port     string                // of the listener
	turn     atomic.Uint32         // selects the next poller, round robin
	stopping atomic.Bool
	hardStop context.Context // ends when a shutdown closes the connections that are left
	retire   func()          // stops accepting; set before the server is registered

	mu    sync.Mutex
	conns map[trackedConn]struct{}
	wg    sync.WaitGroup // counts conns
}

// A trackedConn is a client's connection, or the tunnel that it has become.
type trackedConn interface {
	endIfIdle() // called when a shutdown begins
	abort()     // called when its time is over
}

// Serve accepts TCP connections from ln, and serves them, until ctx ends. Then it closes
// ln, and lets requests finish and tunnels run for Config.ShutdownGrace. It closes the
// tunnels that are left in the second half of this time, at an even rate, and the other
// connections at its end. It returns nil when the last connection has ended. It returns
// earlier only if ln or the kernel's epoll fails.
//
// Once the proxy has retired, Serve accepts nothing more, and returns nil when the last
// connection has ended. If ctx ends before, what is left ends as above.
func (p *Proxy) Serve(ctx context.Context, ln net.Listener, l Listener) error {
	return newServer(p, l).serve(ctx, ln)
}

func newServer(p *Proxy, l Listener) *server {
	s := &server{p: p, l: l, conns: make(map[trackedConn]struct{})}
	s.plans = p.plansFor(l)
	if l.TLS != nil {
		s.tls = clienttls.New(clienttls.Options{
			Config: l.TLS, HandshakeLimit: l.HandshakeLimit, HTTP2: l.HTTP2, WriteTimeout: p.cfg.Timeouts.Body, Yield: s.helpPollers,
		})
	}
	return s
}

// serve is Serve. It may be called once.
func (s *server) serve(ctx context.Context, ln net.Listener) error {
	if at, ok := ln.Addr().(*net.TCPAddr); ok {
		s.port = strconv.Itoa(at.Port)
	}
	serving, stop := context.WithCancel(ctx)
	defer stop()
	accepting, retire := context.WithCancel(serving)
	defer retire()
	s.retire = retire
	context.AfterFunc(accepting, func() { ln.Close() })
	hard, kill := context.WithCancel(context.WithoutCancel(ctx))
	defer kill()
	s.hardStop = hard
	closePollers, err := s.openPollers(stop)
	if err != nil {
		return err
	}
	closeH2 := s.openH2()
	s.p.servers.add(s)
	defer s.p.servers.remove(s)
	err = s.accept(serving, accepting, ln)
	s.p.servers.stopped(s)
	retired := s.p.retired()
	if retired {
		s.outlast(serving)
	}
	s.shutdown(kill)
	if partErr := errors.Join(closeH2(), closePollers()); partErr != nil {
		return partErr
	}
	if retired || ctx.Err() != nil {
		return nil
	}
	return err
}

// openPollers starts the pollers for tunnels and idle connections: one for each
// processor, because a poller's goroutine moves the bytes of its tunnels. closeAll ends
// them and waits for them. stop is called if a poller fails.
func (s *server) openPollers(stop func()) (closeAll func() error, err error) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(s.hardStop))
	var running errgroup.Group
	for range runtime.GOMAXPROCS(0) {
		one, err := poller.New(s.p.cfg.tick())
		if err != nil {
			cancel()
			return nil, errors.Join(err, running.Wait())
		}
		s.pollers = append(s.pollers, one)
		running.Go(func() error {
			err := one.Run(ctx)
			if err != nil {
				stop()
			}
			return err
		})
	}
	return func() error { cancel(); return running.Wait() }, nil
}

// openH2 starts net/http's server, if the listener speaks HTTP/2. closeIt ends the server
// and waits for it.
func (s *server) openH2() (closeIt func() error) {
	if s.l.TLS == nil || !s.l.HTTP2 {
		return func() error { return nil }
	}
	cfg := &s.p.cfg
	s.h2 = h2server.New(h2server.Config{
		Streams: s.p.streams.PerConnection(), Head: cfg.Limits.head(),
		HeadTimeout: cfg.Timeouts.Head, IdleTimeout: cfg.Timeouts.Idle, WriteTimeout: cfg.Timeouts.Body,
	})
	var running errgroup.Group
	running.Go(s.h2.Serve)
	return func() error { return errors.Join(s.h2.Close(), running.Wait()) }
}

// poller returns the poller for the next socket, round robin.
func (s *server) poller() *poller.Poller {
	return s.pollers[s.turn.Add(1)%uint32(len(s.pollers))]
}

// helpPollers serves the tunnels of one poller, round robin, before the caller goes on
// with its own work.
func (s *server) helpPollers() { s.poller().Help() }

// accept accepts connections until accepting ends, which closes the listener, or the
// listener fails. The connections' handshakes go on until serving ends. If the process has no free descriptor or memory, accept waits a little and
// tries again. While limits.connections are open, it accepts nothing, and new connections
// wait in the kernel's queue.
func (s *server) accept(serving, accepting context.Context, ln net.Listener) error {
	const pause = 100 * time.Millisecond
	lines := loglimit.Limiter{MaxPause: time.Minute}
	warn := func(text string, err error) {
		if _, log := lines.Add(text, time.Now()); log {
			s.p.opt.Logger.Warn().Err(err).Stringer("address", ln.Addr()).Msg(text)
		}
	}
	for {
		s.p.connections.Wait(accepting, func() {
			s.p.opt.Metrics.Connections.AcceptWaits.Inc()
			warn("accept paused: limits.connections are open", nil)
		})
		nc, err := ln.Accept()
		switch {
		case err == nil:
			s.start(serving, nc)
			// When all clients reconnect at once, thousands of connections wait here.
			// Without a pause after each, their goroutines would all run before those
			// that serve live terminals.
			runtime.Gosched()
		case errors.Is(err, net.ErrClosed), accepting.Err() != nil:
			return fmt.Errorf("accept on %s: %w", ln.Addr(), err)
		default:
			s.p.opt.Metrics.Connections.AcceptErrors.Inc()
			warn("accept paused; if there are too many open files, raise the limit of open files or lower limits.connections", err)
			select {
			case <-time.After(pause):
			case <-accepting.Done():
			}
		}
	}
}

func (s *server) start(ctx context.Context, nc net.Conn) {
	s.p.opt.Metrics.Connections.Accepted.Inc()
	c := newConn(s, nc)
	s.track(c)
	go c.run(ctx)
}

// address returns what is known of the client by its address.
func (c *conn) address() clientAddr {
	addr, ok := netaddr.Parse(c.remote())
	if !ok { // a connection without TCP, as in tests
		return clientAddr{address: address{text: "unknown"}}
	}
	at, _ := netip.ParseAddrPort(c.remote())
	a := clientAddr{address: newAddress(addr, at.Port()), trusted: c.srv.p.cfg.trusts(addr)}
	if local, ok := c.tcp.LocalAddr().(*net.TCPAddr); ok {
		a.server = local.AddrPort()
	}
	return a
}

func newAddress(addr netip.Addr, port uint16) address {
	key := netaddr.Source(addr).Addr() // of the network: clients change the lower half of IPv6 addresses (RFC 8981)
	return address{text: addr.String(), addr: addr, key: key.AsSlice(), port: port}
}

// remote returns the client's address and port. Without a header of the PROXY protocol it is
// the address of the socket.
func (c *conn) remote() string {
	if c.told.IsValid() {
		return c.told.String()
	}
	return c.tcp.RemoteAddr().String()
}

// readProxyHeader reads the header of the PROXY protocol, if the listener needs one, and makes
// the address that it tells the client's. It reports whether the connection can be used: it
// can't if it comes from no trusted network, or if the header is malformed or late.
func (c *conn) readProxyHeader(ctx context.Context) bool {
	if !c.srv.l.ProxyHeader {
		return true
	}
	refused := c.srv.p.opt.Metrics.Connections.ProxyHeaders
	if !c.client.trusted {
		refused.WithLabelValues(metrics.ProxyHeaderUntrusted).Inc()
		return false
	}
	_ = c.tcp.SetReadDeadline(time.Now().Add(c.srv.p.cfg.Timeouts.Handshake)) // fails only if the connection has ended
	stop := context.AfterFunc(ctx, func() { _ = c.tcp.SetReadDeadline(time.Unix(1, 0)) })
	told, err := proxyheader.Read(c.tcp)
	if !stop() {
		return false
	}
	switch {
	case errors.Is(err, proxyheader.ErrMalformed):
		refused.WithLabelValues(metrics.ProxyHeaderMalformed).Inc()
	case deadline.Exceeded(err):
		refused.WithLabelValues(metrics.ProxyHeaderTimeout).Inc()
	case err == nil:
		_ = c.tcp.SetReadDeadline(time.Time{})
		c.told = told
		c.identify(c.client.secure)
	}
	return err == nil
}

// track counts a connection until untrack. When a connection becomes a tunnel, the tunnel
// is tracked before the connection is untracked.
func (s *server) track(c trackedConn) {
	s.gauge(c).Inc()
	s.p.connections.Add()
	s.wg.Add(1)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conns[c] = struct{}{}
}

func (s *server) untrack(c trackedConn) {
	s.mu.Lock()
	delete(s.conns, c)
	s.mu.Unlock()
	s.gauge(c).Dec()
	s.p.connections.Remove()
	s.p.cfg.Quotas.Closed(c)
	s.wg.Done()
}

// gauge returns the metric in which a connection counts. A relay doesn't count as a
// client's connection, because it counts in the process to which it was passed on.
func (s *server) gauge(c trackedConn) prometheus.Gauge {
	if _, ok := c.(*relay); ok {
		return s.p.opt.Metrics.Connections.Relays
	}
	return s.p.opt.Metrics.Connections.Open
}

// each calls do for all tracked connections. It holds no lock: do may untrack them.
func (s *server) each(do func(trackedConn)) {
	s.mu.Lock()
	conns := slices.Collect(maps.Keys(s.conns))
	s.mu.Unlock()
	for _, c := range conns {
		do(c)
	}
}

// reportPanic counts and logs a panic, which is a programmer's error. The log line has no
// bytes of a request: a runtime.Error tells types and indexes, a stack tells addresses.
func (s *server) reportPanic(cause any, request []byte) {
	text := "not a runtime error"
	if err, ok := cause.(runtime.Error); ok {
		text = err.Error()
	}
	s.p.opt.Metrics.Connections.Panics.Inc()
	s.p.opt.Logger.Error().Str("panic", text).Bytes("request", request).Bytes("stack", debug.Stack()).
		Msg("a fault of this program has ended a connection; please report it")
}

// servers are the listeners of a proxy.
type servers struct {
	mu  sync.Mutex
	all map[*server]bool // whether it accepts connections
}

// add registers s. If its proxy has retired, s stops accepting.
func (l *servers) add(s *server) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.all == nil {
		l.all = map[*server]bool{}
	}
	l.all[s] = true
	if s.p.retired() {
		s.retire()
	}
}

// stopped says that s doesn't accept connections any more. hand gives it none from now on.
func (l *servers) stopped(s *server) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all[s] = false
}

// remove ends what add began, when the last connection of s has ended.
func (l *servers) remove(s *server) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.all, s)
}

func (l *servers) list() []*server {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := make([]*server, 0, len(l.all))
	for s := range l.all {
		all = append(all, s)
	}
	return all
}

// hand calls take with the listener that accepts connections at an address. It reports
// false if there is none.
func (l *servers) hand(address string, take func(*server)) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for s, accepts := range l.all {
		if accepts && s.l.Address == address {
			take(s)
			return true
		}
	}
	return false
}
