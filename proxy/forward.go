package proxy

import (
	"errors"
	"time"

	"tokenring/http1"
)

// forward carries the request to its host and the answer back.
func (c *conn) forward() {
	l, u, err := c.reach()
	if err != nil {
		c.unreached(err)
		return
	}
	u.gauges.Requests.Add(1)
	u.gauges.InFlight.Add(1)
	defer u.gauges.InFlight.Add(-1)

	err = c.roundTrip(l)
	if errors.Is(err, errStale) {
		l.close()
		c.x.fresh = true
		if l, u, err = c.reach(); err != nil {
			c.unreached(err)
			return
		}
		c.srv.p.opt.Metrics.retries.Inc()
		c.x.retried = true
		err = c.roundTrip(l)
	}
	c.link.Store(nil)
	if err == nil && !c.x.spoils(l) {
		u.put(l)
		return
	}
	l.close()
}

// spoils tells whether the host's connection can't be used for another request.
func (x *exchange) spoils(l *link) bool {
	return l.resp.Close || l.resp.Framing == http1.UntilClose || x.end != endDone
}

// errStale says that a reused connection ended before the host could say a
// word, with a request on it that may be sent again.
var errStale = errors.New("the host had closed the connection")

// roundTrip sends the request on l and the answer to the client. It settles how
// the exchange ended, except when it returns errStale.
func (c *conn) roundTrip(l *link) error {
	up, err := c.send(l)
	if err == nil {
		err = c.receive(l, up)
	} else {
		err = c.hostFailed(l, up, err)
	}
	return up.settle(c, l, err)
}

// send writes the request's head, with the part of the body that is here
// already. A body is sent by a goroutine of its own, which settle waits for,
// because the host may answer before it has read everything.
func (c *conn) send(l *link) (*upload, error) {
	c.out = c.appendRequest(c.out[:0])
	l.writeBy.within(c.srv.p.cfg.Timeouts.Response)
	if c.req.Framing == http1.NoBody {
		_, err := l.nc.Write(c.out)
		return nil, err
	}
	return c.startUpload(l), nil
}

// receive reads the host's answer and relays it.
func (c *conn) receive(l *link, up *upload) error {
	for {
		l.readBy.within(c.srv.p.cfg.Timeouts.Response)
		err := l.answer(c.req.Method)
		switch {
		case timedOut(err) && up.running() && up.clientsFault() == nil:
			continue // it is the client that takes its time
		case err != nil:
			return c.hostFailed(l, up, err)
		case l.resp.Status == 101: // we offered no upgrade (RFC 9110 §15.2.2)
			return c.hostFailed(l, up, errUnasked)
		case l.resp.Status < 200:
			l.used = false // it has spoken: not a connection that was closed while idle
			if err := c.relayInterim(&l.resp); err != nil {
				return err
			}
			continue
		}
		c.x.answered = time.Since(c.x.started)
		return c.relay(l, up)
	}
}

var errUnasked = &http1.Error{Status: 502, Reason: "switching protocols unasked (RFC 9110 §15.2.2)"}

// relayInterim passes a 1xx on to clients that can read it. 100 is for those
// that wait for it.
func (c *conn) relayInterim(resp *http1.Response) error {
	if c.req.Minor == 0 || (resp.Status == 100 && !c.req.Expect100) {
		return nil
	}
	return c.toClient(appendInterim(nil, resp))
}

// relay sends the final answer to the client as it comes, the head together
// with the first bytes of the body.
func (c *conn) relay(l *link, up *upload) error {
	if up.pending() {
		c.x.last = true // the rest of the request's body stands in the way of the next request
	}
	c.x.status = l.resp.Status
	c.out = c.appendResponse(c.out[:0], &l.resp)
	if l.resp.Framing == http1.NoBody {
		return c.finish(c.toClient(c.out))
	}
	body := l.in.Body(l.resp.Framing, l.resp.Length)
	if l.in.Buffered() == 0 && !body.Done() {
		if err := c.flush(); err != nil { // the head must not wait for a slow body
			return err
		}
	}
	for {
		l.readBy.within(c.srv.p.cfg.Timeouts.Response)
		data, err := body.Next()
		if err != nil && !body.Done() {
			return c.brokenOff(up, err)
		}
		c.x.sent += int64(len(data))
		if body.Done() {
			c.out = appendEnd(appendPiece(c.out, c.x.framing, data), c.x.framing, body.Trailers())
			return c.finish(c.flush())
		}
		if err := c.pass(data); err != nil {
			return err
		}
	}
}

// pass sends one piece of a body, with whatever waits in c.out before it. The
// bulk of a large body isn't copied.
func (c *conn) pass(data []byte) error {
	if c.x.framing != http1.Chunked && len(c.out) == 0 {
		return c.toClient(data)
	}
	c.out = appendPiece(c.out, c.x.framing, data)
	return c.flush()
}

// flush writes what waits in c.out.
func (c *conn) flush() error {
	if len(c.out) == 0 {
		return nil
	}
	err := c.toClient(c.out)
	c.out = c.out[:0]
	return err
}

// toClient writes to the client. A client that takes nothing ends the exchange,
// and must not take the part that it gets later for the whole.
func (c *conn) toClient(b []byte) error {
	err := c.write(b)
	if err != nil {
		c.cutOff(true)
		c.x.last = true
		c.x.end = endClientGone
		if timedOut(err) {
			c.x.end = endTimeout
		}
	}
	return err
}

// finish notes that the answer is whole, if it could be written.
func (c *conn) finish(err error) error {
	if err == nil {
		c.x.end = endDone
	}
	return err
}

// brokenOff ends an answer whose head is out but whose body the host didn't
// finish: the client sees its connection end, which is the only way left to say
// that the answer isn't whole (RFC 9112 §8).
func (c *conn) brokenOff(up *upload, err error) error {
	c.x.last = true
	defer c.cutOff(c.x.framing == http1.UntilClose)
	if fault := up.clientsFault(); fault != nil {
		c.x.end = clientsEnd(fault)
		return fault
	}
	c.x.end = endHostFailed
	if timedOut(err) {
		c.x.end = endTimeout
	}
	c.srv.p.blame(c.x.host.Name, "body")
	c.x.host.Gauges.Resets.Add(1)
	return err
}

// appendPiece appends data as a body of that framing has it.
func appendPiece(dst []byte, framing http1.Framing, data []byte) []byte {
	if framing != http1.Chunked || len(data) == 0 { // an empty chunk would be the last
		return append(dst, data...)
	}
	dst = http1.AppendChunkHeader(dst, len(data))
	dst = append(dst, data...)
	return append(dst, "\r\n"...)
}

// appendEnd appends what ends a body of that framing.
func appendEnd(dst []byte, framing http1.Framing, trailers []http1.Field) []byte {
	if framing != http1.Chunked {
		return dst
	}
	return http1.AppendLastChunk(dst, trailers)
}
