// Package park waits for sockets that are mostly quiet: thousands of them with
// one goroutine, and without a buffer for any. Terminals wait here, and
// connections between two requests.
package park

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A Guest is what waits in a Lot. The lot's goroutine, and those that help it,
// call its methods, which must be safe for concurrent use and must not block: all
// other guests would wait with it.
type Guest interface {
	// Ready is called when the socket fd, which had nothing to read, has
	// something, or, if the guest is interested, takes bytes again after it took
	// no more. The lot tells it once: the guest has to go on until the socket says
	// EAGAIN (or gives less than it was asked for), or return true to be called
	// again after others have had their turn. Ready may be called without need,
	// even for a socket that has been removed at the same moment.
	Ready(fd int, e Event) (more bool)

	// Tick is called once in the lot's period, for each of the guest's sockets,
	// for whatever depends on time.
	Tick(now time.Time)
}

// An Event says what has happened on a socket.
type Event struct {
	Now time.Time // of the call

	// HangUp tells that the other side has closed its direction, or the
	// connection has failed. Behind the bytes that can still be read there is an
	// end, which won't be told again.
	HangUp bool

	// Failed tells that the connection is over in both directions, by a reset for
	// example. It won't be told again. Bytes that came before may still be read.
	Failed bool
}

// An Interest says which events of a socket a guest is called for.
type Interest uint32

const (
	// Input is bytes to read, or their end.
	Input Interest = unix.EPOLLIN | unix.EPOLLRDHUP

	// Both is input, and room for bytes to write. A socket with nothing to read
	// has that room nearly always, so its guest is called as soon as it is added.
	Both Interest = Input | unix.EPOLLOUT

	// Ends is the end of what can be read, whatever is before it, and the end of
	// the connection, one after the other.
	Ends Interest = unix.EPOLLRDHUP
)

// A Lot is a set of sockets and the goroutine that waits for them. Its methods
// are safe for concurrent use.
//
// The set is Linux's epoll(7), edge-triggered, so that a socket costs one system
// call when it comes and none at each event. The epoll descriptor itself waits
// in Go's own poller: a thread that blocks in epoll_wait would cost every event
// several hundred microseconds of latency.
type Lot struct {
	set    *os.File
	raw    syscall.RawConn
	period time.Duration

	mu     sync.Mutex
	guests []Guest // by descriptor; nil where there is none
	again  []visit // those who want to be called again

	own     round       // Run's
	next    time.Time   // when to tick; likewise
	ending  atomic.Bool // Run is to end
	helping sync.Mutex
	help    round // Help's; guarded by helping
}

// A round is one look at what has happened, and the calls that follow from it.
type round struct {
	events [128]unix.EpollEvent
	count  int   // of events
	err    error // of the look
	due    []visit
}

// A visit is one call of Ready that is due.
type visit struct {
	guest  Guest
	fd     int
	events uint32 // of epoll(7); 0 for one that wants to be called again
}

// New returns an empty lot that ticks once in each period. Run must be called
// to set it to work, and ends it.
func New(period time.Duration) (*Lot, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("create an epoll set: %w", err)
	}
	if err := unix.SetNonblock(fd, true); err != nil { // or os.NewFile keeps it out of Go's poller
		unix.Close(fd)
		return nil, fmt.Errorf("make an epoll set non-blocking: %w", err)
	}
	l := &Lot{set: os.NewFile(uintptr(fd), "epoll"), period: period}
	if l.raw, err = l.set.SyscallConn(); err != nil {
		l.set.Close()
		return nil, fmt.Errorf("reach an epoll set: %w", err)
	}
	return l, nil
}

// Add has g called for the non-blocking socket fd, when something happens that is
// of interest. What is there already counts as an event. The descriptor stays the
// guest's, which must remove it before it closes it.
func (l *Lot) Add(fd int, what Interest, g Guest) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for fd >= len(l.guests) {
		l.guests = append(l.guests, nil)
	}
	if err := l.control(unix.EPOLL_CTL_ADD, fd, what); err != nil {
		return fmt.Errorf("add a socket to an epoll set: %w", err)
	}
	l.guests[fd] = g
	return nil
}

// Remove makes the lot forget g's socket fd. A call of Ready or Tick that is under
// way, or just about to begin, isn't waited for. Removing what isn't there does
// nothing, and nor does it if fd was closed and is another's by now.
func (l *Lot) Remove(fd int, g Guest) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if fd >= len(l.guests) || l.guests[fd] != g {
		return
	}
	l.guests[fd] = nil
	_ = l.control(unix.EPOLL_CTL_DEL, fd, 0) // fails only if the lot has ended
}

func (l *Lot) control(op, fd int, what Interest) error {
	var err error
	outer := l.raw.Control(func(set uintptr) {
		err = unix.EpollCtl(int(set), op, fd, &unix.EpollEvent{
			Events: uint32(what) | unix.EPOLLET,
			Fd:     int32(fd),
		})
	})
	return errors.Join(outer, err)
}

