package proxy

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"sync/atomic"
	"syscall"
	"time"

	"tokenring/tlsterm"
)

// admitted returns cfg with handshakes admitted by gate. What is bounded is the
// work: a handshake passes the gate when its ClientHello is there, and leaves
// when our answer to it is written. A client that connects and stays silent, or
// stops half way, holds no place.
func admitted(cfg *tls.Config, gate *tlsterm.Gate) *tls.Config {
	if gate == nil {
		return cfg
	}
	cfg = cfg.Clone()
	next := cfg.GetConfigForClient
	cfg.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		if gated, ok := hello.Conn.(*gatedConn); ok {
			if err := gated.enter(hello.Context(), gate); err != nil {
				return nil, err
			}
		}
		if next != nil {
			return next(hello)
		}
		return nil, nil
	}
	return cfg
}

// offering returns cfg with HTTP/2 among the protocols that clients are offered
// (RFC 7301), or not.
func offering(cfg *tls.Config, http2 bool) *tls.Config {
	if !http2 {
		return cfg
	}
	cfg = cfg.Clone()
	cfg.NextProtos = append([]string{protocolH2}, cfg.NextProtos...)
	return cfg
}

// withholding returns cfg, which offers HTTP/2, with other, which doesn't, for
// sources that have cancelled more requests than they may. Where many users share
// one, they are served all the same; and to leave a request of HTTP/1.1 costs a
// client its connection.
func withholding(cfg, other *tls.Config) *tls.Config {
	cfg = cfg.Clone()
	next := cfg.GetConfigForClient
	cfg.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		if next != nil {
			if chosen, err := next(hello); chosen != nil || err != nil {
				return chosen, err
			}
		}
		if gated, ok := hello.Conn.(*gatedConn); ok && gated.restless() {
			return other, nil
		}
		return nil, nil
	}
	return cfg
}

const protocolH2 = "h2"

// speaksH2 tells what the handshake has agreed on.
func (c *conn) speaksH2() bool {
	tc, ok := c.nc.(*tls.Conn)
	return ok && c.srv.h2 != nil && tc.ConnectionState().NegotiatedProtocol == protocolH2
}

// A gatedConn is a client's TCP connection below TLS. It holds a place in the
// gate from enter to the first write, and belongs to one goroutine until the
// handshake is over. From then on it is as safe for concurrent use as its Conn.
//
// TLS writes in the middle of a read, too: it answers key updates (RFC 8446
// §4.6.3). So a write for which nobody has set a deadline, or not since the last
// one passed, gets one of its own.
type gatedConn struct {
	net.Conn
	srv    *server
	tls    *tls.Conn   // above it, once the handshake is over
	client *clientAddr // until the handshake is over
	held   *tlsterm.Gate
	by     atomic.Int64 // the deadline of writes, in nanoseconds since 1970; not after 0 for none
}

var errNotAdmitted = errors.New("no place for the handshake in time")

func (g *gatedConn) enter(ctx context.Context, gate *tlsterm.Gate) error {
	if err := gate.Enter(ctx); err != nil {
		return errNotAdmitted
	}
	g.held = gate
	g.srv.help() // terminals don't stand in line behind handshakes
	return nil
}

// restless tells whether the client's source isn't to be offered HTTP/2.
func (g *gatedConn) restless() bool {
	from, ok := g.client.source()
	if !ok || !g.srv.p.sources.restless(from, time.Now()) {
		return false
	}
	g.srv.p.opt.Metrics.h2Withheld.Inc()
	return true
}

func (g *gatedConn) leave() {
	if g.held != nil {
		g.held.Leave()
		g.held = nil
	}
}

// maxHand is how much is kept of a handshake message that comes behind the
// handshake. crypto/tls would keep a quarter of a megabyte, but the only one that
// clients send, KeyUpdate, has five bytes.
const maxHand = 1 << 10

var errHand = errors.New("a handshake message too long to be a KeyUpdate")

func (g *gatedConn) Read(b []byte) (int, error) {
	if g.tls != nil && handLen(g.tls) > maxHand {
		return 0, errHand
	}
	return g.Conn.Read(b)
}

func (g *gatedConn) Write(b []byte) (int, error) {
	g.leave()
	if now := time.Now(); g.by.Load() <= now.UnixNano() {
		_ = g.SetWriteDeadline(now.Add(g.srv.p.cfg.Timeouts.Body)) // fails only on a closed connection
	}
	return g.Conn.Write(b)
}

// SetWriteDeadline implements net.Conn.
func (g *gatedConn) SetWriteDeadline(t time.Time) error {
	g.by.Store(t.UnixNano())
	return g.Conn.SetWriteDeadline(t)
}

// SetDeadline implements net.Conn.
func (g *gatedConn) SetDeadline(t time.Time) error {
	g.by.Store(t.UnixNano())
	return g.Conn.SetDeadline(t)
}

// handshake does the TLS handshake, if this listener has one, and reports
// whether the connection can be used.
func (c *conn) handshake(ctx context.Context) bool {
	if c.srv.l.TLS == nil {
		return true
	}
	ctx, cancel := context.WithTimeout(ctx, c.srv.p.cfg.Timeouts.Handshake)
	defer cancel()
	gated := &gatedConn{Conn: c.tcp, srv: c.srv, client: &c.client}
	defer gated.leave() // even if a fault of ours ends the handshake
	conn := tls.Server(gated, c.srv.l.TLS)
	err := conn.HandshakeContext(ctx)
	gated.leave()
	if err != nil {
		c.srv.p.opt.Metrics.handshakeErrors.WithLabelValues(handshakeCause(err)).Inc()
		return false
	}
	c.srv.p.opt.Metrics.handshakes.Inc()
	c.srv.help()
	gated.tls, gated.client = conn, nil // or a terminal would keep all of c
	c.use(conn)
	// An ACME challenge connection has done its duty with the handshake (RFC 8737 §3).
	return conn.ConnectionState().NegotiatedProtocol != tlsterm.ChallengeProto
}

// handshakeCause puts an error in one of a few words, for a label.
func handshakeCause(err error) string {
	var op *net.OpError
	var record tls.RecordHeaderError
	switch {
	case errors.Is(err, context.DeadlineExceeded), timedOut(err):
		return "timeout"
	case errors.Is(err, errNotAdmitted):
		return "not_admitted"
	case errors.As(err, &record):
		return "not_tls"
	case errors.As(err, &op) && op.Op == "remote error": // how crypto/tls wraps a client's alert
		return "alert"
	case errors.Is(err, io.EOF), errors.Is(err, net.ErrClosed), errors.Is(err, syscall.ECONNRESET), errors.Is(err, context.Canceled):
		return "closed"
	}
	return "refused"
}
