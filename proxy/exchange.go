package proxy

import (
	"cmp"
	"sync/atomic"
	"time"

	"tokenring/balancer"
	"tokenring/http1"
	"tokenring/poller"
	"tokenring/proxy/accesslog"
	"tokenring/proxy/affinity"
	"tokenring/proxy/deadline"
	"tokenring/proxy/metrics"
	"tokenring/proxy/pools"
	"tokenring/proxy/queue"
	"tokenring/proxy/routing"
	"tokenring/proxy/secondchance"
	"tokenring/proxy/tunnel"
	"tokenring/proxy/upstream"
	"tokenring/route"
	"tokenring/session"
	"tokenring/session/claims"
)

// An exchange is one request and its answer, from the first byte of the request's head to
// the end of the answer, or until a tunnel takes over. It doesn't know which version of
// HTTP the client speaks. One value may serve many requests, one after the other.
type exchange struct {
	srv        *server
	client     *clientAddr // of the connection
	told       *address    // the latest that a trusted proxy has told; see findOrigin
	downstream downstream
	bound      bool // it is served by this process: it can't be passed on
	req        http1.Request
	out        []byte // a buffer for what is written, from buffers

	uc      atomic.Pointer[upstream.Conn] // for abort
	dialing atomic.Pointer[dialing]
	aborted atomic.Bool
	claim   claims.Hold // of the key, until the exchange ends

	outcome
}

// An outcome is what the access log tells of an exchange.
type outcome struct {
	id       []byte         // a slice of the request's head, or of its connection's id
	origin   *address       // of the client that has made the request; see findOrigin
	protocol string         // as the access log says it
	matched  *routing.Route // nil for none; see admit
	pool     *pools.Pool    // whose hosts serve the request
	queue    queue.Request
	choice

	retried      bool
	hinted       bool // the client has got a 1xx other than 100
	needsNewConn bool // an idle connection has just been found closed
	last         bool // the connection ends after this exchange
	upgraded     bool // a tunnel has taken the connection over
	passed       bool // the connection was passed on, and this request with it

	progress

	status   int
	reason   string // why the request was refused or failed: a constant text; "" if it wasn't
	received int64  // bytes of body or tunnel from the client
	sent     int64  // bytes of body or tunnel to the client
	end      string
}

// progress is how far an exchange has come.
type progress struct {
	started   time.Time
	connected time.Duration // until there was a connection to the host
	answered  time.Duration // until the final head of the answer
}

// A choice is how the host of a request was chosen.
type choice struct {
	token     []byte            // a slice of the request's head; a secret
	keyRule   *balancer.KeyRule // by which there is a token; nil for none
	key       session.Key       // of the token; see admit
	cookie    *affinity.Cookie  // the valid affinity cookie of the request; nil for none
	host      *route.Host
	rule      balancer.Rule
	stays     bool                  // the key stays on the host: it needs no claim
	ending    bool                  // it lingers there, but not much longer
	settled   bool                  // the host is done with the request: see settle
	displaced bool                  // the key was used on another host, which can't keep it
	blocked   *route.Host           // it has the key and can't serve it now; for the log
	refused   bool                  // the host to avoid has refused the connection, and so serves nobody
	newKey    bool                  // while loads are bounded: this request is the first one with its key
	failovers int                   // how often another host was chosen because the host was found down
	chance    *secondchance.Request // nil unless a host has given the request away
}

// A downstream is the client's side of an exchange: a connection of HTTP/1.1
// (h1client.go) or a stream of HTTP/2 (h2client.go). Its methods are for the exchange's
// goroutine. The methods for the request's body are for the upload while there is one.
type downstream interface {
	// body returns the request's body. early reports whether the first piece of the body
	// is to be sent together with the head.
	body() body
	early() bool
	// rewindBody has body return the whole body once more, after stopReading. It does
	// nothing and reports false if a part of the body was read.
	rewindBody() bool
	// readWithin bounds the next read of the body. stopReading makes a read in progress
	// fail; any goroutine may call it.
	readWithin(time.Duration)
	stopReading()

	// gone reports whether the client is known to have left. It doesn't wait. If reading
	// is true, no other goroutine reads from the client, and gone may read ahead.
	gone(reading bool) bool
	// watch calls h when the result of gone may have changed, until stop is called.
	watch(h poller.Handler, reading bool) (stop func())

	// interim sends a 1xx.
	interim(*http1.Response) error
	// head takes the head of the final answer. It is sent by the next call of piece,
	// flush or end.
	head(*http1.Response)
	piece([]byte) error
	flush() error
	// end sends the last piece, which may be empty, and the end of the body.
	end(piece []byte, trailers []http1.Field) error
	// passOn passes the connection on to the newest process, which reads the request again.
	// It reports whether it has. The exchange then ends without an answer.
	passOn() bool
	// cut ends an answer in the middle, so that the client sees that it isn't whole.
	cut()
}

