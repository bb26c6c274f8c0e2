package proxy

import (
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// A tunnel is a WebSocket between a client and a host. Nothing in it is parsed:
// what comes from one side goes to the other.
//
//	opening ──101──▶ both ways ──one side closes──▶ one way ──▶ ended
//	   └───────────────────┴────── end(why) ─────────┴──────────▲
type tunnel struct {
	host string // the name

	last atomic.Int64 // when a byte last moved, in Unix nanoseconds
	idle atomic.Int64 // how long it may be quiet, in nanoseconds

	mu    sync.Mutex
	why   string // what ended it; "" while it lives
	first string // the side that closed its direction first
	conns []net.Conn
}

// end makes the tunnel end, for that reason. It is safe for concurrent use, and
// only the first call counts.
func (t *tunnel) end(why string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.why != "" {
		return
	}
	t.why = why
	for _, nc := range t.conns {
		nc.Close()
	}
}

// watch has end close the connections. False: the tunnel has been ended
// already.
func (t *tunnel) watch(conns ...net.Conn) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.conns = append(t.conns, conns...)
	return t.why == ""
}

// ended returns what ended the tunnel, "" while it lives.
func (t *tunnel) ended() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.why
}

// halfClosed notes that a side has closed its direction.
func (t *tunnel) halfClosed(side string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.first == "" {
		t.first = side
	}
}

func (t *tunnel) closedFirst() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.first
}

func (t *tunnel) touch() { t.last.Store(time.Now().UnixNano()) }

// left returns for how much longer the tunnel may be quiet.
func (t *tunnel) left() time.Duration {
	return time.Duration(t.idle.Load() - (time.Now().UnixNano() - t.last.Load()))
}

// A direction is one half of a tunnel.
type direction struct {
	t         *tunnel
	from, to  net.Conn
	side      string        // what ends the tunnel when from fails
	lingering time.Duration // how long the other half may be idle once this one is closed
	moved     int64         // bytes
}

// run carries bytes until from has nothing more to say or the tunnel ends.
func (d *direction) run(early []byte) {
	buf := buffers.Get().(*[]byte)
	defer buffers.Put(buf)
	scratch := (*buf)[:cap(*buf)]
	readBy, writeBy := deadline{set: d.from.SetReadDeadline}, deadline{set: d.to.SetWriteDeadline}
	if len(early) > 0 && !d.send(early, &writeBy) {
		return
	}
	for {
		d.arm(&readBy)
		n, err := d.from.Read(scratch)
		if n > 0 && !d.send(scratch[:n], &writeBy) {
			return
		}
		if err != nil && !d.outlives(err) {
			return
		}
	}
}

// arm sets the deadline for the next read. The other direction may shorten what
// is allowed at the same moment: if that wasn't seen here, its own deadline is
// the later one.
func (d *direction) arm(readBy *deadline) {
	for idle := int64(-1); idle != d.t.idle.Load(); {
		idle = d.t.idle.Load()
		readBy.within(d.t.left())
	}
}

// send writes b to the other side. One that takes nothing for as long as the
// tunnel may be idle is as good as gone.
func (d *direction) send(b []byte, writeBy *deadline) bool {
	d.t.touch()
	writeBy.within(time.Duration(d.t.idle.Load()))
	if _, err := d.to.Write(b); err != nil {
		d.t.end(d.other())
		return false
	}
	d.moved += int64(len(b))
	return true
}

// outlives decides what an error of the reading side means. A closed half is
// carried across, and the other half goes on for a while; a deadline counts
// only if the whole tunnel was quiet for so long.
func (d *direction) outlives(err error) bool {
	switch {
	case errors.Is(err, io.EOF):
		d.t.halfClosed(d.side)
		d.t.idle.Store(int64(d.lingering))
		_ = d.to.SetReadDeadline(time.Now().Add(d.lingering))
		if closeWrite(d.to) != nil {
			d.t.end(d.side)
		}
	case timedOut(err) && d.t.left() > 0:
		return true
	case timedOut(err):
		d.t.end(endTimeout)
	default:
		d.t.end(d.side)
	}
	return false
}

func (d *direction) other() string {
	if d.side == endClient {
		return endHost
	}
	return endClient
}
