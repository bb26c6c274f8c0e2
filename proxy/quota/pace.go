package quota

import "time"

// A pace bounds how often something may come, by the generic cell rate algorithm: virtual scheduling, as
// in ITU-T I.371, annex A. All that it has to know of those who come is one time. The zero pace is no
// bound.
type pace struct {
	every time.Duration // between two that come evenly
	early time.Duration // by how much one may come earlier than evenly
}

// take takes one that comes now. due is when the next one would come evenly; a time that has passed is
// that of somebody new. If it comes too early, take changes nothing and returns how long it has to wait.
func (p pace) take(due *time.Duration, now time.Duration) (wait time.Duration) {
	if p.every == 0 {
		return 0
	}
	at := max(*due, now)
	if wait = at - now - p.early; wait > 0 {
		return wait
	}
	*due = at + p.every
	return 0
}
