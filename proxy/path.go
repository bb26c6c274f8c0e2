package proxy

import (
	"errors"
	"time"

	"tokenring/balancer"
	"tokenring/http1"
	"tokenring/proxy/pools"
	"tokenring/proxy/rewrite"
	"tokenring/proxy/upstream"
	"tokenring/route"
)

// This file is the path of a request, in the order in which it happens:
//
//	conn.go, h2client.go  read the head of a request from the client
//	admit                 finds the route, finds the token and hashes it, checks limits (local.go)
//	answersHere           answers what no host is to see (local.go)
//	forward               repeats the rest for each attempt:
//	  place                 picks the host, and claims a key for it that stays nowhere
//	  reach                 connects to the host, or to its fallback, once enter has a slot there
//	  attempt               sends the request and relays the answer:
//	    send                  writes the head; an upload writes the body meanwhile
//	    receive               waits for the head of the answer
//	    relay                 writes the head and the body of the answer to the client
//
// Beside the path: pick.go has the rules by which pick chooses, and what follows when a host
// gives a request away. body.go carries bodies.
// hostwait.go waits for slow hosts. failure.go answers requests that fail. upgrade.go is
// the path of WebSocket handshakes, which shares reach and relay.

// forward sends the request to its host and the answer to the client. If an attempt
// fails before the host has answered, it tries again where that is safe.
func (x *exchange) forward() {
	if rewrite.CountDown(&x.req) {
		x.answerMaxForwards()
		return
	}
	for {
		uc, u, err := x.reach()
		if err != nil {
			x.answerUnreached(err)
			return
		}
		if !x.attempt(uc, u) || !x.mayRepeat() {
			return
		}
		x.needsNewConn = true // an idle connection could be closed as well
		x.countRetry()
	}
}

// pick chooses the host for the request. If the key has live terminals, through this balancer
// or another one, it is their host. If it lingers, it is the host of its last use. Otherwise,
// if a host has given the request away, it is the next one that may hold the container; and if
// one has given an earlier request of the key away, it is the host that took that. Otherwise it
// is the host that the client's cookie names. Otherwise it is the ring's choice, which passes
// over full hosts while loads are bounded. A host that has just failed is to be avoided; avoid
// is nil if none has. Without a host, the rule says why there is none.
func (x *exchange) pick(r *pools.Hosts, avoid *route.Host) (*route.Host, balancer.Rule) {
	if len(x.queue.Full()) > 0 {
		return x.pastFull(r.Snapshot, avoid)
	}
	x.hash(r.Snapshot)
	h, rule := x.stay(r.Snapshot, avoid)
	if x.stays = rule != ""; x.stays {
		return h, rule
	}
	if h, rule := x.bySecondChance(r.Snapshot, avoid); rule != "" {
		return h, rule
	}
	if h, rule := x.byCookie(r.Snapshot, avoid); rule != "" {
		x.follow(r.Snapshot, h)
		return h, rule
	}
	choice, ok := x.choose(r.Snapshot, avoid)
	if !ok {
		x.blocked = choice.Host
		return nil, choice.Rule
	}
	return choice.Host, choice.Rule
}

// reach connects to the host for the request. If that fails, it connects to the
// fallback, which is always safe, because nothing has been sent yet. The fallback is the
// host that the key will have once the first one is marked down. A key with a live
// terminal has no fallback, because its user would be on two hosts at once. Nor has one of a
// host that other balancers may reach.
//
// Once this process has retired, it chooses no host any more, except for the last requests
// of HTTP/2, which can't be passed on.
func (x *exchange) reach() (*upstream.Conn, *upstream.Host, error) {
	p := x.srv.p
	decides := p.decisions.Begin()
	if decides {
		defer p.decisions.End()
	} else if !x.bound || x.host != nil && x.chance == nil {
		return x.reachAgain()
	}
	var failed *route.Host
	for failures := 0; failures < 2; failures++ {
		r, host, rule := x.destination(failed) // in each round, because routes change while connecting
		switch {
		case decides && p.decisions.Over():
			return nil, nil, errRetired
		case host == nil:
			return nil, nil, x.whyNoHost(rule, failed)
		}
		x.host, x.rule = host, rule
		if failed != nil {
			x.rule = ruleRetry
			x.countRetry()
		}
		u := r.Upstreams[host.Name]
		if err := x.enter(r, u); errors.Is(err, errAgain) {
			failures--
			continue
		} else if err != nil {
			return nil, nil, err
		}
		uc, err := x.connect(u)
		if err == nil && x.mayUse() {
			x.connected = time.Since(x.started)
			return uc, u, nil
		}
		if x.aborted.Load() {
			return nil, nil, errAborted
		}
		if err == nil || errors.Is(err, upstream.ErrMoved) { // not a failure: the claim or the routes have changed
			if err == nil {
				uc.Close()
			}
			failures--
			continue
		}
		if upstream.IsLocal(err) {
			x.srv.p.opt.Metrics.Hosts.Errors.WithLabelValues("local").Inc()
			return nil, nil, errNoFiles
		}
		x.srv.p.reportFailure(host.Name, connectFailure(err))
		if route.Holds(rule) {
			return nil, nil, errSessionHost
		}
		if x.othersMayReach(r.Snapshot, host, rule, err) {
			x.rule = route.RuleUnreachable
			return nil, nil, errNoHost
		}
		if p.decisions.Over() {
			return nil, nil, errRetired
		}
		failed, x.refused = host, upstream.IsRefused(err)
	}
	return nil, nil, errUnreachable
}

