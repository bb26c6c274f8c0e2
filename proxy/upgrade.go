package proxy

import (
	"errors"
	"time"

	"tokenring/http1"
	"tokenring/netaddr"
	"tokenring/proxy/accesslog"
	"tokenring/proxy/pools"
	"tokenring/proxy/rewrite"
	"tokenring/proxy/tunnel"
	"tokenring/proxy/upstream"
	"tokenring/session"
)

// A terminal is a tunnel, with the session in which it counts and its line in the access
// log.
type terminal struct {
	tunnel.Tunnel
	srv      *server
	upstream *upstream.Host
	entry    accesslog.Entry // set before the tunnel is open
	session  session.Terminal
}

// countOpen counts t as an open tunnel.
func (t *terminal) countOpen() {
	p := t.srv.p
	t.srv.track(t)
	t.HostSent(time.Now())
	p.chances.Takers().Opened(t.session.Digest(), t.upstream.Name)
	if p.pools.Of(t.upstream.Name).Bounded() {
		p.placements.Opened(t.session.Digest(), t.upstream.Name, t.upstream.Gauges)
	} else {
		t.upstream.Gauges.Sessions.Add(1)
	}
	p.opt.Metrics.Tunnels.Open.Inc()
}

// countEnded ends what countOpen began, but for the client's connection, which Closed
// ends.
func (t *terminal) countEnded() {
	t.srv.p.opt.Metrics.Tunnels.Open.Dec()
	t.upstream.Gauges.Sessions.Add(-1)
}

// HostSent implements tunnel.Owner.
func (t *terminal) HostSent(now time.Time) { t.upstream.Gauges.LastByte.Note(now) }

// Ended implements tunnel.Owner.
func (t *terminal) Ended(s tunnel.Stats) {
	p := t.srv.p
	t.leave(s.Last)
	p.cfg.Quotas.Ended(t)
	p.closed(t.session.Digest(), t.upstream.Name)
	p.opt.Metrics.Tunnels.Ended.WithLabelValues(string(s.Why)).Inc()
	if s.Why == tunnel.ByHost && !s.Closed { // the connection failed, without an orderly end
		t.upstream.Gauges.Resets.Add(1)
		p.reportFailure(t.upstream.Name, "reset")
	}
	t.entry.End, t.entry.Broken = string(s.Why), !s.Closed
	t.entry.Received += s.FromClient
	t.entry.Sent += s.FromHost
	p.access.Write(&t.entry, "")
	t.countEnded()
}

// leave takes t, on which bytes moved last at a time, out of its session. The key lingers on its
// host, unless a session on another one has displaced this one, or it was used there since.
func (t *terminal) leave(last time.Time) {
	p, key := t.srv.p, t.session.Digest()
	if p.sessions.Counts(&t.session) && !p.retired() {
		p.region.Left(key, t.upstream.Name, last, time.Now()) // before nobody knows the key
	}
	p.sessions.Remove(&t.session)
	p.region.Changed(key)
}

// Closed implements tunnel.Owner.
func (t *terminal) Closed() { t.srv.untrack(t) }

// endIfIdle implements trackedConn. It does nothing: a quiet terminal isn't idle.
func (t *terminal) endIfIdle() {}

// abort implements trackedConn.
func (t *terminal) abort() { t.Tunnel.End(tunnel.ByShutdown) }

// End implements session.Tunnel.
func (t *terminal) End(why string) { t.Tunnel.End(tunnel.Reason(why)) }

// Probe implements session.Prober.
func (t *terminal) Probe() { t.Tunnel.Probe() }

// Retired implements session.Tunnel.
func (t *terminal) Retired() bool { return t.upstream.Retired() }

// Detail implements session.Tunnel.
func (t *terminal) Detail() (session.Detail, bool) {
	if !t.Opened() {
		return session.Detail{}, false
	}
	s := t.Stats()
	return session.Detail{
		Opened: t.entry.Started, Idle: t.Quiet(time.Now()), Received: s.FromClient, Sent: s.FromHost, Client: netaddr.Shown(t.entry.Client),
	}, s.Why == ""
}

