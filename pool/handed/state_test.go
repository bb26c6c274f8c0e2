package handed

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tokenring/route"
)

// form is a State as processes hand it over: each of its parts has what it may have.
const form = `{
 "version": "v1", "at": "2026-01-02T03:04:05Z", "ready_at": "2026-01-02T03:00:00Z",
 "hosts": [{
  "name": "ide-1", "id": 7, "address": "ide-1.internal:4000", "weight": 2, "zone": "z",
  "version": "v0", "leaving": true, "gossip": "10.0.0.1:7946", "sequence": 9,
  "origin": "operator", "listed_by": {"by": "eva", "reason": "more users", "since": "2026-01-01T00:00:00Z"},
  "several": true, "proven": true, "contact": "lost", "lost_at": "2026-01-02T03:04:00Z",
  "resolved": "10.0.0.1:4000", "since": "2026-01-01T00:00:01Z", "moved": "2026-01-01T00:00:02Z", "moving": true,
  "service_change": {"from": "10.0.0.2:4000", "at": "2026-01-01T00:00:03Z"}, "gossip_change": {"from": "10.0.0.2:7946", "at": "2026-01-01T00:00:04Z"},
  "verdict": "down", "error": "refused", "checked_at": "2026-01-02T03:04:04Z",
  "admitted": true, "in_ring": true, "why_not": "frozen", "dead_since": "2026-01-02T03:04:01Z",
  "failing_since": "2026-01-02T03:04:02Z", "failed_before": true,
  "serving": true, "began": "2026-01-01T00:00:05Z", "ceased": "2026-01-01T00:00:06Z", "keys_kept": true, "away": true, "none_established": true
 }],
 "listed": [{"name": "ide-2", "address": "10.0.0.2:4000", "weight": 1, "listed_by": {"by": "eva", "since": "2026-01-01T00:00:00Z"}}],
 "freeze": {
  "frozen": true, "since": "2026-01-02T03:04:03Z", "thawed": "2026-01-01T01:00:00Z", "expired": "2026-01-01T02:00:00Z",
  "ignored_until": "2026-01-01T03:00:00Z", "too_small": true,
  "notice_at": "2026-01-01T04:00:00Z", "notice_hosts": ["ide-3"], "notice_why": "over"
 },
 "waits": {"absences": [{"name": "lb-3", "count": 1, "since": "2026-01-02T03:00:00Z", "insisted": true, "unmet": true}], "since": "2026-01-02T03:00:03Z"},
 "table": {"built_at": "2026-01-01T05:00:00Z", "confirmed": true}, "tables": 3, "doubt": "other",
 "rings": [{"number": 1}],
 "pool_label": "p", "peers_label": "q",
 "peers": [{"name": "lb-2", "address": "10.0.0.3:7947", "version": "v0", "digest": "d", "alive": true, "agrees": true, "since": "2026-01-01T06:00:00Z"}],
 "members": {"version": 1}
}`

// TestTheFormStays: a process of another version hands over in it, or gets it.
func TestTheFormStays(t *testing.T) {
	var s State
	if err := json.Unmarshal([]byte(form), &s); err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	var want, got map[string]any
	_ = json.Unmarshal([]byte(form), &want)
	_ = json.NewDecoder(bytes.NewReader(text)).Decode(&got)
	for key := range want["table"].(map[string]any) {
		if want["table"].(map[string]any)[key] != got["table"].(map[string]any)[key] {
			t.Errorf("the table's %s is %v", key, got["table"].(map[string]any)[key])
		}
	}
	for _, all := range []map[string]any{want, got} {
		delete(all, "members") // gossip's own form
		delete(all, "table")   // it has balancer's, too
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("written again (-want +got):\n%s", diff)
	}
}

func TestWhatAnotherVersionSaysIsTheLeastWhereItIsUnknown(t *testing.T) {
	var h Host
	if err := json.Unmarshal([]byte(`{"name":"a","origin":"rumour","contact":"heard","verdict":"slow"}`), &h); err != nil {
		t.Fatal(err)
	}
	if h.Origin != route.OriginGossip || h.Contact != route.NoGossip || h.Verdict != route.Unchecked {
		t.Errorf("got %v, %v, %v", h.Origin, h.Contact, h.Verdict)
	}
}

func TestNoTimeIsLaterThanNow(t *testing.T) {
	var s State
	if err := json.Unmarshal([]byte(form), &s); err != nil {
		t.Fatal(err)
	}
	now := time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC) // the clock was set back
	h, f := s.Hosts[0].Past(now), s.Freeze.Past(now, time.Minute)
	for i, at := range []time.Time{
		h.LostAt, h.Since, h.Moved, h.ServiceChange.At, h.GossipChange.At, h.CheckedAt, h.DeadSince, h.FailingSince, h.Began, h.Ceased,
		f.Since, f.Thawed, f.Expired, f.IgnoredUntil, f.NoticeAt,
	} {
		if !at.Equal(now) {
			t.Errorf("the time %d is %v, want %v", i, at, now)
		}
	}
	if !f.Until.Equal(now.Add(time.Minute)) {
		t.Errorf("the freeze lasts until %v", f.Until)
	}
}
