package proxy

import (
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"tokenring/http2"
)

// An h2conn is a client's connection that speaks HTTP/2. net/http serves its
// frames, reading and writing through it, so that it sees each frame before
// net/http does.
type h2conn struct {
	net.Conn // TLS
	srv      *server
	tcp      net.Conn // the socket
	client   clientAddr
	base     string // of the request ids
	began    time.Time
	requests atomic.Uint64
	users    atomic.Int64 // the connection and each of its streams; none is left at 0
	closing  sync.Once
	source   *source       // nil for a trusted client
	own      chan struct{} // holds the place of a stream that has ownPlace

	ready []byte // of what the guard has let pass; Read's own

	mu      sync.Mutex
	guard   *http2.Guard
	active  time.Time   // when a stream last began or ended
	idle    *time.Timer // calls checkIdle
	leaving bool        // nothing more goes to net/http
}

// Bounds of an HTTP/2 connection, which limit what one client makes us hold.
const (
	maxStreams      = 128       // at once, unless streamLimit has fewer
	maxStreamWindow = 512 << 10 // bytes of uploads that wait to be taken by hosts
	maxConnWindow   = 1 << 20   // likewise, of all streams together
	h2Frame         = 16 << 10
	h2HeaderTable   = 4 << 10
	h2PingAfter     = 30 * time.Second // without a frame
	h2PingTimeout   = 15 * time.Second
)

// maxH2Section returns the largest header section that net/http reads where it is
// told that heads may have so many bytes: it adds the overhead of ten fields.
func maxH2Section(head int) int { return head + 10*32 }

// newH2 returns net/http's server for this listener's HTTP/2 connections, which
// come to it over a channel.
func (s *server) newH2() *h2server {
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true) // TLS ends in front of it, and its own view of it isn't needed
	cfg := &s.p.cfg
	h := &h2server{handed: make(chan net.Conn), closed: make(chan struct{})}
	h.http = &http.Server{
		Handler:           http.HandlerFunc(serveStream),
		ConnContext:       func(ctx context.Context, nc net.Conn) context.Context { return context.WithValue(ctx, h2Key{}, nc) },
		ReadHeaderTimeout: cfg.Timeouts.Head,
		MaxHeaderBytes:    cfg.Limits.head(),
		ErrorLog:          log.New(io.Discard, "", 0), // it would tell of clients what the access log doesn't
		Protocols:         protocols,
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams:          s.p.streams.ofConnection(),
			MaxDecoderHeaderTableSize:     h2HeaderTable,
			MaxEncoderHeaderTableSize:     h2HeaderTable,
			MaxReadFrameSize:              h2Frame,
			MaxReceiveBufferPerConnection: maxConnWindow,
			MaxReceiveBufferPerStream:     maxStreamWindow,
			SendPingTimeout:               h2PingAfter,
			PingTimeout:                   h2PingTimeout,
			WriteByteTimeout:              cfg.Timeouts.Body,
		},
		DisableGeneralOptionsHandler: true, // OPTIONS * is for the host
	}
	return h
}

type h2Key struct{}

// An h2server is net/http's server, and the net.Listener that it accepts from.
type h2server struct {
	http   *http.Server
	handed chan net.Conn
	closed chan struct{}
	once   sync.Once
}

