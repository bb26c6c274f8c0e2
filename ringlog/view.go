package ringlog

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"tokenring/balancer"
	"tokenring/route"
)

// Errors of View.
var (
	ErrNoRings = errors.New("no ring is known yet")
	ErrTooOld  = errors.New("no ring of that time is known any more")
)

// ErrNotRebuilt is the error of Snapshot if a table can't be made again.
var ErrNotRebuilt = errors.New("the ring can't be made again")

// A Ring is a table that was in force.
type Ring struct {
	Number uint64 // of its entry
	At     time.Time
	Until  time.Time // when the next table came into force; zero if there is none
	Digest string
	Cause  string
	Moved  *float64 // see Table
	Hosts  int
	// Joined are the hosts that the table before didn't have or had with another weight or
	// id, Left those that this one doesn't have. Both are nil for the first ring of a Log.
	Joined, Left []string
	Changes      []Change // of its hosts, while it was in force, in order
}

// A Change is one of hosts that has left the table as it was.
type Change struct {
	Number uint64
	At     time.Time
	Cause  string
}

// Rings returns the tables, the newest first. A change that has the cause of the next table,
// which it has brought about, isn't among the Changes.
func (l *Log) Rings() []Ring {
	var all []Ring
	for i, e := range l.entries {
		if e.Table == nil {
			ring := &all[len(all)-1]
			if next := i + 1; next == len(l.entries) || l.entries[next].Table == nil || l.entries[next].Cause != e.Cause {
				ring.Changes = append(ring.Changes, Change{e.Number, e.At, e.Cause})
			}
			continue
		}
		if len(all) > 0 {
			all[len(all)-1].Until = e.At
		}
		all = append(all, e.ring())
		if i > 0 {
			all[len(all)-1].Joined, all[len(all)-1].Left = e.Table.Hosts.Names, e.Table.Gone
		}
	}
	slices.Reverse(all)
	return all
}

// ring returns the ring of an entry that has a table, without what the entries around it say.
func (e Entry) ring() Ring {
	return Ring{Number: e.Number, At: e.At, Digest: e.Table.Digest, Cause: e.Cause, Moved: e.Table.Moved, Hosts: e.Table.Size}
}

// A View is the ring as it was at one moment.
type View struct {
	At     time.Time
	Number uint64 // of the last entry
	Ring   Ring   // without Changes
	Change Change // the last one before At; zero if there was none since the table came into force
	Frozen bool
	Hosts  []Host // all that were known, sorted by name
	Hash   balancer.Config
	// Notes say, a sentence each, what isn't known of that moment.
	Notes []string

	placed []balancer.Host // in the table
}

// View returns the ring as it was at a time. If the clock was set back and the time came more
// than once, it is the ring of the last of these moments, and a note says so. The first ring
// also answers for the rest of its second, because operators write times in whole seconds. The
// error is ErrNoRings, or wraps ErrTooOld.
func (l *Log) View(at time.Time) (*View, error) {
	if len(l.entries) == 0 {
		return nil, ErrNoRings
	}
	if first := l.First(); first.After(at) && first.Truncate(time.Second).Equal(at) {
		at = first
	}
	moments := l.momentsOf(at)
	if len(moments) == 0 {
		return nil, fmt.Errorf("%w: the first that is kept is of %s", ErrTooOld, clock(l.First()))
	}
	i := moments[len(moments)-1]
	v := l.viewAfter(i)
	v.At = at.UTC()
	for _, ring := range l.Rings() {
		if ring.Number == v.Ring.Number {
			v.Ring = ring
			v.Ring.Changes = nil
		}
	}
	v.Notes = l.notes(i, at, len(moments))
	return v, nil
}

// viewAfter returns the ring as it was after the entry at index i, without the time in which
// it was in force.
func (l *Log) viewAfter(i int) *View {
	s := l.stateAt(i)
	v := &View{
		At: s.last.At, Number: s.last.Number, Ring: s.table.ring(), Frozen: s.last.Frozen, Hosts: sorted(s.hosts), Hash: s.hash, placed: sorted(s.placed),
	}
	if s.last.Table == nil {
		v.Change = Change{s.last.Number, s.last.At, s.last.Cause}
	}
	return v
}

// Unmeasured returns the first ring after the entry of a number of which it isn't known what
// share of the keys it has moved, and the ring before it. They are nil if there is none.
func (l *Log) Unmeasured(number uint64) (before, after *View) {
	for i, e := range l.entries {
		if i > 0 && e.Number > number && e.Table != nil && e.Table.Moved == nil {
			return l.viewAfter(i - 1), l.viewAfter(i)
		}
	}
	return nil, nil
}

