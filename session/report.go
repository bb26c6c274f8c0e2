package session

import (
	"tokenring/balancer"
	"tokenring/route"
)

// A Report is all that one process of a balancer has open for a key; to other balancers, all
// that the processes of one balancer have together. Processes of a balancer send it to one
// another as JSON. A later Report of the same key replaces it.
//
// A Report to other balancers may have no terminals and yet a Host: the key lingers there,
// because it was used Age seconds ago.
type Report struct {
	Digest    balancer.Digest `json:"digest"`              // of the key
	Host      string          `json:"host,omitempty"`      // of all its terminals
	Address   string          `json:"address,omitempty"`   // at which the terminals are
	Hash      uint64          `json:"hash,omitempty"`      // of the key, if Hashed is set
	Hashed    bool            `json:"hashed,omitempty"`    // there was a table that hashes keys
	Terminals int32           `json:"terminals,omitempty"` // 0: none is left
	Age       uint32          `json:"age,omitempty"`       // in seconds: how long ago a key that lingers was used
}

// endpoint returns where the terminals are.
func (r *Report) endpoint() route.Endpoint {
	return route.Endpoint{Name: r.Host, Address: r.Address}
}

// key returns the key as Add needs it.
func (r *Report) key() Key {
	k := Key{Digest: r.Digest}
	if r.Hashed {
		k.Key = route.KeyOf(r.Hash)
	}
	return k
}

// report returns what s has open for a key, with the terminals of older processes if elders
// is set.
func (s *Sessions) report(key balancer.Digest, elders bool) Report {
	shard := s.shard(key)
	shard.mu.Lock()
	defer shard.mu.Unlock()
	live := shard.live[key]
	if live == nil {
		return Report{Digest: key}
	}
	terminals := live.terminals
	if !elders {
		terminals = live.own()
	}
	if terminals == 0 {
		return Report{Digest: key}
	}
	at := live.endpoint
	return Report{Digest: key, Host: at.Name, Address: at.Address, Hash: live.hash, Hashed: live.hashed, Terminals: terminals}
}

// own returns how many terminals are this process's.
func (s *session) own() (n int32) {
	for t := s.newest; t != nil; t = t.next {
		if _, elsewhere := t.Tunnel.(*older); !elsewhere {
			n++
		}
	}
	return n
}
