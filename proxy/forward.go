package proxy

import (
	"errors"
	"time"

	"tokenring/http1"
)

// forward carries the request to its host and the answer back.
func (x *exchange) forward() {
	if x.lastHop() {
		return
	}
	for {
		l, u, err := x.reach()
		if err != nil {
			x.unreached(err)
			return
		}
		if !x.attempt(l, u) {
			return
		}
		x.fresh = true // so that the next attempt can't find its connection dead as well
		x.again()
	}
}

// attempt sends the request on l. It reports whether it is to be sent again,
// because l had been closed while it was idle, or because the host was found down.
func (x *exchange) attempt(l *link, u *upstream) (again bool) {
	u.gauges.Requests.Add(1)
	u.gauges.InFlight.Add(1)
	defer u.gauges.InFlight.Add(-1)
	kept := false
	defer func() { // even if a fault of ours ends the exchange
		if !kept {
			l.close()
		}
	}()
	err := x.roundTrip(l)
	x.link.Store(nil)
	x.srv.p.countRepairs(l)
	if err == nil && !x.spoils(l) {
		kept = true
		u.put(l)
		return false
	}
	return errors.Is(err, errStale) || errors.Is(err, errDown)
}

// spoils tells whether the host's connection can't be used for another request.
func (x *exchange) spoils(l *link) bool {
	return l.resp.Close || l.resp.Framing == http1.UntilClose || l.in.Repaired() != 0 || x.end != endDone
}

// errStale says that a reused connection ended before the host could say a
// word, with a request on it that may be sent again.
var errStale = errors.New("the host had closed the connection")

// roundTrip sends the request on l and the answer to the client. It settles how
// the exchange ended, except when it returns errStale or errDown.
func (x *exchange) roundTrip(l *link) error {
	up, err := x.send(l)
	if err == nil {
		err = x.receive(l, up)
	} else {
		err = x.hostFailed(l, up, err)
	}
	return up.settle(x, l, err)
}

// send writes the request's head, with the part of the body that is here
// already. A body is sent by a goroutine of its own, which settle waits for,
// because the host may answer before it has read everything.
func (x *exchange) send(l *link) (*upload, error) {
	x.out = x.appendRequest(x.out[:0])
	l.writeBy.within(x.srv.p.cfg.Timeouts.Response)
	if !hasBody(&x.req) {
		l.readBy.within(soon)
		return nil, l.ask(x.out)
	}
	return x.startUpload(l), nil
}

// receive reads the host's answer and relays it.
func (x *exchange) receive(l *link, up *upload) error {
	for {
		err := x.nextHead(l, up)
		switch {
		case err != nil:
			return x.hostFailed(l, up, err)
		case l.resp.Status == 101: // we offered no upgrade (RFC 9110 §15.2.2)
			return x.hostFailed(l, up, errUnasked)
		}
		l.used = false // it has spoken: not a connection that was closed while idle
		if l.resp.Status < 200 {
			if err := x.relayInterim(&l.resp); err != nil {
				return err
			}
			continue
		}
		x.answered = time.Since(x.started)
		return x.relay(l, up)
	}
}

var errUnasked = &http1.Error{Status: 502, Reason: "switching protocols unasked (RFC 9110 §15.2.2)"}

// relayInterim passes a 1xx on to clients that can read it. 100 is for those
// that wait for it.
func (x *exchange) relayInterim(resp *http1.Response) error {
	if x.req.Minor == 0 || (resp.Status == 100 && !x.req.Expect100) {
		return nil
	}
	x.srv.p.affinity.shield(resp.Fields)
	return x.reached(x.side.interim(resp))
}

// relay sends the final answer to the client as it comes, the head together
// with the first bytes of the body.
func (x *exchange) relay(l *link, up *upload) error {
	body := l.in.Body(l.resp.Framing, l.resp.Length)
	first, err := x.firstChunk(l, up, body)
	if err != nil {
		return x.hostFailed(l, up, err) // while nothing of the answer is out
	}
	if up.pending() {
		x.last = true // the rest of the request's body stands in the way of the next request
	}
	x.status = l.resp.Status
	x.keep(&l.resp)
	x.side.head(&l.resp)
	if body.Done() {
		return x.finishBody(body, first)
	}
	if len(first) > 0 {
		x.sent += int64(len(first))
		err = x.reached(x.side.piece(first))
	} else if l.in.Buffered() == 0 { // the head must not wait for a slow body
		err = x.reached(x.side.flush())
	}
	if err != nil {
		return err
	}
	return x.relayBody(l, up, body)
}

// firstChunk returns the data of the first chunk if its beginning has come with the
// head. The head waits for it: a broken chunk is answered with 502 then, rather
// than with the beginning of an answer.
func (x *exchange) firstChunk(l *link, up *upload, body *http1.Body) ([]byte, error) {
	if l.resp.Framing != http1.Chunked || l.in.Buffered() == 0 {
		return nil, nil
	}
	data, err := x.nextPiece(l, up, body)
	if body.Done() {
		err = nil
	}
	return data, err
}

// relayBody sends the body, of which the beginning may have been sent already.
func (x *exchange) relayBody(l *link, up *upload, body *http1.Body) error {
	for {
		if err := x.bulk(l, up, body); err != nil {
			return err
		}
		data, err := x.nextPiece(l, up, body)
		if err != nil && !body.Done() {
			return x.brokenOff(l, up, err)
		}
		if body.Done() {
			return x.finishBody(body, data)
		}
		x.sent += int64(len(data))
		if err := x.reached(x.side.piece(data)); err != nil {
			return err
		}
	}
}

// finishBody sends the last piece, and what ends the body.
func (x *exchange) finishBody(body *http1.Body, data []byte) error {
	x.sent += int64(len(data))
	return x.finish(x.side.end(data, body.Trailers()))
}

// reached passes on the error of a write to the client. A client that takes
// nothing ends the exchange, and must not take the part that it gets later for
// the whole.
func (x *exchange) reached(err error) error {
	if err != nil {
		x.side.cut()
		x.last = true
		x.end = endClientGone
		if timedOut(err) {
			x.end, x.reason = endTimeout, "the client took nothing of its answer for too long"
			x.srv.p.gaveUp(slowAnswer)
		}
	}
	return err
}

// finish notes that the answer is whole, if it could be written.
func (x *exchange) finish(err error) error {
	if x.reached(err) == nil {
		x.end = endDone
	}
	return err
}

// brokenOff ends an answer whose head is out but whose body the host didn't
// finish: the client sees its connection end, which is the only way left to say
// that the answer isn't whole (RFC 9112 §8).
func (x *exchange) brokenOff(l *link, up *upload, err error) error {
	if x.aborted.Load() {
		return x.leave(err)
	}
	x.last = true
	defer x.side.cut()
	if fault := up.clientsFault(); fault != nil {
		f := clientFault(fault)
		x.end, x.reason = f.end, f.detail
		return fault
	}
	if l.upstream.retired() {
		x.end, x.reason = endMoved, reasonMoved
		return err
	}
	f, _ := hostFault(err)
	x.end, x.reason = f.end, f.detail
	x.refusedAnswer(err)
	x.srv.p.blame(x.host.Name, "body")
	x.host.Gauges.Resets.Add(1)
	return err
}
