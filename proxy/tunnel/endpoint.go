package tunnel

import (
	"crypto/tls"
	"errors"
	"net"
	"syscall"

	"tokenring/poller"
	"tokenring/proxy/socket"
)

// An endpoint is one of a tunnel's two connections.
type endpoint struct {
	socket.Raw
	nc          net.Conn // to read and write: the socket, or TLS above it
	moved       int64    // bytes that were read
	sent        frames   // of our direction
	ready       bool     // there may be something to read
	closed      bool     // the other side has closed its direction
	failed      bool     // both directions have ended
	writeClosed bool     // we have closed our direction
	probed      uint8    // of the host's: ticks until the kernel asks it as rarely as before
	lingers     bool     // the tunnel has ended, and the connection hasn't
}

// A Transport is the connection below a tls.Conn. A tunnel replaces its socket by a raw
// socket.
type Transport interface {
	Socket() net.Conn
	SetSocket(net.Conn)
}

// take makes nc, a socket or TLS above a Transport, the connection of e.
func (e *endpoint) take(nc net.Conn) (err error) {
	tc, ok := nc.(*tls.Conn)
	if !ok {
		e.Raw, err = socket.TakeOver(nc)
		e.nc = &e.Raw
		return err
	}
	below, ok := tc.NetConn().(Transport)
	if !ok {
		return errors.ErrUnsupported
	}
	if e.Raw, err = socket.TakeOver(below.Socket()); err != nil {
		return err
	}
	below.SetSocket(&e.Raw)
	e.nc = tc
	return nil
}

// wake updates e after an event.
func (e *endpoint) wake(event poller.Event) {
	e.Wake(event.HangUp)
	e.ready = true
	e.failed = e.failed || event.Failed
}

// readable reports whether there may be something to read that may be read now. TLS answers
// key updates by itself (RFC 8446 §4.6.3), so nothing is read from a client that doesn't
// take these answers.
func (e *endpoint) readable() bool {
	return e.ready && !e.closed && (e.plain() || e.Unsent() <= MaxUnsent)
}

// empty reports whether there is certainly nothing to read. With TLS that can't be known
// without a read.
func (e *endpoint) empty() bool { return e.plain() && e.Drained() }

// plain reports whether there is no TLS above the socket.
func (e *endpoint) plain() bool { return e.nc == &e.Raw }

// closeWrite closes our direction of e. With TLS it first sends the close_notify alert, and
// closes the socket's direction in a later call if the alert isn't sent yet.
func (e *endpoint) closeWrite() error {
	if tc, ok := e.nc.(*tls.Conn); ok {
		if err := tc.CloseWrite(); err != nil { // sends the alert in the first call only
			return err
		}
		if e.Unsent() > 0 {
			return nil
		}
	}
	e.writeClosed = true
	if err := e.CloseWrite(); !errors.Is(err, syscall.ENOTCONN) { // the next read reports a connection that has ended
		return err
	}
	return nil
}

// freeBuffers frees the buffers of TLS if they are empty and larger than spare bytes.
func (e *endpoint) freeBuffers(spare int) {
	if tc, ok := e.nc.(*tls.Conn); ok {
		socket.FreeBuffers(tc, spare)
	}
}

// buffered returns how many bytes wait in e; see Stats.Buffered.
func (e *endpoint) buffered() int {
	n := e.Unsent()
	if tc, ok := e.nc.(*tls.Conn); ok {
		n += socket.HandshakeBuffered(tc)
	}
	return n
}
