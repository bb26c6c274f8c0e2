package proxy

import (
	"crypto/tls"
	"net"
	"time"

	"golang.org/x/sys/unix"

	"tokenring/http1"
	"tokenring/poller"
	"tokenring/proxy/clienttls"
	"tokenring/proxy/deadline"
	"tokenring/proxy/rewrite"
	"tokenring/proxy/socket"
)

// A connection of HTTP/1.1 is the downstream of its exchanges. The head of an answer waits
// in x.out for the first bytes of the body, so that a small answer is one write.

func (c *conn) body() body                 { return c.in.Body(c.x.req.Framing, c.x.req.Length) }
func (c *conn) early() bool                { return c.in.Buffered() > 0 }
func (c *conn) readWithin(d time.Duration) { c.readBy.Within(d) }
func (c *conn) stopReading()               { _ = c.nc.SetReadDeadline(time.Unix(1, 0)) }

// rewindBody implements downstream.
func (c *conn) rewindBody() bool {
	if c.in.BodyBegun() {
		return false
	}
	c.readBy.Forget() // stopReading has changed the deadline
	return true
}

// interim sends a 1xx.
func (c *conn) interim(resp *http1.Response) error {
	return c.write(rewrite.AppendInterim(nil, resp))
}

// head puts the head of the final answer into x.out, and sets the framing of its body.
func (c *conn) head(resp *http1.Response) {
	head := rewrite.Response{Response: resp, ID: c.x.id, ClientMinor: c.x.req.Minor, ClientClose: c.x.last}
	if change := c.x.plan().Response(); change != nil {
		head.Change, head.Vars = change, c.x.fieldVars()
	}
	c.x.out, c.framing = head.Append(c.x.out[:0])
}

// piece sends one piece of a body, after what waits in x.out. If nothing waits, it
// doesn't copy the piece.
func (c *conn) piece(data []byte) error {
	if c.framing != http1.Chunked && len(c.x.out) == 0 {
		return c.write(data)
	}
	c.x.out = rewrite.AppendPiece(c.x.out, c.framing, data)
	return c.flush()
}

func (c *conn) end(data []byte, trailers []http1.Field) error {
	c.x.out = rewrite.AppendEnd(rewrite.AppendPiece(c.x.out, c.framing, data), c.framing, trailers)
	return c.flush()
}

// flush writes what waits in x.out.
func (c *conn) flush() error {
	if len(c.x.out) == 0 {
		return nil
	}
	err := c.write(c.x.out)
	c.x.out = c.x.out[:0]
	return err
}

// write sends b to the client. It fails if the client takes nothing for Timeouts.Body.
func (c *conn) write(b []byte) error {
	c.writeBy.Within(c.x.pool.Timeouts.Body)
	_, err := c.nc.Write(b)
	c.discardUnsent(err)
	return err
}

// discardUnsent makes the kernel discard unsent bytes when the connection is closed, if
// err says that the client has taken nothing for too long. Otherwise the kernel would
// keep megabytes for minutes.
func (c *conn) discardUnsent(err error) {
	if tc, ok := c.tcp.(*net.TCPConn); ok && deadline.Exceeded(err) {
		_ = tc.SetLinger(0)
	}
}

// cut closes the connection in the middle of an answer, with a reset if the client would
// take an orderly end for the end of the body (RFC 9112 §6.3).
func (c *conn) cut() { c.cutOff(c.framing == http1.UntilClose) }

// cutOff closes the socket in the middle of an answer. It closes the socket below TLS,
// because closing a tls.Conn may wait for the client. If reset is true, the client gets a
// reset instead of an orderly end.
func (c *conn) cutOff(reset bool) {
	if tc, ok := c.tcp.(*net.TCPConn); ok && reset {
		_ = tc.SetLinger(0)
	}
	c.tcp.Close()
}

// closeGently ends the connection so that the client gets the last answer. If a socket is
// closed and bytes still come, the kernel sends a reset, which may destroy the answer
// (RFC 9112 §9.6). So closeGently closes only our direction, and reads what still comes,
// for a limited time and up to a limit. The caller closes the socket.
func (c *conn) closeGently() {
	const enough = 8 << 20
	if !c.x.last || c.x.status == 0 || c.x.status == 101 {
		return
	}
	_ = c.nc.SetDeadline(time.Now().Add(clienttls.CloseTimeout))
	clienttls.EndWrites(c.nc)
	if clienttls.CloseWrite(c.nc) != nil {
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

// What a connection shows while a request is in progress, and what it means:
//
//	reset              the client has left
//	FIN over TLS       the client has left, with or without close_notify
//	close_notify       the client has left (HTTP doesn't use TLS's half-close)
//	FIN without TLS    the client has left if Listener.HalfCloseAborts is set; otherwise it
//	                   may still read (RFC 9112 §9.6)

// gone implements downstream.
func (c *conn) gone(reading bool) bool {
	happened := c.happened()
	tc, secure := c.nc.(*tls.Conn)
	switch {
	case happened&(unix.POLLERR|unix.POLLHUP) != 0: // a reset, because we have closed nothing
		return true
	case happened&unix.POLLRDHUP != 0:
		return c.client.secure || c.srv.l.HalfCloseAborts
	case secure && reading && (happened&unix.POLLIN != 0 || socket.HasBuffered(tc)):
		return c.readAhead()
	}
	return false
}

// happened returns what poll(2) reports about the client's socket. It doesn't block.
func (c *conn) happened() int16 {
	fds := []unix.PollFd{{Events: unix.POLLIN | unix.POLLRDHUP}}
	_ = socket.Control(c.tcp, func(fd uintptr) { // fails on a closed connection, which the next read reports, or without a socket
		fds[0].Fd = int32(fd)
		_, _ = unix.Poll(fds, 0)
	})
	return fds[0].Revents
}

// readAhead reads what the client has sent after its request, as far as the buffer takes
// it. It reports whether the client's direction has ended.
func (c *conn) readAhead() (ended bool) {
	defer c.readBy.Set(time.Time{})
	// A moment is enough for what is there; the rest of a record isn't waited for. On a
	// busy machine the deadline may pass before anything is read. The poller tells of
	// input once, so what is left then must be read here.
	for moment := time.Millisecond; moment < time.Second; moment *= 2 {
		_ = c.nc.SetReadDeadline(time.Now().Add(moment))
		if err := c.in.ReadAhead(); !deadline.Exceeded(err) {
			return err != nil
		}
		if c.happened()&unix.POLLIN == 0 {
			return false
		}
	}
	return false
}

// watch implements downstream.
func (c *conn) watch(h poller.Handler, reading bool) (stop func()) {
	fd, ok := socket.Descriptor(c.tcp)
	if !ok {
		return func() {}
	}
	what := poller.Ends
	if _, secure := c.nc.(*tls.Conn); secure && reading {
		what = poller.Input // a close_notify is input
	}
	p := c.srv.poller()
	if err := p.Add(fd, what, h); err != nil { // then writing the answer shows that the client has left
		return func() {}
	}
	return func() { p.Remove(fd, h) }
}
