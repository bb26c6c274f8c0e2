package proxy

import (
	"context"
	"errors"
	"os"
	"sync"
	"time"

	"tokenring/http1"
	"tokenring/poller"
	"tokenring/proxy/deadline"
	"tokenring/proxy/metrics"
	"tokenring/proxy/pools"
	"tokenring/proxy/queue"
	"tokenring/proxy/upstream"
	"tokenring/route"
)

// An exchange waits for its host in two steps. The first one is a read with a deadline of
// firstWait, in which most answers come. The second one is await, which also ends when
// the client leaves, or when health checks find the host down.

// firstWait is how long the first step takes.
const firstWait = 150 * time.Millisecond

// Why an exchange waits for its host no longer.
var (
	// errDown says that the host was found down before it had sent anything, and that
	// the request may be sent to another host.
	errDown = errors.New("the host was found down before it answered")
	// errGivenUp says that the host has been down for too long, and that the request
	// must not be sent to another host.
	errGivenUp = errors.New("the host has been down for too long")
	// errMaint says that the host of a WebSocket handshake is in maint.
	errMaint = errors.New("the host went to maintenance before it answered")
)

// nextHead reads the next head of the host's answer. It waits in both steps.
func (x *exchange) nextHead(uc *upstream.Conn, up *upload) error {
	for {
		uc.ReadBy.Within(firstWait)
		err := uc.ReadAnswer(x.req.Method)
		if !deadline.Exceeded(err) {
			return err
		}
		if err = x.await(uc, up); err != nil {
			return err
		}
	}
}

// nextPiece reads the next piece of the answer's body. It waits in both steps.
func (x *exchange) nextPiece(uc *upstream.Conn, up *upload, body *http1.Body) ([]byte, error) {
	for {
		uc.ReadBy.Within(firstWait)
		data, err := body.Next()
		if !deadline.Exceeded(err) {
			return data, err
		}
		if err = x.await(uc, up); err != nil {
			return nil, err
		}
	}
}

// await blocks until the host has sent something on uc, or has closed it; the next read
// tells which. Otherwise it returns errDown, errGivenUp, errMaint, or a timeout after
// Timeouts.Response. If the client has left, it aborts the exchange and returns
// errAborted. If the exchange was aborted before, it returns the error of a closed
// connection.
func (x *exchange) await(uc *upstream.Conn, up *upload) error {
	if !uc.HasSocket() { // as in tests: WaitReadable needs a socket
		return os.ErrDeadlineExceeded
	}
	x.keep()
	w := &hostWait{x: x, uc: uc, up: up, limit: time.Now().Add(x.pool.Timeouts.Response)}
	uc.Host.Watch(w)
	defer w.stop()
	for {
		until, err := w.check()
		if err != nil {
			return err
		}
		if !w.sleep(until) {
			continue
		}
		if err := uc.WaitReadable(); !deadline.Exceeded(err) {
			return err
		}
		if !time.Now().Before(w.limit) && !up.running() {
			return os.ErrDeadlineExceeded
		}
	}
}

// A hostWait is the state of await. It belongs to the exchange's goroutine, except Note
// and Ready, which are safe for concurrent use.
type hostWait struct {
	x     *exchange
	uc    *upstream.Conn
	up    *upload
	limit time.Time // by when the host must send its next byte

	watching bool   // the client is watched: unwatch must be called
	reading  bool   // no other goroutine reads from the client
	unwatch  func() // ends watching the client

	giveUp time.Time // when the host will have been down for too long; zero while it is up

	mu    sync.Mutex
	noted bool // something has happened
	over  bool // the wait has ended
}

// Note implements upstream.Watcher: it makes the exchange's goroutine check again. It
// doesn't block.
func (w *hostWait) Note() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.noted = true
	if !w.over {
		_ = w.uc.SetReadDeadline(time.Unix(1, 0))
	}
}

// Ready implements poller.Handler, for an event on the client's connection.
func (w *hostWait) Ready(int, poller.Event) (more bool) {
	w.Note()
	return false
}

