package handed

import (
	"encoding/json"
	"time"

	"tokenring/pool/eligibility"
	"tokenring/statefile"
)

// A Ring is what a pool keeps on disk of its ring, for the next run: which hosts were in it,
// and whether it was frozen. Without it, a restart in the midst of a broken network would
// give the keys of all hosts to those that it reaches.
type Ring struct {
	Freeze Freeze
	Hosts  []RingHost // sorted by name
}

// A RingHost is a host of the ring. Address is that of its announcement or its list.
type RingHost struct {
	Name         string    `json:"name"`
	Address      string    `json:"address"`
	ID           uint32    `json:"id,omitempty"`
	FailingSince time.Time `json:"failing_since,omitzero"` // since when its checks haven't passed
}

// ringEntry is an entry of the list on disk: a host, or the freeze.
type ringEntry struct {
	Freeze *Freeze   `json:"freeze,omitempty"`
	Host   *RingHost `json:"host,omitempty"`
}

// Encode returns r as entries of a list. The freeze is there only if a later run has to go on
// from it.
func (r Ring) Encode() (entries []json.RawMessage) {
	add := func(e ringEntry) {
		if b, err := statefile.EncodeJSON(e); err == nil { // names, numbers and times have a form
			entries = append(entries, b)
		}
	}
	if r.Freeze.Frozen || !r.Freeze.Expired.IsZero() {
		add(ringEntry{Freeze: &r.Freeze})
	}
	for _, h := range r.Hosts {
		add(ringEntry{Host: &h})
	}
	return entries
}

// DecodeRing returns the Ring of entries, as of now, without what can't be read. A freeze
// lasts as long as the configuration of this run says.
func DecodeRing(entries []json.RawMessage, lasts time.Duration, now time.Time) (r Ring) {
	for _, b := range entries {
		var e ringEntry
		if json.Unmarshal(b, &e) != nil {
			continue
		}
		if e.Freeze != nil {
			r.Freeze = e.Freeze.Past(now, lasts)
			r.Freeze.Freeze = r.Freeze.Over(now)
		}
		if e.Host != nil {
			if e.Host.FailingSince.After(now) {
				e.Host.FailingSince = now
			}
			r.Hosts = append(r.Hosts, *e.Host)
		}
	}
	return r
}

// Host returns the host of that name, address and id; false if it wasn't in the ring so.
func (r Ring) Host(name, address string, id uint32) (RingHost, bool) {
	for _, h := range r.Hosts {
		if h.Name == name {
			return h, h.Address == address && h.ID == id
		}
	}
	return RingHost{}, false
}

// Failing returns since when the checks of a host haven't passed; zero if they did, or if the
// host wasn't in the ring.
func (r Ring) Failing(name string) time.Time {
	for _, h := range r.Hosts {
		if h.Name == name {
			return h.FailingSince
		}
	}
	return time.Time{}
}

// Eligibility returns how a host is in the ring that was there in the last run.
func (r Ring) Eligibility(name string) eligibility.Eligibility {
	return eligibility.Eligibility{Admitted: true, InRing: true, FailingSince: r.Failing(name)}
}
