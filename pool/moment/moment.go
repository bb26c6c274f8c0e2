// Package moment compares times of which the zero time stands for "none".
package moment

import "time"

// Earliest returns the earlier of two times. A zero time doesn't count.
func Earliest(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// Latest returns the later of two times.
func Latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// OrElse returns t. It returns otherwise if t is zero.
func OrElse(t, otherwise time.Time) time.Time {
	if t.IsZero() {
		return otherwise
	}
	return t
}

// Past returns t. It returns now if t is later, because the clock was set back: nothing may
// wait for such a time.
func Past(t, now time.Time) time.Time {
	if t.After(now) {
		return now
	}
	return t
}
