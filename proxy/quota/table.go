package quota

import (
	"hash/maphash"
	"math"
	"sync"
	"time"
)

// A table has an entry for each source, or for each key, that differs from a new one. It has a fixed
// number of entries at most. When a shard is full, the entry that is nearest to a new one is forgotten:
// who is at a limit stays known, however many others come. It is safe for concurrent use.
type table struct {
	seed   maphash.Seed
	shards [shards]shard
}

const (
	shards   = 1024
	perShard = 64
)

// MostKnown is how many sources, and how many keys, are known at most.
const MostKnown = shards * perShard

// An id is what an entry is for: the first address of a source, or the digest of a key.
type id [16]byte

type shard struct {
	mu      sync.Mutex
	at      map[id]uint16 // in entries
	entries []entry
	made    uint32 // entries, those that were forgotten included
}

// An entry is what one source or key uses. It has no pointers, so that many of them cost the garbage
// collector nothing.
type entry struct {
	id   id
	made uint32    // tells it from an earlier entry of the same id
	open [2]uint32 // by openConnections and openTerminals
	due  [2]time.Duration
	refusals
}

// The indexes of entry.open and entry.due.
const (
	openConnections = 0
	openTerminals   = 1
	dueConnection   = 0
	dueRequest      = 1
)

// refusals are what was refused lately.
type refusals struct {
	refused [4]uint32     // by limit: see Limit.place
	last    time.Duration // when the last one was
}

// lately is for how long a refusal is told after the last one.
const lately = 10 * time.Minute

func newTable() *table {
	t := &table{seed: maphash.MakeSeed()}
	for i := range t.shards {
		t.shards[i].at = map[id]uint16{}
	}
	return t
}

// lock returns the shard of an id, locked.
func (t *table) lock(of id) *shard {
	s := &t.shards[maphash.Comparable(t.seed, of)%shards]
	s.mu.Lock()
	return s
}

// entryLocked returns the entry of an id. If there is none, it makes one.
func (s *shard) entryLocked(of id, now time.Duration) *entry {
	if at, ok := s.at[of]; ok {
		return &s.entries[at]
	}
	at := len(s.entries)
	if at < perShard {
		s.entries = append(s.entries, entry{})
	} else {
		at = s.nearestLocked(now)
		delete(s.at, s.entries[at].id)
	}
	s.made++
	s.entries[at] = entry{id: of, made: s.made}
	s.at[of] = uint16(at)
	return &s.entries[at]
}

// nearestLocked returns the index of the entry that is nearest to a new one.
func (s *shard) nearestLocked(now time.Duration) (nearest int) {
	least := int64(math.MaxInt64)
	for i := range s.entries {
		if d := s.entries[i].distance(now); d < least {
			nearest, least = i, d
		}
		if least == 0 {
			break
		}
	}
	return nearest
}

// distance returns how far an entry is from a new one: 0 if they are alike. Whatever is open counts for
// more than any time.
func (e *entry) distance(now time.Duration) int64 {
	const openCounts, most = 1 << 50, 1 << 12
	d := int64(max(0, e.due[0]-now, e.due[1]-now)) + openCounts*int64(min(e.open[0]+e.open[1], most))
	if e.refusedLately(now) {
		d++
	}
	return d
}

func (r *refusals) refusedLately(now time.Duration) bool { return r.last > 0 && now-r.last < lately }

// refuse notes that a limit was met.
func (r *refusals) refuse(l Limit, now time.Duration) {
	if !r.refusedLately(now) {
		r.refused = [len(r.refused)]uint32{}
	}
	r.refused[l.place()]++
	r.last = max(now, 1)
}

// each calls do with each entry that differs from a new one.
func (t *table) each(now time.Duration, do func(*entry)) {
	for i := range t.shards {
		s := &t.shards[i]
		s.mu.Lock()
		for j := range s.entries {
			if s.entries[j].distance(now) > 0 {
				do(&s.entries[j])
			}
		}
		s.mu.Unlock()
	}
}

// A slot is a connection or a terminal that counts as open until giveBack. The zero slot is none.
type slot struct {
	t    *table
	id   id
	made uint32
	what uint8 // of entry.open
}

// openLocked counts one more as open.
func (e *entry) openLocked(t *table, what uint8) slot {
	e.open[what]++
	return slot{t, e.id, e.made, what}
}

// giveBack ends the count. It may be called again, to no effect.
func (s *slot) giveBack() {
	if s.t == nil {
		return
	}
	shard := s.t.lock(s.id)
	defer shard.mu.Unlock()
	if at, ok := shard.at[s.id]; ok && shard.entries[at].made == s.made { // else it was forgotten
		shard.entries[at].open[s.what]--
	}
	s.t = nil
}
