package region

import (
	"time"
)

// sweep forgets the keys that linger no more, and hosts that no key names. It holds the lock
// of one shard at a time.
func (r *Region) sweep(now time.Time) {
	used := make([]bool, r.names.size())
	mark := func(host uint32) {
		if int(host) < len(used) {
			used[host] = true
		}
	}
	for i := range r.shards {
		s := &r.shards[i]
		s.mu.Lock()
		r.sweepShard(s, r.seconds(now), mark)
		s.mu.Unlock()
	}
	r.names.release(used)
}

// sweepShard is sweep for one shard, which is locked. mark is called for each host that a key
// names.
func (r *Region) sweepShard(s *shard, now uint32, mark func(host uint32)) {
	peers := *r.peers.Load()
	for slot, table := range s.peers {
		for key, e := range table {
			if e.cut && r.gone(e.since, now) {
				delete(table, key)
				peers[slot].cut.Add(-1)
				r.keys.Add(-1)
				continue
			}
			mark(e.host)
		}
		if len(table) == 0 {
			s.peers[slot] = nil // gives the memory back
		}
	}
	left := s.linger.forgetIf(func(n *node) bool {
		if r.over(n.used, now) {
			return true
		}
		mark(n.host)
		return false
	})
	r.lingering.Add(-int64(left))
	r.keys.Add(-int64(left))
	for key := range s.split {
		r.checkSplit(s, key)
	}
}

// Clear forgets everything. It is for a process that decides nothing any more.
func (r *Region) Clear() {
	r.mu.Lock()
	for _, p := range *r.peers.Load() {
		if p.stream != nil {
			p.stream.end()
		}
	}
	r.mu.Unlock()
	r.sweep(time.Now().Add(seconds(r.linger) + 2*reconnect*time.Second))
}

// seconds returns a number of seconds as a duration.
func seconds(n uint32) time.Duration { return time.Duration(n) * time.Second }