// changesProtocol reports whether the request is a handshake: if the host agrees, the connection becomes
// a tunnel.
func (x *exchange) changesProtocol() bool { return len(x.req.Upgrade) > 0 }

// openTunnel sends a handshake, such as that of WebSocket, to the key's host. If that host is found down
// before it has answered, or gives the handshake away, openTunnel sends it to the next host. If the host answers
// 101, the connection becomes a tunnel, which needs no goroutine. Any other answer is
// relayed.
func (c *conn) openTunnel() {
	if c.x.overTerminals() {
		return
	}
	defer c.srv.p.cfg.Quotas.Closed(&c.x) // unless the terminal has opened, which it counts for then
	for c.tryTunnel() && c.x.mayRepeat() {
		c.x.countRetry()
	}
}

// tryTunnel makes one attempt. It reports whether the handshake is to be sent again,
// because the host was found down or has given the handshake away.
func (c *conn) tryTunnel() (again bool) {
	t, uc, u, err := c.reachForTunnel()
	if err != nil {
		c.x.answerUnreached(err)
		return false
	}
	defer uc.Close()
	defer c.srv.p.countRepairs(uc)
	opened := false
	defer func() { // also after a panic
		if !opened {
			c.srv.p.sessions.Remove(&t.session)
		}
	}()
	u.Gauges.Requests.Add(1)
	if pools.InMaint(c.x.pool.Snapshot(), u.Name) { // Use may have ended the host's tunnels before t was added
		t.Tunnel.End(tunnel.ByMaint)
	}
	opened, again = c.openOn(t, uc)
	return again
}

// reachForTunnel connects to the key's host, and returns a terminal there that isn't open
// yet. While it connects, the host may move, or the key may get a terminal on another
// host. Then it connects to that host, once.
func (c *conn) reachForTunnel() (*terminal, *upstream.Conn, *upstream.Host, error) {
	d := &c.srv.p.decisions
	if !d.Begin() {
		return nil, nil, nil, errRetired
	}
	defer d.End()
	for range 2 {
		uc, u, err := c.x.reach()
		if err != nil {
			return nil, nil, nil, err
		}
		if t := c.newTerminal(u); t != nil {
			if !u.Retired() { // otherwise Use may have ended the old tunnels before t was added
				return t, uc, u, nil
			}
			c.srv.p.sessions.Remove(&t.session)
		}
		uc.Close()
	}
	if d.Over() {
		return nil, nil, nil, errRetired
	}
	return nil, nil, nil, errNoHost
}

// newTerminal returns a terminal on u that is added to the key's session. It returns nil
// if the session, here or through another balancer, is on another host, which keeps it.
func (c *conn) newTerminal(u *upstream.Host) *terminal {
	p := c.srv.p
	t := &terminal{srv: c.srv, upstream: u}
	t.session.Tunnel = t
	c.x.hash(c.x.pool.Snapshot())
	key := c.x.key
	if !key.Present() {
		key.Digest, key.Anonymous = c.x.pool.Digest(c.id), true // unique, so that the session has this terminal only; x.id may come from a client
	}
	if p.heldElsewhere(key.Digest, u.Name) || !p.sessions.Add(key, &u.Endpoint, &t.session, p.keeps) {
		return nil
	}
	p.region.Changed(key.Digest)
	c.terminal.Store(t)
	return t
}

// openOn does the handshake with the host, and opens the tunnel. If neither result is
// true, the client has got another answer.
func (c *conn) openOn(t *terminal, uc *upstream.Conn) (opened, again bool) {
	if why := t.Stats().Why; why != "" {
		c.answerEnded(why)
		return false, false
	}
	agreed, err := c.upgrade(uc)
	if err != nil {
		return false, errors.Is(err, errDown) || errors.Is(err, errGivenAway)
	}
	if !agreed {
		c.x.last = true
		_ = c.x.relay(uc, nil)
		return false, false
	}
	return c.becomeTunnel(t, uc), false
}

