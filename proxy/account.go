package proxy

import "time"

// An account is what is known of an open tunnel besides its bytes: where it is
// counted, and what the access log will tell of it.
type account struct {
	srv      *server
	upstream *upstream
	entry    entry
}

func (a *account) open(t *tunnel) {
	a.srv.enter(t)
	if a.srv.p.bounded() {
		a.srv.p.placements.opened(t.hash, a.upstream)
	} else {
		a.upstream.gauges.Sessions.Add(1)
	}
	a.srv.p.opt.Metrics.tunnels.Inc()
}

func (a *account) close(t *tunnel) {
	a.srv.p.opt.Metrics.tunnels.Dec()
	a.upstream.gauges.Sessions.Add(-1)
	a.srv.leave(t)
}

// settle closes the account of a tunnel that has ended, whose lock is held.
func (a *account) settle(t *tunnel) {
	p := a.srv.p
	p.sessions.leave(t)
	if p.bounded() {
		p.placements.closed(t.hash, time.Now())
	}
	p.opt.Metrics.tunnelsEnded.WithLabelValues(t.why).Inc()
	if t.why == endHost && t.first == "" { // it didn't close, it broke
		a.upstream.gauges.Resets.Add(1)
		p.blame(t.upstream.name, "reset")
	}
	a.entry.end = t.why
	a.entry.received += t.client.moved
	a.entry.sent += t.back.moved
	p.log(&a.entry, "")
	a.close(t)
}
