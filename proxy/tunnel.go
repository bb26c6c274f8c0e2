package proxy

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"sync"
	"syscall"
	"time"

	"tokenring/park"
)

// A tunnel is a WebSocket between a client and a host. Nothing in it is parsed:
// what comes from one side goes to the other.
//
//	opening ──101──▶ parked ◀──all moved── moving ──one side closes──▶ one way ──▶ ended
//	   │               │  └───────event───────▲                           │          ▲
//	   └───────────────┴──────────────── end(why) ───────────────────────┴──────────┘
//
// While it opens, it belongs to the goroutine of its client's connection. Then
// it has none, and no buffer: it is a guest of a lot, whose goroutine calls Ready
// when something has come, moves that on without ever blocking, and leaves. A
// side that takes no more has the other side wait: at most one piece is kept for
// it, and nothing further is read. A connection that has failed ends the tunnel as
// soon as what came over it can't be moved on at once.
type tunnel struct {
	upstream *upstream // the host, at the address of its machine

	hash  uint64  // of the key: the sessions' own
	next  *tunnel // of the same key; likewise
	place uint64  // of the key: Hash of the table, if it is keyed
	keyed bool

	mu      sync.Mutex
	why     string // what ended it; "" while it lives
	first   string // the side that closed its direction first
	client  end
	back    end
	lot     *park.Lot     // nil until it is open
	account *account      // likewise
	last    time.Time     // when a byte last moved
	idle    time.Duration // how long it may be quiet
	short   time.Duration // how long, once one side has closed
}

// An end is one of a tunnel's two connections.
type end struct {
	loose
	nc     net.Conn // what is read from and written to: the socket, or TLS above it
	side   string   // what ends the tunnel when this connection fails
	ready  bool     // something may be there to read
	closed bool     // it has said all that it had to say
	failed bool     // it is over in both directions
	told   bool     // our direction of it is closed as well
	moved  int64    // bytes read from it
}

// A turn is bounded, so that a busy terminal doesn't keep others waiting.
const (
	pieceSize = 32 << 10
	maxPieces = 8
)

// maxUnsent is how much is kept for an end: a piece as TLS writes it, and some
// answers to key updates.
const maxUnsent = pieceSize + 4<<10

var pieces = sync.Pool{New: func() any { return new([pieceSize]byte) }}

// open makes an opening tunnel carry bytes between client and host: head, which
// holds the 101, goes to the client first, and early, which the client has sent
// behind its handshake, to the host. Both connections are the tunnel's from then
// on. over is called when it has ended, which may be before open returns. After
// an error nothing has happened, except that the host's connection is closed.
func (t *tunnel) open(p passage, head, early []byte) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.why != "" {
		return errEnded
	}
	if err := t.back.take(p.host); err != nil {
		return err
	}
	if err := t.client.take(p.client); err != nil {
		t.back.Close()
		return err
	}
	t.lot, t.account, t.last = p.lot, p.account, time.Now()
	if err := errors.Join(t.lot.Add(t.client.fd, park.Both, t), t.lot.Add(t.back.fd, park.Both, t)); err != nil {
		t.finish(endFault)
		return nil
	}
	t.client.ready, t.back.ready = true, true // TLS may have read ahead
	t.give(&t.client, head)
	t.give(&t.back, early)
	t.move(&t.client, &t.back)
	t.move(&t.back, &t.client)
	t.client.rest(0)
	return nil
}

// A passage is what a tunnel needs to open.
type passage struct {
	client, host net.Conn
	lot          *park.Lot
	account      *account
}

var errEnded = errors.New("the tunnel was ended before it was open")

// take makes nc, which may have TLS above it, the connection of e.
func (e *end) take(nc net.Conn) (err error) {
	tc, ok := nc.(*tls.Conn)
	if !ok {
		e.loose, err = loosen(nc)
		e.nc = &e.loose
		return err
	}
	floor, ok := tc.NetConn().(*gatedConn)
	if !ok {
		return errors.ErrUnsupported
	}
	if e.loose, err = loosen(floor.Conn); err != nil {
		return err
	}
	floor.Conn, e.nc = &e.loose, tc
	return nil
}

// Ready implements park.Guest.
func (t *tunnel) Ready(fd int, e park.Event) (more bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.why != "" {
		return false
	}
	here, there := &t.client, &t.back
	if fd == t.back.fd {
		here, there = there, here
	}
	here.wake(e)
	here.ready = true
	if e.HangUp {
		t.idle = t.short
	}
	if err := here.flush(); err != nil {
		t.finish(here.side)
		return false
	}
	t.last = e.Now
	on := t.move(here, there)
	back := t.move(there, here)
	return (on || back) && t.why == ""
}

