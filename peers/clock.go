package peers

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"

	"tokenring/route"
)

// maxSkew is how far balancers' clocks may differ without consequence. What is dated
// later than that comes from a clock that is wrong.
const maxSkew = time.Minute

// A Clock is what a balancer knows of its clock. The zero Clock is right.
type Clock struct {
	Behind time.Duration // the common time of the balancers; less than zero if the clock is ahead
	Alone  bool          // it could be compared with no other balancer's yet
}

// SetClock sets what is known of the clock whose times Date, Take and ClockAlarm get. They go
// by the common time.
func (s *Set) SetClock(c Clock) { s.clock = c }

// common returns the common time.
func (s *Set) common(now time.Time) time.Time { return now.Add(s.clock.Behind) }

// Date returns o as a new override of the balancer origin, whose clock says now. It
// counts after whatever is known on its topics, as the time of a hybrid logical clock
// does (Kulkarni et al., "Logical Physical Clocks", 2014): it is of now, but later than
// what is known. If what is known is dated so far in the future that a clock must have
// been wrong, the new one is of now and of the next epoch, so that times never run
// away.
//
// Overrides of one epoch are in the order of their times, so that the later of two
// operators who don't know of each other wins: they are dated by the common time of the
// balancers. Epochs differ only where a wrong clock was overruled.
func (s *Set) Date(o route.Override, origin string, now time.Time) Override {
	now = s.common(now).UTC().Round(0)
	dated := Override{Override: o, Origin: origin, At: now, Alone: s.clock.Alone}
	for _, part := range dated.parts() {
		known, ok := s.all[part.topic()].Override()
		dated.setAfter(part.topic(), known.basis(origin))
		if !ok {
			continue
		}
		epoch, at := known.successor(now)
		if cmp.Or(cmp.Compare(epoch, dated.Epoch), at.Compare(dated.At)) > 0 {
			dated.Epoch, dated.At = epoch, at
		}
	}
	return dated
}

// successor returns the epoch and the time of an override that counts after o and is
// of now if possible.
func (o Override) successor(now time.Time) (epoch uint32, at time.Time) {
	switch {
	case o.At.Before(now):
		return o.Epoch, now
	case o.Ahead(now) && o.Epoch < math.MaxUint32:
		return o.Epoch + 1, now
	}
	return o.Epoch, o.At.Add(time.Nanosecond)
}

// Ahead reports whether o is of a clock that is wrong, if now is right.
func (o Override) Ahead(now time.Time) bool { return o.At.Sub(now) > maxSkew }

// Ahead reports whether an override is of a clock that is wrong.
func (s *Set) Ahead(o Override, now time.Time) bool { return o.Ahead(s.common(now)) }

// isDoubtful reports whether the date of o may be wrong, though now is right.
func (o Override) isDoubtful(now time.Time) bool { return o.Alone || o.Ahead(now) }

// ahead returns the overrides of clocks that are wrong, sorted by host and topic.
func (s *Set) ahead(now time.Time) []Override {
	if s.latest.Sub(now) <= maxSkew {
		return nil
	}
	var ahead []Override
	for _, k := range s.all {
		if o, ok := k.Override(); ok && o.Ahead(now) {
			ahead = append(ahead, o)
		}
	}
	slices.SortFunc(ahead, func(a, b Override) int {
		return cmp.Or(cmp.Compare(a.Host, b.Host), cmp.Compare(a.topic().Kind, b.topic().Kind))
	})
	return ahead
}

// ClockAlarm says whose clock is to be looked at for overrides of the future; "" if
// there are none.
func (s *Set) ClockAlarm(now time.Time) string {
	ahead := s.ahead(s.common(now))
	if len(ahead) == 0 {
		return ""
	}
	var hosts []string
	for _, o := range ahead {
		hosts = append(hosts, o.Host)
	}
	last := slices.MaxFunc(ahead, func(a, b Override) int { return a.At.Compare(b.At) })
	return fmt.Sprintf("overrides of %s are dated in the future, up to %s by %s: set the clock of that balancer right. They are in force, and whatever is set for these hosts from now on counts after them",
		route.ShortList(slices.Compact(hosts)), last.At.Format(time.RFC3339), last.Origin)
}

// A Basis is the last override of another balancer that a balancer knew on a topic when it
// took its own. The zero Basis is none.
type Basis struct {
	Epoch uint32    `json:"epoch,omitempty"`
	At    time.Time `json:"at,omitzero"`
}

// text returns b for a comparison.
func (b *Basis) text() string {
	if b == nil {
		return ""
	}
	return fmt.Sprintf("%d %d", b.Epoch, b.At.UnixNano())
}

// basis returns the Basis of an override of a balancer that knows o on its topic; nil if that
// can't be told, because an earlier version has taken o.
func (o Override) basis(origin string) *Basis {
	switch {
	case o.Origin == origin: // nothing of another balancer has come since
		return o.After
	case o.Origin == "":
		return new(Basis)
	}
	return &Basis{o.Epoch, o.At}
}

// setAfter sets the Basis of the part of o that is about a topic.
func (o *Override) setAfter(topic Topic, b *Basis) {
	if topic.Kind == KindWeight && o.State != "" {
		o.afterWeight = b
		return
	}
	o.After = b
}

// knows reports whether the balancer that has taken o knew p, which is on the same topic.
func (o Override) knows(p Override) bool {
	return o.Origin == p.Origin || o.After == nil || cmp.Or(cmp.Compare(o.After.Epoch, p.Epoch), o.After.At.Compare(p.At)) >= 0
}

// Take takes r in as Merge does, and returns what is news then: r, or nothing. If r is an
// override whose date may be wrong, and was taken without knowledge of the one that is in force
// here, the two are in conflict, and nobody can tell which one is later. The one whose date is right
// stays in force: it is of the next epoch then, on all balancers alike, and is the news.
//
// A date may be wrong if the clock was ahead, or if the balancer had not compared its clock with
// others: it had started without them, and may have lived in another time.
func (s *Set) Take(r Register, now time.Time) (news []Register) {
	known, isKnown := s.all[r.Topic].Override()
	if !s.Merge(r, now) {
		return nil
	}
	o, ok := r.Override()
	common := s.common(now)
	if !ok || !isKnown || !o.isDoubtful(common) || known.isDoubtful(common) || o.knows(known) || o.Epoch != known.Epoch || o.Epoch == math.MaxUint32 {
		return []Register{r}
	}
	known.Epoch, known.After = known.Epoch+1, &Basis{o.Epoch, o.At}
	kept, err := known.Registers()
	if err != nil { // it was in force, so nothing is wrong with it
		return []Register{r}
	}
	s.put(kept[0], now)
	return kept
}
