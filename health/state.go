package health

import (
	"maps"
	"time"
)

// A State is what a Monitor knows of its targets, by name, for another process that goes on
// checking them.
type State map[string]Standing

// A Standing is the verdict about one target at one address.
type Standing struct {
	Address string        `json:"address"`
	Known   bool          `json:"known,omitempty"` // see Status
	Up      bool          `json:"up,omitempty"`
	Error   string        `json:"error,omitempty"`
	At      time.Time     `json:"at,omitzero"`
	Since   time.Time     `json:"since,omitzero"`
	Latency time.Duration `json:"latency,omitempty"`
	Against int           `json:"against,omitempty"` // results in a row that contradict the verdict
	Refused bool          `json:"refused,omitempty"`
	Gate    bool          `json:"gate,omitempty"`
}

// standing returns what w knows of its target.
func (w *watcher) standing() Standing {
	s := w.status
	return Standing{
		Address: s.Address, Known: s.Known, Up: s.Up, Error: s.Error, At: s.At, Since: s.Since, Latency: s.Latency, Against: w.verdict.against, Refused: s.Refused, Gate: s.Gate,
	}
}

// resume makes w go on from what another process knew of the target at the same address.
func (w *watcher) resume(s Standing) {
	if s.Address != w.target.Address || !s.Known {
		return
	}
	if now := time.Now(); s.At.After(now) { // the clock was set back: the next check mustn't wait for it
		s.At = now
	}
	w.verdict = verdict{known: true, up: s.Up, against: s.Against}
	w.status = Status{Address: s.Address, Known: true, Up: s.Up, Error: s.Error, At: s.At, Since: s.Since, Latency: s.Latency, Refused: s.Refused, Gate: s.Gate}
}

// State returns the results of all targets that have been checked, and of those that
// Restore has set.
func (m *Monitor) State() State {
	m.mu.Lock()
	defer m.mu.Unlock()
	return maps.Clone(m.standings)
}

// keep keeps what is known of a target after a check.
func (m *Monitor) keep(name string, s Standing) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.standings[name] = s
}

// Restore makes the targets go on from the verdicts of another process: their first results
// here count like any later ones. Targets whose address has changed meanwhile begin without
// a verdict. Restore must be called before Run; each call replaces the ones before.
func (m *Monitor) Restore(s State) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.standings = maps.Clone(s)
	if m.standings == nil {
		m.standings = State{}
	}
}
