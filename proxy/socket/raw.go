// Package socket has what package net lacks for sockets. It takes a socket out of Go's
// poller, frees the buffers of crypto/tls, and moves bytes from socket to socket inside
// the kernel.
package socket

import (
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"tokenring/poller"
)

// A Raw is the raw socket of a TCP connection, taken out of Go's poller. Its reads and
// writes never block. It uses much less memory than a net.TCPConn, which has half a
// kilobyte of its own and as much again in the runtime.
//
// It is a net.Conn, because tls.Conn needs one. A tls.Conn goes on after a temporary error
// of a read, but not after an error of a write. So a Raw takes all that is written, and
// keeps what the kernel doesn't take. The owner bounds that by not writing while Unsent
// isn't 0.
//
// A Raw isn't safe for concurrent use.
type Raw struct {
	unsent []byte // what the kernel hasn't taken
	fd     int32  // half the size of an int, because each idle terminal has two
	dry    bool   // the last read has emptied the socket
	hung   bool   // the stream ends after the bytes that can be read
}

// KeepAlive is after what time without a packet the kernel asks hosts whether they still have a
// connection.
const KeepAlive = 30 * time.Second

// ErrAgain says that there is nothing to read now. It is a temporary net.Error, as
// crypto/tls needs it.
var ErrAgain net.Error = &net.OpError{Op: "read", Net: "tcp", Err: os.NewSyscallError("read", syscall.EAGAIN)}

// TakeOver returns the socket of nc, and closes nc, which must not be used any more. After
// an error nc is as it was. It must not be called concurrently with other calls on nc.
func TakeOver(nc net.Conn) (Raw, error) {
	fd, err := -1, error(nil)
	outer := Control(nc, func(old uintptr) {
		fd, err = unix.FcntlInt(old, unix.F_DUPFD_CLOEXEC, 0)
	})
	if err := errors.Join(outer, err); err != nil {
		return Raw{}, err
	}
	nc.Close() // fd keeps the connection open
	return Raw{fd: int32(fd)}, nil
}

// Descriptor returns the descriptor of nc's socket. It is valid until nc is closed. ok is
// false if nc has no socket.
func Descriptor(nc net.Conn) (fd int, ok bool) {
	err := Control(nc, func(number uintptr) { fd = int(number) })
	return fd, err == nil
}

// Control calls do with the descriptor of nc's socket, which stays open meanwhile. It
// returns an error, and doesn't call do, if nc has no socket or is closed.
func Control(nc net.Conn, do func(fd uintptr)) error {
	sc, ok := nc.(syscall.Conn)
	if !ok {
		return errors.ErrUnsupported
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return err
	}
	return raw.Control(do)
}

// Probe has the kernel ask the other end, after a pause and then once in a pause, whether it still
// has the connection (RFC 9293 §3.8.4). An end that hasn't, because it has started anew,
// resets it. One that answers nothing isn't given up sooner than before.
func (s *Raw) Probe(pause time.Duration) error {
	seconds := int(pause / time.Second)
	return errors.Join(
		unix.SetsockoptInt(int(s.fd), unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, seconds),
		unix.SetsockoptInt(int(s.fd), unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, seconds),
	)
}

// FD returns the descriptor of the socket.
func (s *Raw) FD() int { return int(s.fd) }

// Wake updates s after an event: there may be something to read again. If hangUp is true,
// the stream ends after that.
func (s *Raw) Wake(hangUp bool) {
	s.dry = false
	s.hung = s.hung || hangUp
}

// Drained reports whether the last read has emptied the socket and no event has come since.
func (s *Raw) Drained() bool { return s.dry }

// Read reads what is there, or returns ErrAgain.
func (s *Raw) Read(p []byte) (int, error) {
	if s.dry {
		return 0, ErrAgain
	}
	for {
		n, err := poller.ReadNow(int(s.fd), p)
		switch {
		case n > 0:
			// Less than was asked for is all there was (epoll(7)). Bytes that come later
			// are a new event.
			s.dry = n < len(p) && !s.hung
			return n, nil
		case err == 0 && len(p) > 0:
			return 0, io.EOF
		case err == unix.EAGAIN:
			return 0, ErrAgain
		case err != unix.EINTR:
			return 0, os.NewSyscallError("read", err)
		}
	}
}

// Write takes all of b. Flush sends later what the kernel doesn't take now.
func (s *Raw) Write(b []byte) (int, error) {
	if s.Unsent() > 0 {
		s.unsent = append(s.unsent, b...)
		return len(b), nil
	}
	n, err := s.send(b)
	if err != nil {
		return n, err
	}
	if n < len(b) {
		s.unsent = append(s.unsent, b[n:]...)
	}
	return len(b), nil
}

// Unsent returns how many bytes wait for the kernel to take them.
func (s *Raw) Unsent() int { return len(s.unsent) }

// Flush sends unsent bytes, as far as the kernel takes them.
func (s *Raw) Flush() error {
	n, err := s.send(s.unsent)
	s.unsent = s.unsent[n:]
	if len(s.unsent) == 0 {
		s.unsent = nil
	}
	return err
}

// send writes b, and returns how many bytes the kernel has taken.
func (s *Raw) send(b []byte) (sent int, err error) {
	for sent < len(b) {
		n, err := poller.WriteNow(int(s.fd), b[sent:])
		switch {
		case n > 0:
			sent += n
		case err == unix.EAGAIN:
			return sent, nil
		case err != 0 && err != unix.EINTR:
			return sent, os.NewSyscallError("write", err)
		}
	}
	return sent, nil
}

// CloseWrite closes our direction. Unsent must be 0.
func (s *Raw) CloseWrite() error { return unix.Shutdown(int(s.fd), unix.SHUT_WR) }

// Close closes the descriptor and drops unsent bytes. It must be called once.
func (s *Raw) Close() error {
	s.unsent = nil
	return unix.Close(int(s.fd))
}

// The other methods of net.Conn do nothing: no call blocks, so there are no deadlines, and
// no caller needs addresses.

// LocalAddr implements net.Conn. It returns nil.
func (s *Raw) LocalAddr() net.Addr { return nil }

// RemoteAddr implements net.Conn. It returns nil.
func (s *Raw) RemoteAddr() net.Addr { return nil }

// SetDeadline implements net.Conn. It does nothing.
func (s *Raw) SetDeadline(time.Time) error { return nil }

// SetReadDeadline implements net.Conn. It does nothing.
func (s *Raw) SetReadDeadline(time.Time) error { return nil }

// SetWriteDeadline implements net.Conn. It does nothing.
func (s *Raw) SetWriteDeadline(time.Time) error { return nil }
