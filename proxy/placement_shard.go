package proxy

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"tokenring/pool"
)

// A placementShard is a part of the keys. Its methods are called with mu held.
type placementShard struct {
	all  *placements
	mu   sync.Mutex
	keys map[uint64]*placed // by their hashes
	home queue
	away queue
}

// A placed is a key that was placed.
type placed struct {
	pool.Placement
	hash         uint64
	used         time.Duration    // the last time, since the epoch
	expects      pool.Expectation // of its terminal
	shared       bool             // by more than the request that has made it known
	newer, older *placed          // in its queue
}

// find returns what is known of a key, nil if nothing is, or not any more.
func (s *placementShard) find(hash uint64, now time.Time) *placed {
	e := s.keys[hash]
	if e != nil && s.expired(e, now) && !s.all.sessions.has(hash) {
		s.forget(e)
		return nil
	}
	return e
}

// send makes c's host the one of a key, which may be new, and counts it there.
func (s *placementShard) send(snap *pool.Snapshot, hash uint64, c pool.Choice, now time.Time) {
	e := s.keys[hash]
	if e == nil {
		s.makeRoom(now)
		e = &placed{hash: hash, used: now.Sub(s.all.epoch)}
		s.keys[hash] = e
		s.enter(e)
	} else if old := snap.Host(e.Host); old != nil {
		old.Gauges.Meet(e.expects)
	}
	e.expects = c.Host.Gauges.Expect(now)
	s.settle(e, c.Placement())
	s.use(e, now)
}

// settle gives e a placement.
func (s *placementShard) settle(e *placed, to pool.Placement) {
	if e.Away == to.Away {
		e.Host = to.Host
		return
	}
	s.leave(e)
	e.Placement = to
	s.enter(e)
}

// use makes e the newest of its queue. now is when the request came that uses it,
// which tells one request from another.
func (s *placementShard) use(e *placed, now time.Time) {
	at := now.Sub(s.all.epoch)
	e.shared = e.shared || at != e.used
	e.used = max(e.used, at)
	q := s.queue(e)
	q.remove(e)
	q.add(e)
}

// forget drops e. What is still expected of it lapses by itself.
func (s *placementShard) forget(e *placed) {
	s.leave(e)
	delete(s.keys, e.hash)
}

func (s *placementShard) enter(e *placed) {
	s.queue(e).add(e)
	s.queue(e).length.Inc()
}

func (s *placementShard) leave(e *placed) {
	s.queue(e).remove(e)
	s.queue(e).length.Dec()
}

// makeRoom forgets a few keys that are due. One that has tunnels isn't: it counts
// as used now, which puts it out of the way of who looks next. If there are only
// such, the shard grows.
func (s *placementShard) makeRoom(now time.Time) {
	const looks = 8
	for _, q := range []*queue{&s.home, &s.away} {
		for range looks {
			e := q.oldest
			if e == nil || !s.full() && !s.expired(e, now) {
				break
			}
			if s.all.sessions.has(e.hash) {
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

// queue returns the one that e is in, or belongs in.
func (s *placementShard) queue(e *placed) *queue {
	if e.Away {
		return &s.away
	}
	return &s.home
}

// A queue holds keys in the order of their last use.
type queue struct {
	newest, oldest *placed
	length         prometheus.Gauge // of all queues of its kind together
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
