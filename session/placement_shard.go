package session

import (
	"sync"
	"time"

	"tokenring/balancer"
	"tokenring/route"
)

// A placementShard is a part of the keys. Its methods are called with mu held.
type placementShard struct {
	all  *Placements
	mu   sync.Mutex
	keys map[balancer.Digest]*placed
	home queue
	away queue
}

// A placed is a key with its placement.
type placed struct {
	route.Placement
	key          balancer.Digest
	used         time.Duration     // when it was last used, since the epoch
	expects      route.Reservation // of a terminal that isn't open yet
	shared       bool              // more than one request has used it
	newer, older *placed           // in its queue
}

// find returns a key's entry. It is nil if the key isn't known, or has expired.
func (s *placementShard) find(key balancer.Digest, now time.Time) *placed {
	e := s.keys[key]
	if e != nil && s.expired(e, now) && !s.all.sessions.has(key) {
		s.forget(e)
		return nil
	}
	return e
}

// assign places a key, which may be new, on the host of c, and makes a reservation there.
func (s *placementShard) assign(snap *route.Snapshot, key balancer.Digest, c route.Choice, now time.Time) {
	e := s.keys[key]
	if e == nil {
		s.evict(now)
		e = &placed{key: key, used: now.Sub(s.all.epoch)}
		s.keys[key] = e
		s.enqueue(e)
	} else if old := snap.Host(e.Host); old != nil {
		old.Gauges.Release(e.expects)
	}
	e.expects = c.Host.Gauges.Reserve(now)
	s.update(e, c.Placement())
	s.use(e, now)
}

// update changes the placement of e.
func (s *placementShard) update(e *placed, to route.Placement) {
	if e.Away == to.Away {
		e.Host = to.Host
		return
	}
	s.dequeue(e)
	e.Placement = to
	s.enqueue(e)
}

// use makes e the newest of its queue. now is the moment of the request that uses it.
func (s *placementShard) use(e *placed, now time.Time) {
	at := now.Sub(s.all.epoch)
	e.shared = e.shared || at != e.used
	e.used = max(e.used, at)
	q := s.queue(e)
	q.remove(e)
	q.add(e)
}

// forget removes e. Its reservation expires by itself.
func (s *placementShard) forget(e *placed) {
	s.dequeue(e)
	delete(s.keys, e.key)
}

func (s *placementShard) enqueue(e *placed) {
	s.queue(e).add(e)
	s.queue(e).length.Inc()
}

func (s *placementShard) dequeue(e *placed) {
	s.queue(e).remove(e)
	s.queue(e).length.Dec()
}

// evict forgets a few of the oldest keys, if they have expired or the shard is full. It
// keeps a key with terminals, and makes that key the newest instead, so that the next
// call tries others. If all keys have terminals, the shard grows.
func (s *placementShard) evict(now time.Time) {
	const tries = 8
	for _, q := range []*queue{&s.home, &s.away} {
		for range tries {
			e := q.oldest
			if e == nil || !s.full() && !s.expired(e, now) {
				break
			}
			if s.all.sessions.has(e.key) {
				s.use(e, now)
			} else {
				s.forget(e)
			}
		}
	}
}

func (s *placementShard) full() bool { return len(s.keys) >= maxPlacements/len(s.all.shards) }

func (s *placementShard) expired(e *placed, now time.Time) bool {
	return now.Sub(s.all.epoch)-e.used >= rememberFor
}

// queue returns the queue of keys at home or away, by the placement of e.
func (s *placementShard) queue(e *placed) *queue {
	if e.Away {
		return &s.away
	}
	return &s.home
}

// A queue holds keys in the order of their last use.
type queue struct {
	newest, oldest *placed
	length         Gauge // of the queues of all shards together
}

func (q *queue) add(e *placed) {
	e.older, e.newer = q.newest, nil
	if e.older != nil {
		e.older.newer = e
	} else {
		q.oldest = e
	}
	q.newest = e
}

func (q *queue) remove(e *placed) {
	if e.newer != nil {
		e.newer.older = e.older
	} else {
		q.newest = e.older
	}
	if e.older != nil {
		e.older.newer = e.newer
	} else {
		q.oldest = e.newer
	}
}
