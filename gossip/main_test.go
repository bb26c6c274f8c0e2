package gossip

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"tokenring/gossip/announcement"
	"tokenring/route"
)

func TestMain(m *testing.M) {
	_ = flag.Set("test.parallel", "8") // the default: parallel tests wait for gossip, not for a processor
	m.Run()
}

var t0 = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func at(ms int) time.Time { return t0.Add(time.Duration(ms) * time.Millisecond) }

func hostMeta(name string) announcement.Metadata {
	return announcement.Metadata{Role: announcement.HostRole, Spec: route.Spec{Name: name, ID: 7, Address: "10.0.0.1:4000", Weight: 3, Zone: "a"}, Version: "1.0"}
}

// laterForm returns m's wire form of a later minor version: with unknown flags, a longer
// fixed part, and another text.
func laterForm(t *testing.T, m announcement.Metadata) []byte {
	t.Helper()
	b, err := m.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	fixed := 4 + int(b[3]) // where the fixed part ends
	later := slices.Concat(b[:fixed], []byte{1, 2, 3}, b[fixed:], []byte{3, 'a', 'b', 'c'})
	later[1] += 3
	later[3] += 3
	later[4] |= 0xf0
	return later
}

// eventually waits until ok, looking every few milliseconds.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.After(time.Minute)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("it never came true: %s", what)
		}
	}
}

// secretFile writes a secret that consists of one byte, over and over.
func secretFile(t testing.TB, b byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(path, bytes.Repeat([]byte{b}, secretSize), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
