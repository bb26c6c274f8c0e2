package pool

import (
	"encoding/json"
	"fmt"
	"path/filepath"

	"tokenring/statefile"
)

// A memory is what balancers keep, and tell each other: operators' decisions and
// the hosts' warm-ups.
type memory struct {
	decided registers
	warmUps warmUps
}

func newMemory() memory { return memory{decided: registers{}, warmUps: warmUps{}} }

// decisionsFile is the JSON form on disk and in a state exchange. Software that
// knows of no weights or warm-ups passes over them, and takes the states.
type decisionsFile struct {
	Version int        `json:"version"`
	States  []Decision `json:"decisions"`
	Weights []Decision `json:"weights,omitempty"`
	WarmUps []warmUp   `json:"warm_ups,omitempty"`
}

// encodeMemory writes decisions and warm-ups.
func encodeMemory(decided []Decision, warming []warmUp) ([]byte, error) {
	f := decisionsFile{Version: stateVersion, States: []Decision{}, WarmUps: warming}
	for _, d := range decided {
		for _, part := range d.parts() {
			if part.Weight != nil {
				f.Weights = append(f.Weights, part)
			} else {
				f.States = append(f.States, part)
			}
		}
	}
	return encodeJSON(f)
}

// decodeMemory reads what encodeMemory wrote. It is all as it came: the caller
// checks it.
func decodeMemory(b []byte) ([]Decision, []warmUp, error) {
	var f decisionsFile
	if err := json.Unmarshal(b, &f); err != nil {
		return nil, nil, err
	}
	if f.Version != stateVersion {
		return nil, nil, fmt.Errorf("decisions of version %d, this software knows %d", f.Version, stateVersion)
	}
	return append(f.States, f.Weights...), f.WarmUps, nil
}

const decisionsName = "decisions.json"

// loadMemory reads the memory in dir, and what else is in its file. No file means an
// empty one. So does a corrupt one, with an error that wraps errCorrupt; that of a later
// version is read as far as it is understood, with one that wraps errLater: see
// loadFile.
func loadMemory(dir string) (memory, leftover, error) {
	m := newMemory()
	l, err := loadFile(dir, decisionsName, func(b []byte) (l leftover, err error) {
		m, l, err = parseFile(b)
		return l, err
	})
	if err != nil {
		return m, l, fmt.Errorf("read decisions: %w", err)
	}
	return m, l, nil
}

// parseFile returns the memory in a file, and what else is in it. After an error the
// memory is empty.
func parseFile(b []byte) (memory, leftover, error) {
	m := newMemory()
	decision := func(b json.RawMessage) error { return take(b, Decision.check, m.decided.merge) }
	l, err := parseLists(b, map[string]func(json.RawMessage) error{
		"decisions": decision,
		"weights":   decision,
		"warm_ups":  func(b json.RawMessage) error { return take(b, warmUp.check, m.warmUps.merge) },
	})
	if err != nil {
		return newMemory(), l, err
	}
	return m, l, nil
}

// take decodes one thing and merges it, unless there is something wrong with it.
func take[T any](b []byte, check func(T) error, merge func(T) bool) error {
	var thing T
	if err := json.Unmarshal(b, &thing); err != nil {
		return err
	}
	if err := check(thing); err != nil {
		return err
	}
	merge(thing)
	return nil
}

// encode writes all of m.
func (m memory) encode() ([]byte, error) { return encodeMemory(m.decided.list(), m.warmUps.list()) }

// save writes m to dir, which must exist, with what else the file is to hold: see
// statefile.Write.
func (m memory) save(dir string, l leftover) error {
	b, err := m.encode()
	if err == nil {
		b, err = l.addTo(b)
	}
	if err != nil {
		return err
	}
	return statefile.Write(filepath.Join(dir, decisionsName), b)
}
