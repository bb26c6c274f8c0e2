package balancer

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"slices"
)

// A Table says which host serves which key. It is immutable and safe for
// concurrent use. The zero Table has no hosts.
type Table struct {
	policy string
	hosts  []Host
	layout layout
	digest string
}

// newTable returns the table of hosts. They are sorted by name, and the caller doesn't
// change them any more. rules is the field of Builder.
func newTable(p policy, rules string, hosts []Host, l layout) *Table {
	return &Table{policy: p.name(), hosts: hosts, layout: l, digest: digest(p, rules, hosts, l)}
}

// Hosts returns the hosts, sorted by name. The caller must not change them.
func (t *Table) Hosts() []Host { return t.hosts }

// Policy returns the name of the policy that made the table.
func (t *Table) Policy() string { return t.policy }

// Digest returns 16 hexadecimal digits. They are equal on two balancers if and only if
// their tables place every request alike, fallback included. The digest covers the
// rules for the key, policy, parameters, seed, names, weights and slots, and for the
// policy haproxy the hosts' IDs.
func (t *Table) Digest() string { return t.digest }

// Slots returns the number of slots; 0 for a table without hosts. On a ring each
// point has a slot, and slots differ in size.
func (t *Table) Slots() int { return len(t.layout.owners) }

// SlotOwner returns the index in Hosts of the slot's owner.
func (t *Table) SlotOwner(slot int) int { return int(t.layout.owners[slot]) }

// Slot returns the slot of key; -1 for a table without hosts.
func (t *Table) Slot(key []byte) int {
	if len(t.layout.owners) == 0 {
		return -1
	}
	return t.layout.router.locate(t.layout.router.sum(key))
}

// Hash returns the number by which t places key; 0 for a table without hosts. Nothing
// else of a key decides where it goes. A hash must not be published: guesses of the key
// can be tested against it, if there is a seed by users who know it.
func (t *Table) Hash(key []byte) uint64 {
	if len(t.layout.owners) == 0 {
		return 0
	}
	return t.layout.router.sum(key)
}

// SameHash reports whether Hash of t and of other are equal for every key, as they
// are for the tables of one Config. It is false if one of the tables has no hosts.
func (t *Table) SameHash(other *Table) bool {
	return len(t.layout.owners) > 0 && len(other.layout.owners) > 0 && t.layout.space == other.layout.space
}

// OwnerOf returns the index in Hosts of the host that owns the keys with this
// Hash; -1 for a table without hosts.
func (t *Table) OwnerOf(hash uint64) int {
	if len(t.layout.owners) == 0 {
		return -1
	}
	return t.SlotOwner(t.layout.router.locate(hash))
}

// Owner returns the index in Hosts of the host that owns key, up or down; -1 for a
// table without hosts.
func (t *Table) Owner(key []byte) int {
	slot := t.Slot(key)
	if slot < 0 {
		return -1
	}
	return t.SlotOwner(slot)
}

// Pick returns the index in Hosts of the host that should serve key, and why. It is
// the first of the Candidates that is up and isn't avoid: the owner of the slot, then
// its successor, then the others. Pick returns -1 and RuleNone if there is none.
//
// up says by index in Hosts which hosts can serve; hosts beyond its end can't. avoid
// is a host that has just failed for the same request, or -1. An empty key is a key
// like any other. Pick doesn't allocate and takes no lock.
func (t *Table) Pick(key []byte, up []bool, avoid int) (host int, rule Rule) {
	return t.PickHash(t.Hash(key), up, avoid)
}

// PickHash is Pick for a key of which only the Hash is known.
func (t *Table) PickHash(hash uint64, up []bool, avoid int) (host int, rule Rule) {
	if len(t.layout.owners) == 0 {
		return -1, RuleNone
	}
	slot := t.layout.router.locate(hash)
	if owner := int(t.layout.owners[slot]); serves(owner, up, avoid) {
		return owner, RuleOwner
	}
	if next := t.layout.router.next(slot, hash, up, avoid); next >= 0 {
		return next, RuleFallback
	}
	return -1, RuleNone
}

// Candidates returns the indices of all hosts in the order in which Pick tries them
// for key: the owner, then each time the host that gets the key when all before it
// can't serve.
func (t *Table) Candidates(key []byte) []int {
	if len(t.layout.owners) == 0 {
		return nil
	}
	return t.candidates(t.Hash(key))
}

// candidates is Candidates for a key of that Hash. t has hosts.
func (t *Table) candidates(hash uint64) []int {
	slot := t.layout.router.locate(hash)
	up := slices.Repeat([]bool{true}, len(t.hosts))
	order := make([]int, 0, len(t.hosts))
	for host := t.SlotOwner(slot); host >= 0; host = t.layout.router.next(slot, hash, up, -1) {
		order = append(order, host)
		up[host] = false
	}
	return order
}

// Shares returns for each host the share of the key space that it owns, 0..1.
func (t *Table) Shares() []float64 {
	owned := make([]uint64, len(t.hosts))
	for slot, owner := range t.layout.owners {
		owned[owner] += t.layout.size(slot)
	}
	shares := make([]float64, len(t.hosts))
	for i := range shares {
		shares[i] = float64(owned[i]) / float64(t.layout.total())
	}
	return shares
}

// FairShares returns for each host its part of all weights, 0..1.
func (t *Table) FairShares() []float64 {
	total := 0
	for _, h := range t.hosts {
		total += h.Weight
	}
	shares := make([]float64, len(t.hosts))
	for i, h := range t.hosts {
		shares[i] = float64(h.Weight) / float64(total)
	}
	return shares
}

// digest hashes everything that decides where a request goes. Each text comes after
// its length and numbers have a fixed size, so that two different tables never give
// the same bytes.
func digest(p policy, rules string, hosts []Host, l layout) string {
	var b []byte
	text := func(s string) {
		b = binary.BigEndian.AppendUint32(b, uint32(len(s)))
		b = append(b, s...)
	}
	text(p.name())
	text(p.parameters())
	b = binary.BigEndian.AppendUint32(b, uint32(len(hosts)))
	for _, h := range hosts {
		text(h.Name)
		b = binary.BigEndian.AppendUint32(b, uint32(h.Weight))
		if l.numbered {
			b = binary.BigEndian.AppendUint32(b, h.ID)
		}
	}
	for _, slots := range [][]uint16{l.owners, l.successors} {
		b = binary.BigEndian.AppendUint32(b, uint32(len(slots)))
		for _, host := range slots {
			b = binary.BigEndian.AppendUint16(b, host)
		}
	}
	for _, end := range l.ends {
		b = binary.BigEndian.AppendUint32(b, end)
	}
	if rules != "" {
		text(rules)
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:8])
}
