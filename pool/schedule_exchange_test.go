package pool

import (
	"context"
	"errors"
	"time"

	"tokenring/balancer"
	"tokenring/pool/moment"
	"tokenring/route"
	"tokenring/session/claims"
	"tokenring/session/region"
	"tokenring/stream"
)

// A simExchange is a request of a tab, as the proxy forwards it: the order of its rules is that
// of proxy.exchange, from place to mayUse. All that decides is what decides there: the
// snapshot, the sessions, the region and the claims.
type simExchange struct {
	t     *simTab
	p     *simProcess
	began time.Time
	claim claims.Hold
	rule  balancer.Rule
	key   route.Key

	stays     bool // the key stays on the host: it needs no claim
	displaced bool // the key was used on another host, which can't keep it
	refused   bool // the host to avoid has refused the connection
}

func newSimExchange(t *simTab, p *simProcess) *simExchange {
	return &simExchange{t: t, p: p, began: time.Now()}
}

// end ends the exchange. It may be called more than once.
func (x *simExchange) end() { x.p.claims.Release(&x.claim) }

// stay returns the host on which a key is to stay: see Proxy.stay.
func (p *simProcess) stay(key balancer.Digest) (own route.Stay) {
	if host, _ := p.sessions.Host(key); host != "" {
		own = route.Stay{Host: host, Rule: route.RuleSession}
		if p.keepsOf(host, "") {
			return own
		}
	}
	at, ok := p.region.Host(key, time.Now())
	if ok && at.Live && !p.keepsOf(at.Host, at.Peer) {
		kept := func(w region.Where) bool { return !w.Live || p.keepsOf(w.Host, w.Peer) }
		if better, some := p.region.HostAmong(key, time.Now(), kept); some {
			at = better
		}
	}
	if !ok {
		return own
	}
	rule := route.RuleLingering
	if at.Live {
		rule = route.RuleSessionAtPeer
	}
	return route.Stay{Host: at.Host, Rule: rule, Peer: at.Peer, Since: at.Since}
}

// keepsOf reports whether the sessions through a balancer, "" for this one, stay on a host: see
// Proxy.keepsOf.
func (p *simProcess) keepsOf(host, balancer string) bool {
	h := p.snapshot.Load().Host(host)
	return h != nil && h.KeepsSessionsOf(balancer)
}

// goesTo returns where a request of a token would go now, and why. What this balancer doesn't know
// it asks its peers for, as for any request.
func (p *simProcess) goesTo(token string, key balancer.Digest) (host string, rule balancer.Rule) {
	x := newSimExchange(&simTab{token: token, digest: key}, p)
	defer x.end()
	h, rule := x.place(p.snapshot.Load(), nil)
	if h == nil {
		return "", rule
	}
	return h.Name, rule
}

// stay is exchange.stay.
func (x *simExchange) stay(s *route.Snapshot, avoid *route.Host) (*route.Host, balancer.Rule) {
	if key := s.Key([]byte(x.t.token)); key.Hashed() { // there is a table
		x.key = key
	}
	at := x.p.stay(x.t.digest)
	c, ok := s.Stay(x.key, at, route.Placement{}, avoid, x.p.now())
	switch {
	case c.Rule == "":
		x.displaced = at.Rule == route.RuleLingering
		return nil, ""
	case !ok:
		return nil, c.Rule
	}
	return c.Host, c.Rule
}

// pick is exchange.pick.
func (x *simExchange) pick(s *route.Snapshot, avoid *route.Host) (*route.Host, balancer.Rule) {
	h, rule := x.stay(s, avoid)
	if x.stays = rule != ""; x.stays {
		return h, rule
	}
	c, ok := s.Choose(x.key, avoid)
	if !ok {
		return nil, c.Rule
	}
	return c.Host, c.Rule
}

// place picks a host, and claims the key for it: see exchange.place.
func (x *simExchange) place(s *route.Snapshot, avoid *route.Host) (*route.Host, balancer.Rule) {
	host, rule := x.pick(s, avoid)
	c := x.p.claims
	switch {
	case x.stays || host == nil:
		c.Release(&x.claim)
		return host, rule
	case c.Try(&x.claim, x.t.digest, host.Name):
		return host, rule
	}
	at, _, err := c.Claim(x.p.serving, &x.claim, claims.Wish{Key: x.t.digest, Host: host.Name, Binds: func(at claims.Where) (binds, gone bool) {
		if _, rule := x.stayAt(s, at, avoid); rule != "" {
			return true, false
		}
		x.displaced = x.displaced || at.Kind >= claims.Lingers
		return false, avoid == nil || avoid.Name != at.Host || x.refused
	}})
	if err != nil {
		return nil, route.RuleSession
	}
	free := at.Kind == claims.Free && at.Host == host.Name
	if h, why := x.stay(s, avoid); why == route.RuleSession || why != "" && free {
		c.Release(&x.claim)
		x.stays = true
		return h, why
	}
	if at.Kind != claims.Free || at.Host != host.Name {
		if h, why := x.stayAt(s, at, avoid); why != "" {
			return h, why
		}
	}
	return host, rule
}

