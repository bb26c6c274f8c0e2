// Package tunnel carries the bytes of a WebSocket in both directions between two
// connections. A tunnel has no goroutine, and no buffer while nothing comes.
package tunnel

import (
	"errors"
	"io"
	"net"
	"sync"
	"time"

	"tokenring/poller"
	"tokenring/proxy/socket"
)

// A Tunnel is a WebSocket between a client and a host. The bytes that come from one side
// go to the other. It only looks where frames end, to close the WebSocket in order if it
// has to. Its zero value is opening.
//
//	opening ──Open──▶ idle ◀──all moved── moving ──one side closes──▶ half-closed ──▶ ended
//	   │               │ └──────event───────▲                            │            ▲  ▲
//	   └───────────────┴──────────────── End(why) ───────────────────────┴────────────┘  │
//	                                        └──close frame──▶ lingering ─────────────────┘
//
// An opening tunnel belongs to the goroutine of its client's connection. An open tunnel is
// registered with a poller, whose goroutine calls Ready when something has come. Ready
// moves the bytes and never blocks. If a side takes nothing more, the tunnel keeps one
// piece for it at most, and doesn't read from the other side. When a connection fails, the
// tunnel moves what it can at once, and ends.
//
// A tunnel that End ends passes on nothing more but the rest of a frame that has begun, if
// it is there. It sends a close frame to each side that may get one. It closes the host's
// connection at once. What the host hasn't taken by then is dropped if the key leaves the host, and
// else soon. The tunnel lingers until the client has closed its connection, for
// lingerTime at most.
//
// The methods of a Tunnel are safe for concurrent use.
type Tunnel struct {
	mu         sync.Mutex
	why        Reason    // what has ended it; "" before the end
	first      *endpoint // the one that closed its direction first; nil while none has
	client     endpoint
	host       endpoint
	poller     *poller.Poller // nil until it is open
	owner      Owner          // likewise
	last       time.Duration  // when a byte last moved, since epoch
	idle       time.Duration  // how long the tunnel may be quiet
	halfClosed time.Duration  // the same, once one side has closed its direction
}

// Options are what a tunnel needs to open.
type Options struct {
	Client, Host net.Conn // sockets, or tls.Conns above a Transport
	Poller       *poller.Poller
	Owner        Owner
	Idle         time.Duration // how long the tunnel may be quiet; it ends up to a period of the poller later
	HalfClosed   time.Duration // the same, once one side has closed its direction
	Opaque       bool          // it isn't known to be a WebSocket, so no close frame is sent
}

// A Greeting is what a tunnel sends first.
type Greeting struct {
	Head       []byte // of the 101, for the client
	FromHost   []byte // what the host has sent after its 101
	FromClient []byte // what the client has sent after its handshake
}

// An Owner is told of the end of its tunnel. Its methods must not block and must not call
// the tunnel, whose lock is held.
type Owner interface {
	// HostSent is called after bytes have come from the host, some of them at the time now. It
	// is called for every event, so it must be quick.
	HostSent(now time.Time)
	// Ended is called once, if the tunnel was open. The host's connection is closed, and
	// no more bytes are passed on.
	Ended(Stats)
	// Closed is called once after Ended, when the client's connection is closed.
	Closed()
}

// epoch is the moment from which tunnels count time: a Duration is smaller than a Time.
var epoch = time.Now()

// Bounds of one call of Ready, so that other terminals don't wait for a busy one.
const (
	pieceSize = 32 << 10
	maxPieces = 8
)

// MaxUnsent is the limit of unsent bytes for a client with TLS, beyond which nothing is
// read from that client. It allows one piece, as TLS writes it, and some answers to key
// updates.
const MaxUnsent = pieceSize + 4<<10

var pieces = sync.Pool{New: func() any { return new([pieceSize]byte) }}

// ErrEnded says that End was called before Open.
var ErrEnded = errors.New("the tunnel was ended before it was open")

// Open opens the tunnel between two connections, which belong to the tunnel from then on.
// First it sends the greeting. The tunnel may end before Open returns. After an error the
// client's connection is as it was, and the host's connection may be closed.
func (t *Tunnel) Open(o Options, g Greeting) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.why != "" {
		return ErrEnded
	}
	if err := t.host.take(o.Host); err != nil {
		return err
	}
	if err := t.client.take(o.Client); err != nil {
		t.host.Close()
		return err
	}
	t.poller, t.owner, t.last = o.Poller, o.Owner, time.Since(epoch)
	t.idle, t.halfClosed = o.Idle, o.HalfClosed
	if err := errors.Join(t.poller.Add(t.client.FD(), poller.Both, t), t.poller.Add(t.host.FD(), poller.Both, t)); err != nil {
		t.finish(ByFault)
		return nil
	}
	t.client.ready, t.host.ready = true, true // TLS may have read ahead
	t.host.sent.masked = true
	if o.Opaque {
		t.client.sent.part, t.host.sent.part = lost, lost
	}
	t.give(&t.client, append(g.Head, g.FromHost...), len(g.Head))
	t.give(&t.host, g.FromClient, 0)
	t.move(&t.client, &t.host)
	t.move(&t.host, &t.client)
	t.client.freeBuffers(0)
	t.host.freeBuffers(0)
	return nil
}

