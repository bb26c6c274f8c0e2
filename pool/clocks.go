package pool

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"time"
)

// maxSkew is how far balancers' clocks may differ without anybody minding. What is
// dated later than that comes from a clock that is wrong.
const maxSkew = time.Minute

// date returns d as a new decision of this balancer, whose clock says now. It counts
// after whatever is known on its topics, as the time of a hybrid logical clock does
// (Kulkarni et al., "Logical Physical Clocks", 2014): it is of now, but later than
// what is known. If that is dated so far in the future that a clock must have been
// wrong, it is of now and of the next epoch, so that times never run away.
//
// Decisions of one epoch are in the order of their times, so that the later of two
// operators who don't know of each other wins, as far as clocks agree. Epochs differ
// only where a wrong clock was overruled.
func (r registers) date(d Decision, now time.Time) Decision {
	d.Epoch, d.At = 0, now.UTC().Round(0)
	for _, part := range d.parts() {
		known, ok := r[part.topic()]
		if !ok {
			continue
		}
		after := known.successor(now.UTC().Round(0))
		if after.compareTime(d) > 0 {
			d.Epoch, d.At = after.Epoch, after.At
		}
	}
	return d
}

// successor returns a decision that counts after d and is of now if possible. Only
// its Epoch and At are set.
func (d Decision) successor(now time.Time) Decision {
	switch {
	case d.At.Before(now):
		return Decision{Epoch: d.Epoch, At: now}
	case d.ahead(now) && d.Epoch < math.MaxUint32:
		return Decision{Epoch: d.Epoch + 1, At: now}
	}
	return Decision{Epoch: d.Epoch, At: d.At.Add(time.Nanosecond)}
}

// checkOverrulable refuses a decision after which none could count. Only a mistake can
// make one: an epoch begins where a wrong clock is overruled, and there are 2^32.
func (d Decision) checkOverrulable(now time.Time) error {
	if d.Epoch == math.MaxUint32 && d.ahead(now) {
		return errors.New("no later decision could count after it")
	}
	return nil
}

// ahead reports whether d is of a clock that is wrong, if now is right.
func (d Decision) ahead(now time.Time) bool { return d.At.Sub(now) > maxSkew }

// ahead returns the decisions of clocks that are wrong, sorted by host and topic.
func (r registers) ahead(now time.Time) []Decision {
	ahead := registers{}
	for about, d := range r {
		if d.ahead(now) {
			ahead[about] = d
		}
	}
	return ahead.list()
}

// clockAlarm says whose clock is to be looked at for decisions of the future; "" if
// there are none.
func clockAlarm(ahead []Decision) string {
	if len(ahead) == 0 {
		return ""
	}
	var hosts []string
	for _, d := range ahead {
		hosts = append(hosts, d.Host)
	}
	last := slices.MaxFunc(ahead, func(a, b Decision) int { return a.At.Compare(b.At) })
	return fmt.Sprintf("decisions about %s are dated in the future, up to %s by %s: set the clock of that balancer right. They are in force, and whatever is decided about these hosts from now on counts after them",
		few(slices.Compact(hosts)), last.At.Format(time.RFC3339), last.Origin)
}
