package peers

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"tokenring/route"
)

// oneOfEach returns registers of all kinds that this version writes, with all fields.
func oneOfEach(t testing.TB) []Register {
	t.Helper()
	full := weighing("ide-1", 3, 1)
	full.State, full.Epoch, full.Unknown = route.Maint, 2, `{"deadline":"2h"}`
	vote, err := decodeOther([]byte(`{"kind": "vote", "key": "ide-1", "epoch": 1, "rank": -5, "expires": "2026-01-02T00:00:00Z", "up": true}`))
	if err != nil {
		t.Fatal(err)
	}
	all := append(must(t, full, weighing("ide-2", route.OwnWeight, 2), override("ide-2", route.Ready, 3)),
		mustStart(t, SlowStart{Host: "ide-1", Number: 4, Since: at(4), Lasts: time.Minute, Back: true}, SlowStart{Host: "ide-2", Number: 1})...)
	return append(all, vote, mustKey(t, HostKey{Host: "ide-1", Key: keyOf(7), Number: 2, At: at(4), Origin: "lb-1", By: "eva", Reason: "new disk"}),
		mustKey(t, HostKey{Host: "ide-2", Key: keyOf(8), At: at(5), Origin: "lb-1"}))
}

// TestEncodedForms holds what this version tells and writes equal to testdata/peers,
// which every later version must be able to read. With -update it writes that anew.
func TestEncodedForms(t *testing.T) {
	all := oneOfEach(t)
	state := NewExchange(zerolog.Nop())
	state.Hold(all...)
	dir := t.TempDir()
	d := open(t, dir)
	for _, r := range all {
		d.mustWrite(t, r)
	}
	journal := content(t, dir, JournalName)
	if err := d.compact(); err != nil {
		t.Fatal(err)
	}
	for name, got := range map[string]string{
		"message.json": string(EncodeMessage(all[0])),
		"state.json":   string(state.State(1 << 30)),
		JournalName:    journal,
		FileName:       content(t, dir, FileName),
	} {
		path := filepath.Join("../testdata/peers/version-1", name)
		if *update {
			if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if got != string(want) {
			t.Errorf("%s: got\n%s\nwant\n%s", name, got, want)
		}
	}
}

// TestEncodedFormsAreRead: whatever a balancer of version 1 has written.
func TestEncodedFormsAreRead(t *testing.T) {
	const forms = "../testdata/peers/version-1"
	want := string(EncodeMessage(setOf(t, oneOfEach(t)).All()...))
	m, err := DecodeMessage([]byte(content(t, forms, "state.json")), nil)
	if got := text(setOf(t, m.Registers)); err != nil || got != want || len(m.Refused) != 0 {
		t.Errorf("state.json: got %s, %v", got, err)
	}
	m, err = DecodeMessage([]byte(content(t, forms, "message.json")), nil)
	if err != nil || len(m.Registers) != 1 || m.Registers[0].Topic != (Topic{KindState, "ide-1"}) {
		t.Errorf("message.json: got %+v, %v", m, err)
	}
	for _, name := range []string{FileName, JournalName} {
		dir := t.TempDir()
		put(t, dir, name, content(t, forms, name))
		if d := open(t, dir); d.text() != want || len(d.alarms) != 0 {
			t.Errorf("%s: got %s, %q", name, d.text(), d.alarms)
		}
	}
}

// setOf returns a Set of registers.
func setOf(t testing.TB, registers []Register) *Set {
	t.Helper()
	s := NewSet(nil)
	s.Restore(registers, at(0))
	return s
}
