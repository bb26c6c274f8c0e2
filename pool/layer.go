package pool

import (
	"encoding/binary"
	"math/bits"
	"slices"
	"time"

	"github.com/cespare/xxhash/v2"

	"tokenring/balancer"
)

// A layer is a table and who of its hosts can be picked: the one in force, or one
// of the past.
type layer struct {
	table *balancer.Table
	ring  []*Host        // by index in table.Hosts(); nil for a host that is no longer known
	index map[string]int // by host name, into ring
	up    []bool         // by index in ring: it has its keys
	there []bool         // by index in ring: up, or vanished if the ring is frozen
	warm  []warmth       // by index in ring; nil if everybody has all its keys
}

// newLayer returns the layer of a table: find finds a host by name, of says
// whether one that is known is of the layer.
func newLayer(table *balancer.Table, find func(name string) *Host, of func(*Host) bool) layer {
	placed := table.Hosts()
	n := len(placed)
	l := layer{table: table, ring: make([]*Host, n), index: make(map[string]int, n), up: make([]bool, n), there: make([]bool, n)}
	for i, h := range placed {
		l.index[h.Name] = i
		l.ring[i] = find(h.Name)
		if h := l.ring[i]; h != nil && of(h) {
			l.up[i], l.there[i] = h.has(), h.has() || h.vanished()
		}
	}
	return l
}

// find returns the index of h, which may be of another snapshot; -1 if h is nil or
// not in the layer.
func (l *layer) find(h *Host) int {
	if h != nil {
		if i, ok := l.index[h.Name]; ok {
			return i
		}
	}
	return -1
}

// waits reports whether the host at index i warms up and hasn't taken yet the key
// of this hash.
func (l *layer) waits(i int, hash uint64) bool {
	if l.warm == nil {
		return false
	}
	w := &l.warm[i]
	return w.past != 0 && w.part(hash) >= w.taken
}

// has returns what part of its keys the host at index i has, 0..1.
func (l *layer) has(i int) float64 {
	if l.warm == nil || l.warm[i].past == 0 {
		return 1
	}
	return float64(l.warm[i].taken) / float64(l.warm[i].ramp.parts)
}

// same reports whether l picks as m does.
func (l *layer) same(m *layer) bool {
	return l.table == m.table && slices.Equal(l.ring, m.ring) && slices.Equal(l.up, m.up) && slices.Equal(l.warm, m.warm)
}

// A warmth is which of its keys a host has as of the layer's moment.
type warmth struct {
	ramp  ramp
	taken int    // parts
	seed  uint64 // of the host
	past  int    // where the others are: counts the layers of the past from 1; 0 if the host has all
}

// part returns which part of its keys the one of this hash is in, 0 for the first
// that the host takes. It has nothing to do with the key's slot, and each host cuts
// its keys in a way of its own.
func (w *warmth) part(hash uint64) int {
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], hash^w.seed)
	part, _ := bits.Mul64(xxhash.Sum64(b[:]), uint64(w.ramp.parts))
	return int(part)
}

// takes returns when the host takes the key of this hash.
func (w *warmth) takes(hash uint64) time.Time { return w.ramp.when(w.part(hash) + 1) }

func warmSeed(host string) uint64 { return xxhash.Sum64String("warm-up:" + host) }

// remember adds to s where keys are that hosts haven't taken yet. rampOf returns a
// host's way to its keys, the zero ramp if it has long had them. In a frozen ring
// the ramps of those that vanished go on: what such a host would have taken by now is
// refused, on every balancer, and the rest is on an older one.
func (s *Snapshot) remember(pasts []past, rampOf func(host string) ramp, now time.Time) {
	if len(pasts) == 0 {
		return
	}
	moments := []time.Time{now}
	for _, p := range pasts {
		table := p.table
		if table == nil { // the keys are where the table in force has them without those that have come
			table = s.Table
		}
		older := func(h *Host) bool { return rampOf(h.Name).start.Before(p.start) }
		s.past = append(s.past, newLayer(table, s.Host, older))
		moments = append(moments, p.start)
	}
	for i, l := range s.layers() {
		l.warm = s.warmths(l, pasts, rampOf, moments[i])
	}
}

// warmths returns what each host of l has of its keys at a moment; nil if all have
// them all.
func (s *Snapshot) warmths(l *layer, pasts []past, rampOf func(host string) ramp, at time.Time) []warmth {
	all := make([]warmth, len(l.ring))
	some := false
	for i, h := range l.ring {
		if h == nil || !l.up[i] && !(s.Frozen && h.vanished()) {
			continue
		}
		r := rampOf(h.Name)
		if l != &s.layer && !r.start.Before(at) { // it wasn't there yet, or was down
			continue
		}
		back := slices.IndexFunc(pasts, func(p past) bool { return p.start.Equal(r.start) })
		if back >= 0 && !r.over(at) {
			all[i] = warmth{ramp: r, taken: r.taken(at), seed: warmSeed(h.Name), past: back + 1}
			some = true
		}
	}
	if !some {
		return nil
	}
	return all
}

// layers returns the layer in force and those of the past.
func (s *Snapshot) layers() []*layer {
	all := []*layer{&s.layer}
	for i := range s.past {
		all = append(all, &s.past[i])
	}
	return all
}
