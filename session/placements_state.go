package session

import (
	"cmp"
	"encoding/binary"
	"slices"
	"time"

	"tokenring/balancer"
	"tokenring/route"
)

// A PlacementsState is Placements on their way to another process. It has no reservations:
// these last for a moment only.
type PlacementsState struct {
	At    time.Time `json:"at,omitzero"`
	Hosts []string  `json:"hosts,omitempty"`
	// Keys has entrySize bytes for each key, the least recently used key first: its
	// digest, the index of its host in Hosts, 1 if it is away, and how many seconds
	// before At it was used last. Numbers are big endian.
	Keys []byte `json:"keys,omitempty"`
}

// The parts of an entry in PlacementsState.Keys, by their offset in bytes.
const (
	entryHost = len(balancer.Digest{})
	entryAway = entryHost + 2
	entryAge  = entryAway + 1
	entrySize = entryAge + 4
)

// maxStateHosts is how many hosts the index in an entry can tell apart.
const maxStateHosts = 1 << 16

// State returns all placements for another process. It takes the locks of the shards one
// after the other.
func (p *Placements) State(now time.Time) PlacementsState {
	var all []placed
	for i := range p.shards {
		all = p.shards[i].appendTo(all)
	}
	slices.SortFunc(all, func(a, b placed) int { return cmp.Compare(a.used, b.used) })
	s := PlacementsState{At: now.UTC().Round(0), Keys: make([]byte, 0, entrySize*len(all))}
	index := map[string]uint16{}
	for _, e := range all {
		host, ok := index[e.Host]
		if !ok && len(s.Hosts) == maxStateHosts {
			continue
		}
		if !ok {
			host = uint16(len(s.Hosts))
			index[e.Host] = host
			s.Hosts = append(s.Hosts, e.Host)
		}
		s.Keys = appendEntry(s.Keys, e, host, now.Sub(p.epoch)-e.used)
	}
	return s
}

// appendTo appends copies of the shard's keys to all.
func (s *placementShard) appendTo(all []placed) []placed {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, q := range []*queue{&s.home, &s.away} {
		for e := q.oldest; e != nil; e = e.newer {
			all = append(all, placed{Placement: e.Placement, key: e.key, used: e.used})
		}
	}
	return all
}

func appendEntry(b []byte, e placed, host uint16, age time.Duration) []byte {
	b = append(b, e.key[:]...)
	b = binary.BigEndian.AppendUint16(b, host)
	away := byte(0)
	if e.Away {
		away = 1
	}
	b = append(b, away)
	return binary.BigEndian.AppendUint32(b, uint32(max(0, age)/time.Second))
}

// Restore replaces all placements by those of another process. It ignores entries that
// make no sense, and the least recently used ones if there are too many.
func (p *Placements) Restore(s PlacementsState) {
	for i := range p.shards {
		p.shards[i].clear()
	}
	for entry := range slices.Chunk(s.Keys, entrySize) {
		if len(entry) < entrySize {
			return
		}
		host := int(binary.BigEndian.Uint16(entry[entryHost:]))
		if host >= len(s.Hosts) {
			continue
		}
		age := time.Duration(binary.BigEndian.Uint32(entry[entryAge:])) * time.Second
		p.restore(&placed{
			Placement: route.Placement{Host: s.Hosts[host], Away: entry[entryAway] == 1},
			key:       balancer.Digest(entry),
			used:      s.At.Sub(p.epoch) - age,
			shared:    true, // as far as can be known
		})
	}
}

// restore adds e, which is used later than what the queues have.
func (p *Placements) restore(e *placed) {
	shard := p.lock(e.key)
	defer shard.mu.Unlock()
	if old := shard.keys[e.key]; old != nil {
		shard.forget(old)
	}
	if shard.full() {
		shard.forget(cmp.Or(shard.home.oldest, shard.away.oldest))
	}
	shard.keys[e.key] = e
	shard.enqueue(e)
}

// clear forgets all keys.
func (s *placementShard) clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.keys {
		s.forget(e)
	}
}
