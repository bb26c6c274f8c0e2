package proxy

import (
	"context"
	"errors"
	"sync"
	"time"

	"tokenring/balancer"
	"tokenring/park"
	"tokenring/pool"
)

// reach connects to the host for the request, and to the fallback if it can't
// be reached. Nothing has been sent by then, so that is always allowed. The
// fallback is where the key will be once the host is marked down; a key with a
// live terminal has none, because its user would be on two hosts at once.
func (x *exchange) reach() (*link, *upstream, error) {
	var failed *pool.Host
	for failures := 0; failures < 2; failures++ {
		r, host, rule := x.destination(failed) // anew: connecting takes its time, and decisions fall meanwhile
		if host == nil {
			return nil, nil, x.nowhere(rule, failed)
		}
		x.host, x.rule = host, rule
		if failed != nil {
			x.rule = ruleRetry
			x.again()
		}
		u := r.upstreams[host.Name]
		l, err := x.connect(u)
		if err == nil {
			x.connected = time.Since(x.started)
			return l, u, nil
		}
		if x.aborted.Load() {
			return nil, nil, errAborted
		}
		if errors.Is(err, errMoved) { // which is no failure, and there are other routes by now
			failures--
			continue
		}
		if isOurs(err) {
			x.srv.p.opt.Metrics.upstreamErrors.WithLabelValues("local").Inc()
			return nil, nil, errShort
		}
		x.srv.p.blame(host.Name, "connect")
		if rule == pool.RuleSession {
			return nil, nil, errSessionHost
		}
		failed = host
	}
	return nil, nil, errUnreachable
}

// destination picks the host for the request from the routes in force. For one that
// has just moved and is being checked it waits, but no longer than a connection may
// take to open, or until the exchange is aborted.
func (x *exchange) destination(avoid *pool.Host) (*routes, *pool.Host, balancer.Rule) {
	r := x.srv.p.routes.Load()
	host, rule := x.pick(r, avoid)
	if rule != pool.RuleMoving {
		return r, host, rule
	}
	limit := time.NewTimer(x.srv.p.cfg.Timeouts.Connect)
	defer limit.Stop()
	d := x.startDialing()
	defer d.stop()
	for rule == pool.RuleMoving {
		select {
		case <-r.replaced:
		case <-limit.C:
			return r, nil, rule
		case <-d.ctx.Done():
			return r, nil, rule
		}
		r = x.srv.p.routes.Load()
		host, rule = x.pick(r, avoid)
	}
	return r, host, rule
}

// nowhere says why no host was picked, by rule, for a request whose first host
// has failed, unless that is nil. Where another host might have served but must
// not have the key, the same request may succeed a little later.
func (x *exchange) nowhere(rule balancer.Rule, failed *pool.Host) error {
	switch {
	case x.aborted.Load():
		return errAborted
	case rule == pool.RuleSession:
		x.rule = rule
		return errSessionHost
	case failed == nil, rule == pool.RuleFrozen, rule == pool.RuleMoving:
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
	errShort       = errors.New("this balancer can't open another connection")
	errAborted     = errors.New("nobody waits for the answer any more")
)

// connect returns an idle connection to u, or a new one. A tunnel always gets a
// new one: it keeps it for hours, and can't be caught out by one that has just
// been closed.
func (x *exchange) connect(u *upstream) (*link, error) {
	if !x.req.WebSocket && !x.fresh {
		if l := u.take(&x.req); l != nil {
			x.hold(l)
			return l, nil
		}
	}
	return x.dial(u)
}

// dial opens a new connection, unless the exchange is aborted meanwhile.
func (x *exchange) dial(u *upstream) (*link, error) {
	d := x.startDialing()
	defer d.stop()
	x.srv.p.freeIdle()
	l, err := u.dial(d.ctx, x.srv.p.cfg.Timeouts.Connect)
	if err == nil {
		x.hold(l)
	}
	return l, err
}

// A dialing is a connection to a host that is being opened, or the wait for a host to
// which one may be. After soon it also looks at whether the client has left, and
// aborts the exchange then.
type dialing struct {
	x      *exchange
	ctx    context.Context
	cancel context.CancelFunc
	timer  *time.Timer // calls watch

	mu      sync.Mutex
	over    bool
	unwatch func() // the client; nil before it is watched
}

// startDialing makes a dialing what abort cancels. stop must be called.
func (x *exchange) startDialing() *dialing {
	d := &dialing{x: x}
	d.ctx, d.cancel = context.WithCancel(x.srv.hard)
	x.dialing.Store(d)
	if x.aborted.Load() {
		d.cancel()
	}
	d.timer = time.AfterFunc(soon, d.watch)
	return d
}

func (d *dialing) watch() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.over {
		d.unwatch = d.x.side.watch(d, false)
	}
}

// Ready implements park.Guest: something has happened to the client's connection.
func (d *dialing) Ready(int, park.Event) (more bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.over && d.x.side.gone(false) {
		d.x.abort()
	}
	return false
}

// Tick implements park.Guest.
func (d *dialing) Tick(time.Time) {}

// stop ends the dialing: it touches the exchange no more.
func (d *dialing) stop() {
	d.timer.Stop()
	d.x.dialing.Store(nil)
	d.cancel()
	d.mu.Lock()
	defer d.mu.Unlock()
	d.over = true
	if d.unwatch != nil {
		d.unwatch()
	}
}

// blame counts a failure of a host, and has it checked soon.
func (p *Proxy) blame(host, kind string) {
	p.opt.Metrics.upstreamErrors.WithLabelValues(kind).Inc()
	p.opt.Suspect(host)
}

// unreached answers a request for which reach found nothing.
func (x *exchange) unreached(err error) {
	detail, status := "no host is available for this session; it is worth trying again", 503
	switch {
	case errors.Is(err, errAborted):
		_ = x.leave(err)
		return
	case errors.Is(err, errUnreachable):
		detail, status = "the host of this session can't be reached", 502
	case errors.Is(err, errShort):
		x.fail(short)
		return
	}
	x.fail(fault{status: status, end: endNoHost, detail: detail})
}
