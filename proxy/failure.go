package proxy

import (
	"errors"
	"math"
	"time"

	"tokenring/balancer"
	"tokenring/hosttls"
	"tokenring/http1"
	"tokenring/loglimit"
	"tokenring/proxy/accesslog"
	"tokenring/proxy/basicauth"
	"tokenring/proxy/deadline"
	"tokenring/proxy/localreply"
	"tokenring/proxy/metrics"
	"tokenring/proxy/upstream"
	"tokenring/route"
)

// noFiles is the page for a balancer that can't open another connection or file.
var noFiles = localreply.Page{Status: 503, Detail: accesslog.ReasonNoFiles}

// hostFull is the page for a request for which its host has no slot in time.
var hostFull = localreply.Page{Status: 503, Detail: "the host of this request has as many requests as it may have; it is worth trying again"}

// hostLeaving is the page for a WebSocket handshake that its host must not answer.
var hostLeaving = localreply.Page{Status: 503, Kind: localreply.Awaited, Detail: "the host of this request is going out of service; it is worth trying again"}

// retiredPage is the page for a request that this process doesn't serve any more and couldn't
// pass on to a newer one.
var retiredPage = localreply.Page{Status: 503, Detail: "this balancer is being replaced by a newer one; it is worth trying again"}

// refuse answers a request that couldn't be read. The connection ends with the answer,
// because the bytes that follow may not be a request.
func (x *exchange) refuse(err error) {
	x.last = true
	var bad *http1.Error
	switch {
	case errors.As(err, &bad):
		x.srv.p.opt.Metrics.Requests.Refused.Inc()
		x.fail(endRefused, localreply.Page{Status: bad.Status, Detail: bad.Reason})
	case deadline.Exceeded(err):
		x.srv.p.opt.Metrics.Connections.Timeout(metrics.PhaseHead)
		x.fail(endTimeout, localreply.Page{Status: 408, Detail: accesslog.ReasonLateHead})
	default:
		x.end = endClientGone
	}
}

// refusesPassword answers a request that doesn't show the password of a user. It reports whether it has.
func (x *exchange) refusesPassword(users *basicauth.Users) bool {
	switch users.Check(http1.FieldValue(x.req.Fields, "Authorization"), x.started) {
	case basicauth.Right:
		return false
	case basicauth.Busy:
		x.fail(endNoPassword, localreply.Page{Status: 503, Detail: "too many passwords are being checked; it is worth trying again"})
	default:
		x.fail(endNoPassword, localreply.Page{Status: 401, Detail: "this address needs a name and a password", Challenge: users.Challenge()})
	}
	return true
}

var errTooLarge = &http1.Error{Status: 413, Reason: "the body is larger than this server takes"}

var errReadings = &http1.Error{Status: 400, Reason: "a path that can be read in several ways, which have different routes (RFC 3986 §6.2)"}

// answerUnreached answers a request for which reach has returned err.
func (x *exchange) answerUnreached(err error) {
	detail, status := "no host is available for this request; it is worth trying again", 503
	switch {
	case errors.Is(err, errAborted):
		_ = x.endAborted(err)
		return
	case errors.Is(err, errRetired):
		if !x.downstream.passOn() {
			x.last = true
			x.fail(endRetired, retiredPage)
		}
		return
	case x.answerChance(err):
		return
	case errors.Is(err, errUnreachable):
		detail, status = "the host of this request can't be reached", 502
	case errors.Is(err, errFull):
		x.fail(endHostFull, hostFull)
		return
	case errors.Is(err, errNoFiles):
		x.fail(endFault, noFiles)
		return
	}
	page := localreply.Page{Status: status, Detail: detail}
	if status == 503 && x.pool.Name == "" {
		page.Kind = localreply.Awaited
	}
	x.fail(endNoHost, page)
}

// whyNoHost returns the error for a request for which pick has found no host, with a
// rule. failed is the host that couldn't be reached before; nil if there is none. With
// errSessionHost and errNoHost, the same request may succeed a little later.
func (x *exchange) whyNoHost(rule balancer.Rule, failed *route.Host) error {
	switch {
	case x.aborted.Load():
		return errAborted
	case route.Holds(rule):
		x.rule = rule
		return errSessionHost
	case len(x.queue.Full()) > 0:
		return errFull
	case failed == nil, rule == route.RuleFrozen, rule == route.RuleMoving, rule == route.RuleUnreachable:
		x.rule = rule
		return errNoHost
	}
	return errUnreachable
}

