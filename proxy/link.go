package proxy

import (
	"errors"
	"net"
	"os"
	"syscall"
	"time"

	"tokenring/http1"
)

// A link is one connection to a host. Between exchanges its upstream owns it,
// during one the request does.
type link struct {
	upstream *upstream

	nc   net.Conn
	raw  syscall.RawConn
	in   *http1.Reader
	resp http1.Response

	readBy, writeBy deadline

	interim int           // 1xx heads since the last final one
	carried int           // exchanges that have ended well
	since   time.Time     // when it became idle
	idle    time.Duration // how long it has been, when it was last looked at
	maxIdle time.Duration // how long it may be
	used    bool          // it has carried an exchange before this one
	quiet   bool          // set by peek
	peek    func(fd uintptr) bool
	asking  []byte // what put has yet to write
	askErr  error  // of put
	put     func(fd uintptr) bool
}

func newLink(nc net.Conn, limits http1.Limits) *link {
	l := &link{nc: nc, in: http1.NewReader(nc, limits)}
	l.readBy, l.writeBy = deadline{set: nc.SetReadDeadline}, deadline{set: nc.SetWriteDeadline}
	if sc, ok := nc.(syscall.Conn); ok {
		l.raw, _ = sc.SyscallConn()
	}
	l.peek = func(fd uintptr) bool {
		var b [1]byte
		_, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		l.quiet = errors.Is(err, syscall.EAGAIN)
		return true // never wait
	}
	l.put = l.putAndWait
	return l
}

// ask writes a whole request and waits until there is something to read, or for as
// long as the link's deadline says. That is one system call less than to write and
// to read: a read begins with an attempt, which would come too early here. Whatever
// goes not as it does nearly always is left to a write and a read of the usual kind.
func (l *link) ask(request []byte) error {
	if l.raw == nil || l.in.Buffered() > 0 {
		_, err := l.nc.Write(request)
		return err
	}
	l.asking, l.askErr = request, nil
	err := l.raw.Read(l.put)
	if err == nil || timedOut(err) { // how long to wait is for the reader to say
		err = l.askErr
	}
	if rest := l.asking; err == nil && len(rest) > 0 {
		_, err = l.nc.Write(rest)
	}
	l.asking = nil
	return err
}

// putAndWait is called by Go's poller when it has made ready to wait, and again
// when the wait is over. Nothing can have come before the request was written,
// so nothing is missed by not looking.
func (l *link) putAndWait(fd uintptr) bool {
	if l.asking == nil {
		return true
	}
	n, err := syscall.Write(int(fd), l.asking)
	switch {
	case n == len(l.asking):
		l.asking = nil
		return false
	case n > 0:
		l.asking = l.asking[n:]
	case err != syscall.EAGAIN && err != syscall.EINTR:
		l.askErr = os.NewSyscallError("write", err)
	}
	return true
}

// maxInterim is how many interim answers a host may send before the final one.
// Without a bound it could keep a request, and its client, for ever.
const maxInterim = 100

var errInterim = &http1.Error{Status: 502, Reason: "interim answers without end (RFC 9110 §15.2)"}

// answer reads the next head that the host sends for a request, into resp.
func (l *link) answer(method []byte) error {
	if err := l.in.ReadResponse(&l.resp, method); err != nil {
		return err
	}
	if l.resp.Status >= 200 {
		l.interim = 0
		return nil
	}
	if l.interim++; l.interim > maxInterim {
		return errInterim
	}
	return nil
}

// silent tells whether the host has neither closed nor said anything.
func (l *link) silent() bool {
	if l.raw == nil {
		return true
	}
	l.quiet = false
	err := l.raw.Read(l.peek)
	if timedOut(err) { // the last exchange's deadline, and no word of the host
		l.readBy.at = time.Time{}
		_ = l.nc.SetReadDeadline(l.readBy.at)
		err = l.raw.Read(l.peek)
	}
	return err == nil && l.quiet
}

func (l *link) close() {
	if l.upstream != nil {
		l.upstream.remove(l)
	}
	l.nc.Close()
	l.in.Release()
}

// rest gives back what a large answer has made grow, so that an idle link costs
// what it costs after a small one.
func (l *link) rest() {
	const many = 64
	fields := l.resp.Fields[:0]
	if cap(fields) > many {
		fields = nil
	}
	l.resp = http1.Response{Fields: fields}
	l.in.Idle()
}

// readable waits until there is something to read on l, its end included.
func (l *link) readable() error {
	return l.raw.Read(func(fd uintptr) bool {
		var b [1]byte
		_, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		return !errors.Is(err, syscall.EAGAIN) && !errors.Is(err, syscall.EINTR)
	})
}
