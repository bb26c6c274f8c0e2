package affinity

import "time"

// lifetimes say how long a payload is valid. A zero duration is no limit.
type lifetimes struct {
	idle time.Duration // since Last
	life time.Duration // since First
}

// maxAhead is how far a date may be in the future. A later date comes from a wrong clock
// (HAProxy's rule).
const maxAhead = 24 * time.Hour

// valid reports whether p is valid at now. A date that is missing in p doesn't count: p was
// sealed before the limit for that date was configured.
func (l lifetimes) valid(p Payload, now time.Time) bool {
	return fresh(p.Last, l.idle, now) && fresh(p.First, l.life, now)
}

func fresh(date uint32, limit time.Duration, now time.Time) bool {
	if limit == 0 || date == 0 {
		return true
	}
	age := now.Sub(time.Unix(int64(date), 0))
	return age <= limit && age >= -maxAhead
}

// renew returns p with its new dates, and whether these differ from the old ones. Last
// changes only after a sixteenth of the idle time, so that few answers set a cookie.
func (l lifetimes) renew(p Payload, now time.Time) (renewed Payload, differs bool) {
	const parts = 16
	before, stamp := p, uint32(now.Unix())
	if l.idle == 0 {
		p.Last = 0
	} else if age := now.Sub(time.Unix(int64(p.Last), 0)); p.Last == 0 || age >= max(l.idle/parts, time.Second) {
		p.Last = stamp
	}
	if l.life == 0 {
		p.First = 0
	} else if p.First == 0 {
		p.First = stamp
	}
	return p, p != before
}