// Tick implements park.Guest.
func (t *tunnel) Tick(now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if now.Sub(t.last) > t.idle {
		t.finish(endTimeout)
	}
	t.client.rest(smallRecord)
}

// smallRecord is what tls.Conn needs to read a terminal's small messages.
const smallRecord = 2 << 10

// rest keeps no more than spare bytes in buffers of an end that has been read.
func (e *end) rest(spare int) {
	if tc, ok := e.nc.(*tls.Conn); ok {
		shed(tc, spare)
	}
}

// move carries what is there from one end to the other, and then the end of it,
// as far as the other takes it. It reports whether there may be more at once.
func (t *tunnel) move(from, to *end) (more bool) {
	if from.readable() && !to.full() && t.why == "" {
		piece := pieces.Get().(*[pieceSize]byte)
		defer pieces.Put(piece)
		for range maxPieces {
			if !t.step(from, to, piece[:]) {
				break
			}
		}
	}
	if t.why == "" && from.closed && !to.told && !to.full() {
		t.closeHalf(from, to)
	}
	more = from.readable() && !to.full()
	if from.failed && !more {
		t.finish(from.side)
	}
	return more
}

// wake notes an event.
func (e *end) wake(event park.Event) {
	e.loose.wake(event.HangUp)
	e.failed = e.failed || event.Failed
}

// readable tells whether something may be there to read, and may be read. TLS
// answers key updates by itself (RFC 8446 §4.6.3): of a client that takes no
// answers, nothing more is read.
func (e *end) readable() bool {
	return e.ready && !e.closed && (e.plain() || len(e.unsent) <= maxUnsent)
}

// plain tells whether there is no TLS above the socket.
func (e *end) plain() bool { return e.nc == &e.loose }

// step moves one piece, and reports whether there may be another one.
func (t *tunnel) step(from, to *end, piece []byte) bool {
	n, err := from.nc.Read(piece)
	if n > 0 {
		from.moved += int64(n)
		if !t.give(to, piece[:n]) {
			return false
		}
	}
	switch {
	case err == nil:
		from.ready = !from.empty()
	case errors.Is(err, errAgain):
		from.ready = false
	case errors.Is(err, io.EOF):
		from.closed = true
	default:
		t.finish(from.side)
	}
	return err == nil && from.readable() && !to.full()
}

// give writes to an end.
func (t *tunnel) give(to *end, b []byte) bool {
	if t.why != "" || len(b) == 0 {
		return t.why == ""
	}
	if _, err := to.nc.Write(b); err != nil {
		t.finish(to.side)
		return false
	}
	return true
}

// closeHalf carries the end of one direction across. The other goes on, but
// not for long without a byte.
func (t *tunnel) closeHalf(from, to *end) {
	if t.first == "" {
		t.first = from.side
		t.idle = t.short
	}
	if err := to.sayEnd(); err != nil {
		t.finish(from.side)
		return
	}
	if to.told && to.closed {
		t.finish(t.first)
	}
}

// empty tells whether nothing is left to read, as far as that can be told
// without reading: TLS may hold bytes back.
func (e *end) empty() bool { return e.plain() && e.dry }

// sayEnd closes our direction of e: the close_notify alert of TLS first, and the
// connection's own end when that has been sent.
func (e *end) sayEnd() error {
	if tc, ok := e.nc.(*tls.Conn); ok {
		if err := tc.CloseWrite(); err != nil { // says it once, however often it is called
			return err
		}
		if e.full() {
			return nil
		}
	}
	e.told = true
	if err := e.CloseWrite(); !errors.Is(err, syscall.ENOTCONN) { // else it has gone, as the next read will tell
		return err
	}
	return nil
}

// end makes the tunnel end, for that reason. It is safe for concurrent use, and
// only the first call counts.
func (t *tunnel) end(why string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.finish(why)
}

// finish ends the tunnel. mu is held.
func (t *tunnel) finish(why string) {
	if t.why != "" {
		return
	}
	t.why = why
	if t.lot == nil {
		return
	}
	for _, e := range []*end{&t.client, &t.back} {
		t.lot.Remove(e.fd, t)
		e.Close()
		e.unsent = nil
	}
	t.account.settle(t)
}

// endIfIdle implements life: a terminal that is quiet isn't idle.
func (t *tunnel) endIfIdle() {}

// abort implements life.
func (t *tunnel) abort() { t.end(endShutdown) }

// opened tells whether t has taken its connections over.
func (t *tunnel) opened() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.lot != nil
}

// ended returns what ended the tunnel, "" while it lives.
func (t *tunnel) ended() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.why
}
