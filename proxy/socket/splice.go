package socket

import (
	"errors"
	"io"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// maxSplices is how many splices there may be at a time. Each has a pipe, which is two
// files.
const maxSplices = 48

var splices = make(chan struct{}, maxSplices)

// A Splicer moves bytes from socket to socket inside the kernel (splice(2)). Its zero value
// is ready for use. It allocates nothing. It isn't safe for concurrent use.
type Splicer struct {
	source io.LimitedReader // a field, because a local variable would escape to the heap
}

// Move moves up to n bytes. It blocks until they have moved, a connection has ended, or a
// deadline has passed; err doesn't tell which of the two connections it is about. ok is
// false if there are too many splices. Then nothing has moved.
func (s *Splicer) Move(to, from *net.TCPConn, n int64) (moved int64, ok bool, err error) {
	select {
	case splices <- struct{}{}:
		defer func() { <-splices }()
	default:
		return 0, false, nil
	}
	s.source = io.LimitedReader{R: from, N: n}
	moved, err = to.ReadFrom(&s.source)
	return moved, true, err
}

// SourceFailed reports whether a splice from a connection has failed with err because of
// that connection, and not because of the other one. If err is a timeout, the connection
// has failed if it has no bytes. Otherwise it has failed if a read fails. SourceFailed may
// consume the connection's error, so the connection can't be used any more.
func SourceFailed(from net.Conn, err error) bool {
	var n int
	var probe error
	closed := Control(from, func(fd uintptr) {
		n, _, probe = unix.Recvfrom(int(fd), make([]byte, 1), unix.MSG_PEEK|unix.MSG_DONTWAIT)
	})
	switch {
	case closed != nil:
		return true
	case errors.Is(err, os.ErrDeadlineExceeded):
		return n <= 0
	}
	return n <= 0 && !errors.Is(probe, unix.EAGAIN)
}