// Run calls the guests until ctx ends, and then closes the set. Guests that are
// still there are called no more. Run must be called once.
func (l *Lot) Run(ctx context.Context) error {
	defer l.set.Close()
	stop := context.AfterFunc(ctx, func() {
		l.ending.Store(true) // for a guest may always have more to do
		_ = l.set.SetReadDeadline(time.Unix(1, 0))
	})
	defer stop()
	l.next = time.Now().Add(l.period)
	for {
		_ = l.set.SetReadDeadline(l.next)
		if ctx.Err() != nil { // looked at after the deadline was set, which AfterFunc may have done before
			return nil
		}
		err := l.raw.Read(l.serve)
		if err = errors.Join(err, l.own.err); err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			return fmt.Errorf("wait for an epoll set: %w", err)
		}
		if now := time.Now(); !now.Before(l.next) {
			l.tick(now)
			l.next = now.Add(l.period)
		}
	}
}

// serve is called by Go's poller when something has happened, and waits for the
// next event by returning false. That loses none: each look takes all there is,
// and what comes after it ends the wait. It returns true after an error, or when
// it is time for a tick.
func (l *Lot) serve(set uintptr) bool {
	for {
		full := l.own.look(set)
		if l.own.err != nil {
			return true
		}
		now := time.Now()
		l.visit(&l.own, now)
		switch {
		case l.ending.Load() || !now.Before(l.next):
			return true
		case !full && !l.unfinished():
			return false
		}
	}
}

// Help does what Run is about to do, without waiting for anything. It is for a
// goroutine with long work ahead, of which there are so many that Run's turn
// would come late: the scheduler knows no more urgent ones.
func (l *Lot) Help() {
	const enough = 4 // turns for those who have more to do
	if !l.helping.TryLock() {
		return
	}
	defer l.helping.Unlock()
	for range enough {
		err := l.raw.Control(func(set uintptr) { l.help.look(set) })
		if err != nil || l.help.count == 0 && !l.unfinished() {
			return
		}
		l.visit(&l.help, time.Now())
	}
	if l.unfinished() {
		_ = l.set.SetReadDeadline(time.Unix(1, 0)) // wakes Run
	}
}

// look asks the kernel what has happened. It reports whether there may be more.
func (r *round) look(set uintptr) (full bool) {
	for {
		n, err := pollNow(set, r.events[:])
		if err == unix.EINTR {
			continue
		}
		r.count, r.err = n, nil
		if err != 0 {
			r.err = os.NewSyscallError("epoll_pwait", err)
		}
		return n == len(r.events)
	}
}

// unfinished tells whether somebody wants to be called again.
func (l *Lot) unfinished() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.again) > 0
}

// visit calls the guests that wanted to be called again, and those for whom
// there are events.
func (l *Lot) visit(r *round, now time.Time) {
	l.collect(r)
	for _, v := range r.due {
		if v.guest.Ready(v.fd, v.event(now)) {
			l.mu.Lock()
			l.again = append(l.again, visit{guest: v.guest, fd: v.fd})
			l.mu.Unlock()
		}
	}
	clear(r.due) // one that has gone isn't kept
}

// event says what has happened to the visit's guest.
func (v *visit) event(now time.Time) Event {
	const ended = unix.EPOLLRDHUP | unix.EPOLLHUP | unix.EPOLLERR
	return Event{Now: now, HangUp: v.events&ended != 0, Failed: v.events&unix.EPOLLERR != 0}
}

// collect makes visits of what is due, for those who are still here.
func (l *Lot) collect(r *round) {
	l.mu.Lock()
	defer l.mu.Unlock()
	r.due = r.due[:0]
	for _, v := range l.again {
		if l.guests[v.fd] == v.guest {
			r.due = append(r.due, v)
		}
	}
	clear(l.again)
	l.again = l.again[:0]
	for i := range r.count {
		e := &r.events[i]
		if g := l.guests[e.Fd]; g != nil {
			r.due = append(r.due, visit{guest: g, fd: int(e.Fd), events: e.Events})
		}
	}
	r.count = 0
}

// tick calls all guests, a few at a time, so that Add and Remove never wait for
// long.
func (l *Lot) tick(now time.Time) {
	const few = 512
	var some [few]Guest
	for from := 0; ; from += few {
		l.mu.Lock()
		from = min(from, len(l.guests))
		n := copy(some[:], l.guests[from:])
		l.mu.Unlock()
		if n == 0 {
			return
		}
		for _, g := range some[:n] {
			if g != nil {
				g.Tick(now)
			}
		}
	}
}

// The system calls of a lot and its guests never block, so the scheduler needs
// not know of them. And it had better not: the first one that it knows of, after
// the process had nothing to do, wakes the runtime's monitor, a thread that looks
// around for a while and costs more than a small message does.

// pollNow is epoll_wait(2) without waiting.
func pollNow(set uintptr, events []unix.EpollEvent) (int, syscall.Errno) {
	n, _, err := syscall.RawSyscall6(syscall.SYS_EPOLL_PWAIT, set, uintptr(unsafe.Pointer(&events[0])),
		uintptr(len(events)), 0, 0, 0)
	if err != 0 {
		return 0, err
	}
	return int(n), 0
}

// ReadNow is read(2) on a non-blocking socket. It returns 0 at the end of the
// stream, and with an error.
func ReadNow(fd int, p []byte) (int, syscall.Errno) { return now(syscall.SYS_READ, fd, p) }

// WriteNow is write(2) on a non-blocking socket. It returns 0 with an error.
func WriteNow(fd int, p []byte) (int, syscall.Errno) { return now(syscall.SYS_WRITE, fd, p) }

func now(call uintptr, fd int, p []byte) (int, syscall.Errno) {
	n, _, err := syscall.RawSyscall(call, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)))
	if err != 0 {
		return 0, err
	}
	return int(n), 0
}
