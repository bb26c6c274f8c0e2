package pool

import (
	"bytes"
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

const decisionsVersion = 1

// encodeMemory writes decisions and warm-ups without escaping for HTML, which
// would make one of them too long for a gossip packet.
func encodeMemory(decided []Decision, warming []warmUp) ([]byte, error) {
	f := decisionsFile{Version: decisionsVersion, States: []Decision{}, WarmUps: warming}
	for _, d := range decided {
		for _, part := range d.parts() {
			if part.Weight != nil {
				f.Weights = append(f.Weights, part)
			} else {
				f.States = append(f.States, part)
			}
		}
	}
	var b bytes.Buffer
	to := json.NewEncoder(&b)
	to.SetEscapeHTML(false)
	err := to.Encode(f)
	return b.Bytes(), err
}

// decodeMemory reads what encodeMemory wrote. It is all as it came: the caller
// checks it.
func decodeMemory(b []byte) ([]Decision, []warmUp, error) {
	var f decisionsFile
	if err := json.Unmarshal(b, &f); err != nil {
		return nil, nil, err
	}
	if f.Version != decisionsVersion {
		return nil, nil, fmt.Errorf("decisions of version %d, this software knows %d", f.Version, decisionsVersion)
	}
	return append(f.States, f.Weights...), f.WarmUps, nil
}

const decisionsName = "decisions.json"

// loadMemory reads the memory in dir. No file means an empty one; so does a
// corrupt one, with an error that wraps errCorrupt: see loadFile.
func loadMemory(dir string) (memory, error) {
	m := newMemory()
	err := loadFile(dir, decisionsName, func(b []byte) error {
		read, err := parseFile(b)
		if err == nil {
			m = read
		}
		return err
	})
	if err != nil {
		return m, fmt.Errorf("read decisions: %w", err)
	}
	return m, nil
}

// parseFile returns the memory in a file. If one thing in it doesn't pass check,
// it is an error: a file isn't to be believed in parts.
func parseFile(b []byte) (memory, error) {
	m := newMemory()
	decided, warming, err := decodeMemory(b)
	if err != nil {
		return m, err
	}
	for _, d := range decided {
		if err := d.check(); err != nil {
			return m, fmt.Errorf("host %.80q: %w", d.Host, err)
		}
		m.decided.merge(d)
	}
	for _, w := range warming {
		if err := w.check(); err != nil {
			return m, fmt.Errorf("host %.80q: %w", w.Host, err)
		}
		m.warmUps.merge(w)
	}
	return m, nil
}

// encode writes all of m.
func (m memory) encode() ([]byte, error) { return encodeMemory(m.decided.list(), m.warmUps.list()) }

// save writes m to dir, which must exist: see statefile.Write.
func (m memory) save(dir string) error {
	b, err := m.encode()
	if err != nil {
		return err
	}
	return statefile.Write(filepath.Join(dir, decisionsName), b)
}
