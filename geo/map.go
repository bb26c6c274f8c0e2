// Package geo says which class a network is in, for answers that depend on from where a query
// comes. It compiles networks that may lie in each other into ones that don't: each of those is
// also the scope for which an answer holds (RFC 7871 §7.2.1).
package geo

import (
	"cmp"
	"encoding/binary"
	"net/netip"
	"slices"
)

// A Class is what a network is assigned to; its meaning is the caller's.
type Class uint16

// An Entry assigns the class to a network. Of several that an address is in, the longest counts.
type Entry struct {
	Network netip.Prefix
	Class   Class
}

// A Map has the class of each address. It must not be changed, and is safe for concurrent use.
// Its families are apart: IPv4 addresses in IPv6 form count as IPv4.
type Map struct {
	v4, v6 table
}

// New compiles entries. Addresses that are in none of them have the class other. If two entries
// have the same network, the last one counts.
func New(entries []Entry, other Class) *Map {
	var v4, v6 []Entry
	for _, e := range entries {
		switch e.Network = unmapped(e.Network).Masked(); {
		case e.Network.Addr().Is4():
			v4 = append(v4, e)
		default:
			v6 = append(v6, e)
		}
	}
	return &Map{
		v4: compile(v4, netip.PrefixFrom(netip.IPv4Unspecified(), 0), other),
		v6: compile(v6, netip.PrefixFrom(netip.IPv6Unspecified(), 0), other),
	}
}

// unmapped returns a network of IPv4 in IPv6 form as one of IPv4.
func unmapped(p netip.Prefix) netip.Prefix {
	if p.Addr().Is4In6() && p.Bits() >= 96 {
		return netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	return p
}

// Lookup returns the class of an address, and the largest network around it in which all
// addresses have that class by the same compiled network.
func (m *Map) Lookup(a netip.Addr) (Class, netip.Prefix) {
	a = a.Unmap()
	t := &m.v6
	if a.Is4() {
		t = &m.v4
	}
	i := t.find(keyOf(a))
	network, _ := a.Prefix(int(t.bits[i])) // bits fit the family
	return t.classes[i], network
}

// Networks returns how many compiled networks m has.
func (m *Map) Networks() int { return len(m.v4.bits) + len(m.v6.bits) }

// A key is an address, shifted so that the first bit of either family is the highest of hi.
type key struct{ hi, lo uint64 }

func keyOf(a netip.Addr) key {
	if a.Is4() {
		b := a.As4()
		return key{hi: uint64(binary.BigEndian.Uint32(b[:])) << 32}
	}
	b := a.As16()
	return key{binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:])}
}

func (k key) compare(other key) int {
	return cmp.Or(cmp.Compare(k.hi, other.hi), cmp.Compare(k.lo, other.lo))
}

// A table has networks that cover a family without gaps, in their order.
type table struct {
	is4     bool
	short   []uint32 // where each begins, of IPv4
	long    []key    // where each begins, of IPv6
	bits    []uint8
	classes []Class
	first   []uint32 // by the first two bytes of an address: the last network that begins at or before them
}

// indexBits are the bits of an address by which first is indexed.
const indexBits = 16

// start returns where the network with index i begins.
func (t *table) start(i int) key {
	if t.is4 {
		return key{hi: uint64(t.short[i]) << 32}
	}
	return t.long[i]
}

// find returns the index of the network that has an address.
func (t *table) find(k key) int {
	i := k.hi >> (64 - indexBits)
	from, to := t.first[i], t.first[i+1]
	for from < to { // the last start that isn't above k
		middle := (from + to + 1) / 2
		if t.start(int(middle)).compare(k) <= 0 {
			from = middle
		} else {
			to = middle - 1
		}
	}
	return int(from)
}

// compile makes a table of entries in the network all, which has the class other elsewhere.
func compile(entries []Entry, all netip.Prefix, other Class) table {
	slices.SortStableFunc(entries, func(a, b Entry) int {
		return cmp.Or(keyOf(a.Network.Addr()).compare(keyOf(b.Network.Addr())), cmp.Compare(a.Network.Bits(), b.Network.Bits()))
	})
	t := table{is4: all.Addr().Is4()}
	t.split(all, entries, other)
	t.short, t.long, t.bits, t.classes = slices.Clone(t.short), slices.Clone(t.long), slices.Clone(t.bits), slices.Clone(t.classes)
	t.index()
	return t
}

// split appends the networks that network is made of. entries are those that lie in it, sorted;
// where there is none, its class is inherited.
func (t *table) split(network netip.Prefix, entries []Entry, inherited Class) {
	for len(entries) > 0 && entries[0].Network == network {
		inherited, entries = entries[0].Class, entries[1:]
	}
	if len(entries) == 0 {
		if begin := keyOf(network.Addr()); t.is4 {
			t.short = append(t.short, uint32(begin.hi>>32))
		} else {
			t.long = append(t.long, begin)
		}
		t.bits = append(t.bits, uint8(network.Bits()))
		t.classes = append(t.classes, inherited)
		return
	}
	low, high := halves(network)
	begin := keyOf(high.Addr())
	n, _ := slices.BinarySearchFunc(entries, begin, func(e Entry, k key) int { return keyOf(e.Network.Addr()).compare(k) })
	before := len(t.bits)
	t.split(low, entries[:n], inherited)
	t.split(high, entries[n:], inherited)
	t.merge(before, uint8(network.Bits()))
}

// halves returns the two networks that a network is made of.
func halves(network netip.Prefix) (low, high netip.Prefix) {
	bits := network.Bits()
	var middle netip.Addr
	if network.Addr().Is4() {
		b := network.Addr().As4()
		b[bits/8] |= 0x80 >> (bits % 8)
		middle = netip.AddrFrom4(b)
	} else {
		b := network.Addr().As16()
		b[bits/8] |= 0x80 >> (bits % 8)
		middle = netip.AddrFrom16(b)
	}
	return netip.PrefixFrom(network.Addr(), bits+1), netip.PrefixFrom(middle, bits+1)
}

// merge makes one network of the last two, if these are halves with the same class: an answer for
// it holds for both.
func (t *table) merge(before int, bits uint8) {
	n := len(t.bits)
	if n-before != 2 || t.classes[n-1] != t.classes[n-2] {
		return
	}
	if t.is4 {
		t.short = t.short[:n-1]
	} else {
		t.long = t.long[:n-1]
	}
	t.bits, t.classes = t.bits[:n-1], t.classes[:n-1]
	t.bits[n-2] = bits
}

// index makes first.
func (t *table) index() {
	t.first = make([]uint32, 1<<indexBits+1)
	at := 0
	for i := range 1 << indexBits {
		for at+1 < len(t.bits) && t.start(at+1).compare(key{hi: uint64(i) << (64 - indexBits)}) <= 0 {
			at++
		}
		t.first[i] = uint32(at)
	}
	t.first[1<<indexBits] = uint32(len(t.bits) - 1)
}
