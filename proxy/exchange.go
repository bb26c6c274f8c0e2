package proxy

import (
	"errors"
	"sync/atomic"
	"time"

	"tokenring/balancer"
	"tokenring/http1"
	"tokenring/park"
	"tokenring/pool"
)

// An exchange is one request and what becomes of it, from the request's head to
// the end of its answer or tunnel. It doesn't know which version of HTTP the
// client speaks. One exchange value may serve many requests, one by one.
type exchange struct {
	srv    *server
	client *clientAddr
	side   side
	req    http1.Request
	out    []byte // scratch for what is written; from buffers

	link    atomic.Pointer[link] // to the host; for abort
	dialing atomic.Pointer[dialing]
	aborted atomic.Bool

	outcome
}

// An outcome is what has become of a request: what the access log tells.
type outcome struct {
	id       []byte   // a slice of the request's head or its connection's
	protocol string   // as the access log says it
	key      []byte   // a slice of the request's head; a secret
	cookie   *holding // the affinity cookie that counts; nil for none
	host     *pool.Host
	rule     balancer.Rule
	moves    int // times that it has gone on to another host, because its own was found down

	retried bool
	first   bool // while loads are bounded: the key hadn't been here before
	fresh   bool // only a new connection will do: an idle one has just been found dead
	last    bool // the connection ends after this exchange
	handed  bool // a tunnel has taken the connection over

	started   time.Time
	connected time.Duration // until there was a connection to the host
	answered  time.Duration // until the host's final head

	status   int
	reason   string // why it was refused or failed: a constant text; "" if it wasn't
	received int64  // bytes of body or tunnel from the client
	sent     int64  // bytes of body or tunnel to the client
	end      string
}

// A side is the client's side of an exchange: an HTTP/1.1 connection or a stream
// of HTTP/2. Its methods are for the exchange's goroutine, except those of the
// request's body, which belong to the upload while there is one.
type side interface {
	// body returns the request's body. early tells whether some of it is here.
	body() body
	early() bool
	// readWithin bounds the next read of the body, and stopReading ends one that
	// is under way, whoever reads.
	readWithin(time.Duration)
	stopReading()

	// gone tells whether the client has left, as far as that shows without waiting.
	// reading says that nobody else reads its bytes, so that what it has sent behind
	// its request may be read ahead.
	gone(reading bool) bool
	// watch has g called, until stop, when gone may have another answer.
	watch(g park.Guest, reading bool) (stop func())

	// interim sends a 1xx.
	interim(*http1.Response) error
	// head takes the head of the final answer, which goes out with what comes
	// next: a piece of the body, or flush.
	head(*http1.Response)
	piece([]byte) error
	flush() error
	// end sends the last piece, which may be empty, and what ends the body.
	end(piece []byte, trailers []http1.Field) error
	// cut ends an answer so that the client doesn't take what it got for the
	// whole.
	cut()
}

// A body is what http1.Body is.
type body interface {
	Next() ([]byte, error)
	Done() bool
	Trailers() []http1.Field
}

// start begins an exchange for a request that is about to be read.
func (x *exchange) start(id []byte, protocol string) {
	x.req = http1.Request{Fields: x.req.Fields[:0]}
	x.outcome = outcome{id: id, protocol: protocol, rule: ruleNone, started: time.Now()}
}

// How exchanges end, as the access log and a metric say it.
const (
	endDone       = "done"
	endRefused    = "refused"     // the request's form
	endNoHost     = "no-host"     // nobody could serve it
	endHostFailed = "host-failed" // the host broke its answer off, or what it sent was none
	endClientGone = "client-gone"
	endTimeout    = "timeout"
	endMaint      = "maint"    // a tunnel: its host went to maintenance
	endMoved      = "moved"    // a tunnel: its key has been given to another host; or what its host's change of address has cut
	endShutdown   = "shutdown" // a tunnel: the balancer stops
	endClient     = "client"   // a tunnel: the client closed it
	endHost       = "host"     // a tunnel: the host closed it
	endFault      = "fault"    // something that this balancer is to blame for
)

// admit takes from the request's head what the exchange needs to know, and
// refuses what is larger than is allowed.
func (x *exchange) admit() error {
	x.key = x.keyOf()
	x.cookie = x.srv.p.affinity.find(x.req.Fields, x.started)
	if id := header(x.req.Fields, "X-Request-Id"); x.client.trusted && validID(id) {
		x.id = id
	}
	if limit := x.srv.p.cfg.Limits.Body; limit > 0 && x.req.Framing == http1.Length && x.req.Length > limit {
		return errTooLarge
	}
	return nil
}

