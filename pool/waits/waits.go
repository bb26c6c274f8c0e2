// Package waits says which changes of the ring wait because a balancer is missing. Balancers that
// are connected ask each other before they place a token, also while their tables differ. One that
// is missing can't be asked, so the others must go on placing tokens as it does: changes that can
// wait do so until it is back, or for a time, or until an operator insists. It is arithmetic: its
// caller says which balancers are connected, and what would become of each host.
package waits

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"tokenring/pool/moment"
	"tokenring/route"
)

// Grace is how long a balancer must have been away to be missing. Changes wait for it from the first
// moment, because it may go on placing tokens; but operators hear nothing of one that restarts.
const Grace = 3 * time.Second

// A Peer is another balancer of which this one knows.
type Peer struct {
	Name      string
	Connected bool // each of the two hears the other
	Unmet     bool // it is known from an earlier process, and hasn't been met in this one
}

// An Absence is a balancer that isn't connected, or several that nobody knows.
type Absence struct {
	Name     string    `json:"name,omitempty"` // "" for those that are expected and that nobody knows
	Count    int       `json:"count"`          // how many balancers; 1 if they have a name
	Since    time.Time `json:"since"`
	Insisted bool      `json:"insisted,omitempty"` // an operator goes on without it until it is back
	Unmet    bool      `json:"unmet,omitempty"`
}

// String returns the name of the balancer, or how many there are.
func (a Absence) String() string {
	if a.Name != "" {
		return a.Name
	}
	return fmt.Sprintf("%d that peers.expect counts", a.Count)
}

// A State is what one process hands over to the next.
type State struct {
	Absences []Absence `json:"absences,omitempty"` // sorted by name
	// Since is when the changes began to wait; zero if none has to. Slow starts stand still then.
	Since time.Time `json:"since,omitzero"`
}

// A Wait is what one balancer knows of those that are missing. The zero Wait is of a balancer that
// misses none. It is not safe for concurrent use.
//
//	             Grace                      it is back
//	connected ──▶ away ──────▶ missing ─────────────────▶ connected
//	               ·              │  Within is over, or     ▲
//	               · changes wait │  an operator insists    │ it is back
//	                              ▼                         │
//	                       missing, and nothing waits for it
type Wait struct {
	State
	Within  time.Duration // how long changes wait for one balancer; 0: they never do
	missing []Absence     // as of the last Update
	awaited []Absence     // those of Absences for which changes wait

	changes []string  // that wait, in words
	noted   time.Time // since when any has waited; zero if none waits
}

// Update takes in which peers are connected. unseen is how many more are expected that nobody
// knows. A peer that isn't among all any more has left, unless it is unmet. next is when the
// result changes though nothing happens; zero if there is no such time.
func (w *Wait) Update(all []Peer, unseen int, now time.Time) (next time.Time) {
	before := w.Absences
	w.Absences = nil
	for _, p := range all {
		if !p.Connected {
			w.Absences = append(w.Absences, Absence{Name: p.Name, Count: 1, Since: now, Unmet: p.Unmet}.after(before))
		}
	}
	gone := slices.DeleteFunc(slices.Clone(before), func(a Absence) bool {
		return a.Name == "" || slices.ContainsFunc(all, func(p Peer) bool { return p.Name == a.Name })
	})
	for _, a := range gone {
		if a.Unmet && now.Before(a.Since.Add(w.Within)) {
			w.Absences = append(w.Absences, a)
			unseen--
		}
	}
	if unseen > 0 {
		w.Absences = append(w.Absences, w.unseen(unseen, before, gone, now))
	}
	slices.SortFunc(w.Absences, func(a, b Absence) int { return cmp.Compare(a.Name, b.Name) })
	return w.judge(now)
}

// after returns a as it goes on if it was there before.
func (a Absence) after(before []Absence) Absence {
	for _, old := range before {
		if old.Name == a.Name && old.Count >= a.Count {
			a.Since, a.Insisted = old.Since, old.Insisted
		}
	}
	return a
}

// unseen returns the absence of so many balancers that nobody knows. If they were known until
// now, it goes on from theirs.
func (w *Wait) unseen(count int, before, gone []Absence, now time.Time) Absence {
	a := Absence{Count: count, Since: now}
	if slices.ContainsFunc(before, func(old Absence) bool { return old.Name == "" }) {
		return a.after(before)
	}
	for i, old := range gone {
		if i == 0 || old.Since.Before(a.Since) {
			a.Since = old.Since
		}
		a.Insisted = old.Insisted && len(gone) >= count
	}
	return a
}

