package balancer

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"slices"

	"github.com/cespare/xxhash/v2"
)

// nobody stands in a layout for the absence of a host.
const nobody = 1<<16 - 1

// A layout is what a policy makes of a set of hosts: for each slot its owner
// and its heir, as indices into the sorted hosts. The heir is who would own the
// slot if the owner were not in the set; nobody if there is no other host.
type layout struct {
	owners, heirs []uint16
}

// A Table says which host serves which key. It is immutable and safe for
// concurrent use. The zero Table has no hosts.
type Table struct {
	policy string
	hosts  []Host
	layout layout
	ranks  []rank // for fallback, by host
	digest string
}

// newTable returns the table of hosts, which are sorted by name and not changed
// hereafter.
func newTable(p policy, hosts []Host, l layout) *Table {
	t := &Table{policy: p.name(), hosts: hosts, layout: l, ranks: make([]rank, len(hosts))}
	for i, h := range hosts {
		t.ranks[i] = newRank(h)
	}
	t.digest = digest(p, hosts, l)
	return t
}

// Hosts returns the hosts, sorted by name. The caller must not change them.
func (t *Table) Hosts() []Host { return t.hosts }

// Policy returns the name of the policy that made the table.
func (t *Table) Policy() string { return t.policy }

// Digest returns 16 hexadecimal digits that are the same on all balancers if
// and only if their tables place every key alike, fallback included. It covers
// policy, parameters, names, weights and slots.
func (t *Table) Digest() string { return t.digest }

// Slots returns the number of slots; 0 for a table without hosts.
func (t *Table) Slots() int { return len(t.layout.owners) }

// SlotOwner returns the index in Hosts of the slot's owner.
func (t *Table) SlotOwner(slot int) int { return int(t.layout.owners[slot]) }

// Slot returns the slot in which key lies; -1 for a table without hosts.
func (t *Table) Slot(key []byte) int {
	slots := uint64(len(t.layout.owners))
	if slots == 0 {
		return -1
	}
	return int(xxhash.Sum64(key) % slots)
}

// Owner returns the index in Hosts of the host that owns key, whether it is up
// or not; -1 for a table without hosts.
func (t *Table) Owner(key []byte) int {
	slot := t.Slot(key)
	if slot < 0 {
		return -1
	}
	return t.SlotOwner(slot)
}

// Pick returns the index in Hosts of the host that should serve key, and why:
// the owner of its slot, else the slot's heir, else the host of the highest
// rendezvous rank, each only if it is up and not avoid. It returns -1 and
// RuleNone if there is no such host.
//
// up tells by index in Hosts who can serve; hosts beyond its end can't. avoid is
// a host that has just failed this very request, -1 for none. An empty key is a
// key like any other. Pick doesn't allocate and takes no lock.
func (t *Table) Pick(key []byte, up []bool, avoid int) (host int, rule Rule) {
	slots := uint64(len(t.layout.owners))
	if slots == 0 {
		return -1, RuleNone
	}
	hash := xxhash.Sum64(key)
	slot := hash % slots
	if owner := int(t.layout.owners[slot]); serves(owner, up, avoid) {
		return owner, RuleOwner
	}
	if heir := int(t.layout.heirs[slot]); serves(heir, up, avoid) {
		return heir, RuleFallback
	}
	if best := best(t.ranks, hash, up, avoid); best >= 0 {
		return best, RuleFallback
	}
	return -1, RuleNone
}

// serves reports whether host may be picked.
func serves(host int, up []bool, avoid int) bool {
	return host < len(up) && up[host] && host != avoid
}

// Candidates returns the indices of all hosts in the order in which Pick tries
// them for key: the owner, the heir, then the others by rendezvous rank.
func (t *Table) Candidates(key []byte) []int {
	slot := t.Slot(key)
	if slot < 0 {
		return nil
	}
	order := make([]int, len(t.hosts))
	for i := range order {
		order[i] = i
	}
	owner, heir := t.SlotOwner(slot), int(t.layout.heirs[slot])
	place := func(host int) int {
		switch host {
		case owner:
			return 0
		case heir:
			return 1
		}
		return 2
	}
	hash := xxhash.Sum64(key)
	slices.SortFunc(order, func(a, b int) int {
		return cmp.Or(cmp.Compare(place(a), place(b)), t.ranks[a].offer(hash).compare(t.ranks[b].offer(hash)), cmp.Compare(a, b))
	})
	return order
}

// Shares returns for each host the share of the slots that it owns, 0..1.
func (t *Table) Shares() []float64 {
	shares := make([]float64, len(t.hosts))
	for _, owner := range t.layout.owners {
		shares[owner]++
	}
	for i := range shares {
		shares[i] /= float64(len(t.layout.owners))
	}
	return shares
}

// digest hashes everything that decides where a key goes. Texts are preceded by
// their length and numbers have a fixed size, so that no two tables are written
// alike.
func digest(p policy, hosts []Host, l layout) string {
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
	}
	for _, slots := range [][]uint16{l.owners, l.heirs} {
		b = binary.BigEndian.AppendUint32(b, uint32(len(slots)))
		for _, host := range slots {
			b = binary.BigEndian.AppendUint16(b, host)
		}
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:8])
}
