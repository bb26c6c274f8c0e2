package route

import "time"

// MinSlowStart and MaxSlowStart bound how long a slow start may last. A slow start of
// less than two seconds would have steps that are shorter than the differences between
// the balancers' clocks.
const (
	MinSlowStart = 2 * time.Second
	MaxSlowStart = time.Hour
)

// A Progress says how far a host is in its slow start. It is the zero value when the
// host has all its keys.
type Progress struct {
	Since, Until time.Time
	Taken        float64 // of its keys, 0..1
}

// A SlowStart says how a host that begins to serve takes its keys. Its keys are divided
// into equal parts. For two steps the host takes none, then one part at each step. Steps
// begin at multiples of their length since the Unix epoch. So all balancers begin a step
// at the same time, and hosts that come within one step have the same slow start. The
// zero value is over: the host has all its keys.
//
//	taken
//	 4/4 |                        ┌──────
//	     |                   ┌────┘
//	     |              ┌────┘
//	     |         ┌────┘
//	   0 |──┴──────┘
//	   start  since               start + 5 steps, at most since + lasts
type SlowStart struct {
	start time.Time
	step  time.Duration
	parts int // the number of parts into which the host's keys are divided

	stands time.Time // it stands still since then; zero if it goes on
}

// maxParts is the number of parts in a slow start whose steps are longer than a second.
const maxParts = 15

// NewSlowStart returns the slow start of a host that began to serve at the time since.
// It is over after the duration lasts at most. The result is the zero value if since or
// lasts is zero.
func NewSlowStart(since time.Time, lasts time.Duration) SlowStart {
	if since.IsZero() || lasts == 0 {
		return SlowStart{}
	}
	parts := int(max(1, min(maxParts, lasts/time.Second-1)))
	step := lasts / time.Duration(parts+1)
	start := since.UnixNano() / int64(step) * int64(step)
	return SlowStart{start: time.Unix(0, start).UTC(), step: step, parts: parts}
}

// StandStill returns s as it is while changes of the ring wait: from at on the host takes no more
// parts. A slow start that hasn't begun by then goes on, and so does one that is over.
func (s SlowStart) StandStill(at time.Time) SlowStart {
	if s.start.Before(at) && !s.Over(at) {
		s.stands = at
	}
	return s
}

// Parts returns the number of parts into which the host's keys are divided; 0 for the
// zero value.
func (s SlowStart) Parts() int { return s.parts }

// Taken returns how many parts the host has taken at a moment.
func (s SlowStart) Taken(at time.Time) int {
	if s.parts == 0 {
		return 0
	}
	if !s.stands.IsZero() && at.After(s.stands) {
		at = s.stands
	}
	return int(max(0, min(time.Duration(s.parts), at.Sub(s.start)/s.step-1)))
}

// Over reports whether the host has all its keys at a moment.
func (s SlowStart) Over(at time.Time) bool { return s.Taken(at) == s.parts }

// takesAt returns when the host takes the last of so many parts, at least one.
func (s SlowStart) takesAt(parts int) time.Time {
	return s.start.Add(time.Duration(parts+1) * s.step)
}

// Next returns when the host takes its next part; zero if it has all parts, or stands still.
func (s SlowStart) Next(at time.Time) time.Time {
	if s.Over(at) || !s.stands.IsZero() {
		return time.Time{}
	}
	return s.takesAt(s.Taken(at) + 1)
}

// End returns when the host has all its keys; zero for the zero value.
func (s SlowStart) End() time.Time {
	if s.parts == 0 {
		return time.Time{}
	}
	return s.takesAt(s.parts)
}
