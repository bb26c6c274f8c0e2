package accesslog

import (
	"testing"
	"time"
)

// How far entries of the test have come.
var (
	reading    = Entry{}
	connecting = Entry{Host: "a"}
	waiting    = Entry{Host: "a", Connected: time.Millisecond}
	answering  = Entry{Host: "a", Connected: time.Millisecond, Answered: 2 * time.Millisecond}
)

func TestTerminationStates(t *testing.T) {
	for _, row := range []struct {
		come        Entry
		end, reason string
		broken      bool
		want        string
	}{
		{answering, "done", "", false, "--"},
		{reading, "done", "", false, "LR"}, // a redirect, or another answer of lb's own
		{answering, "open", "", false, "--"},
		{reading, "refused", "a bare LF", false, "PR"},
		{waiting, "refused", "the body is larger than this server takes", false, "PH"},
		{reading, "not-allowed", "", false, "PR"},
		{reading, "no-host", "", false, "SC"},
		{connecting, "no-host", "", false, "SC"},
		{connecting, "host-full", "", false, "sQ"},
		{waiting, "no-host", "", false, "SC"}, // every host has given the request away
		{waiting, "host-failed", ReasonBadAnswer + "a bare LF", false, "PH"},
		{answering, "host-failed", ReasonBadAnswer + "a chunk", false, "PD"},
		{waiting, "host-failed", "the host's answer was cut short", false, "SH"},
		{answering, "host-failed", "the host's answer was cut short", false, "SD"},
		{reading, "client-gone", "", false, "CR"},
		{connecting, "client-gone", "", false, "CC"},
		{waiting, "client-gone", "", false, "CH"},
		{answering, "client-gone", "", false, "CD"},
		{reading, "timeout", ReasonLateHead, false, "cR"},
		{waiting, "timeout", ReasonLateBody, false, "cH"},
		{answering, "timeout", ReasonSlowClient, false, "cD"},
		{waiting, "timeout", ReasonSlowHost, false, "sH"},
		{answering, "timeout", ReasonSlowHost, false, "sD"},
		{waiting, "timeout", ReasonHostDown, false, "DH"},
		{reading, "maintenance", "", false, "LR"},
		{reading, "retired", "", false, "KR"},
		{connecting, "fault", ReasonNoFiles, false, "RC"},

		// Tunnels.
		{answering, "client", "", false, "--"},
		{answering, "client", "", true, "CD"},
		{answering, "host", "", false, "--"},
		{answering, "host", "", true, "SD"},
		{answering, "timeout", "", true, "cD"},
		{answering, "maint", "", true, "KD"},
		{waiting, "maint", "", true, "KH"}, // a handshake
		{answering, "drain", "", true, "KD"},
		{answering, "operator", "", true, "KD"},
		{answering, "shutdown", "", true, "KD"},
		{answering, "upgrade", "", true, "KD"},
		{answering, "host-down", "", true, "DD"},
		{answering, "moved", "", true, "DD"},
		{answering, "split", "", true, "UD"},
		{answering, "fault", "", true, "ID"},
		{answering, "", "", false, "ID"}, // a panic: nothing has said how it ended
	} {
		e := row.come
		e.End, e.Broken = row.end, row.broken
		if got := terminationOf(&e, row.reason); string(got[:]) != row.want {
			t.Errorf("%s (%q), broken %v: got %s, want %s", row.end, row.reason, row.broken, got[:], row.want)
		}
	}
}

// TestEachRowOfTheTableCounts: no row is hidden by one before it.
func TestEachRowOfTheTableCounts(t *testing.T) {
	for i := range terminations {
		row := &terminations[i]
		e := waiting
		e.End = row.end
		if got := terminationOf(&e, row.reason); got[0] != row.cause {
			t.Errorf("%s (%q): got %s, want %c", row.end, row.reason, got[:], row.cause)
		}
	}
}
