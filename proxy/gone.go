package proxy

import (
	"crypto/tls"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"tokenring/park"
)

// How a client leaves that has a request under way, by what its connection shows:
//
//	reset                      it has left
//	FIN, over TLS              it has left, whether it said close_notify or not
//	close_notify               it has left (TLS has no half-close that HTTP would use)
//	FIN, in plain text         Listener.HalfCloseAborts says: it may still read (RFC 9112 §9.6)
//
// A stream of HTTP/2 has none of these: net/http ends its context.

// gone implements side.
func (c *conn) gone(reading bool) bool {
	happened := c.happened()
	tc, secure := c.nc.(*tls.Conn)
	switch {
	case happened&(unix.POLLERR|unix.POLLHUP) != 0: // we have closed nothing, so that is a reset
		return true
	case happened&unix.POLLRDHUP != 0:
		return secure || c.srv.l.HalfCloseAborts
	case secure && reading && (happened&unix.POLLIN != 0 || hasRead(tc)):
		return c.readAhead()
	}
	return false
}

// happened returns what poll(2) says of the client's socket, at once.
func (c *conn) happened() int16 {
	sc, ok := c.tcp.(syscall.Conn)
	if !ok {
		return 0
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return 0
	}
	fds := []unix.PollFd{{Events: unix.POLLIN | unix.POLLRDHUP}}
	_ = raw.Control(func(fd uintptr) { // fails only if the connection is closed, as its reader will see
		fds[0].Fd = int32(fd)
		_, _ = unix.Poll(fds, 0)
	})
	return fds[0].Revents
}

// readAhead reads what the client has sent behind its request, as far as there is
// room for it, and reports whether that has an end.
func (c *conn) readAhead() (ended bool) {
	const moment = time.Millisecond // what is there takes none, and half a record isn't waited for
	_ = c.nc.SetReadDeadline(time.Now().Add(moment))
	err := c.in.ReadAhead()
	c.readBy.at = time.Time{}
	_ = c.nc.SetReadDeadline(c.readBy.at)
	return err != nil && !timedOut(err)
}

// watch implements side.
func (c *conn) watch(g park.Guest, reading bool) (stop func()) {
	fd, ok := descriptor(c.tcp)
	if !ok {
		return func() {}
	}
	what := park.Ends
	if _, secure := c.nc.(*tls.Conn); secure && reading {
		what = park.Input // for a close_notify
	}
	lot := c.srv.lot()
	if err := lot.Add(fd, what, g); err != nil { // then the host's answer shows that the client has left
		return func() {}
	}
	return func() { lot.Remove(fd, g) }
}

// gone implements side: a client that leaves has its streams aborted.
func (s *stream) gone(bool) bool { return false }

// watch implements side.
func (s *stream) watch(park.Guest, bool) (stop func()) { return func() {} }
