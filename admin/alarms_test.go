package admin

import (
	"encoding/json"
	"io"
	"slices"
	"testing"
	"time"

	"tokenring/route"
	"tokenring/tlsterm"
)

// TestStatusListsAllAlarms: the ring's, and that of each certificate that needs an operator.
func TestStatusListsAllAlarms(t *testing.T) {
	now := time.Now()
	region := newRegion()
	s := newServer(t, region, io.Discard)
	alarms := func() (got []string) {
		t.Helper()
		var body struct{ Alarms []string }
		if err := json.Unmarshal(ask(s, "GET", "/v1/status", "").Body.Bytes(), &body); err != nil || body.Alarms == nil {
			t.Fatalf("got %v, %v; want a list", body.Alarms, err)
		}
		return body.Alarms
	}
	s.deps.Certificates = func() []tlsterm.Expiry {
		return []tlsterm.Expiry{{Names: []string{"a"}, NotAfter: now.Add(20 * 24 * time.Hour), AlarmAt: now.Add(time.Hour), File: "a.crt"}}
	}
	if got := alarms(); len(got) != 0 {
		t.Errorf("all is well: got %q", got)
	}
	end := now.Add(time.Hour)
	s.deps.Certificates = func() []tlsterm.Expiry {
		return []tlsterm.Expiry{
			{Names: []string{"a"}, NotAfter: end, AlarmAt: now.Add(-time.Hour), File: "a.crt"},
			{Names: []string{"b"}, File: "acme/b", Problem: "not issued yet"},
		}
	}
	region.put(region.Snapshot().Hosts, func(s *route.Snapshot) { s.Alarm = "the ring is frozen" })
	want := []string{
		"the ring is frozen",
		"certificate a.crt for a: it expires on " + end.UTC().Format("2006-01-02 15:04 UTC"),
		"certificate acme/b for b: there is none yet; not issued yet",
	}
	if got := alarms(); !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}
