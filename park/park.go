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
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A Guest is what waits in a Lot. The lot's goroutine, and those that help it,
// call its methods, which must be safe for concurrent use and must not block: all
// other guests would wait with it.
type Guest interface {
	// Ready is called when the socket fd, which had nothing to read, has
	// something, or takes bytes again after it took no more. The lot tells it
	// once: the guest has to go on until the socket says EAGAIN (or gives less
	// than it was asked for), or return true to be called again after others
	// have had their turn. Ready may be called without need, even for a socket
	// that has been removed at the same moment.
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
}

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

	own     round // Run's
	poll    func(set uintptr) bool
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
	hangUp bool
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
	l.poll = func(set uintptr) bool {
		l.own.look(set)
		return l.own.count > 0 || l.own.err != nil || l.unfinished()
	}
	return l, nil
}

// Add has g called for the non-blocking socket fd. What is there to read
// already counts as an event. The descriptor stays the guest's, which must
// remove it before it closes it.
func (l *Lot) Add(fd int, g Guest) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for fd >= len(l.guests) {
		l.guests = append(l.guests, nil)
	}
	if err := l.control(unix.EPOLL_CTL_ADD, fd); err != nil {
		return fmt.Errorf("add a socket to an epoll set: %w", err)
	}
	l.guests[fd] = g
	return nil
}

// Remove makes the lot forget fd. A call of Ready or Tick that is under way, or
// just about to begin, isn't waited for. Removing what isn't there does nothing.
func (l *Lot) Remove(fd int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if fd >= len(l.guests) || l.guests[fd] == nil {
		return
	}
	l.guests[fd] = nil
	_ = l.control(unix.EPOLL_CTL_DEL, fd) // fails only if the lot has ended
}

func (l *Lot) control(op, fd int) error {
	var err error
	outer := l.raw.Control(func(set uintptr) {
		err = unix.EpollCtl(int(set), op, fd, &unix.EpollEvent{
			Events: unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLRDHUP | unix.EPOLLET,
			Fd:     int32(fd),
		})
	})
	return errors.Join(outer, err)
}

// Run calls the guests until ctx ends, and then closes the set. Guests that are
// still there are called no more. Run must be called once.
func (l *Lot) Run(ctx context.Context) error {
	defer l.set.Close()
	stop := context.AfterFunc(ctx, func() { _ = l.set.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	for next := (time.Time{}); ; {
		now := time.Now()
		if !now.Before(next) {
			l.tick(now)
			next = now.Add(l.period)
			_ = l.set.SetReadDeadline(next)
		}
		if ctx.Err() != nil { // looked at after the deadline was set, which AfterFunc may have done before
			return nil
		}
		l.own.count, l.own.err = 0, nil
		err := errors.Join(l.raw.Read(l.poll), l.own.err)
		switch {
		case err == nil:
		case errors.Is(err, os.ErrDeadlineExceeded):
			_ = l.set.SetReadDeadline(next) // Help may have set another
		case !errors.Is(err, unix.EINTR):
			return fmt.Errorf("wait for an epoll set: %w", err)
		}
		l.visit(&l.own, time.Now())
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
		err := l.raw.Control(l.help.look)
		if err != nil || l.help.count <= 0 && !l.unfinished() {
			return
		}
		l.visit(&l.help, time.Now())
	}
	if l.unfinished() {
		_ = l.set.SetReadDeadline(time.Unix(1, 0)) // wakes Run
	}
}

// look asks the kernel what has happened.
func (r *round) look(set uintptr) { r.count, r.err = unix.EpollWait(int(set), r.events[:], 0) }

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
		if v.guest.Ready(v.fd, Event{Now: now, HangUp: v.hangUp}) {
			l.mu.Lock()
			l.again = append(l.again, visit{guest: v.guest, fd: v.fd})
			l.mu.Unlock()
		}
	}
	clear(r.due) // one that has gone isn't kept
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
	for i := range max(r.count, 0) {
		e := &r.events[i]
		if g := l.guests[e.Fd]; g != nil {
			const ended = unix.EPOLLRDHUP | unix.EPOLLHUP | unix.EPOLLERR
			r.due = append(r.due, visit{guest: g, fd: int(e.Fd), hangUp: e.Events&ended != 0})
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
