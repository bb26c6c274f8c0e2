package proxy

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"tokenring/balancer"
	"tokenring/proxy/decisions"
	"tokenring/proxy/elder"
	"tokenring/proxy/passed"
	"tokenring/proxy/tunnel"
	"tokenring/session"
)

// This file is the end of a process. First, of one that a newer one replaces:
//
//	PrepareRetire  new clients aren't offered HTTP/2 any more, which can't be passed on
//	Retire         nothing is accepted; a connection on which a request comes is passed on
//	               (passOn), so the newest process serves that request; tunnels and
//	               requests in progress go on
//	End            the newest process has terminals ended, as if they were its own
//
// Serve returns when the last connection has ended. CloseTunnels and shutdown end what is open.

// A Passed is a client's connection that an older process passes on to the newest one.
type Passed = passed.Conn

// ErrNotServed is the error of a Passed whose listener the newest process doesn't have.
var ErrNotServed = errors.New("the newest process doesn't serve this listener")

// retireTime is how long Retire waits for requests for which a host is being chosen, and
// for clients of HTTP/2 to be told.
const retireTime = time.Second

// A retirement is what the end of a process needs.
type retirement struct {
	noH2      atomic.Bool // no client is offered HTTP/2; see PrepareRetire
	passTo    atomic.Pointer[func(Passed) error]
	verdicts  elder.Verdicts // on hosts, once this process has retired
	decisions decisions.Counter
}

// retired reports whether Retire was called.
func (r *retirement) retired() bool { return r.passTo.Load() != nil }

// PrepareRetire makes new TLS handshakes offer HTTP/1.1 only, because a connection of
// HTTP/2 can't be passed on.
func (p *Proxy) PrepareRetire() { p.noH2.Store(true) }

// CancelRetire ends what PrepareRetire began.
func (p *Proxy) CancelRetire() { p.noH2.Store(false) }

// Retire makes all listeners stop accepting, and returns when nothing is decided here any
// more: no host is chosen, and no session begins. That takes a second at most; less if ctx
// ends. The listening sockets stay open for other processes that have them. From then on
// nothing from an Elder counts, and Use has no effect on new requests. Retire must be
// called once.
//
// Connections and tunnels go on. When the next request comes on a connection, pass is
// called, which has the newest process call Take. It may be called before Retire returns,
// and it must block until that process has this one's sessions. If it fails, it is called
// again for some seconds, or for half a second if its error is ErrNotServed. Then the
// request is answered with 503. pass must be safe for concurrent use. The caller closes Passed.File.
func (p *Proxy) Retire(ctx context.Context, pass func(Passed) error) {
	ctx, cancel := context.WithTimeout(ctx, retireTime)
	defer cancel()
	p.PrepareRetire()
	p.passTo.Store(&pass)
	var telling sync.WaitGroup
	for _, s := range p.servers.list() {
		s.retire()
		if s.h2 != nil {
			telling.Go(func() { s.h2.Retire(ctx) })
		}
	}
	telling.Wait()
	p.decisions.Stop(ctx)
	p.claims.Used(func(key balancer.Digest, host string) { p.region.Used(key, host, time.Now()) }) // the newest process knows no request of this one
	p.sessions.Freeze()
	p.elders.Close()
}

// End carries out an order of the newest process. When it returns, the terminals have
// ended, and requests that wait for hosts that are down are about to.
func (p *Proxy) End(order elder.End) {
	p.sessions.EndKeys(order.Keys, order.Why)
	if order.Why == elder.WhyDown {
		p.verdicts.Set(order.Down)
		for _, u := range p.pools.Upstreams() {
			u.Notify()
		}
	}
	for _, at := range order.Hosts {
		if u := p.pools.Upstream(at.Name); u != nil && u.Endpoint == at {
			u.Close()
		}
	}
}

// LastBytes returns how long ago bytes have come from hosts to terminals of this process, by
// host. It leaves out hosts that have sent none within a time.
func (p *Proxy) LastBytes(within time.Duration) map[string]time.Duration {
	all, now := map[string]time.Duration{}, time.Now()
	for name, u := range p.pools.Upstreams() {
		if ago := now.Sub(u.Gauges.LastByte.At()); ago < within {
			all[name] = max(0, ago)
		}
	}
	return all
}

// Watch returns a Watch of this process's sessions, for the newest process. The caller must
// call its Close.
func (p *Proxy) Watch() *session.Watch { return p.sessions.Watch() }

