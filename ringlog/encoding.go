package ringlog

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"

	"tokenring/route"
)

// MarshalJSON implements json.Marshaler.
func (l *Log) MarshalJSON() ([]byte, error) { return json.Marshal(l.entries) }

// UnmarshalJSON implements json.Unmarshaler. Its errors are those of FromEntries.
func (l *Log) UnmarshalJSON(b []byte) error {
	var entries []Entry
	if err := json.Unmarshal(b, &entries); err != nil {
		return err
	}
	read, err := FromEntries(entries)
	if err == nil {
		*l = *read
	}
	return err
}

// Entries returns the entries in order. until is when the last one was known to be in force.
// The caller must not change what they refer to.
func (l *Log) Entries(until time.Time) []Entry { return l.inForce(until.UTC().Round(0)).entries }

// FromEntries returns the Log that has these entries. It is an error if they can't have been
// made by a Recorder: then nothing can be derived from them.
func FromEntries(entries []Entry) (*Log, error) {
	if len(entries) > maxEntries {
		return nil, fmt.Errorf("there are %d entries, at most %d are possible", len(entries), maxEntries)
	}
	for i, e := range entries {
		if err := e.check(); err != nil {
			return nil, fmt.Errorf("entry %d: %w", e.Number, err)
		}
		if i > 0 && e.Number <= entries[i-1].Number {
			return nil, fmt.Errorf("the entry %d comes after %d", e.Number, entries[i-1].Number)
		}
	}
	if len(entries) > 0 && (entries[0].Table == nil || entries[0].Hash == nil) {
		return nil, errors.New("the first entry has no table")
	}
	return &Log{entries: bounded(entries)}, nil
}

// What is read is bounded, so that nothing else than a Log is taken for one. A later version
// may keep more than this one, which then drops the oldest.
const (
	maxEntries = 8 * (MaxTables + MaxChanges)
	maxHosts   = 1 << 14 // of an entry
)

// check returns what is wrong with e, nil if nothing.
func (e Entry) check() error {
	switch {
	case e.Number == 0:
		return errors.New("it has no number")
	case e.At.IsZero():
		return errors.New("it has no time")
	case len(e.Cause) > maxCause || !isText(e.Cause):
		return errors.New("its cause isn't a text")
	case max(len(e.Hosts), len(e.Gone)) > maxHosts:
		return fmt.Errorf("it has %d hosts", len(e.Hosts))
	}
	for _, h := range e.Hosts {
		if err := h.check(); err != nil {
			return fmt.Errorf("host %.64q: %w", h.Name, err)
		}
	}
	if e.Hash != nil {
		if problems := e.Hash.Validate(); len(problems) > 0 {
			return problems[0]
		}
	}
	if e.Table == nil {
		return nil
	}
	if m := e.Table.Moved; m != nil && !(*m >= 0 && *m <= 1) {
		return fmt.Errorf("it has moved a share of %g", *m)
	}
	hosts, err := e.Table.Hosts.Hosts()
	if err == nil && (e.Table.Digest == "" || len(hosts) > maxHosts) {
		err = fmt.Errorf("a table %.16q of %d hosts", e.Table.Digest, len(hosts))
	}
	return err
}

// check returns what is wrong with h, nil if nothing.
func (h Host) check() error {
	switch {
	case !h.State.Valid():
		return fmt.Errorf("there is no state %.20q", string(h.State))
	case !isText(h.Error) || !isText(h.WhyNot) || len(h.Error) > maxError || len(h.WhyNot) > maxError:
		return errors.New("why it is out isn't a text")
	case h.Lasts != 0 && (h.Lasts < route.MinSlowStart || h.Lasts > route.MaxSlowStart):
		return fmt.Errorf("a slow start of %s", h.Lasts)
	case !h.Since.IsZero() && (h.Since.Year() < 1970 || h.Since.Year() > 2200): // whose nanoseconds fit into 64 bits
		return fmt.Errorf("a slow start since %s", h.Since)
	}
	return route.Spec{Name: h.Name, Address: "h:1", Weight: h.Weight}.Check()
}

// isText reports whether text can be shown in a terminal.
func isText(text string) bool { return !strings.ContainsFunc(text, unicode.IsControl) }
