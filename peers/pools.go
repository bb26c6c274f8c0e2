package peers

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"tokenring/notify"
	"tokenring/pool/votes"
	"tokenring/route"
	"tokenring/statefile"
)

// What balancers tell of pools beside the main one. Earlier versions skip both lists, and what a
// register says of a host whose name has a pool.
const (
	listPoolVerdicts = "pool_verdicts"
	listPoolDigests  = "pool_digests"
)

// The bounds of what a balancer tells of its pools.
const (
	maxPoolBalancers = 256
	maxPools         = 256
	maxDigest        = 64 // bytes
)

// poolDigests are the pools that a balancer has, and the digests of their tables. Of two entries
// of a balancer, the one with the greater number counts.
type poolDigests struct {
	By     string            `json:"by"`
	Number int64             `json:"number"`
	Pools  map[string]string `json:"pools"` // the digest by pool; "" before there is a table
}

func (p poolDigests) check() error {
	if err := route.CheckName(p.By); err != nil {
		return fmt.Errorf("the pools of a balancer: %w", err)
	}
	if len(p.Pools) > maxPools {
		return fmt.Errorf("a balancer with %d pools, at most %d are possible", len(p.Pools), maxPools)
	}
	for name, digest := range p.Pools {
		if err := route.CheckPoolName(name); err != nil {
			return err
		}
		if len(digest) > maxDigest {
			return errors.New("the digest of a table is too long")
		}
	}
	return nil
}

// pools are the parts of an Exchange that belong to pools beside the main one.
type pools struct {
	parts map[string]*Exchange // by pool; never changed
	ours  poolDigests          // By is "" while nothing is told of pools
	heard map[string]poolDigests
}

// A PoolVerdicts is what a balancer says of the hosts of a pool.
type PoolVerdicts struct {
	Pool string
	votes.Entry
}

// AddPools has the Exchange keep what is said of each pool's hosts apart: see OfPool. self is the
// name of this balancer. It must be called before any other method.
func (e *Exchange) AddPools(self string, names []string) {
	e.pools = pools{parts: map[string]*Exchange{}, ours: poolDigests{By: self, Pools: map[string]string{}, Number: time.Now().UnixNano()}, heard: map[string]poolDigests{}}
	for _, name := range names {
		part := NewExchange(e.log)
		part.pool = name
		e.parts[name], e.pools.ours.Pools[name] = part, ""
	}
}

// OfPool returns the part of the Exchange that belongs to a pool: it takes what is told of the
// pool's hosts. What it holds and says, State of the whole Exchange tells. Receive is for the whole
// alone.
func (e *Exchange) OfPool(name string) *Exchange { return e.parts[name] }

// partOf returns the part that belongs to a host; the whole if its pool has none.
func (e *Exchange) partOf(host string) *Exchange {
	if part := e.parts[route.PoolOf(host)]; part != nil {
		return part
	}
	return e
}

// all returns the whole and its parts.
func (e *Exchange) all() []*Exchange {
	list := []*Exchange{e}
	for _, name := range slices.Sorted(maps.Keys(e.parts)) {
		list = append(list, e.parts[name])
	}
	return list
}

// SetPoolDigest has peers told the digest of a pool's table. It returns the message that tells it
// at once.
func (e *Exchange) SetPoolDigest(pool, digest string) []byte {
	e.mu.Lock()
	defer e.mu.Unlock()
	told := maps.Clone(e.pools.ours.Pools)
	told[pool] = digest
	e.pools.ours.Pools, e.pools.ours.Number = told, max(e.pools.ours.Number+1, time.Now().UnixNano())
	return withList(EncodeMessage(), listPoolDigests, e.ownDigestsLocked())
}

// ownDigestsLocked returns the list of what this balancer tells of its pools.
func (e *Exchange) ownDigestsLocked() []json.RawMessage {
	if e.pools.ours.By == "" {
		return nil
	}
	b, err := statefile.EncodeJSON(e.pools.ours)
	if err != nil { // texts and a number have a form
		return nil
	}
	return []json.RawMessage{b}
}

// PoolDigest returns the digest of a peer's table of a pool. It returns false if the peer has no
// such pool, as far as it has told.
func (e *Exchange) PoolDigest(peer, pool string) (string, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	digest, ok := e.heard[peer].Pools[pool]
	return digest, ok
}

// NotePoolDigests has a note left whenever PoolDigest has other results.
func (e *Exchange) NotePoolDigests(note notify.Note) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.digested = append(e.digested, note)
}

// admitDigests takes in what peers have told of their pools.
func (e *Exchange) admitDigests(all []poolDigests) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, d := range all {
		before, known := e.heard[d.By]
		if e.heard == nil || d.By == e.pools.ours.By || known && d.Number <= before.Number || !known && len(e.heard) >= maxPoolBalancers {
			continue
		}
		e.heard[d.By] = d
		if maps.Equal(before.Pools, d.Pools) {
			continue
		}
		for _, note := range e.digested {
			note.Leave()
		}
	}
}

// EncodePoolVerdicts is EncodeVerdicts for the hosts of a pool; "" is the main one.
func EncodePoolVerdicts(pool string, all ...votes.Entry) (messages [][]byte) {
	for _, e := range all {
		rest := e.Hosts
		for first := true; first || len(rest) > 0; first = false {
			n, size := 0, 0
			for n < len(rest) && (n == 0 || size+len(rest[n]) < maxTold) {
				size += len(rest[n]) + 3 // quotes and a comma
				n++
			}
			e.Hosts, rest = rest[:n], rest[n:]
			messages = append(messages, withList(EncodeMessage(), listOfVerdicts(pool), encodeVerdicts(pool, []votes.Entry{e})))
		}
	}
	return messages
}

func listOfVerdicts(pool string) string {
	if pool == "" {
		return listVerdicts
	}
	return listPoolVerdicts
}

// readPools reads what a message tells of pools beside the main one.
func (m *Message) readPools(verdicts, digests []json.RawMessage) {
	for _, entry := range verdicts {
		e, pool, err := decodeVerdicts(entry)
		if err == nil {
			err = route.CheckPoolName(pool)
		}
		if err != nil {
			m.Refused = append(m.Refused, Refusal{List: listPoolVerdicts, Err: err})
			continue
		}
		m.PoolVerdicts = append(m.PoolVerdicts, PoolVerdicts{pool, e})
	}
	for _, entry := range digests {
		var d poolDigests
		err := json.Unmarshal(entry, &d)
		if err == nil {
			err = d.check()
		}
		if err != nil {
			m.Refused = append(m.Refused, Refusal{List: listPoolDigests, Err: err})
			continue
		}
		m.poolDigests = append(m.poolDigests, d)
	}
}
