package balancer

// nobody stands in a layout for the absence of a host.
const nobody = 1<<16 - 1

// A policy places the slots of a table on hosts. It may keep state between
// calls to make the next table cheaply, but what place returns depends on the
// parameters and on hosts alone.
type policy interface {
	name() string
	// parameters writes down what decides a table besides the hosts. It is only
	// hashed, never shown.
	parameters() string
	// fit says why it can't place hosts, nil if it can. It only counts, and what it
	// lets pass it lets pass in part.
	fit(hosts []Host) error
	// place returns the layout for hosts: at least one, that fit, sorted by name.
	place(hosts []Host) (layout, error)
}

// A layout is what a policy makes of a set of hosts. The space of keys is cut
// into slots, and each has an owner. Hosts are indices into the sorted hosts.
type layout struct {
	owners []uint16 // by slot
	// heirs are, by slot, who would own it if its owner were not in the set;
	// nobody if there is no other host. It is nil if that isn't one host for all
	// keys of a slot.
	heirs []uint16
	// ends cut a ring of 2^32 places into slots: slot i holds the hashes in
	// (ends[i-1], ends[i]], and the first also those behind the last end. It is
	// nil if a key's slot is its hash modulo the number of slots.
	ends []uint32
	// numbered means that the hosts' numbers decide, so that the digest covers
	// them.
	numbered bool
	space    space
	router   router
}

// A space says by which hash keys are placed. Two layouts of one space see the
// same number for the same key.
type space struct {
	function string
	keys     keyHash
}

// A router finds the way of one key. It neither allocates nor locks.
type router interface {
	// sum returns the hash of key, which is all that the others need of it.
	sum(key []byte) (hash uint64)
	// locate returns the slot of a key with this hash.
	locate(hash uint64) (slot int)
	// next returns who has the key if its slot's owner can't: of the hosts that
	// serve, given up and avoid, the one to which it would belong by the policy if
	// the owner had left; -1 if none serves.
	next(slot int, hash uint64, up []bool, avoid int) int
}

// size returns the size of a slot in relation to the others'.
func (l *layout) size(slot int) uint64 {
	if l.ends == nil {
		return 1
	}
	if len(l.ends) == 1 {
		return 1 << 32
	}
	before := l.ends[(slot+len(l.ends)-1)%len(l.ends)]
	return uint64(l.ends[slot] - before) // modulo 2^32, since the first begins behind the last
}

// total returns the sum of the sizes of all slots.
func (l *layout) total() uint64 {
	if l.ends == nil {
		return uint64(len(l.owners))
	}
	return 1 << 32
}

// slots is the router of policies that cut the space of keys into equal slots,
// and give each an heir. Where the heir can't serve either, the hosts that can
// are ranked by rendezvous.
type slots struct {
	keys  keyHash
	count uint64
	owner []uint16
	heir  []uint16
	ranks []rank
}

// slotLayout returns the layout of owners and their heirs.
func slotLayout(hosts []Host, keys keyHash, owners, heirs []uint16) layout {
	return layout{
		owners: owners,
		heirs:  heirs,
		space:  space{"64 bits", keys},
		router: &slots{keys: keys, count: uint64(len(owners)), owner: owners, heir: heirs, ranks: ranksOf(hosts)},
	}
}

// sum implements router.
func (s *slots) sum(key []byte) uint64 { return s.keys.sum(key) }

// locate implements router.
func (s *slots) locate(hash uint64) int { return int(hash % s.count) }

// next implements router.
func (s *slots) next(slot int, hash uint64, up []bool, avoid int) int {
	if heir := int(s.heir[slot]); serves(heir, up, avoid) {
		return heir
	}
	return best(s.ranks, hash, up, avoid)
}

// serves reports whether host may be picked.
func serves(host int, up []bool, avoid int) bool {
	return host < len(up) && up[host] && host != avoid
}
