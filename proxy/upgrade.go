package proxy

import (
	"time"

	"tokenring/http1"
)

// openTunnel carries a WebSocket handshake to the key's host. If the host
// agrees, the connection is a tunnel until it ends; if not, its answer is
// relayed like any other.
func (c *conn) openTunnel() {
	l, u, err := c.reach()
	if err != nil {
		c.unreached(err)
		return
	}
	defer l.close()
	u.gauges.Requests.Add(1)
	t := &tunnel{host: u.name}
	key := c.x.key
	if len(key) == 0 {
		key = []byte(c.x.id) // nobody else's: a tunnel of its own
	}
	key = append([]byte(nil), key...) // the head it is a slice of won't last
	c.srv.p.sessions.enter(key, t)
	defer c.srv.p.sessions.leave(key, t)
	c.tunnel.Store(t)
	if inMaint(c.srv.p.routes.Load().snapshot, u.name) { // since it was chosen: Use may have missed t
		t.end(endMaint)
	}
	if t.ended() != "" {
		c.tooLate(t)
		return
	}
	switch agreed, err := c.upgrade(l); {
	case err != nil:
	case !agreed:
		c.x.last = true
		_ = c.relay(l, nil)
	case !t.watch(c.tcp, l.nc):
		c.tooLate(t)
	default:
		c.runTunnel(t, l, u)
	}
}

// tooLate answers for a tunnel that was ended before it was open.
func (c *conn) tooLate(t *tunnel) {
	c.fail(fault{status: 503, end: t.ended(), detail: "the host of this session is going out of service; it is worth trying again"})
}

// upgrade sends the handshake and reads the host's answer to it. It reports
// whether the host switched to the protocol that was asked for; on an error,
// the client has been answered.
func (c *conn) upgrade(l *link) (bool, error) {
	c.out = c.appendRequest(c.out[:0])
	l.writeBy.within(c.srv.p.cfg.Timeouts.Response)
	if _, err := l.nc.Write(c.out); err != nil {
		return false, c.hostFailed(l, nil, err)
	}
	for {
		l.readBy.within(c.srv.p.cfg.Timeouts.Response)
		if err := l.answer(c.req.Method); err != nil {
			return false, c.hostFailed(l, nil, err)
		}
		switch {
		case l.resp.Status == 101:
			if !c.accepted(&l.resp) {
				return false, c.hostFailed(l, nil, errBadUpgrade)
			}
			return true, nil
		case l.resp.Status < 200:
			continue
		}
		return false, nil
	}
}

var errBadUpgrade = &http1.Error{Status: 502, Reason: "a 101 that doesn't answer this handshake (RFC 6455 §4.1)"}

// accepted tells whether resp is the answer to the client's handshake: the
// proof that the host is a WebSocket server that has read it.
func (c *conn) accepted(resp *http1.Response) bool {
	var key, accept []byte
	for i := range c.req.Fields {
		if c.req.Fields[i].Kind == http1.KindSecWebSocketKey {
			key = c.req.Fields[i].Value
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

// runTunnel sends the client the 101 and then carries bytes until the tunnel ends. What
// either side sent early, behind its head, goes first.
func (c *conn) runTunnel(t *tunnel, l *link, u *upstream) {
	m := c.srv.p.opt.Metrics
	c.x.status, c.x.last = 101, true
	c.x.answered = time.Since(c.x.started)
	c.out = append(appendUpgrade(c.out[:0], &l.resp, c.x.id), l.in.Unread()...)
	c.x.sent += int64(len(l.in.Unread()))
	u.gauges.Sessions.Add(1)
	m.tunnels.Inc()
	defer func() {
		u.gauges.Sessions.Add(-1)
		m.tunnels.Dec()
		m.tunnelsEnded.WithLabelValues(c.x.end).Inc()
	}()
	if c.flush() != nil {
		return
	}
	c.carry(t, l)
	if c.x.end = t.ended(); c.x.end == endHost && t.closedFirst() == "" { // it didn't close, it broke
		u.gauges.Resets.Add(1)
		c.blame(u.name, "reset")
	}
}

// appendUpgrade appends the 101 head that the client gets (RFC 6455 §4.2.2).
func appendUpgrade(dst []byte, resp *http1.Response, id string) []byte {
	dst = http1.AppendStatusLine(dst, 101, nil)
	dst = append(dst, "Connection: Upgrade\r\nUpgrade: websocket\r\n"...)
	dst = appendEndToEnd(dst, resp.Fields)
	dst = http1.AppendFieldString(dst, "X-Request-Id", id)
	return append(dst, "\r\n"...)
}

// carry runs both directions and returns when both have ended.
func (c *conn) carry(t *tunnel, l *link) {
	limits := &c.srv.p.cfg.Timeouts
	t.touch()
	t.idle.Store(int64(limits.Tunnel))
	up := direction{t: t, from: c.nc, to: l.nc, side: endClient, lingering: limits.Idle}
	down := direction{t: t, from: l.nc, to: c.nc, side: endHost, lingering: limits.Idle}
	early := append([]byte(nil), c.in.Unread()...)
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer c.survive()
		down.run(nil)
	}()
	up.run(early)
	<-done
	t.end(t.closedFirst())
	c.x.received += up.moved
	c.x.sent += down.moved
}
