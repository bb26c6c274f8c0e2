// Package poller waits for events on idle sockets: thousands of sockets with one
// goroutine and without buffers. The proxy registers idle terminals, and connections
// between two requests.
package poller

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A Handler handles the events of the sockets that are registered with it. The poller's
// goroutine and the callers of Help call its methods. They must be safe for concurrent
// use and must not block, since all other handlers would wait.
type Handler interface {
	// Ready is called when the socket fd becomes readable. With the Interest Both it is
	// also called when the socket becomes writable again. The poller calls it once for
	// an event: the handler must read until the socket returns EAGAIN or less than
	// requested, or return true to be called again after the other handlers. Ready may
	// be called without an event, and for a socket that is being removed.
	Ready(fd int, e Event) (more bool)

	// Tick is called once in each period of the poller for each of the handler's
	// sockets. It is for everything that depends on time.
	Tick(now time.Time)
}

// A Poller is a set of sockets and the goroutine that waits until they are ready.
// Its methods are safe for concurrent use.
//
// The set is Linux's epoll(7), edge-triggered, so that a socket costs one system call
// when it is added and none at each event. The epoll descriptor itself is registered
// with Go's own poller: with a thread that blocks in epoll_wait, every event would have
// a latency of several hundred microseconds.
type Poller struct {
	set    *os.File
	raw    syscall.RawConn
	period time.Duration

	mu       sync.Mutex
	handlers []Handler // by descriptor; nil where there is none
	again    []call    // of the handlers that have asked to be called again

	own     batch       // only Run uses it
	next    time.Time   // of the next tick; only Run uses it
	ending  atomic.Bool // Run must end
	helping sync.Mutex
	help    batch // of Help; guarded by helping
}

// New returns an empty poller that calls Tick once in each period. Its handlers are
// called only while Run runs. Run closes the poller's descriptor when it ends.
func New(period time.Duration) (*Poller, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("create an epoll set: %w", err)
	}
	if err := unix.SetNonblock(fd, true); err != nil { // otherwise os.NewFile doesn't register it with Go's poller
		unix.Close(fd)
		return nil, fmt.Errorf("make an epoll set non-blocking: %w", err)
	}
	p := &Poller{set: os.NewFile(uintptr(fd), "epoll"), period: period}
	if p.raw, err = p.set.SyscallConn(); err != nil {
		p.set.Close()
		return nil, fmt.Errorf("use the descriptor of an epoll set: %w", err)
	}
	return p, nil
}

// Add registers the non-blocking socket fd: the poller calls h when an event in what
// happens. A socket that is ready already counts as an event. The caller keeps the
// descriptor, and must call Remove before it closes it.
func (p *Poller) Add(fd int, what Interest, h Handler) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for fd >= len(p.handlers) {
		p.handlers = append(p.handlers, nil)
	}
	if err := p.control(unix.EPOLL_CTL_ADD, fd, what); err != nil {
		return fmt.Errorf("add a socket to an epoll set: %w", err)
	}
	p.handlers[fd] = h
	return nil
}

// Remove removes the socket fd of h from the poller. It doesn't wait for a call of Ready
// or Tick that has begun or is about to begin. It does nothing if fd isn't registered,
// or is now registered by another handler.
func (p *Poller) Remove(fd int, h Handler) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if fd >= len(p.handlers) || p.handlers[fd] != h {
		return
	}
	p.handlers[fd] = nil
	_ = p.control(unix.EPOLL_CTL_DEL, fd, 0) // fails only if the poller has ended
}

func (p *Poller) control(op, fd int, what Interest) error {
	var err error
	outer := p.raw.Control(func(set uintptr) {
		err = unix.EpollCtl(int(set), op, fd, &unix.EpollEvent{
			Events: uint32(what) | unix.EPOLLET,
			Fd:     int32(fd),
		})
	})
	return errors.Join(outer, err)
}