// momentsOf returns the indices of the entries that were in force when the clock showed a
// time: more than one if it was set back meanwhile.
func (l *Log) momentsOf(at time.Time) (all []int) {
	for i, e := range l.entries {
		last := i == len(l.entries)-1
		if !e.At.After(at) && (last || l.entries[i+1].At.After(at) || l.entries[i+1].At.Before(e.At)) {
			all = append(all, i)
		}
	}
	return all
}

// notes returns what isn't known of a time in which the entry at index i was in force.
func (l *Log) notes(i int, at time.Time, moments int) (notes []string) {
	if moments > 1 {
		notes = append(notes, fmt.Sprintf("The clock was set back: it showed this time %d times, and this is the ring of the last.", moments))
	}
	if i+1 < len(l.entries) {
		if next := l.entries[i+1]; !next.UnknownSince.IsZero() && !at.Before(next.UnknownSince) {
			notes = append(notes, fmt.Sprintf("From %s to %s it isn't known which hosts served: the balancer wasn't running, or there were too many changes to keep them all. "+
				"This is the last that was known before.", clock(next.UnknownSince), clock(next.At)))
		}
	} else if until := l.entries[i].Until; !until.IsZero() && at.After(until) {
		notes = append(notes, fmt.Sprintf("What came after %s isn't on disk.", clock(until)))
	}
	return notes
}

func clock(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }

// Snapshot returns what the balancer has known at that moment, as far as it decides where new
// keys go: Choose of the result returns what it has returned then. BoundedLoad is 0, because
// loads aren't known. seed is that of the configuration; it isn't kept. The error wraps
// ErrNotRebuilt if the table was made with another seed, or by a library that made
// another table than its forecast. It takes as long as a forecast of the table does.
func (v *View) Snapshot(seed string) (*route.Snapshot, error) {
	tables, table, err := v.build(seed)
	if err != nil {
		return nil, err
	}
	hosts := make([]*route.Host, len(v.Hosts))
	for i, h := range v.Hosts {
		hosts[i] = h.route()
	}
	s := route.NewSnapshot(table, hosts)
	s.At, s.TableAt, s.Frozen = v.At, v.Ring.At, v.Frozen
	history := route.History(v.members(), v.At)
	route.Reuse(history, nil, table)
	for i := range history {
		if g := &history[i]; !g.Exact {
			if g.Table, err = tables.Build(g.Hosts); err != nil {
				return nil, fmt.Errorf("%w as it was before hosts came: %w", ErrNotRebuilt, err)
			}
			g.Exact = true
		}
	}
	s.SetHistory(history, v.slowStartOf, v.At)
	return s, nil
}

// Table returns the table that was in force. Its errors are those of Snapshot.
func (v *View) Table(seed string) (*balancer.Table, error) {
	_, table, err := v.build(seed)
	return table, err
}

// build makes the table again, and returns what makes others of its configuration.
func (v *View) build(seed string) (*balancer.Builder, *balancer.Table, error) {
	cfg := v.Hash
	cfg.Seed = seed
	tables, err := balancer.NewForecaster(cfg)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrNotRebuilt, err)
	}
	table, err := tables.Build(v.placed)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrNotRebuilt, err)
	}
	if table.Digest() != v.Ring.Digest {
		return nil, nil, fmt.Errorf("%w: its hosts give the ring %s now, and it was %s: has hash.seed been changed since?", ErrNotRebuilt, table.Digest(), v.Ring.Digest)
	}
	return tables, table, nil
}

// route returns h as package route has it.
func (h Host) route() *route.Host {
	return &route.Host{
		Spec:       route.Spec{Name: h.Name, ID: h.ID, Weight: h.Weight},
		AdminState: route.AdminState{State: h.State},
		Health:     route.Health{Verdict: h.Check, CheckError: h.Error, Moving: h.Moving, Held: h.Held},
		Standing:   route.Standing{InRing: h.InRing, WhyNot: h.WhyNot, FailedBefore: h.FailedBefore, Waits: h.Waits},
		Gauges:     new(route.Gauges),
	}
}

// members returns the hosts of the ring, as the order of the table had them.
func (v *View) members() (ring []route.Member) {
	for _, h := range v.Hosts {
		if !h.InRing {
			continue
		}
		m := route.Member{
			Host:   balancer.Host{Name: h.Name, ID: h.ID, Weight: h.Weight},
			Serves: h.Serves || v.Frozen && !h.FailedBefore, SlowStart: h.of(), Back: h.Back,
		}
		if i := route.IndexOf(v.placed, h.Name); i >= 0 {
			m.Host = v.placed[i]
		}
		ring = append(ring, m)
	}
	return ring
}

func (v *View) slowStartOf(host string) route.SlowStart {
	i, ok := slices.BinarySearchFunc(v.Hosts, host, func(h Host, name string) int { return strings.Compare(h.Name, name) })
	if !ok {
		return route.SlowStart{}
	}
	return v.Hosts[i].of()
}
