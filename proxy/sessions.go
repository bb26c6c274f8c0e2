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
	live map[uint64]*session
}

// A session is the live tunnels of one key.
type session struct {
	host    string
	tunnels []*tunnel
}

func newSessions() *sessions {
	s := &sessions{seed: maphash.MakeSeed()}
	for i := range s.shards {
		s.shards[i].live = make(map[uint64]*session)
	}
	return s
}

// host returns where the tunnels of key are and how many they are; "" if none.
func (s *sessions) host(key []byte) (host string, tunnels int) {
	hash, shard := s.shard(key)
	shard.mu.Lock()
	defer shard.mu.Unlock()
	if live := shard.live[hash]; live != nil {
		return live.host, len(live.tunnels)
	}
	return "", 0
}

// enter counts t among the tunnels of key, before anything is sent to t's host.
// Tunnels that key still has on another host are ended: the newest choice wins,
// and a choice differs from the last one only when that host is out of service.
func (s *sessions) enter(key []byte, t *tunnel) {
	hash, shard := s.shard(key)
	shard.mu.Lock()
	live := shard.live[hash]
	if live == nil {
		live = &session{host: t.host}
		shard.live[hash] = live
	}
	var old []*tunnel
	if live.host != t.host {
		old, live.tunnels, live.host = live.tunnels, nil, t.host
	}
	live.tunnels = append(live.tunnels, t)
	shard.mu.Unlock()
	endAll(old, endMoved)
}

// leave takes t out again. It is safe for a tunnel that enter has ended since.
func (s *sessions) leave(key []byte, t *tunnel) {
	hash, shard := s.shard(key)
	shard.mu.Lock()
	defer shard.mu.Unlock()
	live := shard.live[hash]
	if live == nil {
		return
	}
	for i, other := range live.tunnels {
		if other == t {
			live.tunnels = append(live.tunnels[:i], live.tunnels[i+1:]...)
			break
		}
	}
	if len(live.tunnels) == 0 {
		delete(shard.live, hash)
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
				hit = append(hit, live.tunnels...)
			}
		}
		shard.mu.Unlock()
		endAll(hit, why)
	}
}

func (s *sessions) shard(key []byte) (uint64, *sessionShard) {
	hash := maphash.Bytes(s.seed, key)
	return hash, &s.shards[hash%uint64(len(s.shards))]
}

func endAll(tunnels []*tunnel, why string) {
	for _, t := range tunnels {
		t.end(why)
	}
}
