// Package proxy is the data path. It accepts clients' connections, reads their requests,
// and sends each request to the host of its key. It carries bytes in both directions
// until the exchange or the WebSocket has ended.
package proxy

import (
	"cmp"
	"crypto/rand"
	"io"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"tokenring/answers"
	"tokenring/balancer"
	"tokenring/loglimit"
	"tokenring/maintenance"
	"tokenring/proxy/accesslog"
	"tokenring/proxy/decisions"
	"tokenring/proxy/elder"
	"tokenring/proxy/limit"
	"tokenring/proxy/localreply"
	"tokenring/proxy/metrics"
	"tokenring/proxy/pools"
	"tokenring/proxy/routing"
	"tokenring/proxy/secondchance"
	"tokenring/proxy/tunnel"
	"tokenring/route"
	"tokenring/session"
	"tokenring/session/claims"
	"tokenring/session/region"
)

// Options are what the owner of a Proxy gives to it.
type Options struct {
	Logger zerolog.Logger  // faults of the proxy itself; nothing per request
	Access *zerolog.Logger // one line of JSON per request or tunnel; nil for none. It must not block
	// AccessHAProxy gets lines in the form of HAProxy's log, one by each Write; nil for none. It
	// must not block.
	AccessHAProxy io.Writer
	// AccessFields are the further fields of these lines: see accesslog.MoreFields.
	AccessFields []string
	Metrics      *metrics.Metrics  // required
	Suspect      func(host string) // called at each failure of a host; must not block; may be nil
	// Digest makes the digests of tokens by which sessions, placements and the access log
	// know them. Balancers that share its secret have the same digests. The zero value
	// has a random secret.
	Digest balancer.Digester
	// Name is this balancer's among its peers.
	Name string
	// Peers are asked before a key is sent to a host that stays nowhere; nil if there are none.
	Peers claims.Peers
	// Maintenance says which requests get the maintenance page; nil for none.
	Maintenance *maintenance.Switches
}

// A Proxy serves clients on any number of listeners. Its methods are safe for
// concurrent use.
type Proxy struct {
	cfg            Config
	opt            Options
	routing        *routing.Table // nil for no routes
	pools          *pools.Set
	targets        []*pools.Pool // of the routes, by their index
	using          sync.Mutex    // one snapshot after the other is made the one in force
	sessions       *session.Sessions
	placements     *session.Placements
	chances        *secondchance.Chances // nil for none
	region         *region.Region
	claims         *claims.Claims
	access         accesslog.Log
	pages          *localreply.Pages // nil for the built-in ones
	refusedAnswers *loglimit.Limiter
	limits
	servers servers
	elders  *elder.Elders
	retirement
}

// limits are the bounds that all clients share.
type limits struct {
	connections *limit.Connections
	streams     *limit.Streams
	sources     *limit.Sources
	idle        *limit.Idle
}

// New returns a proxy that answers 503 until Use gives it hosts.
func New(cfg Config, o Options) *Proxy {
	if o.Suspect == nil {
		o.Suspect = func(string) {}
	}
	p := &Proxy{cfg: cfg.withDefaults(), opt: o, sessions: session.New()}
	p.placements = session.NewPlacements(p.sessions, o.Metrics.Placements.Home, o.Metrics.Placements.Away)
	p.elders = elder.New(elder.Owner{Sessions: p.sessions, Host: p.host, Closed: p.elderClosed, Log: o.Logger})
	p.chances = secondchance.New(p.cfg.SecondChance, p.sessions, p.cfg.Linger)
	p.region = region.New(p.cfg.Linger, p.sessions)
	p.claims = claims.New(o.Name, o.Peers)
	p.decisions = decisions.New()
	p.refusedAnswers = newRefusedAnswers()
	p.connections = limit.NewConnections(p.cfg.Limits.Connections)
	p.streams = limit.NewStreams(p.cfg.Limits.Streams, p.connections, o.Metrics.Streams.Waits.Inc)
	p.sources, p.idle = limit.NewSources(), limit.NewIdle(p.connections)
	o.Metrics.Connections.Limit.Set(float64(p.cfg.Limits.Connections))
	if files := limit.MaxFiles(); p.cfg.Limits.Connections > limit.ConnectionsFor(files) {
		o.Logger.Warn().Int("connections", p.cfg.Limits.Connections).Uint64("open_files", files).
			Msg("limits.connections may need more open files than the system's limit allows")
	}
	p.pools = pools.NewSet(p.cfg.main(), p.cfg.Pools, pools.Shared{Digest: digester(o.Digest), Heads: p.cfg.Limits.Response.Heads(), Idle: p.idle})
	p.access = accesslog.Log{
		Out: o.Access, HAProxy: accesslog.HAProxy{Out: o.AccessHAProxy, Load: p.load}, Keys: p.pools.Keys(),
		Fields: o.AccessFields, Balancer: o.Name, Redispatched: ruleRetry,
	}
	p.routing = routing.New(p.cfg.Routes)
	p.pages = localreply.New(p.cfg.Pages)
	for _, r := range p.routing.Routes() {
		p.targets = append(p.targets, p.pools.Named(r.Pool))
	}
	return p
}

