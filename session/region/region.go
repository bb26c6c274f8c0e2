// Package region knows the sessions that the other balancers of a region have, as these tell
// them, and which keys linger: they have no terminal any more, but keep their hosts for a
// while. So a token goes to its host through every balancer, whatever has happened to the ring
// meanwhile.
//
// Like package session it never gets a token, and knows a key by its digest.
package region

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"tokenring/balancer"
	"tokenring/mutant"
	"tokenring/session"
)

// A Region is what a balancer knows of the sessions of other balancers, its peers, and of the
// keys that linger. It is sharded by the key's digest, and in memory only.
//
// What a peer tells comes over one stream at a time; see Begin. A key of a peer is
//
//	live ── the peer says that no terminal is left ──▶ lingering
//	live ── the stream ends ──▶ cut ── the next stream tells it ──▶ live
//	cut, lingering ── the linger time is over ──▶ (forgotten)
//
// A key lingers, too, when this balancer has used it: see Used. The linger time begins with
// the end of the last terminal, or with the last use. The number of lingering keys is bounded,
// the least recently used ones are forgotten first. The keys of a peer that has vanished
// aren't among these: they were bounded by that peer's connections.
//
// Make one with New. Its methods are safe for concurrent use. Times are kept in seconds.
type Region struct {
	linger   uint32 // in seconds; 0: keys don't linger
	sessions *session.Sessions
	epoch    time.Time // from which seconds are counted
	names    names
	shards   [shards]shard

	keys        atomic.Int64 // of peers, or lingering: without any there is nothing to look up
	lingering   atomic.Int64 // of keys, those in the shards' lists
	splits      atomic.Int64 // see Splits
	splitsTotal atomic.Uint64

	peers atomic.Pointer[[]*peer] // by slot; replaced with mu held
	mu    sync.Mutex
}

// shards is the number of shards: 256 at most, so that the first byte of a digest tells the
// shard.
const shards = 256

const (
	maxLingering = 1 << 18          // keys without terminals, of about 80 bytes each
	tellPeriod   = 60               // seconds from one report of a key's use to the next one
	reconnect    = 10               // seconds for which the keys of a broken stream stay at least
	sweepPeriod  = 30 * time.Second // from one sweep to the next
)

// A Where says which host a key keeps.
type Where struct {
	Host  string
	Live  bool      // the key has terminals there; else it lingers
	Peer  string    // with Live: the balancer that has them; else the one that has told the last use; "" is this one
	Since time.Time // since when it is live there, or when it was used last
}

// New returns a Region that knows nothing. linger is how long a key keeps its host without a
// terminal, 0 if it doesn't; parts of a second count as a whole one. s are the sessions of
// this balancer.
func New(linger time.Duration, s *session.Sessions) *Region {
	r := &Region{
		linger:   uint32((linger + time.Second - 1) / time.Second),
		sessions: s,
		epoch:    time.Now().Add(-linger - time.Hour), // uses may be older than this process
	}
	r.names.init()
	r.peers.Store(new([]*peer))
	for i := range r.shards {
		r.shards[i].linger.init()
	}
	return r
}

// Run forgets, now and then, what isn't needed any more, until ctx ends. Nothing else that a
// Region promises depends on it.
func (r *Region) Run(ctx context.Context) error {
	tick := time.NewTicker(sweepPeriod)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			r.sweep(time.Now())
		case <-ctx.Done():
			return nil
		}
	}
}

// Host returns which host a key keeps because it is live at a peer, or lingers. It reports
// false if there is none. A live session matters more than a lingering one. If peers have the
// key live on different hosts, the host with the most terminals wins, and of equal ones the
// first by name; so all balancers that know the same choose the same. Of the hosts where a key
// lingers, the one that was used last wins. Host doesn't allocate.
func (r *Region) Host(key balancer.Digest, now time.Time) (w Where, ok bool) {
	if r.keys.Load() == 0 {
		return Where{}, false
	}
	s := r.lock(key)
	defer s.mu.Unlock()
	var room [8]holder
	all := r.holders(s, key, r.seconds(now), room[:0])
	if len(all) == 0 {
		return Where{}, false
	}
	w = r.where(r.best(all))
	return w, w.Live || !mutant.On(mutant.NoLinger)
}

// HostAmong is Host for those sessions and last uses alone for which among returns true. It
// calls among with a lock held: among must not block and must not call the Region.
func (r *Region) HostAmong(key balancer.Digest, now time.Time, among func(Where) bool) (w Where, ok bool) {
	s := r.lock(key)
	defer s.mu.Unlock()
	all := slices.DeleteFunc(r.holders(s, key, r.seconds(now), nil), func(h holder) bool { return !among(r.where(h)) })
	if len(all) == 0 {
		return Where{}, false
	}
	return r.where(r.best(all)), true
}

