package proxy

import (
	"io"
	"time"
)

// An idle HTTP/2 connection is ended here, and not by net/http: its timer is set
// anew by the end of a connection that still has streams, and keeps all that this
// one had for Timeouts.Idle. The time until the connection preface is net/http's.
//
//	open ──no stream for Timeouts.Idle──▶ leaving: GOAWAY, and our direction closed ──▶ ended

// idlePeriod is how often a connection is looked at. It ends between once and one
// and a quarter times Timeouts.Idle after its last stream.
func (h *h2conn) idlePeriod() time.Duration { return h.srv.p.cfg.Timeouts.Idle / 4 }

// watchIdle has the connection looked at until it is closed.
func (h *h2conn) watchIdle() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.active = h.began
	h.idle = time.AfterFunc(h.idlePeriod(), h.checkIdle)
}

// touch notes that a stream has begun or ended. mu is held.
func (h *h2conn) touch() { h.active = time.Now() }

// checkIdle is called by the connection's timer.
func (h *h2conn) checkIdle() {
	if !h.retain() {
		return
	}
	defer h.release()
	if !h.leave() {
		return
	}
	const linger = time.Second // for the client to take what was sent
	_ = h.Conn.SetReadDeadline(time.Now().Add(linger))
	if _, err := h.Conn.Write(h.guard.GoAway()); err == nil {
		_ = closeWrite(h.Conn)
	}
}

// leave reports whether the connection is idle and is to end now. From then on
// nothing more goes to net/http, so that no request is served that the client
// takes for one that wasn't (RFC 9113 §6.8).
func (h *h2conn) leave() bool {
	const own = 2 // users of an idle connection: itself, and checkIdle
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.leaving {
		return false
	}
	h.leaving = h.guard.Begun() && h.users.Load() <= own && time.Since(h.active) >= h.srv.p.cfg.Timeouts.Idle
	if !h.leaving {
		h.idle.Reset(h.idlePeriod())
	}
	return h.leaving
}

// drain reads what the client of a connection that is leaving still sends.
func (h *h2conn) drain() (int, error) {
	_, _ = io.Copy(io.Discard, h.Conn) // for as long as linger says
	return 0, io.EOF
}
