package pool

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"
)

// A warmUp is when a host has come into service the last time, and how long it
// takes from then on until it has all its keys. All balancers know it.
//
// The warm-ups of one host are registers whose merge is commutative, associative
// and idempotent. Whoever sees the host return counts one up. Two who see it have
// the same number, and the earlier of their times counts: it only ever takes keys
// sooner. A balancer for which the host never went gives the new number the old
// time, which is earlier, and so takes the warm-up back for all: where a host
// serves, its start never becomes later, and no key leaves it for its warm-up.
type warmUp struct {
	Host   string        `json:"host"`
	Number uint64        `json:"number"`         // of the host's return, at most maxReturns; 1 is its first coming
	Since  time.Time     `json:"since,omitzero"` // zero: for longer than anybody remembers
	Lasts  time.Duration `json:"lasts"`          // in nanoseconds
	Back   bool          `json:"back,omitempty"` // it was in the ring already, and failed its checks

	Unknown string `json:"-"` // see Decision.Unknown
}

var warmUpFields = fieldsOf[warmUp]()

// UnmarshalJSON implements json.Unmarshaler. It keeps unknown fields.
func (w *warmUp) UnmarshalJSON(b []byte) (err error) {
	type plain warmUp
	if err = json.Unmarshal(b, (*plain)(w)); err == nil {
		w.Unknown, err = unknownFields(b, warmUpFields)
	}
	return err
}

// MarshalJSON implements json.Marshaler.
func (w warmUp) MarshalJSON() ([]byte, error) {
	type plain warmUp
	return withUnknown(plain(w), w.Unknown)
}

// The bounds of a warm-up. One of less than two seconds would have steps that
// balancers' clocks can't keep.
const (
	MinSlowStart = 2 * time.Second
	MaxSlowStart = time.Hour
	maxWarmUps   = 4096
	// maxReturns is more than a host can return in a century, once a second. A greater
	// number is a mistake, and would be the last word for ever.
	maxReturns = 1 << 32
)

// check says what is wrong with w.
func (w warmUp) check() error {
	if err := CheckName(w.Host); err != nil {
		return err
	}
	if !w.Since.IsZero() && (w.Since.Before(minAt) || w.Since.After(maxAt)) {
		return fmt.Errorf("a warm-up since %s", w.Since)
	}
	if w.Number > maxReturns {
		return fmt.Errorf("a host that has returned %d times", w.Number)
	}
	if w.Lasts != 0 && (w.Lasts < MinSlowStart || w.Lasts > MaxSlowStart) {
		return fmt.Errorf("a warm-up of %s", w.Lasts)
	}
	return checkUnknown(w.Unknown)
}

// compare orders what is said about one host: the greater counts.
func (w warmUp) compare(v warmUp) int {
	rank := map[bool]int{true: 1}
	return cmp.Or(
		cmp.Compare(w.Number, v.Number),
		v.Since.Compare(w.Since),
		cmp.Compare(v.Lasts, w.Lasts),
		cmp.Compare(rank[w.Back], rank[v.Back]),
		cmp.Compare(w.Unknown, v.Unknown),
	)
}

// warmUps hold the last warm-up of each host.
type warmUps map[string]warmUp

// merge takes w into account and reports whether that changed anything. It
// ignores what doesn't pass check.
func (all warmUps) merge(w warmUp) bool {
	if w.check() != nil {
		return false
	}
	w.Since = w.Since.UTC().Round(0)
	if known, ok := all[w.Host]; ok && w.compare(known) <= 0 {
		return false
	}
	all[w.Host] = w
	return true
}

// prune drops the oldest warm-ups of unknown hosts until no more than limit remain.
func (all warmUps) prune(limit int, known func(host string) bool) {
	strangers := slices.DeleteFunc(all.list(), func(w warmUp) bool { return known(w.Host) })
	slices.SortFunc(strangers, func(a, b warmUp) int { return a.Since.Compare(b.Since) })
	for _, w := range strangers[:max(0, min(len(all)-limit, len(strangers)))] {
		delete(all, w.Host)
	}
}

// list returns the warm-ups, sorted by host.
func (all warmUps) list() []warmUp {
	return slices.SortedFunc(maps.Values(all), func(a, b warmUp) int { return cmp.Compare(a.Host, b.Host) })
}

// A ramp is the way in which a host takes its keys: nothing for two steps, then
// one of equal parts at each. Its steps begin at multiples of their length since
// the epoch, so that all balancers take them together, and hosts that come
// within one step begin as one. The zero ramp is over, since ever.
//
//	taken
//	 4/4 |                        ┌──────
//	     |                   ┌────┘
//	     |              ┌────┘
//	     |         ┌────┘
//	   0 |──┴──────┘
//	   start  since               start + 5 steps, at most since + Lasts
type ramp struct {
	start time.Time
	step  time.Duration
	parts int // into which the host's keys are cut
}

// maxParts are the parts of a ramp whose steps last more than a second.
const maxParts = 15

// ramp returns w's way.
func (w warmUp) ramp() ramp {
	if w.Since.IsZero() || w.Lasts == 0 {
		return ramp{}
	}
	parts := int(max(1, min(maxParts, w.Lasts/time.Second-1)))
	step := w.Lasts / time.Duration(parts+1)
	start := w.Since.UnixNano() / int64(step) * int64(step)
	return ramp{start: time.Unix(0, start).UTC(), step: step, parts: parts}
}

// taken returns how many parts the host has at a moment.
func (r ramp) taken(at time.Time) int {
	if r.parts == 0 {
		return 0
	}
	return int(max(0, min(time.Duration(r.parts), at.Sub(r.start)/r.step-1)))
}

// over reports whether the host has all its keys at a moment.
func (r ramp) over(at time.Time) bool { return r.taken(at) == r.parts }

// when returns the moment at which the host has so many parts, at least one.
func (r ramp) when(parts int) time.Time {
	return r.start.Add(time.Duration(parts+1) * r.step)
}

// next returns when the host takes its next part; zero if it has them all.
func (r ramp) next(at time.Time) time.Time {
	if r.over(at) {
		return time.Time{}
	}
	return r.when(r.taken(at) + 1)
}

// end returns when the host has all its keys; zero for the zero ramp.
func (r ramp) end() time.Time {
	if r.parts == 0 {
		return time.Time{}
	}
	return r.when(r.parts)
}
