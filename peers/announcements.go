package peers

import (
	"encoding/json"

	"tokenring/statefile"
)

// listAnnouncements is the list of what hosts have signed and their agents tell no more. It is
// in exchanges of state alone. Earlier versions skip it.
const listAnnouncements = "announcements"

// The bounds of announcements that are passed on.
const (
	maxAnnouncements = 256
	maxAnnouncement  = 512 // bytes
)

// PassOn has state exchanges tell announcements of hosts, each in the wire form that its host
// has signed, in the place of those before.
func (e *Exchange) PassOn(all [][]byte) {
	var list []json.RawMessage
	for _, a := range all[:min(len(all), maxAnnouncements)] {
		if b, err := statefile.EncodeJSON(a); err == nil { // bytes have a form
			list = append(list, b)
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.passedOn = list
}

// TakeAnnouncements returns the announcements that peers have passed on since the last
// TakeAnnouncements. They aren't verified.
func (e *Exchange) TakeAnnouncements() [][]byte {
	e.mu.Lock()
	defer e.mu.Unlock()
	taken := e.announcements
	e.announcements = nil
	return taken
}

// admitAnnouncements puts announcements into the inbox. What there is no room for comes again
// with the next exchange of state.
func (e *Exchange) admitAnnouncements(all [][]byte) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, a := range all {
		if len(a) <= maxAnnouncement && len(e.announcements) < maxAnnouncements {
			e.announcements = append(e.announcements, a)
			e.Passed.Leave()
		}
	}
}