// othersMayReach reports whether a user of this key may be on the host through another balancer,
// though connecting to it from here has failed with err. A host that refuses the connection where its
// checks have passed serves nobody. Else the network may be broken, or the host has another address
// that isn't known here yet, and only votes say that the host is down.
func (x *exchange) othersMayReach(s *route.Snapshot, host *route.Host, rule balancer.Rule, err error) bool {
	isDead := upstream.IsRefused(err) && host.Own == route.Up
	return s.Balancers > 1 && !isDead && (x.key.Present() || rule == ruleCookie)
}

// destination picks the host for the request from the routes in force. If the host has
// just moved and its first check isn't over, destination waits for other routes, for
// Timeouts.Connect at most, or until the exchange is aborted.
func (x *exchange) destination(avoid *route.Host) (*pools.Hosts, *route.Host, balancer.Rule) {
	r := x.pool.Hosts()
	host, rule := x.place(r, avoid)
	if rule != route.RuleMoving {
		return r, host, rule
	}
	limit := time.NewTimer(x.pool.Timeouts.Connect)
	defer limit.Stop()
	d := x.startDialing()
	defer d.stop()
	for rule == route.RuleMoving {
		select {
		case <-r.Replaced:
		case <-limit.C:
			host, rule = x.place(r, avoid)
			return r, host, rule
		case <-d.ctx.Done():
			return r, nil, rule
		}
		r = x.pool.Hosts()
		host, rule = x.place(r, avoid)
	}
	return r, host, rule
}

// connect returns an idle connection to u, or a new one. A WebSocket always gets a new
// connection: it lasts for hours, and its handshake can't be sent again if the host has
// just closed an idle connection.
func (x *exchange) connect(u *upstream.Host) (*upstream.Conn, error) {
	if !x.changesProtocol() && !x.needsNewConn {
		if uc := u.Take(&x.req, x.ends()); uc != nil {
			x.attach(uc)
			return uc, nil
		}
	}
	return x.dial(u)
}

// dial opens a new connection to u. It fails if the exchange is aborted meanwhile.
func (x *exchange) dial(u *upstream.Host) (*upstream.Conn, error) {
	d := x.startDialing()
	defer d.stop()
	x.srv.p.freeIdle()
	uc, err := u.Dial(d.ctx, x.pool.Timeouts.Connect, x.ends())
	if err == nil {
		x.attach(uc)
	}
	return uc, err
}

// attempt sends the request on uc and relays the answer. It reports whether the request
// is to be sent again, because the host had closed uc while it was idle, because the host
// was found down, or because it has given the request away.
func (x *exchange) attempt(uc *upstream.Conn, u *upstream.Host) (again bool) {
	u.Gauges.Requests.Add(1)
	u.Gauges.InFlight.Add(1)
	defer u.Gauges.InFlight.Add(-1)
	kept := false
	defer func() { // also after a panic
		if !kept {
			uc.Close()
		}
	}()
	err := x.roundTrip(uc)
	x.uc.Store(nil)
	x.srv.p.countRepairs(uc)
	if err == nil && !x.endsConn(uc) {
		kept = true
		u.Put(uc)
		return false
	}
	return errors.Is(err, errStale) || errors.Is(err, errDown) || errors.Is(err, errGivenAway)
}

// countAnswer counts an answer in the pool and at the host. What lb answers without looking for a host
// counts in neither.
func (x *exchange) countAnswer(took time.Duration) {
	if x.host != nil || x.end == endNoHost {
		x.pool.Answers.Add(x.status, took)
	}
	if x.host != nil && x.connected > 0 {
		x.host.Gauges.Answers.Add(x.status, took)
	}
}

// endsConn reports whether this exchange is the last one on the host's connection.
func (x *exchange) endsConn(uc *upstream.Conn) bool {
	return uc.Response.Close || uc.Response.Framing == http1.UntilClose || uc.Reader.Repaired() != 0 || x.end != endDone
}

// errStale says that a reused connection ended before the host had sent anything, and
// that the request may be sent again.
var errStale = errors.New("the host had closed the connection")

// roundTrip sends the request on uc and the answer to the client. It sets how the
// exchange ended, unless it returns errStale, errDown or errGivenAway.
func (x *exchange) roundTrip(uc *upstream.Conn) error {
	up, err := x.send(uc)
	if err == nil {
		err = x.receive(uc, up)
	} else {
		err = x.hostFailed(uc, up, err)
	}
	return up.finish(x, uc, err)
}