// Opened reports whether t has taken over its connections.
func (t *Tunnel) Opened() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.poller != nil
}

// Ready implements poller.Handler.
func (t *Tunnel) Ready(fd int, e poller.Event) (more bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	here, there := &t.client, &t.host
	if fd == t.host.FD() {
		here, there = there, here
	}
	if t.why != "" {
		return here.lingers && t.linger(e)
	}
	here.wake(e)
	if e.HangUp {
		t.idle = t.halfClosed
	}
	if err := here.Flush(); err != nil {
		t.finish(t.by(here))
		return false
	}
	t.last = e.Now.Sub(epoch)
	before := t.host.moved
	on := t.move(here, there)
	back := t.move(there, here)
	if t.host.moved != before {
		t.owner.HostSent(e.Now)
	}
	return (on || back) && t.why == ""
}

// smallRecord is how large a buffer tls.Conn needs for the small messages of a terminal.
const smallRecord = 2 << 10

// Tick implements poller.Handler.
func (t *Tunnel) Tick(now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if now.Sub(epoch)-t.last > t.idle {
		t.finish(ByTimeout)
	}
	if t.host.probed > 0 && t.why == "" {
		if t.host.probed--; t.host.probed == 0 {
			_ = t.host.Probe(socket.KeepAlive) // an error ends the tunnel anyway
		}
	}
	t.client.freeBuffers(smallRecord)
	t.host.freeBuffers(smallRecord)
}

// While a tunnel is probed, its host is asked once in probePause, until the second tick.
const (
	probePause = time.Second
	probeTicks = 2
)

// Probe finds out whether the host still has the connection. If it has started anew, it resets
// it, and the tunnel ends.
func (t *Tunnel) Probe() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.poller != nil && t.why == "" {
		t.host.probed = probeTicks
		_ = t.host.Probe(probePause) // an error ends the tunnel anyway
	}
}

// move moves bytes from one side to the other, and then the end of the stream, as far as
// the other side takes them. It reports whether there may be more to move at once.
func (t *Tunnel) move(from, to *endpoint) (more bool) {
	if from.readable() && to.Unsent() == 0 && t.why == "" {
		piece := pieces.Get().(*[pieceSize]byte)
		defer pieces.Put(piece)
		for range maxPieces {
			if !t.step(from, to, piece[:]) {
				break
			}
		}
	}
	if t.why == "" && from.closed && !to.writeClosed && to.Unsent() == 0 {
		t.closeHalf(from, to)
	}
	more = from.readable() && to.Unsent() == 0
	if from.failed && !more {
		t.finish(t.by(from))
	}
	return more
}

// step moves one piece. It reports whether there may be another one.
func (t *Tunnel) step(from, to *endpoint, piece []byte) bool {
	n, err := from.nc.Read(piece)
	if n > 0 {
		from.moved += int64(n)
		if !t.give(to, piece[:n], 0) {
			return false
		}
	}
	switch {
	case err == nil:
		from.ready = !from.empty()
	case errors.Is(err, socket.ErrAgain):
		from.ready = false
	case errors.Is(err, io.EOF):
		from.closed = true
	default:
		t.finish(t.by(from))
	}
	return err == nil && from.readable() && to.Unsent() == 0
}

// give writes b to a side. The first head bytes of b aren't frames. It reports false if
// the tunnel has ended.
func (t *Tunnel) give(to *endpoint, b []byte, head int) bool {
	if t.why != "" || len(b) == 0 {
		return t.why == ""
	}
	if _, err := to.nc.Write(b); err != nil {
		t.finish(t.by(to))
		return false
	}
	to.sent.pass(b[head:])
	return true
}

// closeHalf passes on the end of one direction. The other direction goes on, but it may be
// quiet for Options.HalfClosed only.
func (t *Tunnel) closeHalf(from, to *endpoint) {
	if t.first == nil {
		t.first = from
		t.idle = t.halfClosed
	}
	if err := to.closeWrite(); err != nil {
		t.finish(t.by(from))
		return
	}
	if to.writeClosed && to.closed {
		t.finish(t.by(t.first))
	}
}

// by returns the reason for an end that e has caused.
func (t *Tunnel) by(e *endpoint) Reason {
	if e == &t.client {
		return ByClient
	}
	return ByHost
}
