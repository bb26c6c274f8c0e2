package gslb

import (
	"encoding/json"
	"fmt"
	"time"

	"tokenring/health"
	"tokenring/statefile"
	"tokenring/steer"
)

// settle is for how long after a change of a region its answers have the TTL of changes.
const settle = 10 * time.Minute

// A known is what a server knows of its regions, and keeps on disk for its next start.
type known struct {
	// Serial is that of the zone. It grows.
	Serial uint32 `json:"serial"`
	// Checks are the verdicts about addresses, by their targets' names.
	Checks health.State `json:"checks"`
	// Changed says when the verdict about an address of a region last changed, by the regions' names.
	Changed map[string]time.Time `json:"changed,omitempty"`
}

// loadKnown reads what was kept at path. A file that can't be read is put aside, and all begins anew.
func loadKnown(path string) (known, error) {
	k := known{Checks: health.State{}, Changed: map[string]time.Time{}}
	_, err := statefile.Load(path, func(b []byte) (statefile.Unknown, error) {
		read := k
		if err := json.Unmarshal(b, &read); err != nil {
			return statefile.Unknown{}, err
		}
		if read.Checks == nil || read.Changed == nil {
			return statefile.Unknown{}, fmt.Errorf("it has no checks or changes")
		}
		k = read
		return statefile.Unknown{}, nil
	})
	return k, err
}

// write keeps k at path.
func (k known) write(path string) error {
	b, err := statefile.EncodeJSON(k)
	if err != nil {
		return err
	}
	return statefile.Write(path, b)
}

// targetName returns the name of the check of an address of a region.
func targetName(region *steer.Region, i int) string {
	return region.Name + "/" + region.Addresses[i].Addr.String()
}

// stateAt returns the state of a plan's regions by what is known of them, and when it is to be
// looked at again; the zero time for never. An address that has never been checked counts as up:
// its first check decides soon.
func (p *Plan) stateAt(k *known, now time.Time) (state steer.State, again time.Time) {
	state = make(steer.State, len(p.Regions))
	for i := range p.Regions {
		r, s := &p.Regions[i], &state[i]
		s.Addresses = make([]steer.AddressState, len(r.Addresses))
		for j := range r.Addresses {
			check, checked := k.Checks[targetName(r, j)]
			up := !checked || !check.Known || check.Up
			s.Addresses[j].Up = up
			s.Changing = s.Changing || checked && (check.Error == "") != up // the last check contradicts the verdict
		}
		if end := k.Changed[r.Name].Add(settle); now.Before(end) {
			s.Changing = true
			if again.IsZero() || end.Before(again) {
				again = end
			}
		}
	}
	return state, again
}
