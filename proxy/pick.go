package proxy

import (
	"errors"
	"slices"
	"time"

	"tokenring/balancer"
	"tokenring/http1"
	"tokenring/proxy/metrics"
	"tokenring/route"
	"tokenring/session/region"
)

// The rules by which pick chooses a host, in their order: a live session here, a live session
// at a peer, the last use of a key that lingers, the host that has taken the key from another,
// the client's cookie, the ring.

// Rules of this package, in addition to those of packages balancer and route.
const (
	ruleCookie balancer.Rule = "cookie" // the client's cookie named the host
	ruleRetry  balancer.Rule = "retry"  // the first host couldn't be reached
	ruleNext   balancer.Rule = "next"   // the first host was full
	ruleNone   balancer.Rule = "none"
)

// byCookie returns the host that the client's affinity cookie names. The rule is one of
//
//	ruleCookie        the host serves the request: its checks pass, it is neither in maint
//	                  nor leaving, and it isn't the host to avoid. A host in drain serves, too.
//	route.RuleMoving  no host: it has moved, and its first check at the new address isn't over
//	route.RuleUnreachable  no host: it can't be reached from here, and others may serve there
//	route.RuleFrozen  no host: it has failed together with many others, and the client's
//	                  terminals may still run there
//	""                the cookie doesn't decide
func (x *exchange) byCookie(s *route.Snapshot, avoid *route.Host) (*route.Host, balancer.Rule) {
	if x.cookie == nil {
		return nil, ""
	}
	h := s.Host(x.cookie.Host)
	switch failed := avoid != nil && avoid.Name == x.cookie.Host; {
	case h == nil, h.State == route.Maint, h.Leaving:
	case h.Verdict == route.Up && !failed:
		return h, ruleCookie
	case h.Moving && !failed:
		return nil, route.RuleMoving
	case h.Held:
		return nil, route.RuleUnreachable
	case s.Frozen && h.InRing && !h.FailedBefore:
		return nil, route.RuleFrozen
	}
	return nil, ""
}

// stay returns the host on which the key stays, because of a live session or its last use, and
// the rule. The rule is "" if there is no such host, or if it doesn't keep the key. Without a
// host, the rule says why no other host may serve the request. See route.Snapshot.Stay.
func (x *exchange) stay(s *route.Snapshot, avoid *route.Host) (*route.Host, balancer.Rule) {
	if !x.key.Present() {
		return nil, ""
	}
	at := x.srv.p.stay(x.key.Digest, x.started)
	c, ok := s.Stay(x.key.Key, at, x.before(s), avoid, x.started)
	x.ending = c.Rule != "" && at.Rule == route.RuleLingering && x.started.Sub(at.Since) > x.srv.p.cfg.Linger-endsSoon
	switch {
	case c.Rule == "":
		x.displaced = at.Rule == route.RuleLingering
		return nil, ""
	case x.chance.Tried(c.Host.Name) && !route.Holds(c.Rule):
		return nil, ""
	case !ok, x.chance.Tried(c.Host.Name):
		x.blocked = c.Host
		return nil, c.Rule
	case !x.bounded(s):
	case c.Rule == route.RuleSession:
		x.srv.p.placements.Stay(s, x.key, c.Host, x.started)
	default:
		x.follow(s, c.Host)
	}
	return c.Host, c.Rule
}

// endsSoon is how long before a key lingers no more its requests are claimed: each may last
// for longer than it lingers.
const endsSoon = 2 * time.Second

// before returns the key's earlier placement.
func (x *exchange) before(s *route.Snapshot) route.Placement {
	p := x.srv.p
	if host := p.chances.Takers().Host(x.key.Digest, x.started); host != "" {
		return route.Placement{Host: host, Taken: true}
	}
	if x.bounded(s) {
		return p.placements.Placement(x.key.Digest, x.started)
	}
	return route.Placement{}
}

// session returns the host of the key's live terminals through this balancer. It is nil if
// there are none, or if that host doesn't keep its sessions.
func (x *exchange) session(s *route.Snapshot) *route.Host {
	if !x.key.Present() {
		return nil
	}
	name, _ := x.srv.p.sessions.Host(x.key.Digest)
	if h := s.Host(name); h != nil && h.KeepsSessionsOf("") {
		return h
	}
	return nil
}

// Stays returns why a key is to stay on hosts: its sessions through other balancers, and its
// last uses. If it has no session through this balancer, the first one counts; see
// route.Snapshot.Stay.
func (p *Proxy) Stays(key balancer.Digest) (all []route.Stay) {
	for _, w := range p.region.Holders(key, time.Now()) {
		all = append(all, stayOf(w))
	}
	return all
}