// Tick implements poller.Handler.
func (w *hostWait) Tick(time.Time) {}

// clear resets noted before a check.
func (w *hostWait) clear() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.noted = false
}

// sleep sets the deadline of the wait. It reports false, and sets none, if something was
// noted since the last check.
func (w *hostWait) sleep(until time.Time) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.noted {
		return false
	}
	w.uc.ReadBy.Set(until)
	return true
}

// stop ends the wait. After it, Note no longer changes the connection's deadline.
func (w *hostWait) stop() {
	w.uc.Host.Unwatch(w)
	if w.watching {
		w.unwatch()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.over = true
	w.uc.ReadBy.Forget() // a note may have changed it
}

// check returns until when to wait if nothing is noted before. It returns an error if the
// wait is to end.
func (w *hostWait) check() (until time.Time, err error) {
	w.clear()
	w.watchClient()
	switch {
	case w.x.downstream.gone(w.reading):
		w.x.abort()
		return time.Time{}, errAborted
	case w.up.running(): // the host may wait for the rest of the body
		const again = time.Second
		now := time.Now()
		w.limit, until = now.Add(w.x.pool.Timeouts.Response), now.Add(again)
	default:
		until = w.limit
	}
	return w.checkHost(until)
}

// watchClient makes events on the client's connection call Note. It watches anew when
// the upload has ended, because other events count from then on.
func (w *hostWait) watchClient() {
	reading := !w.up.running()
	if w.watching && w.reading == reading {
		return
	}
	if w.watching {
		w.unwatch()
	}
	w.watching, w.reading = true, reading
	w.unwatch = w.x.downstream.watch(w, reading)
}

// checkHost applies the state of the host to an answer that hasn't begun. A host in maint
// gets no terminal. If the host is down, a request that may be sent again waits no
// longer. Any other request waits for Config.DownGrace, because the host may still
// answer it.
func (w *hostWait) checkHost(until time.Time) (time.Time, error) {
	x := w.x
	s := x.pool.Snapshot()
	if x.changesProtocol() && x.answered == 0 && pools.InMaint(s, x.host.Name) {
		return until, errMaint
	}
	if x.answered != 0 || !x.isDown(s) {
		w.giveUp = time.Time{}
		return until, nil
	}
	if w.uc.Unanswered() && x.req.Repeatable() && x.failovers < maxFailovers {
		x.failovers++
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

// maxFailovers is how often a request is sent to another host because its host was found
// down. It bounds a request in a region whose hosts fail one after the other.
const maxFailovers = 3

// isDown reports whether the host is down. While its terminals work, it isn't for a request
// that follows one of them.
func (x *exchange) isDown(s *route.Snapshot) bool {
	h := s.Host(x.host.Name)
	return h != nil && x.srv.p.verdicts.Down(h.Name, h.Verdict == route.Down) && !(route.Holds(x.rule) && h.Sends())
}

// reachAgain connects to the host that was chosen before this process retired, because the
// host had closed the connection. Other requests are for the newest process.
func (x *exchange) reachAgain() (*upstream.Conn, *upstream.Host, error) {
	if x.host == nil || x.changesProtocol() || x.chance != nil {
		return nil, nil, errRetired
	}
	p := x.srv.p
	r := x.pool.Hosts()
	h := r.Snapshot.Host(x.host.Name)
	if h == nil || p.verdicts.Down(h.Name, h.Verdict == route.Down) {
		return nil, nil, errRetired
	}
	u := r.Upstreams[h.Name]
	uc, err := x.dial(u)
	switch {
	case x.aborted.Load():
		return nil, nil, errAborted
	case err != nil:
		return nil, nil, errRetired
	}
	return uc, u, nil
}

// enter takes one of the host's slots, if requests to it are bounded, and waits for one in the host's
// queue. It returns errAgain if the host is to be chosen again: the key may have gone elsewhere
// meanwhile, the host can't serve the request any more, or a full host is passed by. Otherwise an
// error is errFull, errAborted or errRetired.
func (x *exchange) enter(r *pools.Hosts, u *upstream.Host) error {
	if x.host.MaxConnections == 0 || x.queue.Has(&u.Slots) {
		return nil
	}
	place, taken := x.queue.Take(&u.Slots, &x.pool.Queue, time.Now())
	result := metrics.QueueFull
	switch {
	case taken:
		return nil
	case place != nil:
		result = x.queueFor(place, r, u)
	}
	x.srv.p.opt.Metrics.Hosts.Queued.WithLabelValues(result).Inc()
	switch result {
	case metrics.QueueServed:
		if x.key.Present() {
			return errAgain
		}
		return nil
	case metrics.QueueLost:
		return errAgain
	case metrics.QueueGone:
		return errAborted
	case metrics.QueueRetired:
		return errRetired
	}
	if x.pool.Queue.Then == queue.Next && !x.key.Present() {
		x.queue.GoPast(u.Name)
		return errAgain
	}
	return errFull
}

// queueFor waits for the turn of a place, and leaves it. It returns what became of it: the request
// has a slot if that is metrics.QueueServed.
func (x *exchange) queueFor(place *queue.Place, r *pools.Hosts, u *upstream.Host) (result string) {
	began := time.Now()
	u.Gauges.Queued.Add(1)
	defer u.Gauges.Queued.Add(-1)
	d := x.startDialing()
	defer d.stop()
	limit := time.NewTimer(x.queue.Left(began))
	defer limit.Stop()
	for result == "" {
		select {
		case <-place.Granted():
			result = metrics.QueueServed
		case <-limit.C:
			result = metrics.QueueTimeout
		case <-d.ctx.Done():
			result = metrics.QueueGone
		case <-x.srv.p.decisions.Ending():
			result = metrics.QueueRetired
		case <-r.Replaced:
			if r = x.pool.Hosts(); r.Upstreams[u.Name] != u || x.isDown(r.Snapshot) || pools.InMaint(r.Snapshot, u.Name) {
				result = metrics.QueueLost
			}
		}
	}
	if x.queue.Leave(place, time.Since(began)) {
		if result == metrics.QueueTimeout {
			return metrics.QueueServed
		}
		if result != metrics.QueueServed {
			x.queue.Release()
		}
	}
	return result
}

// A dialing is the opening of a connection to a host, or the wait for a host that has
// moved. After firstWait it also watches the client, and aborts the exchange if the
// client leaves.
type dialing struct {
	x      *exchange
	ctx    context.Context
	cancel context.CancelFunc
	timer  *time.Timer // calls watch

	mu      sync.Mutex
	over    bool
	unwatch func() // ends watching the client; nil before it is watched
}

// startDialing returns a dialing that abort cancels. The caller must call stop.
func (x *exchange) startDialing() *dialing {
	d := &dialing{x: x}
	d.ctx, d.cancel = context.WithCancel(x.srv.hardStop)
	x.dialing.Store(d)
	if x.aborted.Load() {
		d.cancel()
	}
	d.timer = time.AfterFunc(firstWait, d.watch)
	return d
}

func (d *dialing) watch() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.over {
		d.unwatch = d.x.downstream.watch(d, false)
	}
}

// Ready implements poller.Handler, for an event on the client's connection.
func (d *dialing) Ready(int, poller.Event) (more bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.over && d.x.downstream.gone(false) {
		d.x.abort()
	}
	return false
}

// Tick implements poller.Handler.
func (d *dialing) Tick(time.Time) {}

// stop ends the dialing. After it, the dialing no longer aborts the exchange.
func (d *dialing) stop() {
	d.timer.Stop()
	d.x.dialing.Store(nil)
	d.cancel()
	d.mu.Lock()
	defer d.mu.Unlock()
	d.over = true
	if d.unwatch != nil {
		d.unwatch()
	}
}
