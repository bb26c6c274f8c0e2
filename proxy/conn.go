package proxy

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/hex"
	"io"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"tokenring/http1"
)

// A conn is one client's connection. It belongs to the goroutine that serves it,
// or to none while it is parked; endIfIdle and abort are for a shutdown to call.
type conn struct {
	srv    *server
	tcp    net.Conn // the socket
	nc     net.Conn // what requests come from: tcp, or TLS above it
	in     *http1.Reader
	client clientAddr

	readBy, writeBy deadline

	idle    idleness
	x       exchange
	tunnel  atomic.Pointer[tunnel] // that the exchange is about to become; for abort
	framing http1.Framing          // of the answer under way
	source  io.LimitedReader       // of its body, while that is spliced
	base    string                 // of the request ids
	id      []byte                 // of the latest request
	n       uint64                 // requests so far
}

// A clientAddr is the client's address in the forms that are needed of it.
type clientAddr struct {
	text    string // for X-Forwarded-For and the log
	key     []byte // for hashing by source
	trusted bool   // it lies in a trusted network
}

// source returns what the client is known by to limits of sources. It isn't ok for
// clients that have none: trusted ones, which may stand for many.
func (a *clientAddr) source() (addr netip.Addr, ok bool) {
	if a.trusted {
		return netip.Addr{}, false
	}
	return netip.AddrFromSlice(a.key)
}

var buffers = sync.Pool{New: func() any { b := make([]byte, 0, 4096); return &b }}

// putBuffer gives a buffer back. A larger one was an exception, and isn't worth
// keeping.
func putBuffer(b []byte) {
	const largest = 64 << 10
	if b = b[:0]; cap(b) <= largest {
		buffers.Put(&b)
	}
}

func newConn(s *server, tcp net.Conn) *conn {
	c := &conn{srv: s, tcp: tcp}
	c.x.srv, c.x.client, c.x.side = s, &c.client, c
	c.use(tcp)
	return c
}

// use makes nc what the client's bytes come from and go to.
func (c *conn) use(nc net.Conn) {
	c.nc = nc
	c.readBy = deadline{set: nc.SetReadDeadline}
	c.writeBy = deadline{set: nc.SetWriteDeadline}
}

// run serves the connection, from its handshake on, until it ends, becomes a
// tunnel or is parked.
func (c *conn) run(ctx context.Context) {
	c.live(func() (parked bool) {
		c.client = c.address()
		if !c.handshake(ctx) {
			c.tcp.Close()
			return false
		}
		var random [8]byte
		_, _ = rand.Read(random[:]) // never fails
		c.base = hex.EncodeToString(random[:]) + "-"
		if c.speaksH2() {
			c.becomeH2()
			return false
		}
		return c.serve()
	})
}

// resume serves a connection that was parked.
func (c *conn) resume() { c.live(c.serve) }

// live runs the connection's goroutine, and takes leave of the connection unless
// the goroutine has parked it, whose it isn't any more then.
func (c *conn) live(serve func() (parked bool)) {
	parked := false
	defer func() {
		if !parked {
			c.srv.leave(c)
		}
	}()
	defer c.survive()
	parked = serve()
}

// serve answers requests until the connection has ended, has become a tunnel, or
// has been parked.
func (c *conn) serve() (parked bool) {
	for {
		c.acquire()
		came := c.waitForRequest()
		for came == requestCame && c.exchange() {
			came = c.waitForRequest()
		}
		if came == requestCame {
			c.closeGently()
		}
		c.release()
		if came != clientQuiet {
			c.tcp.Close()
			return false
		}
		if c.park() {
			return true
		}
	}
}

// acquire gets what only a connection with a request needs.
func (c *conn) acquire() {
	c.in = http1.NewReader(c.nc, c.srv.p.cfg.Limits.heads())
	c.x.out = *buffers.Get().(*[]byte)
}

func (c *conn) release() {
	c.in.Release()
	c.in, c.x.req, c.x.outcome = nil, http1.Request{}, outcome{}
	putBuffer(c.x.out)
	c.x.out = nil
}