// outlast waits until the last connection has ended, or ctx has.
func (s *server) outlast(ctx context.Context) {
	ended := make(chan struct{})
	go func() {
		s.wg.Wait()
		close(ended)
	}()
	select {
	case <-ended:
	case <-ctx.Done(): // shutdown waits for the connections, and so for the goroutine
	}
}

// Take serves a connection that an older process has passed on, as if the listener with
// its address had accepted it. The caller closes x.File. Take returns ErrNotServed if
// there is no such listener, or if it has stopped accepting.
func (p *Proxy) Take(x Passed) error {
	nc, err := x.Open()
	if err != nil {
		return err
	}
	if !p.servers.hand(x.Listener, func(s *server) { s.startPassed(nc, x) }) {
		nc.Close()
		return fmt.Errorf("%s: %w", x.Listener, ErrNotServed)
	}
	return nil
}

// startPassed serves a connection whose TLS, if it has any, is with an older process.
func (s *server) startPassed(nc net.Conn, x Passed) {
	c := newConn(s, nc)
	c.told = x.Client
	c.unserved = bytes.Clone(x.Early)
	s.track(c)
	go c.serveTracked(func() bool {
		c.identify(x.TLS)
		c.client.agreed.Certificate = x.Certificate
		c.passed()
		return c.serve()
	})
}

// A relay joins a client's TLS connection with the newest process, which serves it. It is
// a tunnel that costs nothing while it is quiet, and ends when one side ends: all timeouts
// are those of the newest process.
type relay struct {
	tunnel.Tunnel
	srv *server
}

// HostSent implements tunnel.Owner. It does nothing: the bytes are the newest process's.
func (r *relay) HostSent(time.Time) {}

// Ended implements tunnel.Owner. It does nothing.
func (r *relay) Ended(tunnel.Stats) {}

// Closed implements tunnel.Owner.
func (r *relay) Closed() { r.srv.untrack(r) }

// endIfIdle implements trackedConn. It does nothing: the newest process knows whether the
// connection is idle.
func (r *relay) endIfIdle() {}

// abort implements trackedConn.
func (r *relay) abort() { r.Tunnel.End(tunnel.ByShutdown) }

// passOn implements downstream. It does nothing if something of the body may have been
// read.
func (c *conn) passOn() bool {
	if c.stays || c.x.req.HasBody() && c.x.connected > 0 {
		return false
	}
	return c.pass(c.in.Request())
}

// pass passes the connection on to the newest process, with the bytes that were read from
// it and not served. It reports whether it has. If not, it logs why, and the connection is
// to end. The caller closes this process's socket.
func (c *conn) pass(early []byte) bool {
	err := c.tryPass(early)
	if err != nil {
		c.srv.p.opt.Logger.Warn().Err(err).Msg("a connection wasn't passed on to the newest process")
	}
	c.x.passed, c.x.last, c.stays = err == nil, true, true
	return c.x.passed
}

func (c *conn) tryPass(early []byte) error {
	x := Passed{Listener: c.srv.l.Address, TLS: c.client.secure, Certificate: c.client.agreed.Certificate, Early: early}
	x.Client, _ = netip.ParseAddrPort(c.remote())
	var join net.Conn
	var err error
	if c.nc == c.tcp {
		x.File, err = passed.FileOf(c.tcp)
	} else {
		x.File, join, err = passed.Pair()
	}
	if err != nil {
		return err
	}
	defer x.File.Close()
	err = c.offer(x)
	switch {
	case join == nil:
		return err
	case err != nil:
		join.Close()
		return err
	}
	return c.relay(join)
}

// How long offer waits for a process that takes a connection. A process whose listener is
// missing may be about to begin.
const (
	passPatience     = 5 * time.Second
	listenerPatience = 500 * time.Millisecond
)

// offer passes x on. While there is no process to take it, offer tries again.
func (c *conn) offer(x Passed) error {
	const longest = 250 * time.Millisecond
	pass := *c.srv.p.passTo.Load()
	for began, pause := time.Now(), 10*time.Millisecond; ; pause = min(2*pause, longest) {
		err := pass(x)
		waited := time.Since(began)
		if err == nil || waited > passPatience || waited > listenerPatience && errors.Is(err, ErrNotServed) {
			return err
		}
		select {
		case <-time.After(pause):
		case <-c.srv.hardStop.Done():
			return err
		}
	}
}

