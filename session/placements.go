package session

import (
	"sync"
	"time"

	"tokenring/balancer"
	"tokenring/route"
)

// Placements remembers to which host each key was sent, while loads are bounded. A key
// passes over full hosts only when it is new, so that a page, its terminal and later
// requests find the same host. route.Snapshot.Place says what follows from a placement.
//
// It is sharded like Sessions. A key is forgotten after a day without a request and
// without a terminal. If there are too many keys, the least recently used ones are
// forgotten earlier: first keys at home, which then follow the ring, then keys away.
//
// Make one with NewPlacements. Its methods are safe for concurrent use. Some methods need
// the moment when a request came. It identifies the request, so all calls for one
// request must pass the same moment.
type Placements struct {
	sessions *Sessions
	epoch    time.Time // from which uses are counted
	shards   [shards]placementShard

	// placing is held from the check whether a host is full until the new key is
	// counted, and while a reservation becomes an open terminal. So the bound holds even
	// if many keys come at once.
	placing sync.Mutex
}

const (
	maxPlacements = 1 << 18 // keys without terminals, of about 120 bytes each
	rememberFor   = 24 * time.Hour
)

// A Gauge shows how many keys there are. It must be safe for concurrent use and must not
// block.
type Gauge interface {
	Inc()
	Dec()
}

// NewPlacements returns empty Placements. They never forget a key that has terminals in s.
// Two gauges count the keys at home and away.
func NewPlacements(s *Sessions, home, away Gauge) *Placements {
	p := &Placements{sessions: s, epoch: time.Now()}
	for i := range p.shards {
		p.shards[i].all, p.shards[i].keys = p, make(map[balancer.Digest]*placed)
		p.shards[i].home.length, p.shards[i].away.length = home, away
	}
	return p
}

// Choose returns the host for a key, as s.Place does, and remembers it. fresh reports that
// the key wasn't known before.
func (p *Placements) Choose(s *route.Snapshot, key Key, avoid *route.Host, now time.Time) (c route.Choice, fresh, ok bool) {
	shard := p.lock(key.Digest)
	defer shard.mu.Unlock()
	var before route.Placement
	e := shard.find(key.Digest, now)
	if e != nil {
		before = e.Placement
		shard.use(e, now)
		c, ok = s.Place(key.Key, before, avoid, now)
		if !ok {
			return c, false, false
		}
		if c.Host.Name == before.Host {
			shard.update(e, c.Placement())
			return c, false, true
		}
	}
	p.placing.Lock()
	defer p.placing.Unlock()
	if c, ok = s.Place(key.Key, before, avoid, now); ok {
		shard.assign(s, key.Digest, c, now)
	}
	return c, ok && e == nil, ok
}

// Follow remembers that a client's cookie has led a key to h. Clients of the key without a
// cookie then get h as well. fresh reports that the key wasn't known before.
func (p *Placements) Follow(s *route.Snapshot, key Key, h *route.Host, now time.Time) (fresh bool) {
	shard := p.lock(key.Digest)
	defer shard.mu.Unlock()
	e := shard.find(key.Digest, now)
	if e != nil && e.Host == h.Name {
		shard.use(e, now)
		return false
	}
	shard.assign(s, key.Digest, choiceOf(s, key, h), now)
	return e == nil
}

// Stay remembers that a key is at h, because it has live terminals there. It corrects the
// placement of a key that was sent to another host during a failure, and releases the
// key's reservation.
func (p *Placements) Stay(s *route.Snapshot, key Key, h *route.Host, now time.Time) {
	shard := p.lock(key.Digest)
	defer shard.mu.Unlock()
	if e := shard.find(key.Digest, now); e != nil && e.Host != h.Name {
		shard.assign(s, key.Digest, choiceOf(s, key, h), now)
		h.Gauges.Release(e.expects)
		e.expects = 0
	}
}

// choiceOf returns the choice of h for a key, where a cookie or a terminal has chosen h.
func choiceOf(s *route.Snapshot, key Key, h *route.Host) route.Choice {
	if ring, ok := s.Choose(key.Key, nil); ok && ring.Host == h {
		return route.Choice{Host: h, Rule: balancer.RuleOwner}
	}
	return route.Choice{Host: h, Rule: route.RulePlaced}
}

// Refused forgets a key that a request has made known, because its host h has refused that
// request. It keeps a key that another request has used, or that has terminals. So a
// client that invents keys uses no memory. then is the moment of the request.
func (p *Placements) Refused(key balancer.Digest, h *route.Host, then time.Time) {
	shard := p.lock(key)
	defer shard.mu.Unlock()
	e := shard.keys[key]
	if e == nil || e.Host != h.Name || e.shared || e.used != then.Sub(p.epoch) || p.sessions.has(key) {
		return
	}
	h.Gauges.Release(e.expects)
	shard.forget(e)
}

// Placement returns the host to which a key was sent before. It is the zero value if the
// key isn't known.
func (p *Placements) Placement(key balancer.Digest, now time.Time) route.Placement {
	shard := p.lock(key)
	defer shard.mu.Unlock()
	if e := shard.find(key, now); e != nil {
		return e.Placement
	}
	return route.Placement{}
}

// Away reports whether a key stays on its host even if the ring has it elsewhere.
func (p *Placements) Away(key balancer.Digest) bool {
	shard := p.lock(key)
	defer shard.mu.Unlock()
	e := shard.keys[key]
	return e != nil && e.Away
}

// Opened counts an open terminal of a key on a host, in the host's gauges, and releases
// the key's reservation there.
func (p *Placements) Opened(key balancer.Digest, host string, g *route.Gauges) {
	shard := p.lock(key)
	defer shard.mu.Unlock()
	p.placing.Lock()
	defer p.placing.Unlock()
	g.Sessions.Add(1)
	if e := shard.keys[key]; e != nil && e.Host == host {
		g.Release(e.expects)
		e.expects = 0
	}
}

// Closed counts the end of a terminal as a use of its key.
func (p *Placements) Closed(key balancer.Digest, now time.Time) {
	shard := p.lock(key)
	defer shard.mu.Unlock()
	if e := shard.keys[key]; e != nil {
		shard.use(e, now)
	}
}

// lock locks the shard of a key and returns it.
func (p *Placements) lock(key balancer.Digest) *placementShard {
	shard := &p.shards[shardOf(key)]
	shard.mu.Lock()
	return shard
}
