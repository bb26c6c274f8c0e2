package proxy

import (
	"hash/maphash"
	"sync"
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
	hash := maphash.Bytes(s.seed, key)
	shard := s.shard(hash)
	shard.mu.Lock()
	defer shard.mu.Unlock()
	for t := shard.live[hash]; t != nil; t = t.next {
		host = t.host
		tunnels++
	}
	return host, tunnels
}

// enter counts t among the tunnels of key, before anything is sent to t's host.
// Tunnels that key still has on another host are ended: the newest choice wins,
// and a choice differs from the last one only when that host is out of service.
func (s *sessions) enter(key []byte, t *tunnel) {
	t.hash = maphash.Bytes(s.seed, key)
	shard := s.shard(t.hash)
	shard.mu.Lock()
	var old []*tunnel
	if live := shard.live[t.hash]; live != nil && live.host != t.host {
		old = together(nil, live)
	} else {
		t.next = live
	}
	shard.live[t.hash] = t
	shard.mu.Unlock()
	endAll(old, endMoved)
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

// end ends the tunnels on the hosts that which tells. It costs a walk over all
// sessions, which only an operator's decision is worth.
func (s *sessions) end(which func(host string) bool, why string) {
	for i := range s.shards {
		shard := &s.shards[i]
		var hit []*tunnel
		shard.mu.Lock()
		for _, live := range shard.live {
			if which(live.host) {
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

func (s *sessions) shard(hash uint64) *sessionShard { return &s.shards[hash%uint64(len(s.shards))] }

// endAll must not be called with a lock held: what ends here leaves its shard.
func endAll(tunnels []*tunnel, why string) {
	for _, t := range tunnels {
		t.end(why)
	}
}
