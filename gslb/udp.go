package gslb

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"tokenring/dnswire"
)

const (
	batch    = 16   // messages that are received and sent at a time
	maxQuery = 4096 // bytes of a message by UDP
	udpSize  = 1232 // bytes of an answer by UDP: what crosses every network in one piece (DNS flag day 2020)
)

// A message is a struct mmsghdr of Linux: see recvmmsg(2).
type message struct {
	hdr  unix.Msghdr
	size uint32
	_    [4]byte
}

// A udp answers what comes to one socket. Its buffers are its own, and used by one goroutine.
type udp struct {
	s    *Server
	raw  syscall.RawConn
	conn *net.UDPConn

	in, out [batch]message
	from    [batch]unix.RawSockaddrInet6
	inVec   [batch]unix.Iovec
	outVec  [batch]unix.Iovec
	queries [batch][maxQuery]byte
	answers [batch][udpSize]byte
	query   dnswire.Query
	cookie  [64]byte
	counts  counts
}

// newUDP returns a udp for a socket.
func newUDP(s *Server, conn *net.UDPConn) (*udp, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return nil, err
	}
	u := &udp{s: s, raw: raw, conn: conn}
	for i := range batch {
		u.inVec[i].Base = &u.queries[i][0]
		u.inVec[i].SetLen(maxQuery)
		u.in[i].hdr.Name = (*byte)(unsafe.Pointer(&u.from[i]))
		u.in[i].hdr.Iov = &u.inVec[i]
		u.in[i].hdr.SetIovlen(1)
		u.outVec[i].Base = &u.answers[i][0]
		u.out[i].hdr.Iov = &u.outVec[i]
		u.out[i].hdr.SetIovlen(1)
	}
	return u, nil
}

// run answers queries until ctx ends.
func (u *udp) run(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { _ = u.conn.SetReadDeadline(past) })
	defer stop()
	for ctx.Err() == nil {
		n, err := u.receive()
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			return nil
		case err != nil:
			return fmt.Errorf("receive at %s: %w", u.conn.LocalAddr(), err)
		}
		if err := u.send(u.answer(n)); err != nil {
			return fmt.Errorf("send from %s: %w", u.conn.LocalAddr(), err)
		}
	}
	return nil
}

// receive waits for messages, and returns how many there are.
func (u *udp) receive() (n int, err error) {
	for i := range u.in {
		u.in[i].hdr.Namelen = unix.SizeofSockaddrInet6
	}
	waitErr := u.raw.Read(func(fd uintptr) bool {
		var errno syscall.Errno
		n, errno = mmsg(unix.SYS_RECVMMSG, fd, u.in[:])
		switch errno {
		case 0, unix.EINTR, unix.ENOMEM, unix.ENOBUFS: // memory comes back, and clients ask again
			err = nil
		default:
			err = errno
		}
		return errno != unix.EAGAIN
	})
	return n, errors.Join(waitErr, err)
}

// mmsg calls recvmmsg or sendmmsg.
func mmsg(call, fd uintptr, all []message) (int, syscall.Errno) {
	n, _, errno := unix.Syscall6(call, fd, uintptr(unsafe.Pointer(&all[0])), uintptr(len(all)), unix.MSG_DONTWAIT, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(n), 0
}

// answer answers the first n messages that were received, and returns how many answers there are.
func (u *udp) answer(n int) (answers int) {
	table, now := u.s.table.Load(), time.Now()
	for i := range n {
		from := addrPort(&u.from[i])
		truncated := u.in[i].hdr.Flags&unix.MSG_TRUNC != 0
		if from.Port() == 0 || truncated || !u.query.Read(u.queries[i][:u.in[i].size]) {
			u.counts.dropped.Add(1)
			continue
		}
		body, scope := table.Find(&u.query, from.Addr())
		reply := u.s.reply(&u.query, table, scope, from.Addr(), now, u.cookie[:0])
		out := u.query.AppendAnswer(u.answers[answers][:0], body, &reply)
		if len(out) > udpSize { // its options alone are larger
			u.counts.dropped.Add(1)
			continue
		}
		u.outVec[answers].SetLen(len(out))
		u.out[answers].hdr.Name, u.out[answers].hdr.Namelen = u.in[i].hdr.Name, u.in[i].hdr.Namelen
		u.counts.add(body.Rcode)
		answers++
	}
	return answers
}

// send sends the first n answers. One that can't be sent is passed over: its client asks again.
func (u *udp) send(n int) error {
	for sent := 0; sent < n; {
		var errno syscall.Errno
		var more int
		if err := u.raw.Write(func(fd uintptr) bool {
			more, errno = mmsg(unix.SYS_SENDMMSG, fd, u.out[sent:n])
			return errno != unix.EAGAIN
		}); err != nil {
			return err
		}
		switch {
		case errno == unix.EINTR:
		case errno != 0:
			u.counts.unsent.Add(1)
			sent++
		default:
			sent += more
		}
	}
	return nil
}

// addrPort returns the address of a socket, which is of either family.
func addrPort(a *unix.RawSockaddrInet6) netip.AddrPort {
	port := binary.BigEndian.Uint16((*[2]byte)(unsafe.Pointer(&a.Port))[:])
	if a.Family == unix.AF_INET {
		v4 := (*unix.RawSockaddrInet4)(unsafe.Pointer(a))
		return netip.AddrPortFrom(netip.AddrFrom4(v4.Addr), port)
	}
	return netip.AddrPortFrom(netip.AddrFrom16(a.Addr), port)
}