// send writes the head of the request. A body is sent by a goroutine of its own, because
// the host may answer before it has read the whole body; upload.finish waits for that
// goroutine. The upload is nil if there is no body.
func (x *exchange) send(uc *upstream.Conn) (*upload, error) {
	x.out = x.appendRequest(x.out[:0])
	uc.WriteBy.Within(x.pool.Timeouts.Response)
	if !x.req.HasBody() {
		uc.ReadBy.Within(firstWait)
		return nil, uc.WriteAndWait(x.out)
	}
	return x.startUpload(uc), nil
}

// appendRequest appends the head of the request to the host.
func (x *exchange) appendRequest(dst []byte) []byte {
	head := rewrite.Request{
		Request: &x.req, ID: x.id, Client: x.client.text, Trusted: x.client.trusted, TLS: x.client.secure,
		HiddenCookie: x.pool.Affinity.Hidden(), Untrusted: x.pool.Untrusted, Change: x.plan().Request(), Vars: x.fieldVars(),
	}
	if len(x.req.Host) == 0 {
		head.Authority = x.host.Authority()
	}
	return head.Append(dst)
}

// receive waits for the head of the host's answer, and relays the answer.
func (x *exchange) receive(uc *upstream.Conn, up *upload) error {
	for {
		err := x.nextHead(uc, up)
		switch {
		case err != nil:
			return x.hostFailed(uc, up, err)
		case uc.Response.Status == 101: // we offered no upgrade (RFC 9110 §15.2.2)
			return x.hostFailed(uc, up, upstream.ErrUnasked)
		}
		if uc.Response.Status < 200 {
			if err := x.relayInterim(&uc.Response); err != nil {
				return err
			}
			continue
		}
		if x.givenAway(&uc.Response) {
			return errGivenAway
		}
		x.answered = time.Since(x.started)
		return x.relay(uc, up)
	}
}

// relayInterim sends a 1xx to the client, unless the client speaks HTTP/1.0. It sends 100
// only to a client that waits for it.
func (x *exchange) relayInterim(resp *http1.Response) error {
	if x.req.Minor == 0 || (resp.Status == 100 && !x.req.Expect100) {
		return nil
	}
	x.pool.Affinity.Shield(resp.Fields)
	x.srv.p.chances.Hide(resp.Fields)
	x.hinted = x.hinted || resp.Status != 100
	return x.delivered(x.downstream.interim(resp))
}

// relay sends the final answer to the client as it comes. The head goes out together
// with the first bytes of the body if these are there.
func (x *exchange) relay(uc *upstream.Conn, up *upload) error {
	body := uc.Reader.Body(uc.Response.Framing, uc.Response.Length)
	first, err := x.firstChunk(uc, up, body)
	if err != nil {
		return x.hostFailed(uc, up, err) // nothing of the answer has been sent yet
	}
	if up.pending() {
		x.last = true // the rest of the request's body would be read as the next request
	}
	x.status = uc.Response.Status
	x.pool.Affinity.Set(&uc.Response, x.host.Name, x.cookie, x.started)
	x.downstream.head(&uc.Response)
	if body.Done() {
		return x.finishBody(body, first)
	}
	if len(first) > 0 {
		x.sent += int64(len(first))
		err = x.delivered(x.downstream.piece(first))
	} else if uc.Reader.Buffered() == 0 { // the head must not wait for a slow body
		err = x.delivered(x.downstream.flush())
	}
	if err != nil {
		return err
	}
	return x.relayBody(uc, up, body)
}

// firstChunk returns the data of the first chunk if its beginning has come together with
// the head. The head isn't sent before, so that a malformed chunk is answered with 502.
func (x *exchange) firstChunk(uc *upstream.Conn, up *upload, body *http1.Body) ([]byte, error) {
	if uc.Response.Framing != http1.Chunked || uc.Reader.Buffered() == 0 {
		return nil, nil
	}
	data, err := x.nextPiece(uc, up, body)
	if body.Done() {
		err = nil
	}
	return data, err
}

// relayBody sends the body, or the rest of it, to the client.
func (x *exchange) relayBody(uc *upstream.Conn, up *upload, body *http1.Body) error {
	for {
		if err := x.relayLarge(uc, up, body); err != nil {
			return err
		}
		data, err := x.nextPiece(uc, up, body)
		if err != nil && !body.Done() {
			return x.brokenOff(uc, up, err)
		}
		if body.Done() {
			return x.finishBody(body, data)
		}
		x.sent += int64(len(data))
		if err := x.delivered(x.downstream.piece(data)); err != nil {
			return err
		}
	}
}

// finishBody sends the last piece and the end of the body.
func (x *exchange) finishBody(body *http1.Body, data []byte) error {
	x.sent += int64(len(data))
	x.srv.p.chances.Hide(body.Trailers())
	x.settle()
	return x.finish(x.downstream.end(data, body.Trailers()))
}