// Holders returns all hosts that a key keeps by what is known, the one that Host returns first.
// There is one Where for each peer that has the key.
func (r *Region) Holders(key balancer.Digest, now time.Time) (list []Where) {
	s := r.lock(key)
	defer s.mu.Unlock()
	all := r.holders(s, key, r.seconds(now), nil)
	if len(all) == 0 {
		return nil
	}
	best := r.best(all)
	list = append(list, r.where(best))
	for _, h := range all {
		if h != best {
			list = append(list, r.where(h))
		}
	}
	return list
}

// Used says that a host has served a key through this balancer: its last terminal there has
// ended, or the host has answered a request. From now on the key lingers. host must not be "".
func (r *Region) Used(key balancer.Digest, host string, now time.Time) { r.Left(key, host, now, now) }

// Left is Used for the end of the key's last terminal on the host, on which bytes moved last at a
// time. If the key was used on another host since, the end counts for nothing: it was noticed
// late, and the user has been elsewhere for long.
func (r *Region) Left(key balancer.Digest, host string, last, now time.Time) {
	if r.linger == 0 {
		return
	}
	s := r.lock(key)
	n := s.linger.find(key)
	elsewhere := n != nil && r.names.text(n.host) != host && n.used > r.seconds(last)
	tell := !elsewhere && r.use(s, n, key, host, r.seconds(now))
	s.mu.Unlock()
	if tell {
		r.sessions.Used(key)
	}
}

// Displaced says that a peer is about to use a key, which lingers on a host that can't keep it, on
// another one. The key is forgotten: times in seconds don't tell which of two uses was the later one
// when the host is back.
func (r *Region) Displaced(key balancer.Digest, host string) {
	s := r.lock(key)
	defer s.mu.Unlock()
	if n := s.linger.find(key); n != nil && r.names.text(n.host) == host {
		s.linger.forget(s.linger.index[key])
		r.lingering.Add(-1)
		r.keys.Add(-1)
	}
}

// use has a key linger, which is n if it lingers already. It reports whether peers are to be
// told. s is locked.
func (r *Region) use(s *shard, n *node, key balancer.Digest, host string, at uint32) (tell bool) {
	switch {
	case n == nil || r.names.text(n.host) != host:
		n = r.put(s, key, r.names.intern(host), at, here)
	case n.by == here && n.used == at:
		return false
	default:
		n.used, n.by = max(n.used, at), here
		s.linger.renew(n)
		if at-n.told < tellPeriod {
			return false
		}
	}
	n.told = at
	return true
}

// Changed says that the terminals of a key through this balancer have changed. It finds out
// whether the key is on two hosts at once; see Splits.
func (r *Region) Changed(key balancer.Digest) {
	if r.keys.Load() == 0 {
		return
	}
	s := r.lock(key)
	defer s.mu.Unlock()
	r.checkSplit(s, key)
}

// Watch returns what a peer is to be told: all sessions of this balancer, and all keys that
// linger, as far as it knows. The caller must call its Close.
func (r *Region) Watch() *session.Watch { return r.sessions.WatchAll(r) }

// Lingers implements session.Lingering.
func (r *Region) Lingers(key balancer.Digest) (host string, age uint32) {
	s := r.lock(key)
	defer s.mu.Unlock()
	var room [8]holder
	now := r.seconds(time.Now())
	all := r.holders(s, key, now, room[:0])
	all = withoutLive(all)
	if len(all) == 0 {
		return "", 0
	}
	best := r.best(all)
	age = now - min(now, best.since)
	if best.by != here {
		age++ // rounded up, so that nothing lingers for ever by being passed on
	}
	return r.names.text(best.host), age
}

// Lingering implements session.Lingering.
func (r *Region) Lingering() (all []balancer.Digest) {
	for i := range r.shards {
		s := &r.shards[i]
		s.mu.Lock()
		for key := range s.linger.index {
			all = append(all, key)
		}
		for _, table := range s.peers {
			for key, e := range table {
				if e.cut {
					all = append(all, key)
				}
			}
		}
		s.mu.Unlock()
	}
	return all
}

// lock locks the shard of a key and returns it.
func (r *Region) lock(key balancer.Digest) *shard {
	s := &r.shards[int(key[0])%shards]
	s.mu.Lock()
	return s
}

// seconds returns how many seconds after the epoch t is.
func (r *Region) seconds(t time.Time) uint32 { return uint32(max(0, t.Sub(r.epoch)) / time.Second) }

// over reports whether a key that was used at a time, in seconds, lingers no more.
func (r *Region) over(used, now uint32) bool { return now > used && now-used > r.linger }

// gone reports whether a key whose stream has ended at a time, in seconds, is forgotten.
func (r *Region) gone(cut, now uint32) bool { return now > cut && now-cut > max(r.linger, reconnect) }
