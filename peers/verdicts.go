package peers

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"tokenring/pool/votes"
	"tokenring/route"
	"tokenring/statefile"
)

// listVerdicts is the list in which a balancer tells what its checks say of hosts. It is in
// messages alone, not on disk: what a balancer that is gone has said counts no more. Earlier
// versions skip it.
const listVerdicts = "verdicts"

// verdictsEntry is the JSON form of a votes.Entry.
type verdictsEntry struct {
	Pool    string    `json:"pool,omitempty"` // of the hosts; not in the list of the main pool's
	By      string    `json:"by"`
	Boot    uint64    `json:"boot"`
	Number  uint64    `json:"number"`
	Verdict string    `json:"verdict"` // as route.Verdict.String has it
	Since   time.Time `json:"since,omitzero"`
	Refused bool      `json:"refused,omitempty"`
	Traffic bool      `json:"traffic,omitempty"`
	Returns bool      `json:"returns,omitempty"` // with down: its checks pass again
	Hosts   []string  `json:"hosts,omitempty"`
}

// The bounds of verdicts.
const (
	maxVerdictHosts = 4096 // of one entry
	maxVerdicts     = 4096 // entries that wait to be taken in
	maxTold         = 900  // bytes of the hosts' names in one message, so that it fits into a packet
)

func encodeVerdicts(pool string, all []votes.Entry) []json.RawMessage {
	list := make([]json.RawMessage, 0, len(all))
	for _, e := range all {
		b, err := statefile.EncodeJSON(verdictsEntry{
			Pool: pool, By: e.By, Boot: e.Boot, Number: e.Number, Verdict: e.Verdict.String(), Since: e.Since, Refused: e.Refused, Traffic: e.Traffic, Returns: e.Returning, Hosts: e.Hosts,
		})
		if err == nil { // texts, numbers and a time have a form
			list = append(list, b)
		}
	}
	return list
}

// decodeVerdicts reads an entry of a list of verdicts, and says of which pool it is.
func decodeVerdicts(entry json.RawMessage) (_ votes.Entry, pool string, err error) {
	var e verdictsEntry
	if err := json.Unmarshal(entry, &e); err != nil {
		return votes.Entry{}, "", err
	}
	if err := e.check(); err != nil {
		return votes.Entry{}, "", err
	}
	v := votes.Vote{Since: e.Since.UTC().Round(0), Refused: e.Refused, Traffic: e.Traffic, Returning: e.Returns}
	for _, verdict := range []route.Verdict{route.Up, route.Down} {
		if e.Verdict == verdict.String() {
			v.Verdict = verdict
		}
	}
	if v.Verdict != route.Down { // also one that a later version has added
		v.Since, v.Refused, v.Returning = time.Time{}, false, false
	}
	return votes.Entry{By: e.By, Boot: e.Boot, Number: e.Number, Vote: v, Hosts: e.Hosts}, e.Pool, nil
}

// check returns what is wrong with e, but for the name of its pool.
func (e verdictsEntry) check() error {
	if err := route.CheckName(e.By); err != nil {
		return fmt.Errorf("verdicts of a balancer: %w", err)
	}
	if len(e.Hosts) > maxVerdictHosts {
		return fmt.Errorf("verdicts on %d hosts at once, at most %d are possible", len(e.Hosts), maxVerdictHosts)
	}
	for _, host := range e.Hosts {
		if err := route.CheckHostName(host); err != nil {
			return fmt.Errorf("a verdict on a host: %w", err)
		}
		if route.PoolOf(host) != e.Pool {
			return fmt.Errorf("a verdict on the host %s among those of the pool %q", host, e.Pool)
		}
	}
	if !e.Since.IsZero() && !statefile.ValidTime(e.Since) {
		return fmt.Errorf("a host is down since %s", e.Since.UTC().Format(time.RFC3339))
	}
	return nil
}

// EncodeVerdicts returns messages that tell peers of verdicts, each small enough for one
// packet.
func EncodeVerdicts(all ...votes.Entry) (messages [][]byte) { return EncodePoolVerdicts("", all...) }

// EncodeAllVerdicts returns one message with all verdicts, whatever its size.
func EncodeAllVerdicts(all []votes.Entry) []byte {
	return withList(EncodeMessage(), listVerdicts, encodeVerdicts("", all))
}

// DecodeVerdicts returns the verdicts of a message, as far as they can be read.
func DecodeVerdicts(b []byte) []votes.Entry {
	m, err := DecodeMessage(b, nil)
	if err != nil {
		return nil
	}
	return m.Verdicts
}

// withList adds a list to a message, unless it is empty.
func withList(message []byte, list string, entries []json.RawMessage) []byte {
	if len(entries) == 0 {
		return message
	}
	texts := make([]string, len(entries))
	for i, e := range entries {
		texts[i] = string(e)
	}
	return append(message[:len(message)-1], `,"`+list+`":[`+strings.Join(texts, ",")+"]}"...)
}

// readVerdicts reads the list of verdicts of a message.
func (m *Message) readVerdicts(list []json.RawMessage) {
	for _, entry := range list {
		e, _, err := decodeVerdicts(entry)
		if err != nil {
			m.Refused = append(m.Refused, Refusal{List: listVerdicts, Err: err})
			continue
		}
		m.Verdicts = append(m.Verdicts, e)
	}
}

// Say has state exchanges tell verdicts, in the place of those before. all belongs to e from
// now on.
func (e *Exchange) Say(all []votes.Entry) {
	list := encodeVerdicts(e.pool, all)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.verdicts = list
}

// TakeVerdicts returns what peers have said of hosts since the last TakeVerdicts, in the
// order in which it came.
func (e *Exchange) TakeVerdicts() []votes.Entry {
	e.mu.Lock()
	defer e.mu.Unlock()
	taken := e.said
	e.said = nil
	return taken
}

// admitVerdicts puts verdicts into the inbox. What there is no room for comes again with
// the next exchange of state.
func (e *Exchange) admitVerdicts(all []votes.Entry) {
	if len(all) == 0 {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.said = append(e.said, all[:min(len(all), maxVerdicts-len(e.said))]...)
	e.Voted.Leave()
}
