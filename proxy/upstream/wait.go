package upstream

import (
	"errors"
	"os"
	"syscall"

	"tokenring/proxy/deadline"
)

// wait is the state of WriteAndWait and silent. Its functions are made once, so that a
// request allocates nothing.
type wait struct {
	quiet   bool   // set by peek: nothing has come, and the connection hasn't ended
	request []byte // what put hasn't written yet
	err     error  // of put
	peek    func(fd uintptr) (done bool)
	put     func(fd uintptr) (done bool)
}

func (w *wait) init() {
	w.peek = func(fd uintptr) bool {
		w.quiet = errors.Is(peek(fd), syscall.EAGAIN)
		return true // never wait
	}
	w.put = w.putAndWait
}

// peek returns the error that a read would return. It reads nothing.
func peek(fd uintptr) error {
	var b [1]byte
	_, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
	return err
}

// WriteAndWait writes a whole request and waits until there is something to read, or until
// the deadline of ReadBy. It saves a system call: a usual read tries to read before it
// waits, which is too early just after a write. If the kernel doesn't take the whole
// request at once, WriteAndWait writes the rest and doesn't wait. Nor does it with TLS.
func (c *Conn) WriteAndWait(request []byte) error {
	if c.raw == nil || c.tls != nil || c.Reader.Buffered() > 0 {
		_, err := c.Write(request)
		return err
	}
	c.wait.request, c.wait.err = request, nil
	err := c.raw.Read(c.put)
	if err == nil || deadline.Exceeded(err) { // the next read reports the deadline
		err = c.wait.err
	}
	if rest := c.wait.request; err == nil && len(rest) > 0 {
		_, err = c.Write(rest)
	}
	c.wait.request = nil
	return err
}

// putAndWait is called by Go's poller before it waits, and again after the wait. The first
// call writes the request. It needn't check for input, because none can come before the
// request was written.
func (w *wait) putAndWait(fd uintptr) (done bool) {
	if w.request == nil {
		return true
	}
	n, err := syscall.Write(int(fd), w.request)
	switch {
	case n == len(w.request):
		w.request = nil
		return false
	case n > 0:
		w.request = w.request[n:]
	case err != syscall.EAGAIN && err != syscall.EINTR:
		w.err = os.NewSyscallError("write", err)
	}
	return true
}

// HasSocket reports whether WaitReadable may be called.
func (c *Conn) HasSocket() bool { return c.raw != nil }

// WaitReadable waits until there is something to read or the connection has ended, or
// until the deadline of ReadBy.
func (c *Conn) WaitReadable() error {
	return c.raw.Read(func(fd uintptr) bool {
		err := peek(fd)
		return !errors.Is(err, syscall.EAGAIN) && !errors.Is(err, syscall.EINTR)
	})
}
