package proxy

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/hex"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"tokenring/http1"
	"tokenring/poller"
	"tokenring/proxy/clienttls"
	"tokenring/proxy/deadline"
	"tokenring/proxy/idle"
	"tokenring/proxy/metrics"
	"tokenring/proxy/socket"
	"tokenring/proxy/tunnel"
	"tokenring/tlsterm"
)

// A conn is one client's connection. It belongs to the goroutine that serves it; while it
// is registered with a poller, it has no goroutine. A shutdown calls endIfIdle and abort,
// which are safe for concurrent use.
type conn struct {
	srv    *server
	tcp    net.Conn // the socket
	nc     net.Conn // to read requests from and write answers to: tcp, or TLS above it
	in     *http1.Reader
	client clientAddr
	told   netip.AddrPort // the client's address, if another balancer or process has told it

	readBy, writeBy deadline.Lazy

	idle     idle.Wait
	x        exchange
	terminal atomic.Pointer[terminal] // which the exchange is about to open; for abort
	framing  http1.Framing            // of the current answer
	splicer  socket.Splicer           // of the current answer's body
	requestIDs
	unserved []byte // what an older process has read and not served; nil once it is in the reader
	stays    bool   // it couldn't be passed on, and isn't tried again
}

// requestIDs are the ids of a connection's requests.
type requestIDs struct {
	base string // of the request ids
	id   []byte // of the latest request
	n    uint64 // requests so far
}

// A clientAddr is what is known of the client of a connection.
type clientAddr struct {
	address
	trusted bool             // it lies in a trusted network
	secure  bool             // the client speaks TLS, with this process or with an older one
	agreed  clienttls.Agreed // with this process; an older one tells only the certificate

	server netip.AddrPort // where it has connected to; not valid if it isn't known
}

// An address is a client's address in several forms.
type address struct {
	text string     // for X-Forwarded-For and the log
	addr netip.Addr // not valid if it isn't known
	key  []byte     // for hashing by source
	port uint16     // 0 if it isn't known
}

// source returns the address by which limit.Sources knows the client. ok is false for a
// trusted client, which has no such limits: it may stand for many clients.
func (a *clientAddr) source() (addr netip.Addr, ok bool) {
	if a.trusted {
		return netip.Addr{}, false
	}
	return netip.AddrFromSlice(a.key)
}

var buffers = sync.Pool{New: func() any { b := make([]byte, 0, 4096); return &b }}

// putBuffer gives a buffer back, unless it has grown large.
func putBuffer(b []byte) {
	const largest = 64 << 10
	if b = b[:0]; cap(b) <= largest {
		buffers.Put(&b)
	}
}

func newConn(s *server, tcp net.Conn) *conn {
	c := &conn{srv: s, tcp: tcp}
	c.x.srv, c.x.client, c.x.downstream = s, &c.client, c
	c.use(tcp)
	return c
}

// use makes nc the connection that is read and written.
func (c *conn) use(nc net.Conn) {
	c.nc = nc
	c.readBy = deadline.New(nc.SetReadDeadline)
	c.writeBy = deadline.New(nc.SetWriteDeadline)
}

// run serves a new connection, from its handshake on, until the connection ends, becomes
// a tunnel or HTTP/2, or is registered with a poller.
func (c *conn) run(ctx context.Context) {
	c.serveTracked(func() (registered bool) {
		c.identify(c.srv.tls != nil)
		if !c.readProxyHeader(ctx) || !c.mayCome() || c.overQuota() || !c.handshake(ctx) {
			c.tcp.Close()
			return false
		}
		if c.speaksH2() {
			c.becomeH2()
			return false
		}
		return c.serve()
	})
}

// identify sets what is known of the client, and the beginning of the request ids.
func (c *conn) identify(secure bool) {
	c.client = c.address()
	c.client.secure = secure
	var random [8]byte
	_, _ = rand.Read(random[:]) // never fails
	c.base = hex.EncodeToString(random[:]) + "-"
}

