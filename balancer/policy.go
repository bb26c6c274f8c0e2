package balancer

// noHost is the index that stands in a layout where there is no host.
const noHost = 1<<16 - 1

// A policy places the slots of a table on hosts. It may keep state between calls, so
// that the next table costs less, but the result of place depends only on the
// parameters and the hosts.
type policy interface {
	name() string
	// parameters returns a text of everything but the hosts that decides a table. The
	// digest covers it; it must not be shown, since it depends on the seed.
	parameters() string
	// check returns an error if the policy can't place hosts. It only counts. If it
	// accepts hosts, it accepts every subset of them.
	check(hosts []Host) error
	// place returns the layout for hosts. There is at least one; check has accepted
	// them, and they are sorted by name.
	place(hosts []Host) (layout, error)
}

// A layout is the result of a policy for a set of hosts. The space of keys is cut
// into slots, and each slot has an owner. Hosts are indices into the sorted hosts.
type layout struct {
	owners []uint16 // by slot
	// successors holds, by slot, the host that would own it if its owner were not in
	// the set, or noHost if there is no other host. It is nil if the keys of one slot
	// have different successors.
	successors []uint16
	// ends cuts a ring of 2^32 places into slots: slot i holds the hashes in
	// (ends[i-1], ends[i]]; the first slot also holds those after the last end. It
	// is nil if a key's slot is its hash modulo the number of slots.
	ends []uint32
	// numbered means that the layout depends on the hosts' IDs, so that the digest
	// must cover them.
	numbered bool
	space    space
	router   router
}

// A space identifies the hash by which keys are placed. Two layouts of the same
// space have the same hash for the same key.
type space struct {
	function string
	keys     keyHash
}

// A router finds the hosts of one key. It doesn't allocate or lock.
type router interface {
	// sum returns the hash of key. The other methods need only this hash.
	sum(key []byte) (hash uint64)
	// locate returns the slot of a key with this hash.
	locate(hash uint64) (slot int)
	// next returns the host that gets a key of this slot and hash when the slot's owner
	// can't serve: the policy's choice among the hosts that serve. It returns -1 if
	// none serves. The meaning of up and avoid is that of Table.Pick.
	next(slot int, hash uint64, up []bool, avoid int) int
}

// size returns the size of a slot in the unit of total.
func (l *layout) size(slot int) uint64 {
	if l.ends == nil {
		return 1
	}
	if len(l.ends) == 1 {
		return 1 << 32
	}
	before := l.ends[(slot+len(l.ends)-1)%len(l.ends)]
	return uint64(l.ends[slot] - before) // modulo 2^32, since the first slot begins after the last end
}

// total returns the sum of the sizes of all slots.
func (l *layout) total() uint64 {
	if l.ends == nil {
		return uint64(len(l.owners))
	}
	return 1 << 32
}

// slots is the router of policies that cut the space of keys into equal slots, each
// of which has a successor. If the successor can't serve either, weighted rendezvous
// hashing chooses among the hosts that can.
type slots struct {
	keys      keyHash
	count     uint64
	owner     []uint16
	successor []uint16
	scorers   []scorer
}

// slotLayout returns the layout of owners and their successors.
func slotLayout(hosts []Host, keys keyHash, owners, successors []uint16) layout {
	return layout{
		owners:     owners,
		successors: successors,
		space:      space{"64 bits", keys},
		router:     &slots{keys: keys, count: uint64(len(owners)), owner: owners, successor: successors, scorers: scorersOf(hosts)},
	}
}

// sum implements router.
func (s *slots) sum(key []byte) uint64 { return s.keys.sum(key) }

// locate implements router.
func (s *slots) locate(hash uint64) int { return int(hash % s.count) }

// next implements router.
func (s *slots) next(slot int, hash uint64, up []bool, avoid int) int {
	if successor := int(s.successor[slot]); serves(successor, up, avoid) {
		return successor
	}
	return best(s.scorers, hash, up, avoid)
}

// serves reports whether host may be picked.
func serves(host int, up []bool, avoid int) bool {
	return host < len(up) && up[host] && host != avoid
}
