package proxy

import (
	"context"
	"errors"
	"net"
	"slices"
	"sync"
	"time"

	"tokenring/http1"
	"tokenring/pool"
)

// maxIdleLinks bounds a host's idle connections.
const maxIdleLinks = 256

// An upstream is one host at one address: its connections and its gauges. It
// outlives snapshots, and is replaced when the host's address changes: everything
// that it has open is closed then, before its successor opens anything.
type upstream struct {
	name, address string
	gauges        *pool.Gauges
	limits        http1.Limits  // of the host's answers
	maxIdle       time.Duration // of a connection
	trusted       trusted       // with what can't be repeated
	spare         *idleBound    // of all hosts' idle links

	life context.Context // ends dials under way when the upstream is closed
	end  context.CancelFunc
	turn chan struct{} // closed when new connections may be opened; nil: they may

	mu     sync.Mutex
	links  map[*link]struct{} // all that are open, until a tunnel takes them over
	idle   []*link            // those that no request uses; the most recently used is the last
	reaper *time.Timer
	closed bool
	waits  map[*hostWait]struct{} // exchanges that have awaited the host for long
}

func newUpstream(h *pool.Host, c *Config) *upstream {
	u := &upstream{
		name: h.Name, address: h.Address, gauges: h.Gauges,
		limits: c.Limits.Response.Heads(), maxIdle: c.Timeouts.HostIdle, links: map[*link]struct{}{},
	}
	u.trusted.init()
	u.life, u.end = context.WithCancel(context.Background())
	return u
}

// take returns an idle link that req may go out on, and on which nothing has
// happened since it was put back, or nil. A link that the host has closed, or on
// which it has sent bytes that nobody asked for, is thrown away.
func (u *upstream) take(req *http1.Request) *link {
	longest := u.maxIdle
	if !repeatable(req) {
		longest = u.trusted.idle()
	}
	for {
		l := u.pop(longest)
		if l == nil || u.stillOpen(l) {
			return l
		}
		l.close()
	}
}

// pop takes out the most recently used link, unless it has been idle for longer than
// that, as all others have then, or than its host allows.
func (u *upstream) pop(longest time.Duration) *link {
	u.mu.Lock()
	defer u.mu.Unlock()
	last := len(u.idle) - 1
	if last < 0 {
		return nil
	}
	l := u.idle[last]
	if l.idle = time.Since(l.since); l.idle > min(longest, l.maxIdle) {
		return nil // reap will close it
	}
	u.idle[last] = nil
	u.idle = u.idle[:last]
	u.spare.leave(1)
	return l
}

// oldest takes out the link that has been idle for longest, nil if there is none.
func (u *upstream) oldest() *link {
	u.mu.Lock()
	defer u.mu.Unlock()
	if len(u.idle) == 0 {
		return nil
	}
	l := u.idle[0]
	u.idle = slices.Delete(u.idle, 0, 1)
	u.spare.leave(1)
	return l
}

// stillOpen tells whether nothing has happened to an idle link, and learns from it.
func (u *upstream) stillOpen(l *link) bool {
	if !l.silent() {
		u.trusted.closed(l.idle)
		return false
	}
	u.trusted.open(l.idle)
	return true
}

// put gives a link back after an exchange that ended cleanly in both
// directions.
func (u *upstream) put(l *link) {
	if l.in.Buffered() > 0 { // bytes behind the answer: a second answer nobody asked for
		l.close()
		return
	}
	l.used, l.since = true, time.Now()
	l.carried++
	most := 0
	l.maxIdle, most = idleLimit(l.resp.Fields, u.maxIdle)
	l.rest()
	if l.carried >= most || l.maxIdle <= 0 || !u.keep(l) {
		l.close()
	}
}

// keep makes l idle, unless there are too many or u is closed.
func (u *upstream) keep(l *link) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.closed || len(u.idle) >= maxIdleLinks || !u.spare.enter() {
		return false
	}
	u.idle = append(u.idle, l)
	if len(u.idle) == 1 {
		u.scheduleLocked()
	}
	return true
}

