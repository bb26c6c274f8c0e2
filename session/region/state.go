package region

import (
	"encoding/binary"
	"slices"
	"time"

	"tokenring/balancer"
)

// A State is a Region on its way to another process of this balancer.
type State struct {
	At    time.Time `json:"at,omitzero"`
	Hosts []string  `json:"hosts,omitempty"`
	Peers []string  `json:"peers,omitempty"`
	// Keys has entrySize bytes for each key: its digest, the index of its host in Hosts,
	// how many seconds before At it was used last, and the index of the peer in Peers that
	// has it live. A key that lingers has the index byNobody; of those in one shard, the
	// least recently used comes first. Numbers are big endian.
	Keys []byte `json:"keys,omitempty"`
}

// The parts of an entry in State.Keys, by their offset in bytes.
const (
	entryHost = len(balancer.Digest{})
	entryAge  = entryHost + 4
	entryPeer = entryAge + 4
	entrySize = entryPeer + 2
)

const byNobody = 1<<16 - 1

// State returns what is known, for another process of this balancer.
func (r *Region) State(now time.Time) State {
	w := stateWriter{region: r, now: r.seconds(now), hosts: map[uint32]uint32{}}
	w.state.At = now.UTC().Round(0)
	for i, p := range *r.peers.Load() {
		if i < byNobody {
			w.state.Peers = append(w.state.Peers, p.name)
		}
	}
	for i := range r.shards {
		w.shard(&r.shards[i])
	}
	return w.state
}

// A stateWriter fills a State.
type stateWriter struct {
	region *Region
	now    uint32
	state  State
	hosts  map[uint32]uint32 // the indexes in state.Hosts, by number
}

func (w *stateWriter) shard(s *shard) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for slot, table := range s.peers {
		if slot >= len(w.state.Peers) {
			break // it has come since
		}
		for key, e := range table {
			age := uint32(0)
			if e.cut {
				age = w.now - min(w.now, e.since)
			}
			if !e.keyless {
				w.add(key, e.host, age, uint16(slot))
			}
		}
	}
	for i := s.linger.oldest; i != none; i = s.linger.nodes[i].newer {
		n := &s.linger.nodes[i]
		w.add(n.key, n.host, w.now-min(w.now, n.used), byNobody)
	}
}

func (w *stateWriter) add(key balancer.Digest, host, age uint32, peer uint16) {
	i, ok := w.hosts[host]
	if !ok {
		i = uint32(len(w.state.Hosts))
		w.hosts[host] = i
		w.state.Hosts = append(w.state.Hosts, w.region.names.text(host))
	}
	b := append(w.state.Keys, key[:]...)
	b = binary.BigEndian.AppendUint32(b, i)
	b = binary.BigEndian.AppendUint32(b, age)
	w.state.Keys = binary.BigEndian.AppendUint16(b, peer)
}

// Restore replaces all that is known by what another process of this balancer has known. The
// keys that peers have live there count as those of streams that have just ended, until the
// peers tell them again. It ignores entries that make no sense.
func (r *Region) Restore(s State) {
	r.Clear()
	r.mu.Lock()
	defer r.mu.Unlock()
	slots := make([]int, len(s.Peers))
	for i, name := range s.Peers {
		var p *peer
		slots[i], p = r.slotOf(name)
		p.left = r.seconds(s.At)
	}
	hosts := make([]uint32, len(s.Hosts))
	for i, name := range s.Hosts {
		hosts[i] = r.names.intern(name)
	}
	for b := range slices.Chunk(s.Keys, entrySize) {
		if len(b) < entrySize {
			return
		}
		host, age := binary.BigEndian.Uint32(b[entryHost:]), binary.BigEndian.Uint32(b[entryAge:])
		peer := int(binary.BigEndian.Uint16(b[entryPeer:]))
		if int(host) >= len(hosts) || peer != byNobody && peer >= len(slots) {
			continue
		}
		used := r.seconds(s.At.Add(-seconds(age)))
		if peer == byNobody {
			r.restoreLingering(balancer.Digest(b), hosts[host], used)
		} else {
			r.restoreCut(balancer.Digest(b), hosts[host], used, slots[peer])
		}
	}
}

func (r *Region) restoreLingering(key balancer.Digest, host, used uint32) {
	s := r.lock(key)
	defer s.mu.Unlock()
	if r.linger > 0 {
		r.put(s, key, host, used, here)
	}
}

func (r *Region) restoreCut(key balancer.Digest, host, used uint32, slot int) {
	s := r.lock(key)
	defer s.mu.Unlock()
	table := s.table(slot)
	if _, known := table[key]; known {
		return
	}
	table[key] = entry{host: host, since: used, cut: true}
	(*r.peers.Load())[slot].cut.Add(1)
	r.keys.Add(1)
}