// validID tells whether a trusted client's request id may stand in a log.
func validID(id []byte) bool {
	const long = 128
	for _, b := range id {
		if (b < '0' || b > '9') && (b|0x20 < 'a' || b|0x20 > 'z') && b != '-' && b != '_' {
			return false
		}
	}
	return len(id) > 0 && len(id) <= long
}

var errTooLarge = &http1.Error{Status: 413, Reason: "the body is larger than this server takes"}

// refuse answers a request that couldn't be read. What comes after it on this
// connection can't be trusted to be a request, so it is the last.
func (x *exchange) refuse(err error) {
	x.last = true
	var bad *http1.Error
	switch {
	case errors.As(err, &bad):
		x.srv.p.opt.Metrics.refused.Inc()
		x.fail(fault{status: bad.Status, end: endRefused, detail: bad.Reason})
	case timedOut(err):
		x.srv.p.gaveUp(slowHead)
		x.fail(fault{status: 408, end: endTimeout, detail: "the request's head took too long"})
	default:
		x.end = endClientGone
	}
}

// pick chooses the host for the request: the one that the key's terminals are
// on, else the one that the client's cookie names, else the ring's, unless that is
// full. A host to avoid is one that has just failed.
func (x *exchange) pick(r *routes, avoid *pool.Host) (*pool.Host, balancer.Rule) {
	if h := x.session(r.snapshot); h != nil {
		if avoid != nil && h.Name == avoid.Name { // its terminal has opened meanwhile
			return nil, pool.RuleSession
		}
		return h, pool.RuleSession
	}
	if h, rule := x.byCookie(r.snapshot, avoid); rule != "" {
		x.follow(r.snapshot, h)
		return h, rule
	}
	choice, ok := x.choose(r.snapshot, avoid)
	if !ok {
		return nil, choice.Rule
	}
	return choice.Host, choice.Rule
}

// session returns the host that the key's terminals are on and keep it to, nil if
// there is none.
func (x *exchange) session(s *pool.Snapshot) *pool.Host {
	if len(x.key) == 0 {
		return nil
	}
	name, _ := x.srv.p.sessions.host(x.key)
	h := s.Host(name)
	if h == nil || !h.Keeps() {
		return nil
	}
	if x.bounded(s) {
		x.srv.p.placements.stay(s, x.key, h, x.started)
	}
	return h
}

// choose asks the ring, and while loads are bounded keeps what follows from it.
func (x *exchange) choose(s *pool.Snapshot, avoid *pool.Host) (pool.Choice, bool) {
	if !x.bounded(s) {
		return s.Choose(x.key, avoid)
	}
	choice, fresh, ok := x.srv.p.placements.choose(s, x.key, avoid, x.started)
	x.first = x.first || fresh
	return choice, ok
}

// follow has others who come with the key find it where the cookie has led it; to
// nobody, if h is nil.
func (x *exchange) follow(s *pool.Snapshot, h *pool.Host) {
	if h != nil && x.bounded(s) && x.srv.p.placements.follow(s, x.key, h, x.started) {
		x.first = true
	}
}

// bounded tells whether it matters how many terminals the key's host has.
func (x *exchange) bounded(s *pool.Snapshot) bool { return s.BoundedLoad > 0 && len(x.key) > 0 }

// Rules of our own, beside those of the balancer and the pool.
const (
	ruleRetry balancer.Rule = "retry" // the first host couldn't be reached
	ruleNone  balancer.Rule = "none"
)

// again notes that the request is sent a second time.
func (x *exchange) again() {
	if !x.retried {
		x.srv.p.opt.Metrics.retries.Inc()
	}
	x.retried = true
}

// abort ends the exchange whichever side it waits for: the client's is the
// caller's to end.
func (x *exchange) abort() {
	x.aborted.Store(true)
	if d := x.dialing.Load(); d != nil {
		d.cancel()
	}
	if l := x.link.Load(); l != nil {
		l.nc.Close()
	}
}

// hold makes l what abort closes.
func (x *exchange) hold(l *link) {
	x.link.Store(l)
	if x.aborted.Load() {
		l.nc.Close()
	}
}

// survive is for the goroutines that an exchange starts: it ends the exchange
// instead of the process.
func (x *exchange) survive() {
	if cause := recover(); cause != nil {
		x.srv.reportPanic(cause, x.id)
		x.side.cut()
		x.abort()
	}
}