// Why there is no connection to a host.
var (
	errNoHost      = errors.New("no host can serve the request")
	errUnreachable = errors.New("the host can't be reached")
	errSessionHost = errors.New("the host of the live session can't be reached")
	errNoFiles     = errors.New("this balancer can't open another connection")
	errAborted     = errors.New("the exchange was aborted")
	errFull        = errors.New("the host has as many requests as it may have")
	errAgain       = errors.New("the host is to be chosen again")
	errRetired     = errors.New("a newer process chooses the hosts")
)

// recoverPanic is deferred by the goroutine of an upload, and by that of a stream. After a
// panic it ends the exchange instead of the process.
func (x *exchange) recoverPanic() {
	if cause := recover(); cause != nil {
		x.srv.reportPanic(cause, x.id)
		x.downstream.cut()
		x.abort()
	}
}

// forgetRefused forgets the placement of a key that this request has made, if its host has
// answered with a status of 400 to 499: so a host answers that doesn't take the key.
func (x *exchange) forgetRefused() {
	if x.newKey && x.status/100 == 4 {
		x.srv.p.placements.Refused(x.key.Digest, x.host, x.started)
	}
}

// reportFailure counts a failure of a host, and asks for a health check of the host.
func (p *Proxy) reportFailure(host, kind string) {
	p.opt.Metrics.Hosts.Errors.WithLabelValues(kind).Inc()
	p.opt.Suspect(host)
}

// hostFailed answers a request whose host has sent no answer, or a malformed one, and
// returns err. If the request may be sent again, it answers nothing, and returns errStale
// or errDown. err is what reading from the host or writing to it has returned.
func (x *exchange) hostFailed(uc *upstream.Conn, up *upload, err error) error {
	if err := up.clientError(); err != nil {
		x.clientFailed(err)
		return err
	}
	if x.aborted.Load() {
		return x.endAborted(err)
	}
	switch {
	case errors.Is(err, errDown):
		return err
	case errors.Is(err, errMaint):
		x.fail(endMaint, hostLeaving)
		return err
	}
	if uc.Host.Retired() {
		return x.hostMoved(err)
	}
	if uc.Reused() && connectionEnded(err) { // perhaps before the host had the request
		uc.FoundClosed()
		if x.req.Repeatable() {
			return errStale
		}
	}
	page, end, kind := hostFailure(err)
	if kind == kindClosed {
		x.host.Gauges.Resets.Add(1)
	}
	x.srv.p.reportFailure(x.host.Name, kind)
	x.refusedAnswer(err)
	x.fail(end, page)
	return err
}

// brokenOff ends an answer whose head was sent and whose body has failed with err. It
// cuts the client's connection or stream: there is no other way to say that the answer
// isn't whole (RFC 9112 §8).
func (x *exchange) brokenOff(uc *upstream.Conn, up *upload, err error) error {
	if x.aborted.Load() {
		return x.endAborted(err)
	}
	x.last = true
	defer x.downstream.cut()
	if err := up.clientError(); err != nil {
		page, end := clientFailure(err)
		x.end, x.reason = end, page.Detail
		return err
	}
	if uc.Host.Retired() {
		x.end, x.reason = endMoved, reasonMoved
		return err
	}
	page, end, _ := hostFailure(err)
	x.end, x.reason = end, page.Detail
	x.refusedAnswer(err)
	x.srv.p.reportFailure(x.host.Name, "body")
	x.host.Gauges.Resets.Add(1)
	return err
}

// Kinds of failures of hosts, as a metric says them.
const (
	kindConnect   = "connect"
	kindTLS       = "tls"
	kindClosed    = "closed"
	kindTimeout   = "timeout"
	kindMalformed = "malformed"
	kindDown      = "down"
)

// connectFailure returns the kind of failure with which a connection to a host wasn't opened.
func connectFailure(err error) string {
	if hosttls.Failed(err) {
		return kindTLS
	}
	return kindConnect
}

