package ringlog

import (
	"errors"
	"fmt"
	"time"
)

// What a Snapshot of a View can never know of a key, in words.
const (
	NoSessions = "Sessions aren't kept: a token that had a live session then, or had one shortly before (sessions.linger), stayed on its host."
	NoLoads    = "Loads aren't kept, and hash.bounded_load was set: if the host was full, a new token went to the next one that wasn't, and stayed there."
)

// ParseTime returns the moment of the past that text says: a time of RFC 3339, a time as lb
// ctl writes it, or HH:MM or HH:MM:SS of the last 24 hours, in the time zone of now. Errors
// don't repeat text: a token may be in it by mistake.
func ParseTime(text string, now time.Time) (time.Time, error) {
	for _, layout := range []string{"15:04", time.TimeOnly} {
		if t, err := time.Parse(layout, text); err == nil {
			at := time.Date(now.Year(), now.Month(), now.Day(), t.Hour(), t.Minute(), t.Second(), 0, now.Location())
			if at.After(now) {
				at = time.Date(now.Year(), now.Month(), now.Day()-1, t.Hour(), t.Minute(), t.Second(), 0, now.Location())
			}
			return at, nil
		}
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02 15:04:05 UTC"} {
		if at, err := time.Parse(layout, text); err == nil {
			if at.After(now) {
				return time.Time{}, fmt.Errorf("%s is in the future: what would be then, lb ctl whatif says", clock(at))
			}
			return at, nil
		}
	}
	return time.Time{}, errors.New("this isn't a time: write 02:30 or 02:30:15 for a time of the last 24 hours, or such as 2026-03-01T02:30:00Z")
}