// stay returns the host on which a key is to stay. A session through this balancer counts
// before those of others, and one on a host that keeps it before one on a host that doesn't. stay
// doesn't allocate while hosts keep their sessions.
func (p *Proxy) stay(key balancer.Digest, now time.Time) (own route.Stay) {
	if host, _ := p.sessions.Host(key); host != "" {
		own = route.Stay{Host: host, Rule: route.RuleSession}
		if p.keeps(host) {
			return own
		}
	}
	w, ok := p.region.Host(key, now)
	if ok && w.Live && !p.keepsOf(w.Host, w.Peer) {
		kept := func(w region.Where) bool { return !w.Live || p.keepsOf(w.Host, w.Peer) }
		if better, some := p.region.HostAmong(key, now, kept); some {
			w = better
		}
	}
	if ok {
		return stayOf(w)
	}
	return own
}

func stayOf(w region.Where) route.Stay {
	rule := route.RuleLingering
	if w.Live {
		rule = route.RuleSessionAtPeer
	}
	return route.Stay{Host: w.Host, Rule: rule, Peer: w.Peer, Since: w.Since}
}

// heldElsewhere reports whether a key has a live session through another balancer, on another
// host than this one, which keeps it.
func (p *Proxy) heldElsewhere(key balancer.Digest, host string) bool {
	at := p.stay(key, time.Now())
	return at.Rule == route.RuleSessionAtPeer && at.Host != host && p.keepsOf(at.Host, at.Peer)
}

// choose returns the ring's choice. While loads are bounded, it also remembers the choice.
func (x *exchange) choose(s *route.Snapshot, avoid *route.Host) (route.Choice, bool) {
	if !x.bounded(s) {
		return s.Choose(x.key.Key, avoid)
	}
	choice, fresh, ok := x.srv.p.placements.Choose(s, x.key, avoid, x.started)
	x.newKey = x.newKey || fresh
	return choice, ok
}

// follow remembers, while loads are bounded, that h has the key, because of a cookie, its last
// use or a session at a peer. Other clients with the key then get h as well. It does nothing if
// h is nil.
func (x *exchange) follow(s *route.Snapshot, h *route.Host) {
	if h != nil && x.bounded(s) && x.srv.p.placements.Follow(s, x.key, h, x.started) {
		x.newKey = true
	}
}

// bounded reports whether loads are bounded and the request has a key.
func (x *exchange) bounded(s *route.Snapshot) bool { return s.BoundedLoad > 0 && x.key.Present() }

// A host that doesn't hold the container of a request's user may give the request away: see
// package secondchance. Then the request goes to other hosts that may hold the container, as
// long as the client has got nothing of an answer. If none of them takes it, the client gets
// 503, never the 421, with which a browser would come back on another connection by itself.
//
//	receive, upgrade  givenAway? ──no──▶ relay the answer, and remember the host that took it
//	     ▲                 │ yes
//	     │                 ▼
//	     │            mayRepeat ──no──▶ 503
//	     │                 │ yes
//	 reach ◀── pick: the next host that may hold the container; none ──▶ 503
//
// A key with a live terminal is sent to the host of the terminal alone.

// errGivenAway says that the host has given the request away.
var errGivenAway = errors.New("the host has given the request away")

// givenAway reports whether the host's answer, the final one or a 101, gives the request
// away. If it doesn't and another host has given it away before, this host has taken it.
func (x *exchange) givenAway(resp *http1.Response) bool {
	p := x.srv.p
	if p.chances == nil {
		return false
	}
	gives, fenced := p.chances.GivesAway(resp)
	if !gives {
		if x.chance != nil {
			x.take(resp.Status)
		}
		return false
	}
	x.chance = x.chance.GivenAway(x.host.Name, x.last)
	if x.chance.Fenced = fenced; !fenced {
		x.host.Gauges.GivenAway.Add(1)
	}
	if x.newKey {
		p.placements.Refused(x.key.Digest, x.host, x.started)
		x.newKey = false
	}
	return true
}

// take remembers that the host has taken the request's key. An error isn't remembered: it
// doesn't show that the host holds the container.
func (x *exchange) take(status int) {
	x.chance.Result = metrics.ChanceTaken
	if !x.key.Present() || status >= 400 {
		return
	}
	p := x.srv.p
	now := time.Now()
	p.chances.Takers().Took(x.key.Digest, x.host.Name, now)
	if !p.retired() {
		p.region.Used(x.key.Digest, x.host.Name, now) // before the answer ends, or the key lingers where it was
	}
	s := x.pool.Snapshot()
	if live := x.session(s); live == nil || live.Name == x.host.Name {
		x.follow(s, x.host)
	}
}