// hostFailure returns what follows from err, with which a host's answer has ended: the
// page for the client, how the exchange ends, and the kind of failure.
func hostFailure(err error) (p localreply.Page, end, kind string) {
	var bad *http1.Error
	switch {
	case deadline.Exceeded(err):
		return localreply.Page{Status: 504, Detail: accesslog.ReasonSlowHost}, endTimeout, kindTimeout
	case errors.Is(err, errGivenUp):
		return localreply.Page{Status: 503, Detail: accesslog.ReasonHostDown}, endTimeout, kindDown
	case errors.As(err, &bad):
		return localreply.Page{Status: 502, Detail: accesslog.ReasonBadAnswer + bad.Reason}, endHostFailed, kindMalformed
	case hosttls.Failed(err): // in TLS 1.3 a host refuses a certificate after the handshake
		return localreply.Page{Status: 502, Detail: "the host has refused the connection"}, endHostFailed, kindTLS
	}
	return localreply.Page{Status: 502, Detail: "the host's answer was cut short"}, endHostFailed, kindClosed
}

const reasonMoved = "the host of this request has moved to another machine meanwhile"

// hostMoved answers a request whose host has got another address before anything of the
// answer was sent, and returns err. If the request may be sent again, to the new
// address, it answers nothing and returns errStale.
func (x *exchange) hostMoved(err error) error {
	switch {
	case x.changesProtocol():
		x.fail(endMoved, localreply.Page{Status: 503, Kind: localreply.Awaited, Detail: "the host of this request has moved to another machine; it is worth trying again"})
	case x.req.Repeatable():
		return errStale
	default:
		x.fail(endMoved, localreply.Page{Status: 502, Detail: reasonMoved})
	}
	return err
}

// endAborted ends an exchange that was aborted, without an answer: the client has left,
// or the balancer shuts down.
func (x *exchange) endAborted(err error) error {
	x.last, x.end = true, endClientGone
	if x.srv.hardStop.Err() != nil {
		x.end = endShutdown
	}
	x.downstream.cut()
	return err
}

// clientFailed answers a request whose body has ended with err on the client's side.
func (x *exchange) clientFailed(err error) {
	page, end := clientFailure(err)
	if end == endClientGone {
		x.last, x.end = true, end
		return
	}
	x.fail(end, page)
}

// clientFailure returns what follows from err, with which a request's body has ended: the
// page for the client, and how the exchange ends. A client that has left gets no page.
func clientFailure(err error) (p localreply.Page, end string) {
	var bad *http1.Error
	switch {
	case errors.As(err, &bad):
		return localreply.Page{Status: bad.Status, Detail: bad.Reason}, endRefused
	case deadline.Exceeded(err):
		return localreply.Page{Status: 408, Detail: accesslog.ReasonLateBody}, endTimeout
	}
	return localreply.Page{}, endClientGone
}

// connectionEnded reports whether err says that the connection has ended. Otherwise the
// host has sent malformed bytes, or nothing for too long.
func connectionEnded(err error) bool {
	var bad *http1.Error
	return !deadline.Exceeded(err) && !errors.Is(err, errGivenUp) && !errors.As(err, &bad)
}

// newRefusedAnswers returns the limiter of log lines about refused answers. Each host has
// one line a minute at most. The keys are the names of hosts, so their number is bounded.
func newRefusedAnswers() *loglimit.Limiter {
	return &loglimit.Limiter{MaxPause: time.Minute, Forget: time.Hour, MaxKeys: math.MaxInt}
}

// logRefusedAnswer logs that an answer of a host was refused, unless the host has had a
// line within the last minute. The reason is a constant text.
func (p *Proxy) logRefusedAnswer(host, reason string, now time.Time) {
	if f, log := p.refusedAnswers.Add(host, now); log {
		p.opt.Logger.Warn().Str("host", host).Str("reason", reason).Int("suppressed", f.Suppressed).Msg("refused a host's answer")
	}
}

// refusedAnswer counts and logs an answer that was refused, if err says that it was.
func (x *exchange) refusedAnswer(err error) {
	var bad *http1.Error
	if errors.As(err, &bad) {
		x.srv.p.opt.Metrics.Hosts.Refused.WithLabelValues(bad.Reason).Inc()
		x.srv.p.logRefusedAnswer(x.host.Name, bad.Reason, time.Now())
	}
}

// countRepairs counts the repairs of the last answer on uc. An answer that was repaired
// is the last one on its connection, so each repair is counted once.
func (p *Proxy) countRepairs(uc *upstream.Conn) {
	if uc.Reader.Repaired() == 0 {
		return
	}
	for text := range uc.Reader.Repaired().Texts() {
		p.opt.Metrics.Hosts.Repaired.WithLabelValues(text).Inc()
	}
}
