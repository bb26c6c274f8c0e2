package tunnel

import (
	"crypto/tls"
	"errors"
	"io"
	"time"

	"tokenring/poller"
	"tokenring/proxy/socket"
)

// lingerTime is how long a client has to take its close frame and to close its connection.
const lingerTime = time.Second

// End ends the tunnel for a reason. Only the first call counts.
func (t *Tunnel) End(why Reason) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.finish(why)
}

// finish ends the tunnel. mu is held.
func (t *Tunnel) finish(why Reason) {
	if t.why != "" {
		return
	}
	t.why = why
	if t.poller == nil {
		return
	}
	code, text := why.status()
	if code != 0 {
		t.completeFrame(&t.host, &t.client)
	}
	t.poller.Remove(t.host.FD(), t)
	t.leaveHost(code, text)
	t.client.lingers = code != 0 && t.client.sayClose(code, text)
	t.owner.Ended(t.stats())
	if !t.client.lingers {
		t.closeClient()
		return
	}
	time.AfterFunc(lingerTime, t.endLingering)
	t.closeInOrder()
}

// leaveHost closes the host's connection, with a close frame if code isn't 0 and one may be sent.
// What the host hasn't taken must not reach it later, when the network between has been broken: at
// once if the key leaves the host, else soon.
func (t *Tunnel) leaveHost(code uint16, text string) {
	h := &t.host
	defer h.Close()
	switch leaves := t.why.leavesHost(); {
	case leaves && h.Unsent()+h.Unacked() > 0:
		h.DropUnacked()
		return
	case !leaves && code != 0:
		t.completeFrame(&t.client, h)
	}
	if code != 0 && h.Unsent() == 0 && h.sayClose(codeGoingAway, text) {
		h.discard() // otherwise the kernel resets the connection, and a host may lose the frame
	}
	if tc, ok := h.nc.(*tls.Conn); ok && !h.failed && h.Unsent() == 0 {
		_ = tc.CloseWrite() // the close_notify alert (RFC 8446 §6.1); the connection is closed anyway
	}
	if h.Unacked() > 0 {
		h.LeaveSoon()
	}
}

// completeFrame passes on the rest of a frame that has begun, if it is there and isn't
// longer than a piece, so that a busy terminal gets its close frame, too.
func (t *Tunnel) completeFrame(from, to *endpoint) {
	if to.sent.part == boundary || from.failed || to.failed || to.writeClosed {
		return
	}
	from.wake(poller.Event{}) // bytes may have come since the last event
	piece := pieces.Get().(*[pieceSize]byte)
	defer pieces.Put(piece)
	for left := uint32(pieceSize); to.sent.missing() > 0 && to.sent.missing() <= left && from.readable(); {
		n, err := from.nc.Read(piece[:to.sent.missing()])
		from.moved += int64(n)
		left -= uint32(n)
		if _, failed := to.nc.Write(piece[:n]); failed != nil {
			to.failed = true
			return
		}
		to.sent.pass(piece[:n])
		if err != nil {
			return
		}
	}
}

// linger goes on with the end of a client's connection after an event. It reports whether
// there may be more to read at once.
func (t *Tunnel) linger(e poller.Event) (more bool) {
	t.client.wake(e)
	if t.client.Flush() != nil {
		t.client.failed = true
	}
	t.closeInOrder()
	return t.client.lingers && t.client.readable()
}

// closeInOrder closes our direction of the client's connection once all is sent, and the
// connection once the client has closed its direction as well. A connection that is
// closed earlier, with bytes of the client unread, is reset by the kernel, and the client
// may lose the close frame.
func (t *Tunnel) closeInOrder() {
	c := &t.client
	if c.Unsent() == 0 && !c.writeClosed && c.closeWrite() != nil {
		c.failed = true
	}
	c.discard()
	if c.failed || c.closed && c.writeClosed {
		t.closeClient()
	}
}

// endLingering closes a client's connection that hasn't ended in time.
func (t *Tunnel) endLingering() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.client.lingers {
		t.closeClient()
	}
}

// closeClient closes the client's connection.
func (t *Tunnel) closeClient() {
	t.client.lingers = false
	t.poller.Remove(t.client.FD(), t)
	t.client.Close()
	t.owner.Closed()
}

// sayClose sends a close frame, and reports whether it did. It sends none if that isn't
// possible at this point of the stream.
func (e *endpoint) sayClose(code uint16, text string) bool {
	if e.failed || e.writeClosed || !e.sent.open() {
		return false
	}
	_, err := e.nc.Write(e.sent.appendClose(nil, code, text))
	return err == nil
}

// discard reads what is there and drops it, a few pieces at most.
func (e *endpoint) discard() {
	piece := pieces.Get().(*[pieceSize]byte)
	defer pieces.Put(piece)
	for range maxPieces {
		if e.failed || !e.readable() {
			return
		}
		switch _, err := e.nc.Read(piece[:]); {
		case err == nil:
			e.ready = !e.empty()
		case errors.Is(err, socket.ErrAgain):
			e.ready = false
		case errors.Is(err, io.EOF):
			e.closed = true
		default:
			e.failed = true
		}
	}
}
