package proxy

import (
	"errors"
	"os"
	"sync"
	"time"

	"tokenring/http1"
	"tokenring/park"
	"tokenring/pool"
)

// An exchange waits for its host in two steps. Most answers come within soon, and
// are awaited by a bare read with a deadline. When that has passed, await takes
// over, which also looks at what else may end the wait: the client that leaves,
// and the health checks that find the host down.

// soon is how long a host is awaited by a bare read.
const soon = 150 * time.Millisecond

// Why a host isn't awaited any longer.
var (
	// errDown says that the host was found down before it had said a word, and that
	// the request may be sent to another.
	errDown = errors.New("the host was found down before it answered")
	// errGivenUp says that the host has been down for long, with a request on it
	// that may not be sent to another.
	errGivenUp = errors.New("the host has been down for too long")
	// errMaint says that an operator has taken the host of a handshake out.
	errMaint = errors.New("the host went to maintenance before it answered")
)

// nextHead reads the next head of the host's answer, however long it takes.
func (x *exchange) nextHead(l *link, up *upload) error {
	for {
		l.readBy.within(soon)
		err := l.answer(x.req.Method)
		if !timedOut(err) {
			return err
		}
		if err = x.await(l, up); err != nil {
			return err
		}
	}
}

// nextPiece reads the next piece of the answer's body, likewise.
func (x *exchange) nextPiece(l *link, up *upload, body *http1.Body) ([]byte, error) {
	for {
		l.readBy.within(soon)
		data, err := body.Next()
		if !timedOut(err) {
			return data, err
		}
		if err = x.await(l, up); err != nil {
			return nil, err
		}
	}
}

// await blocks until the host has sent something on l, or has closed it: the next
// read tells which. It returns an error if there is nothing to wait for any more:
// errDown, errGivenUp, errMaint, or a timeout when timeouts.response has passed. If
// the client has left, it aborts the exchange and returns errAborted; if others have
// aborted it, the error is that of a closed connection.
func (x *exchange) await(l *link, up *upload) error {
	if l.raw == nil { // no socket, and nothing to wait with
		return os.ErrDeadlineExceeded
	}
	w := &hostWait{x: x, l: l, up: up, limit: time.Now().Add(x.srv.p.cfg.Timeouts.Response)}
	l.upstream.enter(w)
	defer w.stop()
	for {
		until, err := w.look()
		if err != nil {
			return err
		}
		if !w.sleep(until) {
			continue
		}
		if err := l.readable(); !timedOut(err) {
			return err
		}
		if !time.Now().Before(w.limit) && !up.running() {
			return os.ErrDeadlineExceeded
		}
	}
}

// A hostWait is one exchange that awaits its host. It belongs to the exchange's
// goroutine, but for note, which others call.
type hostWait struct {
	x     *exchange
	l     *link
	up    *upload
	limit time.Time // the host's for its next byte

	watching bool   // unwatch is to be called
	reading  bool   // nobody else reads what the client sends
	unwatch  func() // the client

	giveUp time.Time // when the host has been down for too long; zero while it isn't

	mu    sync.Mutex
	noted bool // something has happened
	over  bool // nobody is interested any more
}

// note has the exchange's goroutine look again. It never blocks and is safe for
// concurrent use.
func (w *hostWait) note() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.noted = true
	if !w.over {
		_ = w.l.nc.SetReadDeadline(time.Unix(1, 0))
	}
}

// Ready implements park.Guest: something has happened to the client's connection.
func (w *hostWait) Ready(int, park.Event) (more bool) {
	w.note()
	return false
}

// Tick implements park.Guest.
func (w *hostWait) Tick(time.Time) {}

// clear forgets what has been noted: it is about to be looked at.
func (w *hostWait) clear() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.noted = false
}

// sleep sets the deadline until which the link is to be waited for. It reports
// false if something has been noted since the last look.
func (w *hostWait) sleep(until time.Time) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.noted {
		return false
	}
	w.l.readBy.at = until
	_ = w.l.nc.SetReadDeadline(until)
	return true
}

// stop ends the wait: nothing touches the link because of it any more.
func (w *hostWait) stop() {
	w.l.upstream.leave(w)
	if w.watching {
		w.unwatch()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.over = true
	w.l.readBy.at = time.Time{} // a note may have changed it
}

// look returns until when to wait, unless somebody notes something before, or why
// not to wait any longer.
func (w *hostWait) look() (until time.Time, err error) {
	w.clear()
	w.watchClient()
	switch {
	case w.x.side.gone(w.reading):
		w.x.abort()
		return time.Time{}, errAborted
	case w.up.running(): // an answer can't be expected before the body is there
		const again = time.Second
		now := time.Now()
		w.limit, until = now.Add(w.x.srv.p.cfg.Timeouts.Response), now.Add(again)
	default:
		until = w.limit
	}
	return w.checkHost(until)
}

// watchClient has what happens to the client's connection noted. What is of
// interest changes when the request's body is there.
func (w *hostWait) watchClient() {
	reading := !w.up.running()
	if w.watching && w.reading == reading {
		return
	}
	if w.watching {
		w.unwatch()
	}
	w.watching, w.reading = true, reading
	w.unwatch = w.x.side.watch(w, reading)
}

// checkHost takes into account what operators and checks say of the host, while its
// answer hasn't begun. A host in maint gets no terminal. A request that can be sent
// again doesn't wait for a host that is down; any other does for Config.DownGrace,
// because the host may still answer it.
func (w *hostWait) checkHost(until time.Time) (time.Time, error) {
	x := w.x
	s := x.srv.p.routes.Load().snapshot
	if x.req.WebSocket && x.answered == 0 && inMaint(s, x.host.Name) {
		return until, errMaint
	}
	if x.answered != 0 || !isDown(s, x.host.Name) {
		w.giveUp = time.Time{}
		return until, nil
	}
	if x.unanswered(w.l) && repeatable(&x.req) && x.moves < maxMoves {
		x.moves++
		return until, errDown
	}
	now := time.Now()
	if w.giveUp.IsZero() {
		w.giveUp = now.Add(x.srv.p.cfg.DownGrace)
	}
	if !now.Before(w.giveUp) {
		return until, errGivenUp
	}
	if w.giveUp.Before(until) {
		until = w.giveUp
	}
	return until, nil
}

// maxMoves is how often a request goes on to another host because its host was
// found down: in a region whose hosts fail one after the other it must end.
const maxMoves = 3

// unanswered tells whether the host hasn't said a word about the request.
func (x *exchange) unanswered(l *link) bool { return l.in.Buffered() == 0 && l.interim == 0 }

// isDown tells whether checks have found the named host down.
func isDown(s *pool.Snapshot, name string) bool {
	h := s.Host(name)
	return h != nil && h.Verdict == pool.Down
}
