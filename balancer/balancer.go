// Package balancer decides which host serves a key. A Builder turns a set of
// hosts into a Table, and looking a key up in a Table is one hash and a read or
// two of an array. It is arithmetic only: the same hosts give the same table, bit
// for bit, on every machine, whatever the order and whatever came before.
//
// # Where a key goes
//
// A policy divides the space of keys into slots and gives each slot an owner.
// When the owner can't serve, the key goes to the host that would have it if the
// owner were taken out of the table. A key therefore moves at most once when its
// host fails: it is still there when the table is rebuilt without the owner. With
// rendezvous and the rings (ketama, haproxy) that is so for any number of hosts
// that fail together; with consistent, maglev and haproxy's maps, where the first
// fallback can't serve either, the hosts that can are ranked by weighted
// rendezvous hashing, so that such keys spread over all that are left.
// docs/hashing.md says which policy to choose, and what each costs.
//
// # What if, and why
//
// Compare tells what moves when one table takes another's place, Table.Explain
// where a key goes and why. Both are exact arithmetic on the tables.
//
// # Who decides what is a key
//
// A KeyRule names one place of a request in which a key may be found. This
// package holds the rules and the arithmetic on bytes (QueryValue); the proxy
// applies them to requests.
package balancer

// A Host is what a table knows about a host. Its identity is its Name: a host
// that returns with another address or another place in a list is the same.
type Host struct {
	Name   string // not empty, without '#'
	ID     uint32 // a stable number, for the policy haproxy
	Weight int    // 1..256, its share in relation to the others; 0 leaves it out of the table
}

// A Rule says why a key goes where it goes.
type Rule string

// The rules. RuleRoundRobin is never an answer of Table.Pick; it is for callers
// that meet a request without a key.
const (
	RuleOwner      Rule = "owner"       // the key's slot belongs to the host
	RuleFallback   Rule = "fallback"    // the owner can't serve: the heir, or else the best of the rest
	RuleRoundRobin Rule = "round-robin" // there is no key
	RuleNone       Rule = "none"        // nobody can serve
)