func (c *conn) address() clientAddr {
	ap, err := netip.ParseAddrPort(c.tcp.RemoteAddr().String())
	if err != nil { // a connection that isn't TCP, as in tests
		return clientAddr{text: "unknown"}
	}
	addr := ap.Addr().Unmap().WithZone("")
	key := addr
	if addr.Is6() { // one household, one key: hosts change the lower half at will (RFC 8981)
		prefix, _ := addr.Prefix(64)
		key = prefix.Addr()
	}
	return clientAddr{text: addr.String(), key: key.AsSlice(), trusted: c.srv.p.cfg.trusts(addr)}
}

// exchange reads one request and answers it. It reports whether another one may
// follow on this connection.
func (c *conn) exchange() bool {
	x := &c.x
	x.start(c.nextID(), "HTTP/1.1")
	defer x.record()
	if err := c.readRequest(); err != nil {
		x.refuse(err)
		return false
	}
	x.last = x.req.Close || x.req.Minor == 0 || c.srv.stopping.Load()
	switch {
	case c.srv.l.Redirect != "":
		x.redirect()
	case x.req.WebSocket:
		c.openTunnel()
	default:
		x.forward()
	}
	return !x.last
}

// readRequest reads a request's head within its deadline.
func (c *conn) readRequest() error {
	if !bytes.Contains(c.in.Unread(), endOfHead) { // nearly always it is here already, and needs no time
		c.readBy.within(c.srv.p.cfg.Timeouts.Head)
	}
	if err := c.in.ReadRequest(&c.x.req); err != nil {
		return err
	}
	if c.x.req.Minor == 0 {
		c.x.protocol = "HTTP/1.0"
	}
	return c.x.admit()
}

var endOfHead = []byte("\r\n\r\n")

// abort ends the connection whatever it is doing, whichever side it waits for.
func (c *conn) abort() {
	t := c.tunnel.Load()
	if t != nil {
		t.end(endShutdown)
	}
	c.cutOff(t == nil)
	c.x.abort()
}

// survive keeps a programmer's error, met by one connection, from ending all the
// others' terminals: deferred by the connection's goroutine, it ends this
// connection.
func (c *conn) survive() {
	if cause := recover(); cause != nil {
		c.srv.reportPanic(cause, c.x.id)
		c.abort()
	}
}

// cutOff closes the connection in the middle of an answer. The socket is closed
// below TLS, because closing tls.Conn may wait for a dead client. With reset,
// the end looks like a fault to the client even if it takes an orderly one for
// the end of the body (RFC 9112 §6.3).
func (c *conn) cutOff(reset bool) {
	if tc, ok := c.tcp.(*net.TCPConn); ok && reset {
		_ = tc.SetLinger(0)
	}
	c.tcp.Close()
}

// closeGently ends the connection so that the client gets what was written to
// it last: the kernel answers bytes that come after a close with a reset, which
// may destroy an answer under way (RFC 9112 §9.6). So only our side is closed,
// and a little of what still comes is read.
func (c *conn) closeGently() {
	const patience, enough = time.Second, 8 << 20
	if !c.x.last || c.x.status == 0 || c.x.status == 101 {
		return
	}
	_ = c.nc.SetDeadline(time.Now().Add(patience))
	if closeWrite(c.nc) != nil {
		return
	}
	scratch := c.x.out[:cap(c.x.out)]
	for n, total := 0, 0; total < enough; total += n {
		var err error
		if n, err = c.nc.Read(scratch); err != nil {
			return
		}
	}
}

// closeWrite ends one direction of nc, as far as nc can.
func closeWrite(nc net.Conn) error {
	if tc, ok := nc.(*tls.Conn); ok {
		if err := tc.CloseWrite(); err != nil { // the close_notify alert
			return err
		}
		nc = tc.NetConn()
	}
	if gated, ok := nc.(*gatedConn); ok {
		nc = gated.Conn
	}
	if hc, ok := nc.(interface{ CloseWrite() error }); ok {
		return hc.CloseWrite()
	}
	return net.ErrClosed
}

// nextID returns the id of the connection's next request, valid until the one
// after it.
func (c *conn) nextID() []byte {
	c.n++
	c.id = strconv.AppendUint(append(c.id[:0], c.base...), c.n, 10)
	return c.id
}
