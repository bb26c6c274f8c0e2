package statefile

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestFilesThatCantBeSecretsAreRefused(t *testing.T) {
	for _, row := range []struct{ what, text, want string }{
		{"empty", "", "is empty"},
		{"white space", strings.Repeat(" \n", 20), "is empty"},
		{"one byte too short", "geheim-geheim-1\n", "holds 15 bytes"},
		{"zeros, as a crash leaves them", strings.Repeat("\x00", 44), "only zero bytes"},
		{"zeros in a line", strings.Repeat("\x00", 44) + "\n", "only zero bytes"},
		{"a whole book", strings.Repeat("geheim-geheim-16", 257), "more than 4096"},
	} {
		path := filepath.Join(t.TempDir(), "some.key")
		put(t, path, row.text, 0o600)
		for name, read := range map[string]func() error{
			"ReadSecret": func() error { _, err := ReadSecret(path); return err },
			"KeepSecret": func() error { _, err := KeepSecret(path); return err },
		} {
			err := read()
			if err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), row.want) || strings.Contains(err.Error(), "geheim") {
				t.Errorf("%s, %s: got %v", name, row.what, err)
			}
		}
		holds(t, path, row.text)
	}
	path := filepath.Join(t.TempDir(), "some.key")
	put(t, path, "geheim-geheim-16\n", 0o600)
	if got, err := ReadSecret(path); err != nil || string(got) != "geheim-geheim-16\n" {
		t.Errorf("16 bytes: got %q, %v", got, err)
	}
}

func TestASecretIsMadeOnceAndKept(t *testing.T) {
	path := filepath.Join(t.TempDir(), "digest.key")
	first, err := KeepSecret(path)
	if err != nil || len(first) != 43 {
		t.Fatalf("got %d characters, %v; want 43", len(first), err)
	}
	holds(t, path, first+"\n")
	if second, err := KeepSecret(path); err != nil || second != first {
		t.Errorf("the second time: got another, %v", err)
	}
	if other := NewSecret(); other == first {
		t.Error("two secrets are the same")
	}
	if _, err := KeepSecret(filepath.Join(path, "below")); err == nil {
		t.Error("no directory: no error")
	}
}

func TestExposed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "some.key")
	put(t, path, "x", 0o600)
	for mode, want := range map[os.FileMode]bool{0o600: false, 0o640: false, 0o644: true, 0o602: true, 0o440: false} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		if got, exposed := Exposed(path); exposed != want || got != mode {
			t.Errorf("%v: got %v, %v", mode, got, exposed)
		}
	}
	dir := filepath.Dir(path)
	for mode, want := range map[os.FileMode]bool{0o700: false, 0o755: false, 0o777: true} {
		if err := os.Chmod(dir, mode); err != nil {
			t.Fatal(err)
		}
		if got, exposed := Exposed(dir); exposed != want || got != mode {
			t.Errorf("a directory of %v: got %v, %v", mode, got, exposed)
		}
	}
	if _, exposed := Exposed(path + ".none"); exposed {
		t.Error("a file that isn't there is exposed")
	}
}
