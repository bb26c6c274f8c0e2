package proxy

import (
	"errors"
	"sync/atomic"
	"time"

	"tokenring/http1"
)

// An upload sends one request with a body to the host while the host's answer
// is being waited for. A nil upload is that of a request without a body.
type upload struct {
	read    atomic.Bool // the client has sent it all, and the host is being sent the last piece
	stopped atomic.Bool // nobody waits for the rest any more

	ended chan struct{}
	sent  int64 // bytes of body; settled when ended is closed
	err   error // why it isn't whole; likewise

	// blame is set when it was the client that failed, before the host's
	// connection is closed because of that: what the reader of the answer then
	// sees is not the host's fault.
	blame atomic.Pointer[error]
}

// startUpload begins to send the head in x.out, and the body behind it. settle
// must be called to wait for its end.
func (x *exchange) startUpload(l *link) *upload {
	up := &upload{ended: make(chan struct{})}
	head := x.out // the goroutine's from now on
	x.out = *buffers.Get().(*[]byte)
	go func() {
		defer close(up.ended)
		defer x.survive()
		out, err := up.send(x, l, head)
		up.err = err
		putBuffer(out)
	}()
	return up
}

// send writes out, then the body as it comes.
func (up *upload) send(x *exchange, l *link, out []byte) ([]byte, error) {
	body := x.side.body()
	timeouts, limits := &x.srv.p.cfg.Timeouts, &x.srv.p.cfg.Limits
	if !x.side.early() { // nothing to send together with the head, and the client may wait for 100
		if _, err := l.nc.Write(out); err != nil {
			return out, err
		}
		out = out[:0]
	}
	for {
		x.side.readWithin(timeouts.Body)
		if up.stopped.Load() { // perhaps before the deadline was set
			return out, errStopped
		}
		data, err := body.Next()
		up.sent += int64(len(data))
		switch {
		case limits.Body > 0 && up.sent > limits.Body:
			err = errTooLarge
		case body.Done():
			err = nil
		}
		if err != nil {
			if !up.stopped.Load() {
				up.blame.Store(&err)
				if timedOut(err) {
					x.srv.p.gaveUp(slowUpload)
				}
			}
			l.nc.Close() // the host must not take what it has got for the whole
			return out, err
		}
		out = appendPiece(out, x.req.Framing, data)
		if body.Done() {
			out = appendEnd(out, x.req.Framing, body.Trailers())
			up.read.Store(true)
		}
		l.writeBy.within(timeouts.Response)
		if _, err := l.nc.Write(out); err != nil || body.Done() {
			return out, err
		}
		out = out[:0]
	}
}

// pending tells whether some of the body has yet to come from the client, or
// never will.
func (up *upload) pending() bool { return up != nil && !up.read.Load() }

// running tells whether the body is still going up.
func (up *upload) running() bool { return up != nil && !up.over(0) }

// over waits for the end of the upload, but not for longer than patience.
func (up *upload) over(patience time.Duration) bool {
	select {
	case <-up.ended:
		return true
	default:
	}
	if patience == 0 {
		return false
	}
	select {
	case <-up.ended:
		return true
	case <-time.After(patience):
		return false
	}
}

// clientsFault returns what the client did wrong, or nil.
func (up *upload) clientsFault() error {
	if up == nil {
		return nil
	}
	if err := up.blame.Load(); err != nil {
		return *err
	}
	return nil
}

// errStopped is the error of an upload that the answer came before the end of.
var errStopped = errors.New("the exchange ended before the request's body did")

// settle ends the upload, whole or not, and waits for it. The exchange is over
// by then: what of the body hasn't been read makes the client's connection
// unusable, and what hasn't been written the host's. Only the last write may
// still be on its way, because the host was quick to answer.
func (up *upload) settle(x *exchange, l *link, err error) error {
	const grace = 100 * time.Millisecond
	if up == nil {
		return err
	}
	if up.pending() {
		x.last = true
		up.stopped.Store(true)
		x.side.stopReading()
		l.nc.Close()
		err = errors.Join(err, errStopped)
	} else if !up.over(grace) {
		l.nc.Close()
		err = errors.Join(err, errStopped)
	}
	<-up.ended
	x.received = up.sent
	return errors.Join(err, up.err)
}

// hasBody tells whether there is anything to send behind the head. A length of 0
// is in the head alone.
func hasBody(r *http1.Request) bool {
	return r.Framing == http1.Chunked || r.Length > 0
}

// repeatable tells whether the request may be sent again although the host may
// have acted on it: it has no body, and its method is idempotent (RFC 9110
// §9.2.2).
func repeatable(r *http1.Request) bool {
	if hasBody(r) {
		return false
	}
	switch string(r.Method) {
	case "GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE":
		return true
	}
	return false
}