// answerEnded answers the handshake of a tunnel that was ended before it was open.
func (c *conn) answerEnded(why tunnel.Reason) {
	c.x.fail(string(why), hostLeaving)
}

// upgrade sends the handshake and reads the head of the host's answer. It reports whether
// the host has changed to the protocol. After an error other than errDown and errGivenAway,
// the client has got an answer.
func (c *conn) upgrade(uc *upstream.Conn) (bool, error) {
	c.x.out = c.x.appendRequest(c.x.out[:0])
	uc.WriteBy.Within(c.x.pool.Timeouts.Response)
	if _, err := uc.Write(c.x.out); err != nil {
		return false, c.x.hostFailed(uc, nil, err)
	}
	for {
		if err := c.x.nextHead(uc, nil); err != nil {
			return false, c.x.hostFailed(uc, nil, err)
		}
		if uc.Response.Status < 200 && uc.Response.Status != 101 {
			continue
		}
		if c.x.givenAway(&uc.Response) {
			return false, errGivenAway
		}
		c.x.answered = time.Since(c.x.started)
		switch {
		case uc.Response.Status != 101:
			return false, nil
		case !c.accepted(&uc.Response):
			return false, c.x.hostFailed(uc, nil, errBadUpgrade)
		}
		return true, nil
	}
}

var errBadUpgrade = &http1.Error{Status: 502, Reason: "a 101 that doesn't answer this handshake (RFC 9110 §7.8, RFC 6455 §4.1)"}

// accepted reports whether resp answers the client's handshake. Of WebSocket that proves that the
// host speaks it and has read the handshake (RFC 6455 §4.1).
func (c *conn) accepted(resp *http1.Response) bool {
	if !http1.SameProtocol(resp.Upgrade, c.x.req.Upgrade) {
		return false
	}
	return !c.x.req.WebSocket || c.provesWebSocket(resp)
}

func (c *conn) provesWebSocket(resp *http1.Response) bool {
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
	return count == 1 && string(accept) == http1.AcceptKey(key)
}

// becomeTunnel opens t, with the 101 and the bytes that both sides have sent after their
// heads. It reports whether t is open. If not, the client has got another answer.
func (c *conn) becomeTunnel(t *terminal, uc *upstream.Conn) bool {
	c.x.status, c.x.last = 101, true
	c.x.pool.Affinity.Set(&uc.Response, c.x.host.Name, c.x.cookie, c.x.started)
	vars := c.x.fieldVars()
	early, head := c.in.Unread(), rewrite.AppendUpgrade(c.x.out[:0], &uc.Response, c.x.id, c.x.plan().Response(), &vars)
	c.x.out = head
	c.x.received, c.x.sent = int64(len(early)), int64(uc.Reader.Buffered())
	t.entry = c.x.entry().Keep()
	opened := t.entry // which has an end soon
	t.countOpen()
	c.srv.p.cfg.Quotas.Move(&c.x, t)
	c.srv.p.cfg.Quotas.Move(c, t)
	defer func() { // also after a panic
		if !t.Opened() {
			t.countEnded()
			t.Closed()
		}
	}()
	err := t.Open(tunnel.Options{
		Client: c.nc, Host: uc.Conn, Poller: c.srv.poller(), Owner: t, Idle: c.x.pool.Timeouts.Tunnel, HalfClosed: c.srv.p.cfg.Timeouts.Idle,
		Opaque: !c.x.req.WebSocket,
	}, tunnel.Greeting{Head: head, FromHost: uc.Reader.Unread(), FromClient: early})
	if err == nil {
		c.x.upgraded = true
		c.srv.p.opt.Metrics.Requests.Answered(101)
		c.x.pool.Answers.AddUntimed(101)
		c.x.host.Gauges.Answers.AddUntimed(101)
		opened.End = endOpen
		c.srv.p.access.Write(&opened, "")
		return true
	}
	if errors.Is(err, tunnel.ErrEnded) {
		c.answerEnded(t.Stats().Why)
	} else {
		c.x.fail(endFault, noFiles)
	}
	return false
}
