// Package loglimit limits the log lines about failures that repeat. The first one is
// logged at once, later ones rarely, with their number.
package loglimit

import (
	"cmp"
	"maps"
	"sync"
	"time"

	"github.com/rs/zerolog"
)

const (
	firstPause      = time.Minute // from the first line to the second; then twice as long each time
	defaultMaxPause = time.Hour
	defaultMaxKeys  = 64
)

// A Limiter decides when to log failures. Failures with the same key are repetitions of
// one failure. The zero value is ready for use. It is safe for concurrent use; its
// fields must not be changed after the first use.
type Limiter struct {
	MaxPause time.Duration // the longest time between two lines of one failure; 0: an hour
	Forget   time.Duration // a failure that comes after a longer time without it is new; 0: twice MaxPause
	MaxKeys  int           // the largest number of keys; failures with other keys have the key "" together; 0: 64

	mu       sync.Mutex
	failures map[string]*state
}

// A Failure describes a failure that has occurred at least once.
type Failure struct {
	Times      int       // how often it has occurred
	Suppressed int       // how often it has occurred since its last log line
	Since      time.Time // when it occurred first
}

type state struct {
	Failure
	last  time.Time     // when it occurred last
	due   time.Time     // from when on the next line may be written
	pause time.Duration // from that line to the next one
}

// Add counts a failure. It returns the description of the failure, and whether the
// caller should log it now.
func (l *Limiter) Add(key string, now time.Time) (f Failure, log bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.stateLocked(key, now)
	s.Times++
	s.last = now
	f = s.Failure
	if now.Before(s.due) {
		s.Suppressed++
		return f, false
	}
	s.Suppressed = 0
	s.due = now.Add(s.pause)
	s.pause = min(2*s.pause, l.maxPause())
	return f, true
}

// End removes a failure that is over, and returns how often it has occurred.
func (l *Limiter) End(key string) (times int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if s := l.failures[key]; s != nil {
		times = s.Times
		delete(l.failures, key)
	}
	return times
}

// Lapse removes a failure that hasn't occurred for a minute. Callers use it instead of
// End for operations that fail and succeed in turn; with End each failure would be
// logged.
func (l *Limiter) Lapse(key string, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if s := l.failures[key]; s != nil && now.Sub(s.last) >= firstPause {
		delete(l.failures, key)
	}
}

// stateLocked returns the state of a failure. It adds the state if there is none.
func (l *Limiter) stateLocked(key string, now time.Time) *state {
	stale := func(_ string, s *state) bool { return now.Sub(s.last) > l.forget() }
	if s := l.failures[key]; s != nil && !stale(key, s) {
		return s
	}
	maps.DeleteFunc(l.failures, stale)
	if len(l.failures) >= cmp.Or(l.MaxKeys, defaultMaxKeys) {
		key = ""
		if s := l.failures[key]; s != nil {
			return s
		}
	}
	if l.failures == nil {
		l.failures = map[string]*state{}
	}
	s := &state{Failure: Failure{Since: now}, pause: min(firstPause, l.maxPause())}
	l.failures[key] = s
	return s
}

func (l *Limiter) maxPause() time.Duration { return cmp.Or(l.MaxPause, defaultMaxPause) }
func (l *Limiter) forget() time.Duration   { return cmp.Or(l.Forget, 2*l.maxPause()) }

// On adds the number of occurrences and the time of the first to a log line, if the
// failure has occurred more than once.
func (f Failure) On(e *zerolog.Event) *zerolog.Event {
	if f.Times > 1 {
		e = e.Int("times", f.Times).Time("since", f.Since)
	}
	return e
}