// serve runs until stop or kill is called.
func (h *h2server) serve() error {
	if err := h.http.Serve(h); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// stop tells all clients to open no more streams, and waits until the last one
// has ended, or ctx has.
func (h *h2server) stop(ctx context.Context) { _ = h.http.Shutdown(ctx) }

func (h *h2server) Accept() (net.Conn, error) {
	select {
	case nc := <-h.handed:
		return nc, nil
	case <-h.closed:
		return nil, net.ErrClosed
	}
}

func (h *h2server) Close() error {
	h.once.Do(func() { close(h.closed) })
	return nil
}

func (h *h2server) Addr() net.Addr { return &net.TCPAddr{} }

// becomeH2 hands the connection to net/http's server.
func (c *conn) becomeH2() {
	h := &h2conn{
		Conn: c.nc, srv: c.srv, tcp: c.tcp, client: c.client, base: c.base, began: time.Now(), guard: http2.NewGuard(maxH2Section(c.srv.p.cfg.Limits.head())),
		own: make(chan struct{}, 1),
	}
	if from, ok := c.client.source(); ok {
		h.source = c.srv.p.sources.enter(from, h.began)
	}
	h.users.Store(1)
	c.srv.enter(h)
	h.watchIdle()
	select {
	case c.srv.h2.handed <- h:
	case <-c.srv.h2.closed:
		h.Close()
	}
}

// Read implements net.Conn. It reads what the guard lets pass.
func (h *h2conn) Read(p []byte) (int, error) {
	for len(h.ready) == 0 {
		n, err := h.Conn.Read(p)
		if leaving, guardErr := h.pass(p[:n]); leaving {
			return h.drain()
		} else if n > 0 {
			err = guardErr
		}
		if err != nil {
			if timedOut(err) { // net/http gives reads a deadline only until the preface is there
				h.srv.p.gaveUp(slowStart)
			}
			return 0, err
		}
	}
	n := copy(p, h.ready)
	h.ready = h.ready[n:]
	return n, nil
}

// pass has the guard look at what has come.
func (h *h2conn) pass(b []byte) (leaving bool, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.leaving {
		return true, nil
	}
	last := h.guard.LastStream()
	h.ready, err = h.guard.Pass(b, h.now())
	if h.guard.LastStream() != last {
		h.touch()
	}
	h.refused(h.guard.Refusals()...)
	h.denied(err)
	return false, err
}

// Write implements net.Conn.
func (h *h2conn) Write(p []byte) (int, error) {
	n, err := h.Conn.Write(p)
	h.mu.Lock()
	h.guard.Wrote(n)
	h.mu.Unlock()
	return n, err
}

// cancelled counts a stream that ended before its answer did.
func (h *h2conn) cancelled() {
	h.mu.Lock()
	err := h.guard.Cancelled(h.now())
	h.mu.Unlock()
	h.source.cancelled(1, time.Now())
	if h.denied(err); err != nil {
		h.tcp.Close()
	}
}

// denied counts and logs what the guard didn't let pass.
func (h *h2conn) denied(err error) {
	var flood http2.Flood
	var malformed http2.Error
	switch {
	case errors.As(err, &flood):
		h.source.cancelled(floodCost, time.Now())
		h.srv.p.opt.Metrics.floods.WithLabelValues(http2.Kind(flood).String()).Inc()
		h.logRefused(0, err.Error())
	case errors.As(err, &malformed):
		h.refused(http2.Refusal{Reason: malformed})
	}
}

// refused counts and logs requests that the guard or net/http has refused.
func (h *h2conn) refused(all ...http2.Refusal) {
	for _, r := range all {
		h.srv.p.opt.Metrics.refused.Inc()
		h.srv.p.opt.Metrics.answered(r.Status)
		h.logRefused(r.Status, string(r.Reason))
	}
}

// logRefused writes the access line of what never became an exchange.
func (h *h2conn) logRefused(status int, reason string) {
	h.srv.p.log(&entry{
		id: h.nextID(), client: h.client.text, protocol: "HTTP/2", tls: h.srv.l.TLS != nil, rule: ruleNone,
		started: time.Now(), status: status, end: endRefused,
	}, reason)
}

func (h *h2conn) now() float64 { return time.Since(h.began).Seconds() }

// Close implements net.Conn: net/http is done with the connection.
func (h *h2conn) Close() error {
	err := error(nil)
	h.closing.Do(func() {
		h.mu.Lock()
		h.leaving = true
		h.idle.Stop()
		h.guard.End()
		h.refused(h.guard.Refusals()...)
		h.mu.Unlock()
		err = h.Conn.Close()
		h.release()
	})
	return err
}

// retain counts a stream. False: the connection has gone.
func (h *h2conn) retain() bool {
	for {
		n := h.users.Load()
		if n == 0 {
			return false
		}
		if h.users.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// finished ends the count of a stream.
func (h *h2conn) finished() {
	h.mu.Lock()
	h.touch()
	h.mu.Unlock()
	h.release()
}

func (h *h2conn) release() {
	if h.users.Add(-1) == 0 {
		if from, ok := h.client.source(); ok {
			h.srv.p.sources.leave(from, h.source, time.Now())
		}
		h.srv.leave(h)
	}
}

// endIfIdle implements life. net/http's server tells all its clients together.
func (h *h2conn) endIfIdle() {}

// abort implements life. The streams find their contexts ended.
func (h *h2conn) abort() { h.tcp.Close() }

// nextID returns the id of the connection's next request.
func (h *h2conn) nextID() []byte {
	return strconv.AppendUint([]byte(h.base), h.requests.Add(1), 10)
}