// mayRepeat reports whether the request may be sent again, after an attempt that has asked
// for that. A request that was given away may be if nothing of its body has been read, the
// client has got nothing of an answer, and the host hasn't given away too many. Otherwise
// mayRepeat answers it.
func (x *exchange) mayRepeat() bool {
	c := x.chance
	if c == nil || !c.Due {
		return true
	}
	c.Due = false
	p := x.srv.p
	switch {
	case x.aborted.Load():
		_ = x.endAborted(errAborted)
	case c.Fenced:
		x.refuseChance(metrics.ChanceFenced)
	case !p.chances.Allow(x.host.Name, time.Now()):
		p.logRefusedAnswer(x.host.Name, "the host gives more requests away than sessions.second_chance.per_host allows", time.Now())
		x.refuseChance(metrics.ChanceLimited)
	case x.hinted:
		x.refuseChance(metrics.ChanceBegun)
	case x.req.HasBody() && !x.downstream.rewindBody():
		x.refuseChance(metrics.ChanceBody)
	case c.Given() > p.chances.Tries():
		x.refuseChance(metrics.ChanceExhausted)
	default:
		x.last, x.received = c.Last, 0
		x.awaitHandshakes()
		return true
	}
	return false
}

// refuseChance answers a request that gets no second chance, or none any more.
func (x *exchange) refuseChance(result string) {
	x.chance.Result = result
	x.fail(endNoHost, x.chance.Page())
}

// awaitHandshakes waits, for Timeouts.Connect at most, for other handshakes of the key that
// the same host has still to answer. They count as live terminals, and it will give them
// away as well. It doesn't wait if a terminal of the key is open.
func (x *exchange) awaitHandshakes() {
	const pause = 2 * time.Millisecond
	p := x.srv.p
	pending := func() bool {
		h := x.session(x.pool.Snapshot())
		return h != nil && x.chance.Tried(h.Name) && p.sessions.Opening(x.key.Digest)
	}
	if !pending() {
		return
	}
	d := x.startDialing()
	defer d.stop()
	limit, tick := time.NewTimer(x.pool.Timeouts.Connect), time.NewTicker(pause)
	defer limit.Stop()
	defer tick.Stop()
	for pending() {
		select {
		case <-tick.C:
		case <-limit.C:
			return
		case <-d.ctx.Done():
			return
		}
	}
}

// bySecondChance returns the next host that may hold the container of a request that was
// given away, or the host that has taken the key of the request before. The rule is "" if
// neither decides. avoid couldn't be reached.
func (x *exchange) bySecondChance(s *route.Snapshot, avoid *route.Host) (*route.Host, balancer.Rule) {
	c := x.srv.p.chances
	if c == nil {
		return nil, ""
	}
	if x.chance != nil {
		return x.nextChance(s, avoid)
	}
	choice, ok := s.Taken(c.Takers().Host(x.key.Digest, x.started), avoid)
	if !ok {
		return nil, choice.Rule
	}
	c.Takers().Used(x.key.Digest, x.started)
	x.follow(s, choice.Host)
	return choice.Host, choice.Rule
}

// nextChance returns the next host that may hold the container.
func (x *exchange) nextChance(s *route.Snapshot, avoid *route.Host) (*route.Host, balancer.Rule) {
	if avoid != nil {
		x.chance.Try(avoid.Name)
	}
	p, now := x.srv.p, time.Now()
	before := []string{p.chances.Takers().Host(x.key.Digest, now)}
	for _, at := range p.Stays(x.key.Digest) {
		before = append(before, at.Host)
	}
	if x.bounded(s) {
		before = append(before, p.placements.Placement(x.key.Digest, now).Host)
	}
	if x.cookie != nil {
		before = append(before, x.cookie.Host)
	}
	choice, ok := s.NextChance(x.key.Key, before, x.chance.TriedHosts())
	if !ok {
		return nil, choice.Rule
	}
	return choice.Host, choice.Rule
}

// answerChance answers a request that was given away and for which reach has then returned
// err. It reports whether it has.
func (x *exchange) answerChance(err error) bool {
	switch {
	case x.chance == nil:
		return false
	case errors.Is(err, errSessionHost):
		x.refuseChance(metrics.ChanceLive)
	case errors.Is(err, errNoHost), errors.Is(err, errUnreachable):
		x.refuseChance(metrics.ChanceExhausted)
	default:
		return false
	}
	return true
}

// pastFull returns a host for a request that goes past those that are full.
func (x *exchange) pastFull(s *route.Snapshot, avoid *route.Host) (*route.Host, balancer.Rule) {
	past := x.queue.Full()
	if avoid != nil {
		past = append(slices.Clone(past), avoid.Name)
	}
	choice, ok := s.NextChance(x.key.Key, nil, past)
	if !ok {
		return nil, choice.Rule
	}
	return choice.Host, ruleNext
}

// hash hashes the token if s has a table and there was none when the request came.
func (x *exchange) hash(s *route.Snapshot) {
	if x.key.Present() && !x.key.Hashed() {
		x.key.Key = x.pool.Place(s, x.token)
	}
}
