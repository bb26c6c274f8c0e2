package proxy

import (
	"errors"
	"time"

	"tokenring/http1"
)

// openTunnel carries a WebSocket handshake to the key's host, and to the next one
// if the host is found down before it has answered. If the host agrees, the
// connection becomes a tunnel, which goes on without this goroutine; if not, the
// host's answer is relayed like any other.
func (c *conn) openTunnel() {
	for c.tryTunnel() {
		c.x.again()
	}
}

// tryTunnel reports whether the handshake is to be sent again, because its host was
// found down.
func (c *conn) tryTunnel() (again bool) {
	t, l, u, err := c.claim()
	if err != nil {
		c.x.unreached(err)
		return false
	}
	defer l.close()
	defer c.srv.p.countRepairs(l)
	opened := false
	defer func() { // even if a fault of ours ends the handshake
		if !opened {
			c.srv.p.sessions.leave(t)
		}
	}()
	u.gauges.Requests.Add(1)
	if inMaint(c.srv.p.routes.Load().snapshot, u.name) { // since it was chosen: Use may have missed t
		t.end(endMaint)
	}
	opened, again = c.handOver(t, l, u)
	return again
}

// claim reaches the key's host, and returns an opening tunnel there. While it was
// connecting, the key's host may have failed and another terminal of the key have
// found the next, or the host may have moved: then this one goes there as well.
func (c *conn) claim() (*tunnel, *link, *upstream, error) {
	for range 2 {
		l, u, err := c.x.reach()
		if err != nil {
			return nil, nil, nil, err
		}
		if t := c.newTunnel(u); t != nil {
			if !u.retired() { // else Use may have missed t
				return t, l, u, nil
			}
			c.srv.p.sessions.leave(t)
		}
		l.close()
	}
	return nil, nil, nil, errNoHost
}

// newTunnel returns an opening tunnel to u that is counted among its key's, nil if
// these are kept on another host.
func (c *conn) newTunnel(u *upstream) *tunnel {
	limits := &c.srv.p.cfg.Timeouts
	t := &tunnel{upstream: u, idle: limits.Tunnel, short: limits.Idle}
	t.client.side, t.back.side = endClient, endHost
	key := c.x.key
	if len(key) == 0 {
		key = c.id // a tunnel of its own: the id is ours, unlike one that a trusted client sends
	} else if table := c.srv.p.routes.Load().snapshot.Table; len(table.Hosts()) > 0 {
		t.place, t.keyed = table.Hash(key), true
	}
	if !c.srv.p.sessions.enter(key, t, c.srv.p.keeps) {
		return nil
	}
	c.tunnel.Store(t)
	return t
}

// handOver does the handshake with the host, and leaves the connection to the
// tunnel, which is open then. If it isn't, the client has its answer, unless the
// handshake is to be sent again.
func (c *conn) handOver(t *tunnel, l *link, u *upstream) (opened, again bool) {
	if t.ended() != "" {
		c.tooLate(t)
		return false, false
	}
	agreed, err := c.upgrade(l)
	if err != nil {
		return false, errors.Is(err, errDown)
	}
	if !agreed {
		c.x.last = true
		_ = c.x.relay(l, nil)
		return false, false
	}
	return c.becomeTunnel(t, l, u), false
}

// tooLate answers for a tunnel that was ended before it was open.
func (c *conn) tooLate(t *tunnel) {
	c.x.fail(goingOut(t.ended()))
}

// upgrade sends the handshake and reads the host's answer to it. It reports
// whether the host switched to the protocol that was asked for; on an error,
// the client has been answered, unless that is errDown.
func (c *conn) upgrade(l *link) (bool, error) {
	c.x.out = c.x.appendRequest(c.x.out[:0])
	l.writeBy.within(c.srv.p.cfg.Timeouts.Response)
	if _, err := l.nc.Write(c.x.out); err != nil {
		return false, c.x.hostFailed(l, nil, err)
	}
	for {
		if err := c.x.nextHead(l, nil); err != nil {
			return false, c.x.hostFailed(l, nil, err)
		}
		if l.resp.Status < 200 && l.resp.Status != 101 {
			continue
		}
		c.x.answered = time.Since(c.x.started)
		switch {
		case l.resp.Status != 101:
			return false, nil
		case !c.accepted(&l.resp):
			return false, c.x.hostFailed(l, nil, errBadUpgrade)
		}
		return true, nil
	}
}

var errBadUpgrade = &http1.Error{Status: 502, Reason: "a 101 that doesn't answer this handshake (RFC 6455 §4.1)"}

// accepted tells whether resp is the answer to the client's handshake: the
// proof that the host is a WebSocket server that has read it.
func (c *conn) accepted(resp *http1.Response) bool {
	var key, accept []byte
	for i := range c.x.req.Fields {
		if c.x.req.Fields[i].Kind == http1.KindSecWebSocketKey {
			key = c.x.req.Fields[i].Value
		}
	}
	count := 0
	for i := range resp.Fields {
		if resp.Fields[i].Kind == http1.KindSecWebSocketAccept {
			accept = resp.Fields[i].Value
			count++
		}
	}
	return resp.Upgrade && count == 1 && string(accept) == http1.AcceptKey(key)
}

// becomeTunnel hands the connection to t, with the 101 and what either side has
// sent behind its head already.
func (c *conn) becomeTunnel(t *tunnel, l *link, u *upstream) bool {
	c.x.status, c.x.last = 101, true
	c.x.keep(&l.resp)
	early, head := c.in.Unread(), appendUpgrade(c.x.out[:0], &l.resp, c.x.id)
	c.x.received, c.x.sent = int64(len(early)), int64(l.in.Buffered())
	c.x.out = append(head, l.in.Unread()...)
	a := &account{srv: c.srv, upstream: u, entry: c.x.entry().lasting()}
	a.open(t)
	defer func() { // even if a fault of ours has kept the tunnel from opening
		if !t.opened() {
			a.close(t)
		}
	}()
	err := t.open(passage{client: c.nc, host: l.nc, lot: c.srv.lot(), account: a}, c.x.out, early)
	if err == nil {
		c.x.handed = true
		c.srv.p.opt.Metrics.answered(101)
		return true
	}
	if errors.Is(err, errEnded) {
		c.tooLate(t)
	} else {
		c.x.fail(short)
	}
	return false
}

// appendUpgrade appends the 101 head that the client gets (RFC 6455 §4.2.2).
func appendUpgrade(dst []byte, resp *http1.Response, id []byte) []byte {
	dst = http1.AppendStatusLine(dst, 101, nil)
	dst = append(dst, "Connection: Upgrade\r\nUpgrade: websocket\r\n"...)
	dst = appendEndToEnd(dst, resp.Fields)
	dst = http1.AppendField(dst, requestID, id)
	return append(dst, "\r\n"...)
}
