package poller

import (
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// An Event says what has happened on a socket.
type Event struct {
	Now time.Time // the time of the call

	// HangUp says that the peer has closed its direction, or that the connection has
	// failed. The stream ends after the bytes that can still be read. No later event
	// repeats this.
	HangUp bool

	// Failed says that both directions of the connection have ended, for example by a
	// reset. Bytes that came before may still be readable. No later event repeats this.
	Failed bool
}

// An Interest is the set of events of a socket for which its handler is called.
type Interest uint32

const (
	// Input means that there are bytes to read, or the end of the stream.
	Input Interest = unix.EPOLLIN | unix.EPOLLRDHUP

	// Both means input, and free space for bytes to write. A socket nearly always has
	// free space, so its handler is called as soon as the socket is added.
	Both Interest = Input | unix.EPOLLOUT

	// Ends means the end of the stream, even if bytes before it are unread, and later
	// the end of the connection.
	Ends Interest = unix.EPOLLRDHUP
)

// A batch is the result of one epoll_wait(2), and the calls that are due because of it.
type batch struct {
	events [128]unix.EpollEvent
	count  int   // of events
	err    error // of the poll
	due    []call
}

// A call is one call of Ready that is due.
type call struct {
	handler Handler
	fd      int
	events  uint32 // of epoll(7); 0 if the handler has asked to be called again
}

// poll reads the events that have happened from the kernel. It reports whether there
// may be more.
func (b *batch) poll(set uintptr) (full bool) {
	for {
		n, err := pollNow(set, b.events[:])
		if err == unix.EINTR {
			continue
		}
		b.count, b.err = n, nil
		if err != 0 {
			b.err = os.NewSyscallError("epoll_pwait", err)
		}
		return n == len(b.events)
	}
}

// event returns the Event for the handler.
func (c *call) event(now time.Time) Event {
	const ended = unix.EPOLLRDHUP | unix.EPOLLHUP | unix.EPOLLERR
	return Event{Now: now, HangUp: c.events&ended != 0, Failed: c.events&unix.EPOLLERR != 0}
}
