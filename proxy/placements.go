package proxy

import (
	"sync"
	"time"

	"tokenring/balancer"
	"tokenring/pool"
)

// placements remembers where each key was sent, while loads are bounded: whether
// its host is full is asked once, and a page, its terminal and whatever comes
// later must find the same host. What follows from a placement, Snapshot.Place
// says.
//
// It is sharded like sessions, and knows keys by the same hashes. A key is forgotten
// when a day has passed without a request or a tunnel of it; and when there are too
// many keys, those go first that weren't used for the longest time: those at home,
// which only follow the ring again, before those away.
type placements struct {
	sessions *sessions
	epoch    time.Time // from which uses are counted
	shards   [64]placementShard

	// placing is held from the question who is full until the answer is counted,
	// and while an expected terminal becomes an open one, so that the bound is kept
	// however many keys come at once.
	placing sync.Mutex
}

const (
	maxPlacements = 1 << 18 // keys, with about 100 bytes each; those with tunnels may make it more
	rememberFor   = 24 * time.Hour
)

func newPlacements(s *sessions, m *Metrics) *placements {
	p := &placements{sessions: s, epoch: time.Now()}
	for i := range p.shards {
		p.shards[i].all, p.shards[i].keys = p, make(map[uint64]*placed)
		p.shards[i].home.length, p.shards[i].away.length = m.home, m.away
	}
	return p
}

// choose says which host serves key, as s.Place does, and remembers it. fresh
// tells that the key wasn't known before.
func (p *placements) choose(s *pool.Snapshot, key []byte, avoid *pool.Host, now time.Time) (c pool.Choice, fresh, ok bool) {
	hash, shard := p.lock(key)
	defer shard.mu.Unlock()
	var before pool.Placement
	e := shard.find(hash, now)
	if e != nil {
		before = e.Placement
		shard.use(e, now)
		c, ok = s.Place(key, before, avoid, now)
		if !ok {
			return c, false, false
		}
		if c.Host.Name == before.Host {
			shard.settle(e, c.Placement())
			return c, false, true
		}
	}
	p.placing.Lock()
	defer p.placing.Unlock()
	if c, ok = s.Place(key, before, avoid, now); ok {
		shard.send(s, hash, c, now)
	}
	return c, ok && e == nil, ok
}

// follow remembers that key is at h because its client's cookie says so, so that
// clients of the key that have no cookie find it there. fresh is choose's.
func (p *placements) follow(s *pool.Snapshot, key []byte, h *pool.Host, now time.Time) (fresh bool) {
	hash, shard := p.lock(key)
	defer shard.mu.Unlock()
	e := shard.find(hash, now)
	if e != nil && e.Host == h.Name {
		shard.use(e, now)
		return false
	}
	shard.send(s, hash, at(s, key, h), now)
	return e == nil
}

// stay remembers that key is at h because it has tunnels there, which have outlived
// a failure for which it was sent elsewhere. Nothing is expected of it.
func (p *placements) stay(s *pool.Snapshot, key []byte, h *pool.Host, now time.Time) {
	hash, shard := p.lock(key)
	defer shard.mu.Unlock()
	if e := shard.find(hash, now); e != nil && e.Host != h.Name {
		shard.send(s, hash, at(s, key, h), now)
		h.Gauges.Meet(e.expects)
		e.expects = 0
	}
}

// at returns the choice of a host that something else than the ring has chosen.
func at(s *pool.Snapshot, key []byte, h *pool.Host) pool.Choice {
	if ring, ok := s.Choose(key, nil); ok && ring.Host == h {
		return pool.Choice{Host: h, Rule: balancer.RuleOwner}
	}
	return pool.Choice{Host: h, Rule: pool.RulePlaced}
}

// refused forgets a key that a request has brought to h that came then, because the
// host has refused it and no other request has used it: whoever makes keys up leaves
// nothing behind.
func (p *placements) refused(key []byte, h *pool.Host, then time.Time) {
	hash, shard := p.lock(key)
	defer shard.mu.Unlock()
	e := shard.keys[hash]
	if e == nil || e.Host != h.Name || e.shared || e.used != then.Sub(p.epoch) || p.sessions.has(hash) {
		return
	}
	h.Gauges.Meet(e.expects)
	shard.forget(e)
}

// of returns the placement of key; the zero value if it isn't known.
func (p *placements) of(key []byte, now time.Time) pool.Placement {
	hash, shard := p.lock(key)
	defer shard.mu.Unlock()
	if e := shard.find(hash, now); e != nil {
		return e.Placement
	}
	return pool.Placement{}
}

// away reports whether the key of this hash stays where it is, whatever the ring
// says.
func (p *placements) away(hash uint64) bool {
	shard := p.shard(hash)
	shard.mu.Lock()
	defer shard.mu.Unlock()
	e := shard.keys[hash]
	return e != nil && e.Away
}

// opened counts a tunnel to u for the key of this hash, in place of what was
// expected of the key.
func (p *placements) opened(hash uint64, u *upstream) {
	shard := p.shard(hash)
	shard.mu.Lock()
	defer shard.mu.Unlock()
	p.placing.Lock()
	defer p.placing.Unlock()
	u.gauges.Sessions.Add(1)
	if e := shard.keys[hash]; e != nil && e.Host == u.name {
		u.gauges.Meet(e.expects)
		e.expects = 0
	}
}

// closed takes note of the end of a tunnel, with which its key's day begins.
func (p *placements) closed(hash uint64, now time.Time) {
	shard := p.shard(hash)
	shard.mu.Lock()
	defer shard.mu.Unlock()
	if e := shard.keys[hash]; e != nil {
		shard.use(e, now)
	}
}

// lock returns the hash of key, and its shard with the lock held.
func (p *placements) lock(key []byte) (hash uint64, shard *placementShard) {
	hash = p.sessions.hash(key)
	shard = p.shard(hash)
	shard.mu.Lock()
	return hash, shard
}

func (p *placements) shard(hash uint64) *placementShard {
	return &p.shards[hash%uint64(len(p.shards))]
}
