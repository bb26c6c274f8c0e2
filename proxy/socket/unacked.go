package socket

import (
	"net"
	"time"

	"golang.org/x/sys/unix"
)

// When a connection is closed, the kernel goes on sending what the other side hasn't acknowledged
// yet: for minutes, if a network is broken. When that heals, the other side reads what was meant
// for it long ago. A reset drops those bytes.

// lateness is for how long the kernel goes on with what wasn't acknowledged when LeaveSoon was
// called: less than it takes until checks find a host down.
const lateness = 3 * time.Second

// Unacked returns how many bytes the kernel keeps because the other side hasn't acknowledged
// them; 0 if that isn't known.
func (s *Raw) Unacked() int { return unacked(int(s.fd)) }

func unacked(fd int) int {
	n, err := unix.IoctlGetInt(fd, unix.SIOCOUTQ)
	if err != nil {
		return 0
	}
	return n
}

// LeaveSoon bounds for how long the kernel goes on sending after Close.
func (s *Raw) LeaveSoon() {
	_ = unix.SetsockoptInt(int(s.fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(lateness.Milliseconds())) // fails for what isn't TCP
}

// DropUnacked makes Close send a reset.
func (s *Raw) DropUnacked() { dropUnacked(int(s.fd)) }

func dropUnacked(fd int) {
	_ = unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1}) // fails only if the socket is closed
}

// HasUnacked reports whether the other side of nc, a socket, hasn't acknowledged all bytes. It is
// true if that isn't known.
func HasUnacked(nc net.Conn) bool {
	n := 0
	err := Control(nc, func(fd uintptr) { n = unacked(int(fd)) })
	return err != nil || n > 0
}

// CloseUnacked closes nc. If the other side hasn't acknowledged all bytes, it resets the
// connection, so that they don't arrive later. It is safe for concurrent use.
func CloseUnacked(nc net.Conn) error {
	_ = Control(nc, func(fd uintptr) { // an error means that nc is no socket, or closed
		if unacked(int(fd)) > 0 {
			dropUnacked(int(fd))
		}
	})
	return nc.Close()
}
