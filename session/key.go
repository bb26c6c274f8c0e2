// Package session knows which keys have live sessions through this balancer, and on which
// hosts. Sessions has the live terminals of each key, which keep the key on its host
// while the ring changes. Placements remembers to which host each key was sent while
// loads are bounded.
//
// The package never gets a token. It knows a key by its digest, which is the same on all
// balancers that share the secret of the digests.
package session

import (
	"tokenring/balancer"
	"tokenring/route"
)

// A Key is the hashes of a request's token. The zero Key is that of a request without a
// token.
type Key struct {
	Digest    balancer.Digest // by which sessions, placements and logs know the key
	route.Key                 // by which the hosts' table places it
	Anonymous bool            // there is no token: the Digest is made up for one terminal, and is forgotten with it
}

// A Session is the live tunnels of one key through this balancer.
type Session struct {
	Host    string // the name of the host of all its tunnels
	Hash    uint64 // of the key; see balancer.Table.Hash
	Away    bool   // the key stays on Host even if the ring has it elsewhere: see route.Placement, and it lingers there
	Keyed   bool   // Hash is valid: there is a key, and there was a table that hashes keys
	Tunnels int    // open or about to open; at least 1
}
