package peers

import (
	"cmp"
	"time"
)

// A Kind is what registers are about. This version knows five kinds.
type Kind string

const (
	KindState     Kind = "state"      // of a host: an Override
	KindWeight    Kind = "weight"     // of a host: an Override
	KindSlowStart Kind = "slow-start" // of a host: a SlowStart
	KindHostKey   Kind = "host-key"   // of a host: a HostKey

	KindPrecedence Kind = "precedence" // of a host: a Precedence
)

// A Topic is what one register is about.
type Topic struct {
	Kind Kind
	Key  string // the host's name
}

func (t Topic) compare(u Topic) int {
	return cmp.Or(cmp.Compare(t.Kind, u.Kind), cmp.Compare(t.Key, u.Key))
}

// A Version orders the registers of one topic. Registers with equal versions are
// equal: Tie has all that isn't in Epoch and Rank.
type Version struct {
	Epoch uint64
	Rank  int64
	Tie   string
}

// Compare returns +1 if v is the greater: by Epoch, then Rank, then Tie.
func (v Version) Compare(w Version) int {
	return cmp.Or(cmp.Compare(v.Epoch, w.Epoch), cmp.Compare(v.Rank, w.Rank), cmp.Compare(v.Tie, w.Tie))
}

// A Register is what is known of one topic. It is never changed, and has been checked.
type Register struct {
	Topic   Topic
	Version Version
	// Expires is zero but for a tombstone: a register that says no more than no
	// register at all. It is needed for as long as an older one may come from
	// somewhere, and that is until Expires.
	Expires time.Time

	value any    // an Override of one part, a SlowStart, a HostKey, a Precedence, or nil if the kind is unknown
	entry string // its JSON, encoded once
}

// Override returns what r says, false if it isn't an override.
func (r Register) Override() (Override, bool) {
	o, ok := r.value.(Override)
	return o, ok
}

// SlowStart returns what r says, false if it isn't about a slow start.
func (r Register) SlowStart() (SlowStart, bool) {
	s, ok := r.value.(SlowStart)
	return s, ok
}

// isPartial reports whether this version understands only a part of r, or nothing.
func (r Register) isPartial() bool {
	switch v := r.value.(type) {
	case Override:
		return v.Unknown != ""
	case SlowStart, HostKey, Precedence:
		return false // it is in force as it is understood, and no operator has to look
	}
	return r.entry != ""
}

// expired reports whether r is a tombstone that is needed no more.
func (r Register) expired(now time.Time) bool { return !r.Expires.IsZero() && now.After(r.Expires) }

// compareAge orders registers by what is to be forgotten first.
func (r Register) compareAge(q Register) int {
	a, isSlowStart := r.SlowStart()
	b, _ := q.SlowStart()
	if isSlowStart {
		return cmp.Or(a.Since.Compare(b.Since), cmp.Compare(a.Host, b.Host))
	}
	if k, ok := r.HostKey(); ok {
		l, _ := q.HostKey()
		return k.compareAge(l)
	}
	if p, ok := r.Precedence(); ok {
		other, _ := q.Precedence()
		return p.compareAge(other)
	}
	return cmp.Or(r.Version.Compare(q.Version), r.Topic.compare(q.Topic))
}