// judge finds out which absences matter.
func (w *Wait) judge(now time.Time) (next time.Time) {
	w.missing, w.awaited = nil, nil
	for _, a := range w.Absences {
		missing, over := a.Since.Add(Grace), a.Since.Add(w.Within)
		if now.Before(missing) {
			next = moment.Earliest(next, missing)
		} else {
			w.missing = append(w.missing, a)
		}
		if !a.Insisted && now.Before(over) {
			w.awaited = append(w.awaited, a)
			next = moment.Earliest(next, over)
		}
	}
	switch {
	case len(w.awaited) == 0:
		w.Since = time.Time{}
	case w.Since.IsZero():
		w.Since = now
	}
	return next
}

// Waits reports whether changes wait for any balancer.
func (w *Wait) Waits() bool { return len(w.awaited) > 0 }

// Misses reports whether any of these balancers is missing, and not only away for a moment.
func (w *Wait) Misses() bool {
	return slices.ContainsFunc(w.awaited, func(a Absence) bool { return slices.Contains(w.missing, a) })
}

// Waiting returns what is to be seen of w.
func (w *Wait) Waiting() route.Waiting {
	s := route.Waiting{Changes: w.changes}
	for _, a := range w.missing {
		s.Missing += a.Count
	}
	for _, a := range w.awaited {
		if !w.shows(a) {
			continue
		}
		s.For = append(s.For, a.String())
		s.Since = moment.Earliest(s.Since, a.Since)
		s.Until = moment.Latest(s.Until, a.Since.Add(w.Within))
	}
	return s
}

// shows reports whether a balancer for which changes wait is to be seen: while none waits, one that is
// away for a moment isn't.
func (w *Wait) shows(a Absence) bool { return len(w.changes) > 0 || slices.Contains(w.missing, a) }

// alarmAfter is how long changes wait until that is an alarm.
const alarmAfter = 10 * time.Second

// Note takes in which changes wait, in words. It returns when that becomes an alarm; zero if none
// waits, or if it is one.
func (w *Wait) Note(changes []string, now time.Time) (next time.Time) {
	w.changes = changes
	if len(changes) == 0 {
		w.noted = time.Time{}
		return time.Time{}
	}
	w.noted = moment.OrElse(w.noted, now)
	if due := w.noted.Add(alarmAfter); now.Before(due) {
		return due
	}
	return time.Time{}
}

// Alarm returns the alarm that changes have waited for long, and what to do; "" if none has.
func (w *Wait) Alarm(now time.Time) string {
	if len(w.changes) == 0 || now.Sub(w.noted) < alarmAfter {
		return ""
	}
	s := w.Waiting()
	return fmt.Sprintf("changes of the ring wait (%s) for balancers that have been missing since %s: %s. They are made when these are back, at %s at the latest, "+
		"or when you go on without them: make sure that they don't run, and then run lb ctl insist",
		route.ShortList(w.changes), s.Since.UTC().Format(time.RFC3339), strings.Join(s.For, ", "), s.Until.UTC().Format(time.RFC3339))
}

// Insist ends the wait for balancers, those of the names or all, until they are back. It returns
// which they are, as Waiting names them; none if nothing waits for any of them.
func (w *Wait) Insist(names []string, now time.Time) (ended []string) {
	for i, a := range w.Absences {
		awaited := slices.ContainsFunc(w.awaited, func(b Absence) bool { return b.Name == a.Name && w.shows(b) })
		if awaited && (len(names) == 0 || slices.Contains(names, a.Name) || slices.Contains(names, a.String())) {
			w.Absences[i].Insisted = true
			ended = append(ended, a.String())
		}
	}
	w.judge(now)
	return ended
}

// Restore goes on from what another process of this balancer has known. No time of it is later
// than now.
func (w *Wait) Restore(s State, now time.Time) {
	w.State = State{Since: moment.Past(s.Since, now)}
	for _, a := range s.Absences {
		a.Since, a.Unmet = moment.Past(a.Since, now), a.Name != ""
		w.Absences = append(w.Absences, a)
	}
	w.judge(now)
}

// Remember takes in balancers that were known when this one ran last, and how long each had been
// away by then. They are away until they are met.
func (w *Wait) Remember(all map[string]time.Duration, now time.Time) {
	for name, away := range all {
		w.Absences = append(w.Absences, Absence{Name: name, Count: 1, Since: now.Add(-away), Unmet: true})
	}
	w.judge(now)
}
