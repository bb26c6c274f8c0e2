package proxy

import (
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"tokenring/park"
)

// A loose socket is a TCP connection that was taken out of Go's poller: a bare
// descriptor, whose reads and writes never block. It costs no memory but its
// own, whereas a net.TCPConn has half a kilobyte of its own and as much again in
// the runtime.
//
// It is a net.Conn, because tls.Conn wants one: tls.Conn goes on after an error
// of reading that is temporary, but not after one of writing, so what the kernel
// doesn't take at once is kept here. The owner has to see to it that this stays
// little, by not writing while full says so.
type loose struct {
	fd     int
	unsent []byte // behind what the kernel has taken
	dry    bool   // the last read has emptied the socket
	hung   bool   // there is an end behind what can be read
}

// errAgain is what reading says when nothing is there. It is a temporary
// net.Error, for crypto/tls.
var errAgain net.Error = &net.OpError{Op: "read", Net: "tcp", Err: os.NewSyscallError("read", syscall.EAGAIN)}

// loosen takes the socket out of nc, which is closed and must not be used any
// more. After an error nc is as it was. It must not be called concurrently with
// anything else on nc.
func loosen(nc net.Conn) (loose, error) {
	sc, ok := nc.(syscall.Conn)
	if !ok {
		return loose{}, errors.ErrUnsupported
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return loose{}, err
	}
	fd := -1
	outer := raw.Control(func(old uintptr) {
		fd, err = unix.FcntlInt(old, unix.F_DUPFD_CLOEXEC, 0)
	})
	if err := errors.Join(outer, err); err != nil {
		return loose{}, err
	}
	nc.Close() // the connection lives on in fd
	return loose{fd: fd}, nil
}

// descriptor returns the number of nc's socket, which is good for as long as nc
// isn't closed.
func descriptor(nc net.Conn) (fd int, ok bool) {
	sc, ok := nc.(syscall.Conn)
	if !ok {
		return 0, false
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return 0, false
	}
	return fd, raw.Control(func(number uintptr) { fd = int(number) }) == nil
}

// wake notes an event: something may be there again, and an end behind it if
// hangUp is true.
func (s *loose) wake(hangUp bool) {
	s.dry = false
	s.hung = s.hung || hangUp
}

// Read reads what is there, or returns errAgain.
func (s *loose) Read(p []byte) (int, error) {
	if s.dry {
		return 0, errAgain
	}
	for {
		n, err := park.ReadNow(s.fd, p)
		switch {
		case n > 0:
			// Less than asked for is all there was (epoll(7)); what comes later is
			// a new event.
			s.dry = n < len(p) && !s.hung
			return n, nil
		case err == 0 && len(p) > 0:
			return 0, io.EOF
		case err == unix.EAGAIN:
			return 0, errAgain
		case err != unix.EINTR:
			return 0, os.NewSyscallError("read", err)
		}
	}
}

// Write takes all of b: what the kernel doesn't take is sent by flush.
func (s *loose) Write(b []byte) (int, error) {
	if s.full() {
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

// full tells whether something waits for the kernel to take it.
func (s *loose) full() bool { return len(s.unsent) > 0 }

// flush sends what waits, as far as the kernel takes it.
func (s *loose) flush() error {
	n, err := s.send(s.unsent)
	s.unsent = s.unsent[n:]
	if len(s.unsent) == 0 {
		s.unsent = nil
	}
	return err
}

// send returns how many bytes of b the kernel has taken.
func (s *loose) send(b []byte) (sent int, err error) {
	for sent < len(b) {
		n, err := park.WriteNow(s.fd, b[sent:])
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

// CloseWrite ends our direction. What waits must have been sent.
func (s *loose) CloseWrite() error { return unix.Shutdown(s.fd, unix.SHUT_WR) }

// Close closes the descriptor. It must be called once.
func (s *loose) Close() error { return unix.Close(s.fd) }

// The rest of net.Conn. There are no deadlines, for nothing blocks, and nobody
// asks for addresses.

func (s *loose) LocalAddr() net.Addr              { return nil }
func (s *loose) RemoteAddr() net.Addr             { return nil }
func (s *loose) SetDeadline(time.Time) error      { return nil }
func (s *loose) SetReadDeadline(time.Time) error  { return nil }
func (s *loose) SetWriteDeadline(time.Time) error { return nil }
