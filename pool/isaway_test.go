package pool

import (
	"testing"

	"tokenring/gossip/announcement"
	"tokenring/route"
)

func TestAHostThatSignsIsAwayOnlyIfItsChecksSaySoToo(t *testing.T) {
	signed := announcement.Metadata{Signature: announcement.Signature{Key: route.HostKey{1}}}
	for name, row := range map[string]struct {
		announcement.Metadata
		contact route.Contact
		verdict route.Verdict
		away    bool
	}{
		"here":                        {signed, route.Alive, route.Down, false},
		"lost":                        {signed, route.Lost, route.Down, true},
		"lost, unchecked":             {signed, route.Lost, route.Unchecked, true},
		"missing":                     {signed, route.Missing, route.Unchecked, true},
		"said to be lost":             {signed, route.Lost, route.Up, false},
		"said to be lost, unsigned":   {announcement.Metadata{}, route.Lost, route.Up, true},
		"of the config file":          {announcement.Metadata{}, route.NoGossip, route.Up, false},
		"of the config file, failing": {announcement.Metadata{}, route.NoGossip, route.Down, false},
	} {
		h := &host{Metadata: row.Metadata, contact: row.contact, location: location{check: CheckResult{Verdict: row.verdict}}}
		if got := h.isAway(); got != row.away {
			t.Errorf("%s: got %t, want %t", name, got, row.away)
		}
	}
}
