package limit

import (
	"hash/maphash"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// Sources are the networks from which HTTP/2 connections come (netaddr.Source), each known
// by its first address. What a source has used of its limits outlives its connections, so
// that a client gains nothing when it connects again. It is safe for concurrent use.
//
// It is sharded by the address, so that no lock is shared by all connections.
type Sources struct {
	seed   maphash.Seed
	shards [64]sourceShard
}

type sourceShard struct {
	mu     sync.Mutex
	all    map[netip.Addr]*Source
	unused int // about how many sources have no connection
	many   int // how many unused sources there must be before forgetLocked visits all
}

// A Source is one network. A nil *Source has no limits. It is safe for concurrent use.
type Source struct {
	conns   int          // guarded by the shard's lock
	streams atomic.Int64 // further streams, which Streams counts

	mu   sync.Mutex
	used float64   // cancelled requests that still count, at a moment
	at   time.Time // that moment
}

// A source may cancel cancelBurst requests at once, and cancelRate more each second. That
// is ten times what the guard allows one connection, because many users may share an
// address.
const (
	cancelBurst = 3000
	cancelRate  = 300
)

// FloodCost is how many cancelled requests a flood of frames counts as.
const FloodCost = 300

// NewSources returns an empty Sources.
func NewSources() *Sources {
	s := &Sources{seed: maphash.MakeSeed()}
	for i := range s.shards {
		s.shards[i].all = make(map[netip.Addr]*Source)
	}
	return s
}

func (s *Sources) shard(a netip.Addr) *sourceShard {
	return &s.shards[maphash.Comparable(s.seed, a)%uint64(len(s.shards))]
}

// Add counts a connection from an address and returns its source. The caller must call
// Remove.
func (s *Sources) Add(a netip.Addr, now time.Time) *Source {
	shard := s.shard(a)
	shard.mu.Lock()
	defer shard.mu.Unlock()
	from := shard.all[a]
	switch {
	case from == nil:
		shard.forgetLocked(now)
		from = &Source{}
		shard.all[a] = from
	case from.conns == 0:
		shard.unused--
	}
	from.conns++
	return from
}

// Remove ends what Add began, with the address and the source of Add.
func (s *Sources) Remove(a netip.Addr, from *Source, now time.Time) {
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

// Exceeded reports whether the source of an address has cancelled too many requests.
func (s *Sources) Exceeded(a netip.Addr, now time.Time) bool {
	shard := s.shard(a)
	shard.mu.Lock()
	from := shard.all[a]
	shard.mu.Unlock()
	return from.exceeded(now)
}

// forgetLocked removes sources that have no connection and whose cancelled requests no
// longer count. It does nothing unless many sources have no connection.
func (s *sourceShard) forgetLocked(now time.Time) {
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

// Cancelled counts n requests that ended before their answers.
func (s *Source) Cancelled(n float64, now time.Time) {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.used = min(s.usedLocked(now)+n, 2*cancelBurst)
	s.at = now
}

// usedLocked returns how many cancelled requests still count.
func (s *Source) usedLocked(now time.Time) float64 {
	return max(0, s.used-now.Sub(s.at).Seconds()*cancelRate)
}

func (s *Source) exceeded(now time.Time) bool {
	if s == nil {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.usedLocked(now) > cancelBurst
}

func (s *Source) forgiven(now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.usedLocked(now) == 0
}

// addStream counts a stream. It reports false, and counts none, if there are share of them.
func (s *Source) addStream(share int64) bool {
	if s == nil || s.streams.Add(1) <= share {
		return true
	}
	s.streams.Add(-1)
	return false
}

func (s *Source) removeStream() {
	if s != nil {
		s.streams.Add(-1)
	}
}