// stayAt returns where the key goes because of a claim: see exchange.stayAt.
func (x *simExchange) stayAt(s *route.Snapshot, at claims.Where, avoid *route.Host) (*route.Host, balancer.Rule) {
	const connect = 2 * time.Second
	if at.ToBeKnown(s.Host(at.Host)) && time.Since(x.began) < connect {
		return nil, route.RuleMoving
	}
	c, ok := s.Stay(x.key, at.Stay(), route.Placement{}, avoid, x.p.now())
	switch {
	case c.Rule == "":
		return nil, ""
	case !ok:
		return nil, c.Rule
	}
	return c.Host, c.Rule
}

// destination places the key. While its host moves, it waits: see exchange.destination.
func (x *simExchange) destination(avoid *route.Host) (*route.Snapshot, *route.Host, balancer.Rule) {
	const connect, pause = 2 * time.Second, 20 * time.Millisecond
	for limit := time.Now().Add(connect); ; time.Sleep(pause) {
		s := x.p.snapshot.Load()
		host, rule := x.place(s, avoid)
		if rule != route.RuleMoving || time.Now().After(limit) || x.p.serving.Err() != nil {
			return s, host, rule
		}
	}
}

// reach connects to the host of the token: see exchange.reach. Without a host it returns nil,
// and rule says why.
func (x *simExchange) reach() *simHost {
	const connectTimeout = 2 * time.Second
	t, p := x.t, x.p
	defer func() { t.w.oracle.waited(t, p, time.Since(x.began)) }()
	var failed *route.Host
	for failures := 0; failures < 2; failures++ {
		s, h, rule := x.destination(failed)
		if x.rule = rule; h == nil || p.retired.Load() {
			return nil
		}
		host := t.w.host(h.Name)
		time.Sleep(t.w.net.delayOf(t.rng.Uint64(), p.name, host.name))
		came := t.w.reach(p.name, host)
		switch came {
		case simConnected:
			time.Sleep(t.w.net.delayOf(t.rng.Uint64(), host.name, p.name))
			if x.mayUse(host) {
				return host
			}
			failures--
			continue
		case simTimeout:
			time.Sleep(connectTimeout)
		}
		if route.Holds(rule) {
			return nil
		}
		if s.Balancers > 1 && (came != simRefused || h.Own != route.Up) {
			x.rule = route.RuleUnreachable
			return nil
		}
		failed, x.refused = h, came == simRefused
	}
	return nil
}

// mayUse reports whether the request may be sent to its host: see exchange.mayUse.
func (x *simExchange) mayUse(host *simHost) bool {
	if x.p.retired.Load() {
		return false
	}
	if !x.claim.Held() {
		return true
	}
	if !x.p.claims.Send(&x.claim, host.name) {
		return false
	}
	if x.displaced {
		x.p.region.Used(x.t.digest, host.name, time.Now())
	}
	return true
}

// keep has the key of a request claimed that lasts: see exchange.keep.
func (x *simExchange) keep(host *simHost) {
	if !x.claim.Held() && !x.p.retired.Load() {
		x.p.claims.Keep(&x.claim, x.t.digest, host.name)
	}
}

// isDown reports whether balancers have found a host down.
func (p *simProcess) isDown(host string) bool {
	h := p.snapshot.Load().Host(host)
	return h != nil && p.verdicts.Down(host, h.Verdict == route.Down)
}

// askClaims is the kind of the questions about claims.
const askClaims = "claims"

// answer answers a peer's question: see Proxy.AnswerClaims.
func (p *simProcess) answer(_ context.Context, peer, _ string, question []byte) ([]byte, error) {
	return p.claims.Answer(peer, question, func(key balancer.Digest) claims.Answer {
		switch at := p.stay(key); {
		case at.Rule == route.RuleSession, at.Rule == route.RuleSessionAtPeer:
			return claims.Answer{Kind: claims.Live, Host: at.Host}
		case at.Rule == route.RuleLingering:
			return p.lingers(key, at.Host)
		}
		return claims.Answer{}
	})
}

// lingers is Proxy.lingers.
func (p *simProcess) lingers(key balancer.Digest, host string) claims.Answer {
	h := p.snapshot.Load().Host(host)
	if h == nil {
		return claims.Answer{}
	}
	if h.YieldsLingering(p.now()) {
		p.region.Displaced(key, host)
	}
	return claims.Answer{Kind: claims.Lingers, Host: host}
}

// simPeers are the peers of a process, as its claims know them.
type simPeers struct{ p *simProcess }

// Open implements claims.Peers: see edge/claims.go.
func (s simPeers) Open() (names []string, until time.Time) {
	const reconnect = time.Second
	names, lost := s.p.hub.Open()
	for _, peer := range s.p.snapshot.Load().Peers {
		if since, missing := lost[peer.Name]; missing && peer.Alive {
			until = moment.Latest(until, since.Add(reconnect))
		}
	}
	return names, until
}

// Ask implements claims.Peers.
func (s simPeers) Ask(ctx context.Context, peer string, question []byte) ([]byte, error) {
	answer, err := s.p.hub.Ask(ctx, peer, askClaims, question)
	if errors.Is(err, stream.ErrNoStream) {
		return nil, claims.ErrLost
	}
	return answer, err
}