// Run calls the handlers until ctx ends, and then closes the set. It doesn't call
// handlers after that. Run must be called once.
func (p *Poller) Run(ctx context.Context) error {
	defer p.set.Close()
	stop := context.AfterFunc(ctx, func() {
		p.ending.Store(true) // needed if a handler always asks to be called again
		_ = p.set.SetReadDeadline(time.Unix(1, 0))
	})
	defer stop()
	p.next = time.Now().Add(p.period)
	for {
		_ = p.set.SetReadDeadline(p.next)
		if ctx.Err() != nil { // after SetReadDeadline, which may have replaced the deadline of AfterFunc
			return nil
		}
		err := p.raw.Read(p.serve)
		if err = errors.Join(err, p.own.err); err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			return fmt.Errorf("wait for an epoll set: %w", err)
		}
		if now := time.Now(); !now.Before(p.next) {
			p.tick(now)
			p.next = now.Add(p.period)
		}
	}
}

// serve handles events. Go's poller calls it when the set is readable; when it returns
// false, Go's poller waits and calls it again. No event is lost: each poll reads all
// events, and a later event ends the wait. serve returns true after an error, or when a
// tick is due.
func (p *Poller) serve(set uintptr) bool {
	for {
		full := p.own.poll(set)
		if p.own.err != nil {
			return true
		}
		now := time.Now()
		p.dispatch(&p.own, now)
		switch {
		case p.ending.Load() || !now.Before(p.next):
			return true
		case !full && !p.unfinished():
			return false
		}
	}
}

// Help calls the handlers of sockets that are ready now, as Run would, and doesn't wait.
// Goroutines with long work call it before that work: if there are many of them, Run
// would wait long for a processor, since Go's scheduler has no priorities.
func (p *Poller) Help() {
	const enough = 4 // rounds of calls, for handlers that ask to be called again
	if !p.helping.TryLock() {
		return
	}
	defer p.helping.Unlock()
	for range enough {
		err := p.raw.Control(func(set uintptr) { p.help.poll(set) })
		if err != nil || p.help.count == 0 && !p.unfinished() {
			return
		}
		p.dispatch(&p.help, time.Now())
	}
	if p.unfinished() {
		_ = p.set.SetReadDeadline(time.Unix(1, 0)) // wakes Run
	}
}

// unfinished reports whether a handler has asked to be called again.
func (p *Poller) unfinished() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.again) > 0
}

// dispatch calls the handlers that have asked to be called again, and those that have
// events in b.
func (p *Poller) dispatch(b *batch, now time.Time) {
	p.collect(b)
	for _, c := range b.due {
		if c.handler.Ready(c.fd, c.event(now)) {
			p.mu.Lock()
			p.again = append(p.again, call{handler: c.handler, fd: c.fd})
			p.mu.Unlock()
		}
	}
	clear(b.due) // so that no removed handler stays in memory
}

// collect sets b.due to the calls that are due for handlers that are still registered.
func (p *Poller) collect(b *batch) {
	p.mu.Lock()
	defer p.mu.Unlock()
	b.due = b.due[:0]
	for _, c := range p.again {
		if p.handlers[c.fd] == c.handler {
			b.due = append(b.due, c)
		}
	}
	clear(p.again)
	p.again = p.again[:0]
	for i := range b.count {
		e := &b.events[i]
		if h := p.handlers[e.Fd]; h != nil {
			b.due = append(b.due, call{handler: h, fd: int(e.Fd), events: e.Events})
		}
	}
	b.count = 0
}

// tick calls Tick of all handlers. It copies a few handlers at a time, so that Add and
// Remove never wait for long.
func (p *Poller) tick(now time.Time) {
	const few = 512
	var some [few]Handler
	for from := 0; ; from += few {
		p.mu.Lock()
		from = min(from, len(p.handlers))
		n := copy(some[:], p.handlers[from:])
		p.mu.Unlock()
		if n == 0 {
			return
		}
		for _, h := range some[:n] {
			if h != nil {
				h.Tick(now)
			}
		}
	}
}
