package proxy

import (
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"tokenring/http1"
	"tokenring/proxy/deadline"
	"tokenring/proxy/metrics"
	"tokenring/proxy/rewrite"
	"tokenring/proxy/socket"
	"tokenring/proxy/upstream"
)

// An upload sends a request's head and body to the host, in a goroutine of its own, while
// the exchange waits for the answer. A nil *upload is that of a request without a body.
type upload struct {
	read    atomic.Bool // the whole body has come from the client
	stopped atomic.Bool // the exchange is over: the rest of the body isn't needed

	ended chan struct{}
	sent  int64 // bytes of body; may be read once ended is closed
	err   error // why the upload failed; likewise

	// clientErr is why the client's side has failed. It is set before the connection to
	// the host is cut, so that the reader of the answer doesn't count a failure of the
	// host.
	clientErr atomic.Pointer[error]
}

// startUpload begins to send the head in x.out, and the body after it. The caller must
// call finish.
func (x *exchange) startUpload(uc *upstream.Conn) *upload {
	up := &upload{ended: make(chan struct{})}
	head := x.out // belongs to the goroutine from now on
	x.out = *buffers.Get().(*[]byte)
	go func() {
		defer close(up.ended)
		defer x.recoverPanic()
		out, err := up.send(x, uc, head)
		up.err = err
		putBuffer(out)
	}()
	return up
}

// send writes the head in out, then the body as it comes. It returns the buffer.
func (up *upload) send(x *exchange, uc *upstream.Conn, out []byte) ([]byte, error) {
	body := x.downstream.body()
	timeouts, limits := &x.pool.Timeouts, &x.srv.p.cfg.Limits
	if !x.downstream.early() { // the head must go out now: the client may wait for 100
		if _, err := uc.Write(out); err != nil {
			return out, err
		}
		out = out[:0]
	}
	for {
		x.downstream.readWithin(timeouts.Body)
		if up.stopped.Load() { // checked after readWithin, which may have undone stopReading
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
				up.clientErr.Store(&err)
				if deadline.Exceeded(err) {
					x.srv.p.opt.Metrics.Connections.Timeout(metrics.PhaseUpload)
				}
			}
			uc.Cut() // the host must not take a part of the body for the whole
			return out, err
		}
		out = rewrite.AppendPiece(out, x.req.Framing, data)
		if body.Done() {
			out = rewrite.AppendEnd(out, x.req.Framing, body.Trailers())
			up.read.Store(true)
		}
		uc.WriteBy.Within(timeouts.Response)
		if _, err := uc.Write(out); err != nil || body.Done() {
			return out, err
		}
		out = out[:0]
	}
}

// pending reports whether the client hasn't sent the whole body.
func (up *upload) pending() bool { return up != nil && !up.read.Load() }

// running reports whether the upload hasn't ended.
func (up *upload) running() bool { return up != nil && !up.over(0) }

// over waits for the end of the upload, for a timeout at most, and reports whether it has
// ended.
func (up *upload) over(timeout time.Duration) bool {
	select {
	case <-up.ended:
		return true
	default:
	}
	if timeout == 0 {
		return false
	}
	select {
	case <-up.ended:
		return true
	case <-time.After(timeout):
		return false
	}
}

// clientError returns why the client's side has failed, nil if it hasn't.
func (up *upload) clientError() error {
	if up == nil {
		return nil
	}
	if err := up.clientErr.Load(); err != nil {
		return *err
	}
	return nil
}

// errStopped says that the exchange ended before its upload.
var errStopped = errors.New("the exchange ended before the request's body did")

// finish ends the upload and waits for its goroutine. The exchange is over: if the client
// hasn't sent the whole body, its connection can't be used again, and if the host hasn't
// got the whole body, neither can the host's connection. finish waits a moment for the
// last write, because a host may answer before that write returns. It returns err, the
// error of the exchange, joined with that of the upload.
func (up *upload) finish(x *exchange, uc *upstream.Conn, err error) error {
	const grace = 100 * time.Millisecond
	if up == nil {
		return err
	}
	if up.pending() {
		x.last = true
		up.stopped.Store(true)
		x.downstream.stopReading()
		uc.Cut()
		err = errors.Join(err, errStopped)
	} else if !up.over(grace) {
		uc.Cut()
		err = errors.Join(err, errStopped)
	}
	<-up.ended
	x.received = up.sent
	return errors.Join(err, up.err)
}