// digester returns d. If that is the zero Digester, it returns one with a random secret.
func digester(d balancer.Digester) balancer.Digester {
	if d != (balancer.Digester{}) {
		return d
	}
	secret := make([]byte, 32)
	_, _ = rand.Read(secret) // never fails
	return balancer.NewDigester(secret)
}

// SetAffinitySecrets replaces the secrets of a pool's affinity cookies; "" is the main pool. It
// is safe for concurrent use.
func (p *Proxy) SetAffinitySecrets(pool string, secrets [][]byte) {
	if one := p.pools.Named(pool); one != nil {
		one.Affinity.SetSecrets(secrets)
	}
}

// Use sends requests to the hosts of s from now on. Requests in progress and tunnels stay
// on their hosts, with two exceptions. The tunnels of a host in maint are ended, because
// nothing may reach it. And if the address of a host has changed, it is on another
// machine: connections to the old address are closed, and tunnels there are ended, before
// the new address gets its first request.
//
// All snapshots must be made from one balancer.Config, because the tokens of requests in
// progress are hashed already. Use must not be called concurrently with itself.
func (p *Proxy) Use(s *route.Snapshot) { p.UsePool("", s) }

// UsePool is Use for the hosts of a pool; "" is the main pool. It does nothing if there is no
// such pool. It may be called concurrently for several pools, and waits for its turn.
func (p *Proxy) UsePool(name string, s *route.Snapshot) {
	pool := p.pools.Named(name)
	if pool == nil {
		return
	}
	p.using.Lock()
	defer p.using.Unlock()
	change := pool.Use(s)
	if len(change.Back) > 0 {
		p.sessions.Probe(func(at *route.Endpoint) bool { return change.Back[at.Name] })
	}
	for _, u := range change.Failed {
		u.Notify()
	}
	for _, u := range change.Gone {
		u.Retire()
	}
	if len(change.Maint) > 0 {
		p.sessions.End(func(at *route.Endpoint) bool { return change.Maint[at.Name] }, string(tunnel.ByMaint))
	}
	if len(change.Fresh) > 0 {
		p.sessions.End(change.Moved, session.Moved)
	}
	p.elders.Follow(change.Left(), p.pools.Down())
	for _, u := range change.Gone {
		u.Close()
	}
	for _, u := range change.Fresh {
		u.Open()
	}
}

// keeps reports whether live sessions through this balancer stay on the named host.
func (p *Proxy) keeps(host string) bool { return p.keepsOf(host, "") }

// keepsOf is keeps for the sessions through a balancer; "" is this one.
func (p *Proxy) keepsOf(host, balancer string) bool {
	h := p.host(host)
	return h != nil && h.KeepsSessionsOf(balancer)
}

// SplitsToEnd returns the keys whose terminals through this balancer are to be ended, because the
// keys have terminals on another host, too, and keep that one: see region.Region.ToEnd.
func (p *Proxy) SplitsToEnd(connected func(peer string) bool) []balancer.Digest {
	return p.region.ToEnd(time.Now(), region.SplitRules{Keeps: p.keepsOf, Connected: connected})
}

// host returns a host of the latest snapshot of its pool, nil if it isn't known.
func (p *Proxy) host(name string) *route.Host { return p.pools.Host(name) }

// Region returns what this balancer knows of the sessions of others, and of keys that linger.
func (p *Proxy) Region() *region.Region { return p.region }

// Routes returns the routes of requests, nil if there are none.
func (p *Proxy) Routes() *routing.Table { return p.routing }

// Claims returns which keys this balancer is about to use on which hosts. Its Run must run while
// there are peers.
func (p *Proxy) Claims() *claims.Claims { return p.claims }

// AnswerClaims answers a peer that claims keys.
func (p *Proxy) AnswerClaims(peer string, question []byte) ([]byte, error) {
	now := time.Now()
	return p.claims.Answer(peer, question, func(key balancer.Digest) claims.Answer {
		switch at := p.stay(key, now); {
		case at.Rule == route.RuleSession, at.Rule == route.RuleSessionAtPeer:
			return claims.Answer{Kind: claims.Live, Host: at.Host}
		case at.Rule == route.RuleLingering:
			return p.lingers(key, at.Host, now)
		}
		return claims.Answer{}
	})
}