// scheduleLocked has reap look again when the oldest idle link is due.
func (u *upstream) scheduleLocked() {
	due := time.Until(u.idle[0].since.Add(u.maxIdle))
	if u.reaper == nil {
		u.reaper = time.AfterFunc(due, u.reap)
		return
	}
	u.reaper.Reset(due)
}

// reap closes the links that have been idle for too long. It runs on a timer
// that is set only while there are idle links.
func (u *upstream) reap() {
	for _, l := range u.old() {
		l.idle = time.Since(l.since)
		u.stillOpen(l)
		l.close()
	}
}

// old takes out the links that have been idle for too long.
func (u *upstream) old() []*link {
	u.mu.Lock()
	defer u.mu.Unlock()
	n := 0
	for n < len(u.idle) && time.Since(u.idle[n].since) >= u.maxIdle {
		n++
	}
	old := slices.Clone(u.idle[:n])
	u.idle = slices.Delete(u.idle, 0, n)
	u.spare.leave(n)
	if len(u.idle) > 0 {
		u.scheduleLocked()
	}
	return old
}

// retire has u open and keep no further connection. Those that it has are closed
// by close.
func (u *upstream) retire() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.closed = true
	if u.reaper != nil {
		u.reaper.Stop()
	}
	u.end()
}

// retired reports whether the host has another address now, or isn't known any
// more.
func (u *upstream) retired() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.closed
}

// same reports whether u and other are one host at one address.
func (u *upstream) same(other *upstream) bool {
	return u.name == other.name && u.address == other.address
}

// close retires u and closes its connections. Requests under way on them fail.
func (u *upstream) close() {
	u.retire()
	u.mu.Lock()
	idle := u.idle
	u.idle = nil
	u.spare.leave(len(idle))
	for l := range u.links {
		l.nc.Close() // the rest of a busy one is its request's to release
	}
	u.mu.Unlock()
	for _, l := range idle {
		l.close()
	}
}

// errMoved says that a connection couldn't be opened because the host isn't at
// this address any more. Nothing has been sent.
var errMoved = errors.New("the host has moved to another address")

// dial opens a new connection to the host, once what there was to its former
// address is closed.
func (u *upstream) dial(ctx context.Context, timeout time.Duration) (*link, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(u.life, cancel)()
	if u.turn != nil {
		select {
		case <-u.turn:
		case <-ctx.Done():
		}
	}
	d := net.Dialer{Timeout: timeout, KeepAlive: 30 * time.Second}
	nc, err := d.DialContext(ctx, "tcp", u.address)
	switch {
	case err != nil && u.retired():
		return nil, errMoved
	case err != nil:
		if !isOurs(err) && ctx.Err() == nil {
			u.gauges.ConnectErrors.Add(1)
		}
		return nil, err
	}
	l := newLink(nc, u.limits)
	if !u.add(l) {
		l.close()
		return nil, errMoved
	}
	return l, nil
}

// add makes l one of u's links, unless u is closed.
func (u *upstream) add(l *link) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.closed {
		return false
	}
	l.upstream = u
	u.links[l] = struct{}{}
	return true
}

// remove is for a link that is closed.
func (u *upstream) remove(l *link) {
	u.mu.Lock()
	defer u.mu.Unlock()
	delete(u.links, l)
}

// enter has w noted when the host is found down or taken out, until leave.
func (u *upstream) enter(w *hostWait) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.waits == nil {
		u.waits = make(map[*hostWait]struct{})
	}
	u.waits[w] = struct{}{}
}

func (u *upstream) leave(w *hostWait) {
	u.mu.Lock()
	defer u.mu.Unlock()
	delete(u.waits, w)
}

// noteWaits has the exchanges that await the host look at what is known of it.
func (u *upstream) noteWaits() {
	u.mu.Lock()
	defer u.mu.Unlock()
	for w := range u.waits {
		w.note()
	}
}
