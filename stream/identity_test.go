package stream

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestAKeyIsKept(t *testing.T) {
	path := filepath.Join(t.TempDir(), KeyName)
	first, err := OpenIdentity(path)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file: %v, %v", info.Mode(), err)
	}
	again, err := OpenIdentity(path)
	if err != nil || again.Fingerprint() != first.Fingerprint() || first.Fingerprint().IsZero() {
		t.Errorf("got %s and then %s, %v", first.Fingerprint(), again.Fingerprint(), err)
	}
	if other := NewIdentity(); other.Fingerprint() == first.Fingerprint() {
		t.Error("two keys have one fingerprint")
	}
}

// TestAFileThatIsNoKeyStays: with another key no peer would accept the balancer, so an
// operator decides.
func TestAFileThatIsNoKeyStays(t *testing.T) {
	dir := t.TempDir()
	if _, err := OpenIdentity(filepath.Join(dir, "nowhere", KeyName)); err == nil {
		t.Error("a directory that isn't there: no error")
	}
	path := filepath.Join(dir, KeyName)
	whole, err := OpenIdentity(path)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"", "short", strings.Repeat("\x00", 32), string(text[:30]), string(text[:42]) + "!\n", string(text) + string(text)} {
		if err := os.WriteFile(path, []byte(bad), 0o600); err != nil {
			t.Fatal(err)
		}
		i, err := OpenIdentity(path)
		if err == nil || !i.Fingerprint().IsZero() || !strings.Contains(err.Error(), path) || len(bad) > 20 && strings.Contains(err.Error(), strings.TrimSpace(bad)) {
			t.Errorf("%q: got %v, %s", bad, err, i.Fingerprint())
		}
		if kept, _ := os.ReadFile(path); string(kept) != bad {
			t.Errorf("%q: the file holds %q now", bad, kept)
		}
	}
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	if i, err := OpenIdentity(path); err != nil || i.Fingerprint() != whole.Fingerprint() {
		t.Errorf("restored: %s, %v", i.Fingerprint(), err)
	}
}

func TestAFingerprintIsText(t *testing.T) {
	want := NewIdentity().Fingerprint()
	b, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	var got Fingerprint
	if err := json.Unmarshal(b, &got); err != nil || got != want || len(b) != 66 || string(b) != `"`+want.String()+`"` {
		t.Errorf("got %s from %s, %v", got, b, err)
	}
	for _, bad := range []string{"", "00", strings.Repeat("z", 64), want.String() + "0"} {
		if err := got.UnmarshalText([]byte(bad)); err == nil || got != want {
			t.Errorf("%q: got %v, %s", bad, err, got)
		}
	}
}
