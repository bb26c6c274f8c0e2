// Package balancer decides which host serves a key. A Builder turns a set of
// hosts into a Table. A lookup in a Table costs one hash and one or two array
// reads. The package is arithmetic only: the same hosts give the same table, bit
// for bit, on every machine, in any order and after any earlier tables.
//
// # Where a key goes
//
// A policy divides the space of keys into slots and gives each slot an owner.
// When the owner can't serve, the key goes to its successor: the host that would
// own the key if the owner were not in the table. A key therefore moves at most
// once when its host fails: it stays on the successor when the table is rebuilt
// without the owner. With rendezvous and the rings (ketama, haproxy) this holds for
// any number of hosts that fail together. With consistent, maglev and haproxy's
// maps it holds for one host. If the successor can't serve either, weighted
// rendezvous hashing ranks the hosts that can, so that such keys spread over all
// of them.
// docs/hashing.md says which policy to choose, and what each costs.
//
// # Comparing and explaining
//
// Compare computes which keys move when one table replaces another. Table.Explain
// says where a key goes and why. Both compute from the tables, without samples.
//
// # Where the key of a request is
//
// A KeyRule names one place of a request that may hold the key. This
// package holds the rules and the arithmetic on bytes (QueryValue); the proxy
// applies them to requests.
package balancer

// A Host is what a table knows about a host. Its identity is its Name: a host
// that returns with another address or another place in a list is the same.
type Host struct {
	Name   string // not empty, without '#'
	ID     uint32 // a stable number; only the policy haproxy uses it
	Weight int    // 1..256: its share relative to the other weights; 0 leaves it out of the table
}

// A Rule says why a key goes where it goes.
type Rule string

// The rules. Table.Pick never returns RuleRoundRobin; it is for callers that have a
// request without a key.
const (
	RuleOwner      Rule = "owner"       // the key's slot belongs to the host
	RuleFallback   Rule = "fallback"    // the owner can't serve; the host is the successor or a later candidate
	RuleRoundRobin Rule = "round-robin" // there is no key
	RuleNone       Rule = "none"        // no host can serve
)
