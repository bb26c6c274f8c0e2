// Package proxy is the data path: it accepts clients' connections, reads their
// requests, sends each to the host that its key belongs to, and carries bytes
// both ways until the exchange, or the terminal behind a WebSocket, has ended.
package proxy

import (
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"tokenring/balancer"
	"tokenring/pool"
)

// Options are what a Proxy is handed by its owner.
type Options struct {
	Logger  zerolog.Logger    // faults of the proxy itself; nothing per request
	Access  *zerolog.Logger   // one line per request or tunnel; nil for none. It must not block
	Metrics *Metrics          // required
	Suspect func(host string) // told of each connect failure and reset; must not block; nil for nobody
	Digest  balancer.Digester // what stands for a key in the access log
}

// A Proxy serves clients on any number of listeners. Its methods are safe for
// concurrent use.
type Proxy struct {
	cfg        Config
	opt        Options
	routes     atomic.Pointer[routes]
	sessions   *sessions
	placements *placements
	affinity   *affinity // nil for none
	malformed  *malformedLog
	room       *room
	streams    *streamLimit
	sources    *sources
	idle       *idleBound
}

// routes is a snapshot of the hosts together with this proxy's connections to
// them. It is immutable; Use swaps it whole.
type routes struct {
	snapshot  *pool.Snapshot
	upstreams map[string]*upstream // by host name
	replaced  chan struct{}        // closed when others are in force
}

// New returns a proxy that answers 503 until Use gives it hosts.
func New(cfg Config, o Options) *Proxy {
	if o.Suspect == nil {
		o.Suspect = func(string) {}
	}
	p := &Proxy{cfg: cfg.withDefaults(), opt: o, sessions: newSessions()}
	p.placements = newPlacements(p.sessions, o.Metrics)
	p.malformed = newMalformedLog(o.Logger)
	p.affinity = newAffinity(p.cfg.Affinity.Cookie, p.cfg.AffinitySecrets)
	p.room = newRoom(p.cfg.Limits.Connections)
	p.streams, p.sources, p.idle = newStreamLimit(p.cfg.Limits.Streams, p.room), newSources(), &idleBound{room: p.room}
	o.Metrics.limit.Set(float64(p.cfg.Limits.Connections))
	if files := maxFiles(); p.cfg.Limits.Connections > connectionsFor(files) {
		o.Logger.Warn().Int("connections", p.cfg.Limits.Connections).Uint64("open_files", files).
			Msg("limits.connections may need more open files than the system's limit allows")
	}
	p.routes.Store(&routes{snapshot: pool.NewSnapshot(nil, nil), replaced: make(chan struct{})})
	return p
}

// Use makes s the hosts that requests are sent to from now on. Requests under
// way stay where they are, and so do tunnels, with two exceptions. Those of a host
// in maint are ended, because nothing may reach it. And a host whose address has
// changed is on another machine now: connections to the old address are closed,
// and its tunnels ended, before the new address gets its first request. Use must
// not be called concurrently with itself.
func (p *Proxy) Use(s *pool.Snapshot) {
	old := p.routes.Load()
	next, fresh := old.next(s, &p.cfg)
	maint := map[string]bool{}
	var failed []*upstream
	for _, h := range s.Hosts {
		if h.State == pool.Maint && !inMaint(old.snapshot, h.Name) {
			maint[h.Name] = true
		}
		if h.Verdict == pool.Down || maint[h.Name] {
			failed = append(failed, next.upstreams[h.Name])
		}
	}
	for _, u := range fresh {
		u.spare = p.idle
	}
	p.routes.Store(next)
	close(old.replaced)
	for _, u := range failed {
		u.noteWaits()
	}
	gone := old.missingIn(next)
	for _, u := range gone {
		u.retire()
	}
	if len(maint) > 0 {
		p.sessions.end(func(t *tunnel) bool { return maint[t.upstream.name] }, endMaint)
	}
	if len(fresh) > 0 {
		p.sessions.end(func(t *tunnel) bool {
			u := fresh[t.upstream.name]
			return u != nil && !u.same(t.upstream)
		}, endMoved)
	}
	for _, u := range gone {
		u.close()
	}
	for _, u := range fresh {
		close(u.turn)
	}
}

// next returns the routes to s's hosts, and those of the upstreams that are new:
// they don't open anything before their turn.
func (r *routes) next(s *pool.Snapshot, c *Config) (next *routes, fresh map[string]*upstream) {
	next = &routes{snapshot: s, upstreams: make(map[string]*upstream, len(s.Hosts)), replaced: make(chan struct{})}
	fresh = map[string]*upstream{}
	for _, h := range s.Hosts {
		u := r.upstreams[h.Name]
		if u == nil || u.address != h.Address || u.gauges != h.Gauges {
			u = newUpstream(h, c)
			u.turn = make(chan struct{})
			fresh[h.Name] = u
		}
		next.upstreams[h.Name] = u
	}
	return next, fresh
}

// missingIn returns the upstreams of r that next doesn't have.
func (r *routes) missingIn(next *routes) (gone []*upstream) {
	for name, u := range r.upstreams {
		if next.upstreams[name] != u {
			gone = append(gone, u)
		}
	}
	return gone
}

func inMaint(s *pool.Snapshot, name string) bool {
	h := s.Host(name)
	return h != nil && h.State == pool.Maint
}

// keeps tells whether live sessions stay on the named host.
func (p *Proxy) keeps(host string) bool {
	h := p.routes.Load().snapshot.Host(host)
	return h != nil && h.Keeps()
}

// bounded tells whether placements are kept.
func (p *Proxy) bounded() bool { return p.routes.Load().snapshot.BoundedLoad > 0 }

// Session returns the host on which key has live tunnels through this
// balancer, and how many they are; "" and 0 if there are none.
func (p *Proxy) Session(key []byte) (host string, tunnels int) {
	return p.sessions.host(key)
}

// Live returns the sessions through this balancer, in no order. It costs a walk
// over all of them, which only an operator's question is worth.
func (p *Proxy) Live() []pool.Session { return p.sessions.list(p.placements.away) }

// Placement returns where key was sent before; the zero value if it isn't known,
// which it never is while loads aren't bounded.
func (p *Proxy) Placement(key []byte) pool.Placement { return p.placements.of(key, time.Now()) }