// A body is a message body that is read piece by piece, as http1.Body is.
type body interface {
	Next() ([]byte, error)
	Done() bool
	Trailers() []http1.Field
}

// start begins an exchange for a request that is about to be read.
func (x *exchange) start(id []byte, protocol string) {
	x.req = http1.Request{Fields: x.req.Fields[:0]}
	x.outcome = outcome{id: id, origin: &x.client.address, pool: x.srv.p.pools.Main, protocol: protocol, choice: choice{rule: ruleNone}, progress: progress{started: time.Now()}}
}

// How exchanges end, as the access log and a metric say it. Some of the ways are those
// of tunnels.
const (
	endDone        = "done"
	endOpen        = "open"        // it hasn't ended: the tunnel has opened
	endRefused     = "refused"     // the request's form
	endNotAllowed  = "not-allowed" // from where the client comes
	endNoPassword  = "no-password" // of a user of the route
	endLimited     = "limited"     // the client, or the key, has used up what it may
	endNoHost      = "no-host"     // no host could serve it
	endHostFull    = "host-full"   // as many requests as it may have are in progress there
	endHostFailed  = "host-failed" // the host's answer was malformed or cut short
	endClientGone  = "client-gone"
	endTimeout     = string(tunnel.ByTimeout)
	endMaint       = string(tunnel.ByMaint) // a handshake: its host went to maintenance
	endMoved       = string(tunnel.ByMove)  // the host's change of address has cut it
	endShutdown    = string(tunnel.ByShutdown)
	endFault       = string(tunnel.ByFault)
	endMaintenance = "maintenance" // of the service or the route
	endRetired     = "retired"     // this process has retired, and couldn't pass the request on
)

// delivered returns err, the result of a write to the client. If the write failed, it
// cuts the answer off, so that the client doesn't take a part of it for the whole, and
// sets how the exchange ended.
func (x *exchange) delivered(err error) error {
	if err != nil {
		x.downstream.cut()
		x.last = true
		x.end = endClientGone
		if deadline.Exceeded(err) {
			x.end, x.reason = endTimeout, accesslog.ReasonSlowClient
			x.srv.p.opt.Metrics.Connections.Timeout(metrics.PhaseAnswer)
		}
	}
	return err
}

// finish sets that the exchange is done, if the last write of the answer succeeded.
func (x *exchange) finish(err error) error {
	if x.delivered(err) == nil {
		x.end = endDone
	}
	return err
}

// countRetry counts, once for each exchange, that the request is sent again.
func (x *exchange) countRetry() {
	if !x.retried {
		x.srv.p.opt.Metrics.Requests.Retries.Inc()
	}
	x.retried = true
}

// abort makes what the exchange waits for on the host's side fail. The caller ends the
// client's side. It is safe for concurrent use.
func (x *exchange) abort() {
	x.aborted.Store(true)
	if d := x.dialing.Load(); d != nil {
		d.cancel()
	}
	if uc := x.uc.Load(); uc != nil {
		uc.Cut()
	}
}

// attach makes uc the connection that abort closes.
func (x *exchange) attach(uc *upstream.Conn) {
	x.uc.Store(uc)
	if x.aborted.Load() {
		uc.Cut()
	}
}

// record counts the exchange and writes its line to the access log.
func (x *exchange) record() {
	p := x.srv.p
	defer p.claims.Release(&x.claim) // of a terminal, whose session is known
	x.queue.Release()
	x.forgetRefused()
	if x.chance != nil && !x.passed {
		p.opt.Metrics.Requests.Chances.WithLabelValues(x.chance.Result).Inc()
	}
	if x.upgraded || x.passed {
		return // the tunnel counts and writes it when it ends; or the newest process does
	}
	took := time.Since(x.started)
	x.settle()
	p.opt.Metrics.Requests.Answered(x.status)
	p.opt.Metrics.Requests.Seconds.Observe(took.Seconds())
	x.countAnswer(took)
	if !p.access.Enabled() || (x.end == endClientGone && len(x.req.Method) == 0) {
		return // a client that leaves between two requests, or within a head, gets no line
	}
	e := x.entry()
	p.access.Write(&e, x.reason)
}

// settle says that the host is done with the request: the key lingers, and isn't claimed any more. It
// is called before the client has the end of the answer, for the client's next request.
func (x *exchange) settle() {
	if x.settled {
		return
	}
	x.settled = true
	x.queue.Release()
	x.used(time.Since(x.started))
	x.srv.p.claims.Release(&x.claim) // when the last use is known
}

// used has the key linger on a host that has answered the request. A client that invents keys
// which hosts refuse uses no memory. A key with a live session needs none: the end of that
// counts. took is how long the exchange has lasted.
func (x *exchange) used(took time.Duration) {
	p := x.srv.p
	refused := x.status/100 == 4 || x.end == endNoHost // here: the host has given the request away
	if x.answered == 0 || x.host == nil || !x.key.Present() || refused || x.stays && route.Holds(x.rule) || p.retired() {
		return
	}
	p.region.Used(x.key.Digest, x.host.Name, x.started.Add(took))
}

