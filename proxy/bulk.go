package proxy

import (
	"errors"
	"io"
	"net"
	"sync"
	"time"

	"tokenring/http1"
)

// Bodies of a known and large size are moved in large steps: from socket to
// socket inside the kernel (splice(2)) where both are in plain text, and through
// a large buffer otherwise. Either costs about half of what small steps do
// (`make bench`, b), but holds memory while a client takes its time. So there
// are so many places for it, each good for one step; who finds none goes on in
// small ones.
//
// The deadlines of a step begin with it: a client has to take a step within
// timeouts.body.
const (
	bulkLeast  = 64 << 10
	bulkBuffer = 64 << 10
	spliceStep = 128 << 10
	bulkPlaces = 256

	splicePlaces = 48 // each has the two files of a pipe
)

var (
	bulkBuffers = sync.Pool{New: func() any { return new([bulkBuffer]byte) }}
	bulkPlace   = make(chan struct{}, bulkPlaces)
	splicePlace = make(chan struct{}, splicePlaces)
)

// bulk moves what is to come of a large body, as far as it finds places, and
// settles the exchange if that fails.
func (x *exchange) bulk(l *link, up *upload, body *http1.Body) error {
	if body.Ahead() < bulkLeast {
		return nil
	}
	for body.Ahead() > 0 {
		select {
		case bulkPlace <- struct{}{}:
		default:
			return nil
		}
		err := x.placedStep(l, up, body)
		if errors.Is(err, errStalled) { // without a place, which others need
			if err = x.await(l, up); err != nil {
				err = x.brokenOff(l, up, err)
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// errStalled says that the host has sent nothing more for a while.
var errStalled = errors.New("the host has stalled")

// placedStep moves one step of the body, and gives its place back.
func (x *exchange) placedStep(l *link, up *upload, body *http1.Body) error {
	defer func() { <-bulkPlace }()
	return x.bulkStep(l, up, body)
}

// bulkStep moves one step of the body. It returns errStalled if that had to wait
// for the host for long.
func (x *exchange) bulkStep(l *link, up *upload, body *http1.Body) error {
	l.readBy.within(soon)
	if done, err := x.splice(l, up, body); done || err != nil {
		return err
	}
	buffer := bulkBuffers.Get().(*[bulkBuffer]byte)
	defer bulkBuffers.Put(buffer)
	n, err := l.nc.Read(buffer[:min(body.Ahead(), bulkBuffer)])
	switch {
	case n > 0:
	case timedOut(err):
		return errStalled
	case err == io.EOF:
		return x.brokenOff(l, up, io.ErrUnexpectedEOF)
	default:
		return x.brokenOff(l, up, err)
	}
	body.Took(int64(n))
	x.sent += int64(n)
	return x.reached(x.side.piece(buffer[:n]))
}

// A splicer is a side that can have the kernel move bytes to it.
type splicer interface {
	// splice moves up to n bytes. ok is false if it can't, and hasn't.
	splice(from *net.TCPConn, n int64) (moved int64, ok bool, err error)
	// late tells whether the client has been given up: a timeout may be its own.
	late() bool
	// forget is for an error that turns out to be the client's.
	forget(error)
}

// splice moves one step inside the kernel. It reports whether it could.
func (x *exchange) splice(l *link, up *upload, body *http1.Body) (done bool, err error) {
	to, ok := x.side.(splicer)
	from, isTCP := l.nc.(*net.TCPConn)
	if !ok || !isTCP {
		return false, nil
	}
	n, ok, err := to.splice(from, min(body.Ahead(), spliceStep))
	if !ok {
		return false, nil
	}
	body.Took(n)
	x.sent += n
	switch {
	case err == nil && n == 0:
		return true, x.brokenOff(l, up, io.ErrUnexpectedEOF)
	case timedOut(err) && !to.late():
		return true, errStalled
	case err != nil && l.failed(err):
		return true, x.brokenOff(l, up, err)
	}
	to.forget(err)
	return true, x.reached(err)
}

// failed tells whether it is the host's side of a splice that has failed: the
// error doesn't say. A connection in order has bytes, or waits for them, and one
// that was to blame for a timeout has none.
func (l *link) failed(err error) bool {
	_ = l.nc.SetReadDeadline(time.Now().Add(time.Millisecond))
	n, probe := l.nc.Read(make([]byte, 1))
	if timedOut(err) {
		return n == 0
	}
	return n == 0 && !timedOut(probe)
}

// late implements splicer.
func (c *conn) late() bool { return !time.Now().Before(c.writeBy.at) }

// splice implements splicer, for connections without TLS.
func (c *conn) splice(from *net.TCPConn, n int64) (moved int64, ok bool, err error) {
	to, isTCP := c.nc.(*net.TCPConn)
	if !isTCP || c.framing != http1.Length || len(c.x.out) > 0 {
		return 0, false, nil
	}
	select {
	case splicePlace <- struct{}{}:
		defer func() { <-splicePlace }()
	default:
		return 0, false, nil
	}
	c.writeBy.within(c.srv.p.cfg.Timeouts.Body)
	c.source = io.LimitedReader{R: from, N: n}
	moved, err = to.ReadFrom(&c.source)
	return moved, true, err
}