// Bodies of a known and large size are moved in large steps. If neither side has TLS,
// the kernel moves them from socket to socket (splice(2)); otherwise they go through a
// large buffer. Large steps cost about half as much as small steps (`make bench`, b), but
// they use memory while a client is slow. So their number at a time is limited. An
// exchange that finds the limit reached goes on in small steps.
//
// The deadlines of a step begin with it: a client has to take each step within
// Timeouts.Body.
const (
	largeBody     = 64 << 10 // bytes that are left of a body, at least
	bufferedStep  = 64 << 10
	splicedStep   = 128 << 10
	maxLargeSteps = 256
)

var (
	stepBuffers = sync.Pool{New: func() any { return new([bufferedStep]byte) }}
	largeSteps  = make(chan struct{}, maxLargeSteps)
)

// relayLarge moves the rest of a large body, as far as the limit of large steps allows.
// If it fails, it ends the exchange and returns the error.
func (x *exchange) relayLarge(uc *upstream.Conn, up *upload, body *http1.Body) error {
	if body.Ahead() < largeBody {
		return nil
	}
	x.keep()
	for body.Ahead() > 0 {
		select {
		case largeSteps <- struct{}{}:
		default:
			return nil
		}
		err := x.countedStep(uc, up, body)
		if errors.Is(err, errStalled) { // the wait doesn't count as a large step
			if err = x.await(uc, up); err != nil {
				err = x.brokenOff(uc, up, err)
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// errStalled says that the host has sent nothing for firstWait.
var errStalled = errors.New("the host has stalled")

// countedStep calls largeStep, and then gives back its place in largeSteps.
func (x *exchange) countedStep(uc *upstream.Conn, up *upload, body *http1.Body) error {
	defer func() { <-largeSteps }()
	return x.largeStep(uc, up, body)
}

// largeStep moves one step of the body. It returns errStalled if nothing comes from the
// host within firstWait.
func (x *exchange) largeStep(uc *upstream.Conn, up *upload, body *http1.Body) error {
	uc.ReadBy.Within(firstWait)
	if done, err := x.splice(uc, up, body); done || err != nil {
		return err
	}
	buffer := stepBuffers.Get().(*[bufferedStep]byte)
	defer stepBuffers.Put(buffer)
	n, err := uc.Read(buffer[:min(body.Ahead(), bufferedStep)])
	switch {
	case n > 0:
	case deadline.Exceeded(err):
		return errStalled
	case err == io.EOF:
		return x.brokenOff(uc, up, io.ErrUnexpectedEOF)
	default:
		return x.brokenOff(uc, up, err)
	}
	body.Took(int64(n))
	x.sent += int64(n)
	return x.delivered(x.downstream.piece(buffer[:n]))
}

// A splicer is a downstream to which the kernel can move bytes.
type splicer interface {
	// splice moves up to n bytes. If ok is false, it can't, and nothing has moved.
	splice(from *net.TCPConn, n int64) (moved int64, ok bool, err error)
	// writeTimedOut reports whether the deadline of writes to the client has passed.
	writeTimedOut() bool
	// discardUnsent is called with an error that the client has caused.
	discardUnsent(error)
}

// splice moves one step inside the kernel. done is false if the kernel can't.
func (x *exchange) splice(uc *upstream.Conn, up *upload, body *http1.Body) (done bool, err error) {
	to, ok := x.downstream.(splicer)
	from, isTCP := uc.Conn.(*net.TCPConn)
	if !ok || !isTCP {
		return false, nil
	}
	n, ok, err := to.splice(from, min(body.Ahead(), splicedStep))
	if !ok {
		return false, nil
	}
	body.Took(n)
	x.sent += n
	switch {
	case err == nil && n == 0:
		return true, x.brokenOff(uc, up, io.ErrUnexpectedEOF)
	case deadline.Exceeded(err) && !to.writeTimedOut():
		return true, errStalled
	case err != nil && socket.SourceFailed(uc.Conn, err):
		return true, x.brokenOff(uc, up, err)
	}
	to.discardUnsent(err)
	return true, x.delivered(err)
}

// writeTimedOut implements splicer.
func (c *conn) writeTimedOut() bool { return c.writeBy.Passed() }

// splice implements splicer, for connections without TLS.
func (c *conn) splice(from *net.TCPConn, n int64) (moved int64, ok bool, err error) {
	to, isTCP := c.nc.(*net.TCPConn)
	if !isTCP || c.framing != http1.Length || len(c.x.out) > 0 {
		return 0, false, nil
	}
	c.writeBy.Within(c.x.pool.Timeouts.Body)
	return c.splicer.Move(to, from, n)
}
