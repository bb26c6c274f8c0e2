package proxy

import (
	"hash/maphash"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// sources are the addresses that HTTP/2 connections come from: an IPv4 address, or
// an IPv6 network of 64 bits. What one of them has used of its limits outlives its
// connections, so that it isn't renewed by connecting again.
//
// It is sharded by the address, so that no lock is shared by all connections.
type sources struct {
	seed   maphash.Seed
	shards [64]sourceShard
}

type sourceShard struct {
	mu     sync.Mutex
	all    map[netip.Addr]*source
	unused int // of them, about
	many   int // of unused ones, when it is worth a look which may be forgotten
}

// A source is one of them. A nil source has no limits. It is safe for concurrent
// use.
type source struct {
	conns   int          // guarded by the shard's lock
	streams atomic.Int64 // with a place that a streamLimit counts

	mu   sync.Mutex
	used float64   // cancelled requests that haven't been forgiven yet
	at   time.Time // when used was right
}

// Cancelled requests of a source: so many at once, and so many more each second.
// That is ten times what the guard allows one connection, since many users may
// share an address.
const (
	cancelBurst = 3000
	cancelRate  = 300
	floodCost   = 300 // of a connection that the guard has ended
)

func newSources() *sources {
	s := &sources{seed: maphash.MakeSeed()}
	for i := range s.shards {
		s.shards[i].all = make(map[netip.Addr]*source)
	}
	return s
}

func (s *sources) shard(a netip.Addr) *sourceShard {
	return &s.shards[maphash.Comparable(s.seed, a)%uint64(len(s.shards))]
}

// enter counts a connection from a, until leave.
func (s *sources) enter(a netip.Addr, now time.Time) *source {
	shard := s.shard(a)
	shard.mu.Lock()
	defer shard.mu.Unlock()
	from := shard.all[a]
	switch {
	case from == nil:
		shard.forget(now)
		from = &source{}
		shard.all[a] = from
	case from.conns == 0:
		shard.unused--
	}
	from.conns++
	return from
}

// leave ends the count of a connection.
func (s *sources) leave(a netip.Addr, from *source, now time.Time) {
	shard := s.shard(a)
	shard.mu.Lock()
	defer shard.mu.Unlock()
	from.conns--
	switch {
	case from.conns > 0:
	case from.forgiven(now):
		delete(shard.all, a)
	default:
		shard.unused++
	}
}

// restless tells whether a has cancelled more requests than it may.
func (s *sources) restless(a netip.Addr, now time.Time) bool {
	shard := s.shard(a)
	shard.mu.Lock()
	from := shard.all[a]
	shard.mu.Unlock()
	return from.restless(now)
}

// forget drops sources that are of no interest any more, when there are many. The
// shard's lock is held.
func (s *sourceShard) forget(now time.Time) {
	const few = 64
	if s.unused < max(few, s.many) {
		return
	}
	s.unused = 0
	for a, from := range s.all {
		switch {
		case from.conns > 0:
		case from.forgiven(now):
			delete(s.all, a)
		default:
			s.unused++
		}
	}
	s.many = 2 * s.unused
}

// cancelled counts n requests that ended before their answers did.
func (s *source) cancelled(n float64, now time.Time) {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.used = min(s.usedLocked(now)+n, 2*cancelBurst)
	s.at = now
}

// usedLocked is what hasn't been forgiven by now.
func (s *source) usedLocked(now time.Time) float64 {
	return max(0, s.used-now.Sub(s.at).Seconds()*cancelRate)
}

func (s *source) restless(now time.Time) bool {
	if s == nil {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.usedLocked(now) > cancelBurst
}

func (s *source) forgiven(now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.usedLocked(now) == 0
}

// takeStream counts a stream, unless there are share of them.
func (s *source) takeStream(share int64) bool {
	if s == nil || s.streams.Add(1) <= share {
		return true
	}
	s.streams.Add(-1)
	return false
}

func (s *source) giveStream() {
	if s != nil {
		s.streams.Add(-1)
	}
}
