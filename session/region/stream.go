package region

import (
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"tokenring/balancer"
	"tokenring/mutant"
	"tokenring/session"
)

// A peer is another balancer. Its slot in Region.peers is used again for another one when
// nothing is left of it.
type peer struct {
	name string
	live atomic.Int64 // keys
	cut  atomic.Int64 // keys whose stream has ended

	// Guarded by Region.mu.
	stream *Stream // the last one; nil for a peer that is only known from Restore
	left   uint32  // when its last stream has ended, in seconds
	open   bool    // it hasn't ended
}

// A Stream takes what one peer tells, in its order: first all sessions that it has, then that
// these were all, then changes. Its methods are safe for concurrent use, but the order of
// calls counts.
type Stream struct {
	region *Region
	peer   *peer
	slot   int
	number uint16 // differs from that of the streams of this peer before

	mu    sync.Mutex
	ended bool
}

// Begin returns a new stream of a peer. The one before, if there is one, ends. What the peer
// has told before stays until SnapshotEnd, as keys whose stream has ended.
func (r *Region) Begin(name string) *Stream {
	r.mu.Lock()
	defer r.mu.Unlock()
	slot, p := r.slotOf(name)
	number := uint16(1)
	if p.stream != nil {
		p.stream.end()
		number = p.stream.number + 1
	}
	p.stream, p.open = &Stream{region: r, peer: p, slot: slot, number: number}, true
	return p.stream
}

// slotOf returns the slot of a peer, which it makes if there is none. mu is held.
func (r *Region) slotOf(name string) (slot int, p *peer) {
	peers := *r.peers.Load()
	slot = slices.IndexFunc(peers, func(p *peer) bool { return p.name == name })
	if slot >= 0 {
		return slot, peers[slot]
	}
	now := r.seconds(time.Now())
	p = &peer{name: strings.Clone(name)}
	peers = slices.Clone(peers)
	if slot = slices.IndexFunc(peers, func(p *peer) bool { return r.vanished(p, now) }); slot >= 0 {
		peers[slot] = p
	} else {
		slot, peers = len(peers), append(peers, p)
	}
	r.peers.Store(&peers)
	return slot, p
}

// vanished reports whether nothing is left of a peer. mu is held.
func (r *Region) vanished(p *peer, now uint32) bool {
	return !p.open && p.live.Load() == 0 && p.cut.Load() == 0 && r.over(p.left, now)
}

// Reports takes the sessions of some keys. It doesn't keep the slice.
func (s *Stream) Reports(reports []session.Report) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return
	}
	now := s.region.seconds(time.Now())
	for i := range reports {
		if s.report(&reports[i], now) {
			s.region.sessions.Used(reports[i].Digest)
		}
	}
}

// report takes one report. It reports whether the peer is to be told of a later use by this
// balancer, on another host. mu is held.
func (s *Stream) report(report *session.Report, now uint32) (tell bool) {
	r := s.region
	shard := r.lock(report.Digest)
	defer shard.mu.Unlock()
	before, known := shard.table(s.slot)[report.Digest]
	defer r.checkSplit(shard, report.Digest)
	if report.Terminals > 0 {
		s.enter(shard, report, before, known, now)
		return false
	}
	if known && mutant.On(mutant.ClosedStays) {
		return false
	}
	if known {
		s.forget(shard, report.Digest, before)
	}
	used := now - min(now, report.Age)
	switch {
	case r.linger == 0, r.over(used, now):
	case report.Host != "":
		return !r.putLater(shard, report.Digest, r.names.intern(report.Host), used, int32(s.slot)) && r.tellsAgain(shard, report.Digest, now)
	case known && !before.keyless:
		r.putLater(shard, report.Digest, before.host, now, int32(s.slot))
	}
	return false
}

// enter enters a key that has terminals. mu is held, and shard is locked.
func (s *Stream) enter(shard *shard, report *session.Report, before entry, known bool, now uint32) {
	e := entry{host: s.region.names.intern(report.Host), since: now, terminals: report.Terminals, stream: s.number, keyless: !report.Hashed}
	if known && !before.cut && before.host == e.host {
		e.since = before.since
	}
	if known {
		s.forget(shard, report.Digest, before)
	}
	shard.peers[s.slot][report.Digest] = e
	s.peer.live.Add(1)
	s.region.keys.Add(1)
	s.region.names.of(e.host).live.Add(int64(e.terminals))
}

