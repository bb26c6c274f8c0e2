package proxy

import (
	"hash/maphash"
	"sync"

	"tokenring/pool"
)

// sessions holds, for every key with a live tunnel, the one host that all its
// tunnels are on. It is what keeps a user in place while the ring changes, and
// what makes sure that no key has tunnels to two hosts through this balancer.
//
// It is sharded by the key's hash, so that no lock is shared by all
// connections. Keys are kept only as hashes under a seed of this process.
type sessions struct {
	seed   maphash.Seed
	shards [64]sessionShard
}

type sessionShard struct {
	mu   sync.Mutex
	live map[uint64]*tunnel // the newest of a key; the others hang on its next
}

func newSessions() *sessions {
	s := &sessions{seed: maphash.MakeSeed()}
	for i := range s.shards {
		s.shards[i].live = make(map[uint64]*tunnel)
	}
	return s
}

// host returns where the tunnels of key are and how many they are; "" if none.
func (s *sessions) host(key []byte) (host string, tunnels int) {
	hash := s.hash(key)
	shard := s.shard(hash)
	shard.mu.Lock()
	defer shard.mu.Unlock()
	for t := shard.live[hash]; t != nil; t = t.next {
		host = t.upstream.name
		tunnels++
	}
	return host, tunnels
}

// has reports whether the key of this hash has tunnels.
func (s *sessions) has(hash uint64) bool {
	shard := s.shard(hash)
	shard.mu.Lock()
	defer shard.mu.Unlock()
	return shard.live[hash] != nil
}

// list returns the sessions, in no order. away tells which keys the ring has no
// say in, by their hashes.
func (s *sessions) list(away func(hash uint64) bool) []pool.Session {
	var all []pool.Session
	for i := range s.shards {
		shard := &s.shards[i]
		begin, hashes := len(all), []uint64(nil)
		shard.mu.Lock()
		for hash, live := range shard.live {
			all, hashes = append(all, sessionOf(live)), append(hashes, hash)
		}
		shard.mu.Unlock()
		for j, hash := range hashes { // without the lock, which placements take under theirs
			all[begin+j].Away = away(hash)
		}
	}
	return all
}

// sessionOf sums up t and those behind it. The shard's lock is held. A tunnel
// that isn't keyed, because there was no table when it came, learns from those
// that are.
func sessionOf(t *tunnel) pool.Session {
	session := pool.Session{Host: t.upstream.name}
	for ; t != nil; t = t.next {
		session.Tunnels++
		if t.keyed {
			session.Hash, session.Keyed = t.place, true
		}
	}
	return session
}

// enter counts t among the tunnels of key, before anything is sent to t's host. It
// refuses if key has tunnels on another host that keeps them, as keeps tells, or on
// the new address of t's host: t's was chosen before they came. If that other host
// doesn't keep them, or its address is the old one, they are ended. keeps is called
// with a lock held.
func (s *sessions) enter(key []byte, t *tunnel, keeps func(host string) bool) bool {
	t.hash = s.hash(key)
	old, ok := s.shard(t.hash).enter(t, keeps)
	endAll(old, endMoved)
	return ok
}

// enter returns the tunnels that t takes the place of.
func (s *sessionShard) enter(t *tunnel, keeps func(host string) bool) (old []*tunnel, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	live := s.live[t.hash]
	switch {
	case live == nil || live.upstream.same(t.upstream):
		t.next = live
	case live.upstream.name == t.upstream.name:
		if t.upstream.retired() {
			return nil, false
		}
		old = together(nil, live)
	case keeps(live.upstream.name):
		return nil, false
	default:
		old = together(nil, live)
	}
	s.live[t.hash] = t
	return old, true
}

// leave takes t out again. It is safe for a tunnel that enter has ended since.
func (s *sessions) leave(t *tunnel) {
	shard := s.shard(t.hash)
	shard.mu.Lock()
	defer shard.mu.Unlock()
	live := shard.live[t.hash]
	if live == t && t.next == nil {
		delete(shard.live, t.hash)
		return
	}
	if live == t {
		shard.live[t.hash] = t.next
		return
	}
	for other := live; other != nil; other = other.next {
		if other.next == t {
			other.next = t.next
			return
		}
	}
}

// end ends the tunnels of the keys whose newest one which tells. It costs a walk over
// all sessions, which only a decision or a host that comes or moves is worth. which
// is called with a lock held.
func (s *sessions) end(which func(*tunnel) bool, why string) {
	for i := range s.shards {
		shard := &s.shards[i]
		var hit []*tunnel
		shard.mu.Lock()
		for _, live := range shard.live {
			if which(live) {
				hit = together(hit, live)
			}
		}
		shard.mu.Unlock()
		endAll(hit, why)
	}
}

// together appends t and those behind it. The shard's lock is held.
func together(list []*tunnel, t *tunnel) []*tunnel {
	for ; t != nil; t = t.next {
		list = append(list, t)
	}
	return list
}

// hash returns what stands for key in this process.
func (s *sessions) hash(key []byte) uint64 { return maphash.Bytes(s.seed, key) }

func (s *sessions) shard(hash uint64) *sessionShard { return &s.shards[hash%uint64(len(s.shards))] }

// endAll must not be called with a lock held: what ends here leaves its shard.
func endAll(tunnels []*tunnel, why string) {
	for _, t := range tunnels {
		t.end(why)
	}
}
