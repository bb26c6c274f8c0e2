package proxy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sys/unix"
)

// accept runs until ctx ends, which closes the listener, or the listener fails.
// Being short of descriptors or memory is no reason to end: it waits a little
// for connections to go away. Nor is having all the connections that are
// allowed: the next ones wait in the kernel's queue.
func (s *server) accept(ctx context.Context, ln net.Listener) error {
	const pause = 100 * time.Millisecond
	full := complaint{text: "accept paused: limits.connections are open", log: s.p.opt.Logger, ln: ln}
	short := complaint{text: "accept paused; if files are too many, raise the limit of open files or lower limits.connections", log: s.p.opt.Logger, ln: ln}
	for {
		s.p.room.wait(ctx, func() {
			s.p.opt.Metrics.acceptWaits.Inc()
			full.say(nil)
		})
		nc, err := ln.Accept()
		switch {
		case err == nil:
			s.start(ctx, nc)
			// When everybody reconnects at once, thousands of connections wait here.
			// Taken all together they would stand in line before the live terminals'
			// bytes; so each waits until all that can run now has had its turn.
			runtime.Gosched()
		case errors.Is(err, net.ErrClosed), ctx.Err() != nil:
			return fmt.Errorf("accept on %s: %w", ln.Addr(), err)
		default:
			s.p.opt.Metrics.acceptErrors.Inc()
			short.say(err)
			select {
			case <-time.After(pause):
			case <-ctx.Done():
			}
		}
	}
}

// A complaint is something wrong with a listener that may go on for long, and is
// said once in a while.
type complaint struct {
	text string
	log  zerolog.Logger
	ln   net.Listener
	said time.Time
}

func (c *complaint) say(err error) {
	const silence = time.Minute
	if !c.said.IsZero() && time.Since(c.said) < silence {
		return
	}
	c.said = time.Now()
	c.log.Warn().Err(err).Stringer("address", c.ln.Addr()).Msg(c.text)
}

// A room holds the connections of all listeners together, with the further
// streams of those that speak HTTP/2 (streamLimit), and bounds them. It
// is safe for concurrent use. Listeners that find a place at the same moment all
// take it, so there may be a few connections more than the limit.
type room struct {
	limit int64
	open  atomic.Int64
	freed chan struct{} // room for one: a place has become free
}

func newRoom(limit int) *room {
	return &room{limit: int64(limit), freed: make(chan struct{}, 1)}
}

func (r *room) enter() { r.open.Add(1) }

// take enters if that leaves room for those who come: they go before what is asked
// of those who are there.
func (r *room) take() bool {
	if r.open.Add(1) <= r.limit-r.limit/8 {
		return true
	}
	r.leave()
	return false
}

// free returns how much room is left.
func (r *room) free() int64 { return r.limit - r.open.Load() }

func (r *room) leave() {
	if r.open.Add(-1) == r.limit-1 {
		r.note()
	}
}

func (r *room) note() {
	select {
	case r.freed <- struct{}{}:
	default:
	}
}

// wait returns when there is room or ctx has ended. It calls full once if that
// isn't at once.
func (r *room) wait(ctx context.Context, full func()) {
	if r.open.Load() < r.limit {
		return
	}
	full()
	for r.open.Load() >= r.limit {
		select {
		case <-r.freed:
		case <-ctx.Done():
			return
		}
	}
	r.note() // another listener may wait as well
}

// connectionsFor returns how many connections a process may have that may open
// so many files. Each may need a second file, towards a host (streamLimit and
// idleBound see to it that none needs more); some are kept for gossip, checks,
// operators, who want to be heard when it is full, and the pipes of splicePlaces.
func connectionsFor(files uint64) int {
	const reserve, most = 256, 1 << 30
	return int(min(max((files-min(reserve, files/4))/2, 1), most))
}

// maxFiles returns how many files this process may open.
func maxFiles() uint64 {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return 1024 // what every system gives
	}
	return limit.Cur
}

// isOurs tells whether a connection couldn't be opened for a want of this
// machine. It would be so for every host, and none of them is to blame.
func isOurs(err error) bool {
	for _, e := range []error{unix.EMFILE, unix.ENFILE, unix.ENOBUFS, unix.ENOMEM, unix.EADDRNOTAVAIL} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}