// relay joins the client's TLS connection with join, which belongs to it from now on.
func (c *conn) relay(join net.Conn) error {
	r := &relay{srv: c.srv}
	c.srv.track(r)
	err := r.Open(tunnel.Options{
		Client: c.nc, Host: join, Poller: c.srv.poller(), Owner: r, Idle: math.MaxInt64, HalfClosed: c.srv.p.cfg.Timeouts.Body, Opaque: true,
	}, tunnel.Greeting{})
	if err != nil {
		join.Close()
		c.srv.untrack(r)
		return fmt.Errorf("join a client with the newer process: %w", err)
	}
	return nil
}

// CloseTunnels closes all tunnels of this proxy, at most perSecond of them in a second, at
// an even rate. It returns when no tunnel is left, or when ctx ends. Tunnels that open
// meanwhile are closed as well, also those whose handshake is in progress: its client gets
// 503. The clients get a close frame with a code that follows from why, where their stream
// allows it. perSecond must be positive. Once the proxy has retired, CloseTunnels also closes
// the relays, which keep this process as tunnels do; their clients get no close frame.
//
// It may run beside Serve and Use. CloseTunnels doesn't keep new tunnels from opening, so
// its caller first stops the listeners.
func (p *Proxy) CloseTunnels(ctx context.Context, perSecond float64, why tunnel.Reason) {
	pace := newPace(perSecond)
	for {
		open := p.openTunnels()
		if len(open) == 0 || closeEach(ctx, pace, open, why) != nil {
			return
		}
	}
}

// openTunnels returns the tunnels of terminals and relays that haven't ended. Some may not be
// open yet.
func (p *Proxy) openTunnels() (all []*tunnel.Tunnel) {
	for _, t := range p.sessions.Tunnels() {
		all = append(all, &t.(*terminal).Tunnel) // the proxy adds nothing else
	}
	for _, s := range p.servers.list() {
		s.each(func(c trackedConn) {
			if r, ok := c.(*relay); ok {
				all = append(all, &r.Tunnel)
			}
		})
	}
	return slices.DeleteFunc(all, ended)
}

// ended reports whether a tunnel has ended, and perhaps lingers.
func ended(t *tunnel.Tunnel) bool { return t.Stats().Why != "" }

// newPace returns a limiter for so many tunnels in a second, of which up to a hundredth may
// end at once, since timers are late. The first one has to wait, too.
func newPace(perSecond float64) *rate.Limiter {
	pace := rate.NewLimiter(rate.Limit(perSecond), max(1, int(perSecond/100)))
	pace.AllowN(time.Now(), pace.Burst())
	return pace
}

// closeEach ends tunnels one by one. It returns an error if ctx ends first.
func closeEach(ctx context.Context, pace *rate.Limiter, all []*tunnel.Tunnel, why tunnel.Reason) error {
	for _, t := range all {
		if ended(t) {
			continue
		}
		if err := pace.Wait(ctx); err != nil {
			return err
		}
		t.End(why)
	}
	return nil
}

// shutdown ends the idle connections, and waits for the others for Config.ShutdownGrace.
// In the second half of this time it closes the tunnels, so that their clients don't all
// connect elsewhere at one moment. At its end it aborts what is left. It returns when
// there is no connection.
func (s *server) shutdown(kill context.CancelFunc) {
	s.stopping.Store(true)
	s.each(trackedConn.endIfIdle)
	ending, ended := context.WithCancel(s.hardStop)
	var parts sync.WaitGroup
	defer parts.Wait()
	defer ended()
	if s.h2 != nil {
		parts.Go(func() { s.h2.Stop(ending) })
	}
	grace := s.p.cfg.ShutdownGrace
	parts.Go(func() { s.closeTunnels(ending, grace/2, grace-grace/2) })
	timer := time.AfterFunc(grace, func() {
		kill()
		s.each(trackedConn.abort)
	})
	defer timer.Stop()
	s.wg.Wait()
}

// closeTunnels waits for a time, and then closes the open tunnels at an even rate over
// another time. It returns earlier if ctx ends.
func (s *server) closeTunnels(ctx context.Context, wait, over time.Duration) {
	select {
	case <-time.After(wait):
	case <-ctx.Done():
		return
	}
	var open []*tunnel.Tunnel
	s.each(func(c trackedConn) {
		switch t := c.(type) {
		case *terminal:
			open = append(open, &t.Tunnel)
		case *relay:
			open = append(open, &t.Tunnel)
		}
	})
	open = slices.DeleteFunc(open, func(t *tunnel.Tunnel) bool { return !t.Opened() })
	if len(open) > 0 {
		_ = closeEach(ctx, newPace(float64(len(open))/over.Seconds()), open, tunnel.ByShutdown)
	}
}