// resume serves a connection that was registered with a poller.
func (c *conn) resume() { c.serveTracked(c.serve) }

// serveTracked calls serve, and untracks the connection afterwards, unless serve has
// registered it with a poller. It ends the connection after a panic.
func (c *conn) serveTracked(serve func() (registered bool)) {
	registered := false
	defer func() {
		if !registered {
			c.srv.untrack(c)
		}
	}()
	defer c.recoverPanic()
	registered = serve()
}

// serve answers requests until the connection ends, becomes a tunnel, or is registered
// with a poller.
func (c *conn) serve() (registered bool) {
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
		if c.register() {
			return true
		}
	}
}

// A wait is the result of waiting for a request.
type wait uint8

const (
	clientGone  wait = iota // the connection ends: the client left or was idle for too long, or the server stops
	requestCame             // the first byte of a request has come
	clientQuiet             // nothing came within Config.lingering: the connection may be registered with a poller
)

// waitForRequest waits for the first byte of the next request.
func (c *conn) waitForRequest() wait {
	c.idle.Begin()
	if c.srv.stopping.Load() && c.n > 0 {
		return clientGone
	}
	limit := c.idle.Left(c.srv.p.cfg.Timeouts.Idle)
	timeout := min(limit, c.srv.p.cfg.lingering)
	if c.n == 0 {
		limit = c.srv.p.cfg.Timeouts.Head
		timeout = limit
	}
	if limit <= 0 {
		return clientGone
	}
	c.readBy.Within(timeout)
	err := c.in.Wait()
	switch {
	case err == nil && c.idle.Request():
		return requestCame
	case deadline.Exceeded(err) && timeout < limit:
		c.idle.Quiet(limit - timeout)
		return clientQuiet
	case deadline.Exceeded(err) && c.n == 0:
		c.srv.p.opt.Metrics.Connections.Timeout(metrics.PhaseStart)
	}
	return clientGone
}

// register gives the connection to a poller until something comes from the client. If it
// reports false, the connection still belongs to its goroutine.
func (c *conn) register() bool {
	fd, ok := socket.Descriptor(c.tcp)
	if !ok {
		return false
	}
	if tc, ok := c.nc.(*tls.Conn); ok {
		socket.FreeBuffers(tc, 0)
	}
	c.srv.p.opt.Metrics.Connections.Registered.Inc() // before wake may take it back
	if !c.idle.Register(c.srv.poller(), fd, c) {
		c.srv.p.opt.Metrics.Connections.Registered.Dec()
		return false
	}
	return true
}

// Ready implements poller.Handler: the client has sent something or left.
func (c *conn) Ready(int, poller.Event) (more bool) {
	if c.wake() {
		go c.resume()
	}
	return false
}

// Tick implements poller.Handler.
func (c *conn) Tick(now time.Time) {
	if c.idle.Overdue(now) && c.wake() {
		c.discard()
	}
}

// wake removes a registered connection from its poller. If it reports true, the
// connection belongs to the caller.
func (c *conn) wake() bool {
	if !c.idle.Wake(c) {
		return false
	}
	c.srv.p.opt.Metrics.Connections.Registered.Dec()
	return true
}

// endIfIdle ends a connection that waits for a request. A connection that is about to
// wait sees that the server is stopping, and ends by itself. If a request comes at the
// same moment, either the request is served or the connection ends, never both.
func (c *conn) endIfIdle() {
	switch {
	case c.idle.Cancel():
		c.tcp.Close() // its goroutine sees that and ends
	case c.wake():
		c.discard()
	}
}

// discard ends a registered connection, after wake.
func (c *conn) discard() {
	c.tcp.Close()
	c.srv.untrack(c)
}

// acquire gets the buffers that a connection needs only while it has a request.
func (c *conn) acquire() {
	c.in = http1.NewReader(c.nc, c.srv.p.cfg.Limits.heads())
	c.in.ReadFirst(c.unserved)
	c.unserved = nil
	c.x.out = *buffers.Get().(*[]byte)
}

