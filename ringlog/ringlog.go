// Package ringlog keeps what the ring was: its last hundred tables, when and why each came
// into force, and which hosts could serve meanwhile. From that it makes an earlier
// moment's snapshot again, which chooses as the balancer has chosen then. It is arithmetic
// only: the time is an argument.
//
// # What is kept
//
// An Entry is one change of the table, or of what its hosts could do: a host failed its
// checks, moved, or began its slow start. It holds what differs from the entry before, and
// no slots: a table follows from its hosts, bit for bit, and its digest proves it. Entries
// are in the order of their numbers, which grow over restarts. A clock that is set back
// changes that order in no way.
//
// The tables are bounded by MaxTables, the changes between them by MaxChanges, and the
// hosts in these by maxChanged. When there are too many changes, the oldest are joined with
// the entry after them, which then says from when on it doesn't know what was.
//
// # What is not kept
//
// Sessions, placements and loads aren't, and neither are cookies: a View answers for a
// request with a new token. View.Notes says what it can't know.
package ringlog

import (
	"slices"
	"time"

	"tokenring/balancer"
	"tokenring/route"
)

// The bounds of a Log.
const (
	MaxTables  = 100
	MaxChanges = 1000    // of hosts that leave the table as it is
	maxChanged = 1 << 16 // hosts in all these changes
)

// A Host is what a balancer knew of one host, as far as it decides where keys go.
type Host struct {
	Name   string        `json:"name"`
	ID     uint32        `json:"id,omitempty"`
	Weight int           `json:"weight"` // in force
	State  route.State   `json:"state"`
	Check  route.Verdict `json:"check"`
	Error  string        `json:"error,omitempty"` // why its checks began to fail, "" if they don't; and where it is up, if it is held
	InRing bool          `json:"in_ring,omitempty"`
	WhyNot string        `json:"why_not,omitempty"` // as in route.Host
	Moving bool          `json:"moving,omitempty"`

	FailedBefore bool `json:"failed_before,omitempty"` // as in route.Host
	Held         bool `json:"held,omitempty"`          // as in route.Host
	Waits        bool `json:"waits,omitempty"`         // as in route.Host
	Serves       bool `json:"serves,omitempty"`        // it counted as a host that serves, for slow starts of others

	SlowStart
}

// A SlowStart is when a host has come into service, and how long it takes until it has
// all its keys. The zero value means that the host has had them for long.
type SlowStart struct {
	Since time.Time     `json:"since,omitzero"`
	Lasts time.Duration `json:"lasts,omitempty"` // in nanoseconds
	Back  bool          `json:"back,omitempty"`  // it was in the ring already, and failed its checks

	Stands time.Time `json:"stands,omitzero"` // it stands still since then; zero if it goes on
}

// of returns s as the package route has it.
func (s SlowStart) of() route.SlowStart {
	slow := route.NewSlowStart(s.Since, s.Lasts)
	if s.Stands.IsZero() {
		return slow
	}
	return slow.StandStill(s.Stands)
}

// An Entry is one change. It is immutable.
type Entry struct {
	Number uint64    `json:"number"`
	At     time.Time `json:"at"`
	Cause  string    `json:"cause"` // in words
	// UnknownSince is zero, or from then until At it isn't known which hosts could serve.
	UnknownSince time.Time `json:"unknown_since,omitzero"`
	Frozen       bool      `json:"frozen,omitempty"`

	Hosts []Host           `json:"hosts,omitempty"` // those that are other than in the entry before
	Gone  []string         `json:"gone,omitempty"`  // those that aren't known any more
	Table *Table           `json:"table,omitempty"` // nil if the table stays
	Hash  *balancer.Config `json:"hash,omitempty"`  // nil if it stays; without its seed

	// Until is when the entry was known to be in force the last time. It is zero unless
	// this is the last entry of a Log that was written to disk.
	Until time.Time `json:"until,omitzero"`
}

// A Table is a table that has come into force.
type Table struct {
	Digest string `json:"digest"`
	Size   int    `json:"size"` // its number of hosts
	// Moved is the share of the keys, 0..1, for which it has another owner than the table
	// before. It is nil if that isn't known.
	Moved *float64          `json:"moved,omitempty"`
	Hosts balancer.HostList `json:"hosts"` // those that are new, or have another weight or id
	Gone  []string          `json:"gone,omitempty"`
}

// A Log is what the ring was. It is immutable: a Recorder makes the next one. The zero
// Log knows nothing. The first entry has all hosts, and a table.
type Log struct{ entries []Entry }

// Len returns the number of entries.
func (l *Log) Len() int { return len(l.entries) }

// Last returns the number of the last entry, 0 if there is none.
func (l *Log) Last() uint64 {
	if len(l.entries) == 0 {
		return 0
	}
	return l.entries[len(l.entries)-1].Number
}

// First returns the earliest time of which l knows what the ring was; zero if there is
// none.
func (l *Log) First() (first time.Time) {
	for _, e := range l.entries {
		if first.IsZero() || e.At.Before(first) {
			first = e.At
		}
	}
	return first
}

// WithMoved returns l with the share that the table of an entry has moved.
func (l *Log) WithMoved(number uint64, share float64) *Log {
	i := slices.IndexFunc(l.entries, func(e Entry) bool { return e.Number == number })
	if i < 0 || l.entries[i].Table == nil {
		return l
	}
	entries := slices.Clone(l.entries)
	table := *entries[i].Table
	table.Moved = &share
	entries[i].Table = &table
	return &Log{entries}
}

// with returns l with one more entry, within the bounds.
func (l *Log) with(e Entry) *Log { return &Log{bounded(append(slices.Clip(l.entries), e))} }

// A state is what was in force after an entry.
type state struct {
	hosts  map[string]Host
	placed map[string]balancer.Host // in the table
	hash   balancer.Config          // without its seed
	table  Entry                    // the last that has a table
	last   Entry
}

// stateAt returns what was in force after the entry at index i; the zero state for -1.
func (l *Log) stateAt(i int) *state {
	s := &state{hosts: map[string]Host{}, placed: map[string]balancer.Host{}}
	for _, e := range l.entries[:i+1] {
		s.apply(e)
	}
	return s
}

func (s *state) apply(e Entry) {
	for _, name := range e.Gone {
		delete(s.hosts, name)
	}
	for _, h := range e.Hosts {
		s.hosts[h.Name] = h
	}
	if e.Hash != nil {
		s.hash = *e.Hash
	}
	if e.Table != nil {
		for _, name := range e.Table.Gone {
			delete(s.placed, name)
		}
		hosts, _ := e.Table.Hosts.Hosts() // checked when it was made or read
		for _, h := range hosts {
			s.placed[h.Name] = h
		}
		s.table = e
	}
	s.last = e
}