// lingers answers a peer that claims a key, which lingers on a host.
func (p *Proxy) lingers(key balancer.Digest, host string, now time.Time) claims.Answer {
	h := p.host(host)
	if h == nil { // it is gone: the peer needn't wait for it
		return claims.Answer{}
	}
	if h.YieldsLingering(now) {
		p.region.Displaced(key, host)
	}
	return claims.Answer{Kind: claims.Lingers, Host: host}
}

// NewElder returns an older process of which nothing is known yet. See elder.Elders.Add for
// what end must do.
func (p *Proxy) NewElder(end func(elder.End) error) *elder.Elder { return p.elders.Add(end) }

// Takers returns which hosts have taken keys that others had given away, for another
// process.
func (p *Proxy) Takers() []session.TakerState { return p.chances.Takers().State() }

// RestoreTakers replaces what is known of such hosts by what another process knows.
func (p *Proxy) RestoreTakers(all []session.TakerState) {
	p.chances.Takers().Restore(all, time.Now())
}

// closed counts the end of a terminal of key, on a host, as a use of it.
func (p *Proxy) closed(key balancer.Digest, host string) {
	p.chances.Takers().Used(key, time.Now())
	if p.pools.Of(host).Bounded() {
		p.placements.Closed(key, time.Now())
	}
}

// elderClosed is called when the last terminal that an older process has of a key has ended
// there. The key lingers on its host.
func (p *Proxy) elderClosed(key balancer.Digest, host string) {
	if p.retired() {
		return
	}
	p.region.Used(key, host, time.Now())
	p.closed(key, host)
}

// Session returns the host on which a key has live tunnels through this balancer, and
// their number. It returns "" and 0 if there are none.
func (p *Proxy) Session(key balancer.Digest) (host string, tunnels int) {
	return p.sessions.Host(key)
}

// Page lists the terminals of a selection in this process.
func (p *Proxy) Page(sel session.Selection) session.Page { return p.sessions.Page(sel) }

// Live returns the sessions through this balancer, in no order. It visits all of them, so
// it is for operators' questions only.
func (p *Proxy) Live() []session.Session {
	away := p.placements.Away
	if p.cfg.Linger > 0 { // whoever connects again soon comes back to the same host
		away = func(balancer.Digest) bool { return true }
	}
	return p.sessions.List(away)
}

// Placement returns the host to which a key was sent before. It is the zero value if the
// key isn't known. While loads aren't bounded, only keys are known that a host has given
// away.
func (p *Proxy) Placement(key balancer.Digest) route.Placement {
	if host := p.chances.Takers().Host(key, time.Now()); host != "" {
		return route.Placement{Host: host, Taken: true}
	}
	return p.placements.Placement(key, time.Now())
}

// Placements returns where keys were sent, for another process.
func (p *Proxy) Placements(now time.Time) session.PlacementsState { return p.placements.State(now) }

// RestorePlacements replaces what is known of where keys were sent by what another process
// knows.
func (p *Proxy) RestorePlacements(s session.PlacementsState) { p.placements.Restore(s) }

// Connections returns how many connections of clients are open.
func (p *Proxy) Connections() int { return p.connections.Open() }

// Answers returns what was answered in each pool, by its name in the configuration.
func (p *Proxy) Answers() map[string]answers.Totals {
	all := map[string]answers.Totals{}
	for pool := range p.pools.All() {
		all[cmp.Or(pool.Name, routing.MainPool)] = pool.Answers.Totals()
	}
	return all
}

// load returns how much there is to do now, for the access log: in a pool, by its name there, and on
// one of its hosts.
func (p *Proxy) load(pool, host string) accesslog.Load {
	now := accesslog.Load{Process: p.connections.Open()}
	for _, h := range p.pools.Named(pool).Snapshot().Hosts {
		n := h.Gauges.Sessions.Load() + h.Gauges.InFlight.Load()
		now.Pool += n
		if h.Name == host {
			now.Host = n
		}
	}
	return now
}

// SetConnectionsElsewhere says how many connections other processes of this balancer have
// open: they count against limits.connections.
func (p *Proxy) SetConnectionsElsewhere(n int) { p.connections.SetElsewhere(n) }

// freeIdle closes an idle connection to a host if there are too many, so that the
// connection that is about to be opened finds a free file.
func (p *Proxy) freeIdle() {
	if !p.idle.Exceeded() {
		return
	}
	for _, u := range p.pools.Upstreams() {
		if u.CloseOldest() {
			return
		}
	}
}
