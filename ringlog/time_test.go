package ringlog

import (
	"strings"
	"testing"
	"time"
)

func TestParseTime(t *testing.T) {
	zone := time.FixedZone("here", 2*3600)
	now := time.Date(2026, 3, 1, 9, 0, 0, 0, zone)
	for _, row := range []struct{ text, want string }{
		{"02:30", "2026-03-01T00:30:00Z"},
		{"02:30:15", "2026-03-01T00:30:15Z"},
		{"09:00", "2026-03-01T07:00:00Z"},
		{"09:00:01", "2026-02-28T07:00:01Z"}, // later today isn't over yet
		{"2026-02-03T04:05:06+01:00", "2026-02-03T03:05:06Z"},
		{"2026-02-03 04:05:06 UTC", "2026-02-03T04:05:06Z"},
		{"2026-03-01T08:00:00Z", "future"},
		{"half past two", "isn't a time"},
		{"24:30", "isn't a time"},
		{"", "isn't a time"},
	} {
		at, err := ParseTime(row.text, now)
		got := at.UTC().Format(time.RFC3339)
		if err != nil {
			got = err.Error()
		}
		if !strings.Contains(got, row.want) || err != nil && row.text != "" && strings.Contains(got, row.text) {
			t.Errorf("%q: got %s, want %s", row.text, got, row.want)
		}
	}
}