func (c *conn) release() {
	c.in.Release()
	c.in, c.x.req, c.x.outcome = nil, http1.Request{}, outcome{}
	putBuffer(c.x.out)
	c.x.out = nil
}

// exchange reads one request and answers it. It reports whether another one may
// follow on this connection. Once the proxy has retired, the connection is passed on
// instead.
func (c *conn) exchange() bool {
	x := &c.x
	x.start(c.nextID(), "HTTP/1.1")
	defer x.record()
	if c.srv.p.retired() && c.pass(c.in.Unread()) {
		return false
	}
	if err := c.readRequest(); err != nil {
		x.refuse(err)
		return false
	}
	x.last = x.req.Close || x.req.Minor == 0 || c.srv.stopping.Load()
	switch {
	case x.answersHere():
	case x.changesProtocol():
		c.openTunnel()
	default:
		x.forward()
	}
	return !x.last
}

// readRequest reads a request's head within its deadline.
func (c *conn) readRequest() error {
	if !bytes.Contains(c.in.Unread(), endOfHead) { // the whole head is nearly always here, and then needs no deadline
		c.readBy.Within(c.srv.p.cfg.Timeouts.Head)
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

// abort ends the connection, whatever it is doing.
func (c *conn) abort() {
	t := c.terminal.Load()
	if t != nil {
		t.Tunnel.End(tunnel.ByShutdown)
	}
	c.cutOff(t == nil)
	c.x.abort()
}

// recoverPanic is deferred by the connection's goroutine. After a panic it ends this
// connection instead of the process with all its terminals.
func (c *conn) recoverPanic() {
	if cause := recover(); cause != nil {
		c.srv.reportPanic(cause, c.x.id)
		c.abort()
	}
}

// handshake does the TLS handshake, if this listener has one, and reports
// whether the connection can be used.
func (c *conn) handshake(ctx context.Context) bool {
	if c.srv.tls == nil {
		return true
	}
	ctx, cancel := context.WithTimeout(ctx, c.srv.p.cfg.Timeouts.Handshake)
	defer cancel()
	nc, err := c.srv.tls.Handshake(ctx, c.tcp, c.withholdsH2)
	if err != nil {
		c.srv.p.opt.Metrics.Handshakes.Errors.WithLabelValues(clienttls.Cause(err)).Inc()
		return false
	}
	c.srv.p.opt.Metrics.Handshakes.Completed.Inc()
	c.use(nc)
	state := nc.ConnectionState()
	c.client.agreed = clienttls.AgreedIn(state)
	// An ACME challenge is answered by the handshake itself (RFC 8737 §3).
	return state.NegotiatedProtocol != tlsterm.ChallengeProto
}

// withholdsH2 reports whether the client isn't offered HTTP/2, because this process is about
// to retire, or because the client's source has cancelled too many requests. Users who share the source are still served, by HTTP/1.1,
// where cancelling a request costs a client its connection.
func (c *conn) withholdsH2() bool {
	if c.srv.p.noH2.Load() {
		return true
	}
	from, ok := c.client.source()
	if !ok || !c.srv.p.sources.Exceeded(from, time.Now()) {
		return false
	}
	c.srv.p.opt.Metrics.Handshakes.HTTP2Withheld.Inc()
	return true
}

// speaksH2 reports whether the handshake has agreed on HTTP/2.
func (c *conn) speaksH2() bool {
	tc, ok := c.nc.(*tls.Conn)
	return ok && c.srv.h2 != nil && clienttls.SpeaksHTTP2(tc)
}

// nextID returns the id of the connection's next request. The bytes are valid until the
// next call.
func (c *conn) nextID() []byte {
	c.n++
	c.id = strconv.AppendUint(append(c.id[:0], c.base...), c.n, 10)
	return c.id
}
