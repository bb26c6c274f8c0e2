package upstream

import (
	"crypto/tls"
	"net"
	"syscall"
	"time"

	"tokenring/hosttls"
	"tokenring/http1"
	"tokenring/proxy/deadline"
	"tokenring/proxy/proxyheader"
	"tokenring/proxy/socket"
)

// A Conn is one connection to a host. An exchange owns it until it calls Host.Put or
// Close. Between two exchanges the Host owns it. Its methods are for the owner, except
// Cut.
type Conn struct {
	net.Conn // for writing; Reader reads from it
	Host     *Host
	Reader   *http1.Reader
	Response http1.Response // the head that ReadAnswer has read last

	ReadBy, WriteBy deadline.Lazy

	tls     *tls.Conn        // nil without TLS
	socket  net.Conn         // below TLS
	raw     syscall.RawConn  // of the socket; nil if there is none, as in tests
	interim int              // 1xx heads since the last final one
	reused  bool             // it was idle before this exchange, in which the host hasn't answered yet
	from    proxyheader.Ends // whose requests it may carry; see Config.SendProxy
	usage
	wait
}

// usage is what a Host needs to know of a connection.
type usage struct {
	carried int           // exchanges that have succeeded
	since   time.Time     // when it last became idle
	idle    time.Duration // how long it was idle when that was last checked
	maxIdle time.Duration // how long it may be idle
}

func newConn(nc net.Conn, limits http1.Limits) *Conn {
	c := &Conn{Conn: nc, Reader: http1.NewReader(nc, limits), socket: hosttls.Socket(nc)}
	c.tls, _ = nc.(*tls.Conn)
	c.ReadBy, c.WriteBy = deadline.New(nc.SetReadDeadline), deadline.New(nc.SetWriteDeadline)
	if sc, ok := c.socket.(syscall.Conn); ok {
		c.raw, _ = sc.SyscallConn()
	}
	c.wait.init()
	return c
}

// maxInterim is how many interim answers a host may send before the final one. Without a
// bound, a host could make a request last for ever.
const maxInterim = 100

var errInterim = &http1.Error{Status: 502, Reason: "interim answers without end (RFC 9110 §15.2)"}

// ErrUnasked says that a host has answered with 101 although no upgrade was offered.
var ErrUnasked = &http1.Error{Status: 502, Reason: "switching protocols unasked (RFC 9110 §15.2.2)"}

// ReadAnswer reads the next head of the answer to a request with a method into Response.
func (c *Conn) ReadAnswer(method []byte) error {
	if err := c.Reader.ReadResponse(&c.Response, method); err != nil {
		return err
	}
	c.reused = false
	if c.Response.Status >= 200 {
		c.interim = 0
		return nil
	}
	if c.interim++; c.interim > maxInterim {
		return errInterim
	}
	return nil
}

// Unanswered reports whether nothing of the answer has come, not even an interim answer.
func (c *Conn) Unanswered() bool { return c.Reader.Buffered() == 0 && c.interim == 0 }

// Reused reports whether the connection was idle before this exchange, and nothing of the
// answer has come. If such a connection ends, the host may have closed it before it got
// the request.
func (c *Conn) Reused() bool { return c.reused && c.Reader.Buffered() == 0 }

// FoundClosed adjusts SafeIdle, because the host had closed the connection while it was
// idle.
func (c *Conn) FoundClosed() { c.Host.SafeIdle.Closed(c.idle) }

// Cut closes the socket, so that reads and writes in progress fail, and drops what the host
// hasn't taken. It is safe for concurrent use. The owner must still call Close.
func (c *Conn) Cut() { _ = socket.CloseUnacked(c.socket) }

// Close closes the connection and releases its buffers. A request that the host hasn't taken
// doesn't reach it later: another host may have got it.
func (c *Conn) Close() error {
	if c.Host != nil {
		c.Host.remove(c)
	}
	defer c.Reader.Release()
	if c.sayClose() {
		return c.socket.Close()
	}
	return socket.CloseUnacked(c.socket)
}

// sayClose tells the host by TLS that nothing more comes (RFC 8446 §6.1), and reports whether it did.
// It doesn't if the host hasn't taken all, because the connection is to be reset then, nor if a
// tunnel has taken the connection over. It doesn't block, because the kernel has room for the few
// bytes.
func (c *Conn) sayClose() bool {
	return c.tls != nil && hosttls.Socket(c.Conn) == c.socket && !socket.HasUnacked(c.socket) && c.tls.CloseWrite() == nil
}

// shrink releases memory that a large answer has used, so that every idle connection has
// the same small size.
func (c *Conn) shrink() {
	const many = 64
	fields := c.Response.Fields[:0]
	if cap(fields) > many {
		fields = nil
	}
	c.Response = http1.Response{Fields: fields}
	c.Reader.Idle()
	if c.tls != nil {
		const spare = 4 << 10 // what a small answer needs
		socket.FreeBuffers(c.tls, spare)
	}
}

// silent reports whether the host has neither sent anything nor closed the connection.
func (c *Conn) silent() bool {
	switch {
	case c.raw == nil:
		return true
	case c.tls != nil && socket.HasBuffered(c.tls): // such as the alert that closes the connection
		return false
	}
	c.quiet = false
	err := c.raw.Read(c.peek)
	if deadline.Exceeded(err) { // the deadline of the last exchange
		c.ReadBy.Set(time.Time{})
		err = c.raw.Read(c.peek)
	}
	return err == nil && c.quiet
}
