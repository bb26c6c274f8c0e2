package session

import (
	"container/list"
	"sync"
	"sync/atomic"
	"time"

	"tokenring/balancer"
)

// Takers remembers which host has taken each key that another host has given away. So the
// later requests of the key go to that host at once.
//
// A host can only give away keys that it was sent. The oldest keys are forgotten when there
// are more than a few ten thousand, and each key when it has had neither a request nor a
// terminal for the time in which an idle session keeps its host. The host that gave the key
// away is then asked again.
//
// It is sharded like Sessions. Make one with NewTakers. Its methods are safe for concurrent
// use, and a nil *Takers knows no key.
type Takers struct {
	sessions *Sessions
	linger   time.Duration
	known    atomic.Int64 // keys in all shards
	shards   [shards]takerShard
}

// maxTakers bounds the keys, of about 200 bytes each.
const maxTakers = 1 << 16

// A takerShard is a part of the keys.
type takerShard struct {
	mu   sync.Mutex
	keys map[balancer.Digest]*list.Element
	used list.List // of *taken, the one that was used last at the front
}

// A taken is a key and the host that has taken it.
type taken struct {
	key  balancer.Digest
	host string
	at   time.Time // of the last use
}

// NewTakers returns Takers that know no key. linger is how long a key is remembered after
// its last use; keys with terminals in s are in use.
func NewTakers(s *Sessions, linger time.Duration) *Takers {
	t := &Takers{sessions: s, linger: linger}
	for i := range t.shards {
		t.shards[i].keys = map[balancer.Digest]*list.Element{}
	}
	return t
}

// Host returns the host that has taken a key, "" if none has. It doesn't count as a use.
func (t *Takers) Host(key balancer.Digest, now time.Time) string {
	if t == nil || t.known.Load() == 0 {
		return ""
	}
	shard := t.lock(key)
	defer shard.mu.Unlock()
	e := shard.keys[key]
	if e == nil {
		return ""
	}
	one := e.Value.(*taken)
	if now.Sub(one.at) > t.linger && !t.sessions.has(key) {
		t.forget(shard, e)
		return ""
	}
	return one.host
}

// Used counts a request or the end of a terminal as a use of a key.
func (t *Takers) Used(key balancer.Digest, now time.Time) {
	if t == nil || t.known.Load() == 0 {
		return
	}
	shard := t.lock(key)
	defer shard.mu.Unlock()
	if e := shard.keys[key]; e != nil {
		one := e.Value.(*taken)
		if now.After(one.at) {
			one.at = now
		}
		shard.used.MoveToFront(e)
	}
}

// Took remembers that a host has taken a key. It remembers nothing if the key has
// terminals on another host, because those matter more.
func (t *Takers) Took(key balancer.Digest, host string, now time.Time) {
	if live, _ := t.sessions.Host(key); live != "" && live != host {
		return
	}
	shard := t.lock(key)
	defer shard.mu.Unlock()
	if e := shard.keys[key]; e != nil {
		*e.Value.(*taken) = taken{key, host, now}
		shard.used.MoveToFront(e)
		return
	}
	if len(shard.keys) >= maxTakers/shards {
		t.forget(shard, shard.used.Back())
	}
	shard.keys[key] = shard.used.PushFront(&taken{key, host, now})
	t.known.Add(1)
}

// Opened says that a key has a terminal on a host. If another host has taken the key
// before, Opened forgets that.
func (t *Takers) Opened(key balancer.Digest, host string) {
	if t == nil || t.known.Load() == 0 {
		return
	}
	shard := t.lock(key)
	defer shard.mu.Unlock()
	if e := shard.keys[key]; e != nil && e.Value.(*taken).host != host {
		t.forget(shard, e)
	}
}

// clear forgets all keys of a shard.
func (t *Takers) clear(shard *takerShard) {
	shard.mu.Lock()
	defer shard.mu.Unlock()
	for len(shard.keys) > 0 {
		t.forget(shard, shard.used.Back())
	}
}

// forget removes a key. The shard's lock is held.
func (t *Takers) forget(shard *takerShard, e *list.Element) {
	delete(shard.keys, shard.used.Remove(e).(*taken).key)
	t.known.Add(-1)
}

func (t *Takers) lock(key balancer.Digest) *takerShard {
	shard := &t.shards[shardOf(key)]
	shard.mu.Lock()
	return shard
}

// A TakerState is a key that was given away, on its way to another process.
type TakerState struct {
	Key  balancer.Digest `json:"key"`
	Host string          `json:"host"`
	At   time.Time       `json:"at"` // of the last use
}

// State returns all keys for another process, in no order. It takes the locks of the
// shards one after the other.
func (t *Takers) State() (all []TakerState) {
	if t == nil {
		return nil
	}
	for i := range t.shards {
		shard := &t.shards[i]
		shard.mu.Lock()
		for e := shard.used.Back(); e != nil; e = e.Prev() {
			one := e.Value.(*taken)
			all = append(all, TakerState{one.key, one.host, one.at.UTC().Round(0)})
		}
		shard.mu.Unlock()
	}
	return all
}

// Restore replaces all keys by those of another process, without those whose time is over
// at now. A use that lies after now, because of a clock that was set back, counts as one at
// now.
func (t *Takers) Restore(all []TakerState, now time.Time) {
	if t == nil {
		return
	}
	for i := range t.shards {
		t.clear(&t.shards[i])
	}
	for _, one := range all {
		if at := one.At; now.Sub(at) <= t.linger {
			if at.After(now) {
				at = now
			}
			t.Took(one.Key, one.Host, at)
		}
	}
}
