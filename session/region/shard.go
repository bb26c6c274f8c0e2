package region

import (
	"cmp"
	"slices"
	"sync"

	"tokenring/balancer"
)

// A shard is a part of the keys.
type shard struct {
	mu     sync.Mutex
	peers  []table // by the peer's slot; nil for a peer without keys
	linger lingering
	split  map[balancer.Digest]uint32 // keys that are live on two hosts: since when, in seconds
}

// A table is the keys of one peer. It has no pointers, so the garbage collector doesn't visit
// a million of them.
type table map[balancer.Digest]entry

// An entry is a key that a peer has live, or had when its stream ended. It has 16 bytes.
type entry struct {
	host      uint32 // a number of names
	since     uint32 // in seconds: live since, or cut at
	terminals int32
	stream    uint16 // the number of the stream that has told it
	cut       bool   // that stream has ended
	keyless   bool   // a terminal without a token, or one without a table: nobody comes back with the key
}

// here stands for this balancer, where the number of a peer's slot is expected.
const here = int32(-1)

// A holder is a host that a key keeps, and why.
type holder struct {
	host      uint32
	by        int32  // the slot of a peer, or here
	since     uint32 // in seconds: live since, or used at
	terminals int32  // 0: it lingers
}

// holders appends to all why a key keeps hosts. s is locked.
func (r *Region) holders(s *shard, key balancer.Digest, now uint32, all []holder) []holder {
	for slot, table := range s.peers {
		e, ok := table[key]
		switch {
		case !ok, e.cut && (e.keyless || r.gone(e.since, now)):
		case e.cut:
			all = append(all, holder{e.host, int32(slot), e.since, 0})
		default:
			all = append(all, holder{e.host, int32(slot), e.since, e.terminals})
		}
	}
	if n := s.linger.find(key); n != nil && !r.over(n.used, now) {
		all = append(all, holder{n.host, n.by, n.used, 0})
	}
	return all
}

// best returns the holder whose host the key keeps. There must be at least one.
func (r *Region) best(all []holder) (best holder) {
	live := slices.ContainsFunc(all, holder.live)
	for i, h := range all {
		if live && !h.live() {
			continue
		}
		if i == 0 || live && !best.live() || r.better(all, h, best) {
			best = h
		}
	}
	return best
}

// better reports whether a goes before b. Either both of them are live or none is.
func (r *Region) better(all []holder, a, b holder) bool {
	switch order := cmp.Compare(terminalsOn(all, a.host), terminalsOn(all, b.host)); {
	case a.host == b.host:
		return cmp.Or(cmp.Compare(a.terminals, b.terminals), cmp.Compare(a.since, b.since)) > 0
	case order != 0:
		return order > 0
	case !a.live() && a.since != b.since: // of live ones the time doesn't matter: balancers learn of them at different times
		return a.since > b.since
	}
	return r.names.text(a.host) < r.names.text(b.host)
}

func (h holder) live() bool { return h.terminals > 0 }

// terminalsOn returns how many terminals a host has.
func terminalsOn(all []holder, host uint32) (n int64) {
	for _, h := range all {
		if h.host == host {
			n += int64(h.terminals)
		}
	}
	return n
}

// withoutLive returns those of all that linger. It changes all.
func withoutLive(all []holder) []holder {
	return slices.DeleteFunc(all, holder.live)
}

// where returns h for others.
func (r *Region) where(h holder) Where {
	w := Where{Host: r.names.text(h.host), Live: h.live(), Since: r.epoch.Add(seconds(h.since))}
	if h.by != here {
		w.Peer = (*r.peers.Load())[h.by].name
	}
	return w
}

// put has a key linger on a host, of which names has the number, and returns its node. Another
// host, where it lingered before, is forgotten. s is locked.
func (r *Region) put(s *shard, key balancer.Digest, host, used uint32, by int32) *node {
	n, added := s.linger.put(key)
	n.host, n.used, n.by, n.told = host, used, by, 0
	r.lingering.Add(int64(added))
	r.keys.Add(int64(added))
	return n
}