// place picks the host for the request. If the key stays nowhere, it claims the key for that
// host; if a request of the key, here or at a peer, has it on another host, it is that one. See
// package claims. Without a host, the rule says why there is none.
func (x *exchange) place(r *pools.Hosts, avoid *route.Host) (*route.Host, balancer.Rule) {
	host, rule := x.pick(r, avoid)
	p := x.srv.p
	switch {
	case x.stays || host == nil || !x.key.Present():
		p.claims.Release(&x.claim)
		if host != nil && x.ending {
			p.claims.Keep(&x.claim, x.key.Digest, host.Name)
		}
		return host, rule
	case p.claims.Try(&x.claim, x.key.Digest, host.Name):
		return host, rule
	}
	d := x.startDialing()
	defer d.stop()
	began := time.Now()
	at, result, err := p.claims.Claim(d.ctx, &x.claim, claims.Wish{
		Key: x.key.Digest, Host: host.Name,
		Binds: func(at claims.Where) (binds, gone bool) { return x.binds(r.Snapshot, at, avoid) },
	})
	p.opt.Metrics.Claims.Decided(result, time.Since(began))
	if err != nil {
		return nil, route.RuleSession // or the client has left
	}
	free := at.Kind == claims.Free && at.Host == host.Name
	if h, why := x.stay(r.Snapshot, avoid); why == route.RuleSession || why != "" && free { // it was used meanwhile
		p.claims.Release(&x.claim)
		x.stays = true
		return h, why
	}
	if at.Kind != claims.Free || at.Host != host.Name {
		if h, why := x.stayAt(r.Snapshot, at, avoid); why != "" {
			return h, why
		}
	}
	return host, rule
}

// stayAt returns where the key goes because of a claim that has another host, or that a peer has.
// The rule is "" if the key needn't go there.
func (x *exchange) stayAt(s *route.Snapshot, at claims.Where, avoid *route.Host) (*route.Host, balancer.Rule) {
	if at.ToBeKnown(s.Host(at.Host)) && time.Since(x.started) < x.pool.Timeouts.Connect {
		return nil, route.RuleMoving
	}
	c, ok := s.Stay(x.key.Key, at.Stay(), route.Placement{}, avoid, x.started)
	switch {
	case c.Rule == "", x.chance.Tried(at.Host) && at.Kind != claims.Live:
		return nil, ""
	case !ok, x.chance.Tried(at.Host):
		x.blocked = c.Host
		return nil, c.Rule
	}
	x.follow(s, c.Host)
	return c.Host, c.Rule
}

// binds reports whether the key has to go to the host of a claim, and otherwise whether that
// host serves nobody with this key any more.
func (x *exchange) binds(s *route.Snapshot, at claims.Where, avoid *route.Host) (binds, gone bool) {
	if _, rule := x.stayAt(s, at, avoid); rule != "" {
		return true, false
	}
	x.displaced = x.displaced || at.Kind >= claims.Lingers
	return false, avoid == nil || avoid.Name != at.Host || x.refused || x.chance.Tried(at.Host)
}

// mayUse reports whether the request may be sent to its host. It is false if the key's claim
// has gone to another host while that one was connected to.
func (x *exchange) mayUse() bool {
	if !x.claim.Held() {
		return true
	}
	p := x.srv.p
	if !p.claims.Send(&x.claim, x.host.Name) {
		return false
	}
	if x.displaced { // the other host may be back before this request ends
		p.region.Used(x.key.Digest, x.host.Name, time.Now())
	}
	return true
}

// keep has the key of a request claimed that lasts, and so may outlast the reason for which
// the key has stayed on its host.
func (x *exchange) keep() {
	if p := x.srv.p; x.key.Present() && !x.claim.Held() && !p.retired() {
		p.claims.Keep(&x.claim, x.key.Digest, x.host.Name)
	}
}

// entry returns what the access log can tell of the exchange at this moment. The entry
// refers to bytes of the request; see accesslog.Entry.Keep.
func (x *exchange) entry() accesslog.Entry {
	e := accesslog.Entry{
		Request: accesslog.Request{ID: x.id, Client: x.origin.text, Protocol: x.protocol},
		TLS:     x.client.secure, Refused: x.end == endRefused,
		Rule: x.rule, Retried: x.retried, Started: x.started, Connected: x.connected, Answered: x.answered,
		Status: int16(x.status), Received: x.received, Sent: x.sent, End: x.end, GaveAway: x.chance.GaveAway(),
	}
	if !x.srv.p.access.Enabled() {
		return e
	}
	x.srv.p.access.Describe(&e, &x.req, x.token, x.key.Digest, x.keyRule)
	e.More = x.more()
	if h := cmp.Or(x.host, x.blocked); h != nil {
		e.Host = h.Name
	}
	return e
}