// forget removes a key of the peer. mu is held, and shard is locked.
func (s *Stream) forget(shard *shard, key balancer.Digest, e entry) {
	delete(shard.peers[s.slot], key)
	s.region.keys.Add(-1)
	if e.cut {
		s.peer.cut.Add(-1)
		return
	}
	s.peer.live.Add(-1)
	s.region.names.of(e.host).live.Add(-int64(e.terminals))
}

// cut marks a live key as one whose stream has ended. mu is held, and shard is locked.
func (s *Stream) cut(shard *shard, key balancer.Digest, e entry, now uint32) {
	s.region.names.of(e.host).live.Add(-int64(e.terminals))
	s.peer.live.Add(-1)
	s.peer.cut.Add(1)
	e.cut, e.since = true, now
	shard.peers[s.slot][key] = e
	s.region.checkSplit(shard, key)
}

// table returns the table of a peer's slot, which it makes if there is none. s is locked.
func (s *shard) table(slot int) table {
	for len(s.peers) <= slot {
		s.peers = append(s.peers, nil)
	}
	if s.peers[slot] == nil {
		s.peers[slot] = table{}
	}
	return s.peers[slot]
}

// putLater is put, unless a later use of the key is known. What a peer tells replaces what it
// has told before. putLater returns false if the key lingers on another host. s is locked.
func (r *Region) putLater(s *shard, key balancer.Digest, host, used uint32, by int32) bool {
	n := s.linger.find(key)
	if n == nil || used > n.used || used == n.used && (n.by == by || r.names.text(host) < r.names.text(n.host)) {
		r.put(s, key, host, used, by)
		return true
	}
	return n.host == host
}

// tellsAgain reports whether peers are to be told again of the last use of a key by this
// balancer, because a peer has told of an earlier one on another host: they weren't connected
// then. s is locked.
func (r *Region) tellsAgain(s *shard, key balancer.Digest, now uint32) bool {
	const pause = 5 // seconds
	n := s.linger.find(key)
	if n == nil || n.by != here || now-min(now, n.told) < pause {
		return false
	}
	n.told = now
	return true
}

// SnapshotEnd says that the peer has told all sessions that it has. Keys that it had before,
// and hasn't told, linger from now on; or since its stream has ended, if they were used on another
// host meanwhile.
func (s *Stream) SnapshotEnd() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return
	}
	now := s.region.seconds(time.Now())
	s.each(func(shard *shard, key balancer.Digest, e entry) {
		switch {
		case !e.cut:
		case s.region.linger == 0:
			s.forget(shard, key, e)
		case e.stream == s.number-1 && !usedElsewhere(shard, key, e): // it lived until that stream has ended, or ended since
			e.since = now
			shard.peers[s.slot][key] = e
		}
	})
}

// usedElsewhere reports whether a key whose stream has ended was used on another host since. shard
// is locked.
func usedElsewhere(shard *shard, key balancer.Digest, e entry) bool {
	n := shard.linger.find(key)
	return n != nil && n.host != e.host && n.used >= e.since
}

// End says that the stream has ended. The keys that it has told linger from now on, unless
// another stream of the peer tells them.
func (s *Stream) End() {
	s.region.mu.Lock()
	defer s.region.mu.Unlock()
	s.end()
}

// end is End. Region.mu is held.
func (s *Stream) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return
	}
	s.ended = true
	now := s.region.seconds(time.Now())
	s.each(func(shard *shard, key balancer.Digest, e entry) {
		switch {
		case e.cut:
		case e.keyless:
			s.forget(shard, key, e)
		default:
			s.cut(shard, key, e, now)
		}
	})
	s.peer.open, s.peer.left = false, now
}

// each calls do for each key of the peer. The shard is locked meanwhile, each for a short time.
func (s *Stream) each(do func(*shard, balancer.Digest, entry)) {
	for i := range s.region.shards {
		shard := &s.region.shards[i]
		shard.mu.Lock()
		for key, e := range shard.table(s.slot) {
			do(shard, key, e)
		}
		shard.mu.Unlock()
	}
}
