package statefile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func put(t *testing.T, path, text string, mode fs.FileMode) {
	t.Helper()
	if err := errors.Join(os.WriteFile(path, []byte(text), 0o600), os.Chmod(path, mode)); err != nil {
		t.Fatal(err)
	}
}

// holds checks that path holds text, that only its owner may read it, and that its
// directory has no other file.
func holds(t *testing.T, path, text string) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil || string(data) != text {
		t.Errorf("%s holds %q, %v; want %q", path, data, err, text)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%s: %v %v, want mode 0600", path, info.Mode(), err)
	}
	if all, _ := os.ReadDir(filepath.Dir(path)); len(all) != 1 {
		t.Errorf("beside %s: %v", path, all)
	}
}

func TestWriteReplacesAFileAndItsMode(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	put(t, path, "before", 0o644)
	if err := Write(path, []byte("after")); err != nil {
		t.Fatal(err)
	}
	holds(t, path, "after")
}

// A crash between writing and renaming leaves the old file and a part of the new one,
// with any mode.
func TestWriteReplacesTheRestOfACrash(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	put(t, filepath.Join(filepath.Dir(path), ".state.new"), "half of it, and longer than the whole", 0o666)
	if err := Write(path, []byte("all")); err != nil {
		t.Fatal(err)
	}
	holds(t, path, "all")
}

func TestWriteThatFailsLeavesTheFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	put(t, path, "before", 0o600)
	if err := os.MkdirAll(filepath.Join(filepath.Dir(path), ".state.new", "in the way"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := Write(path, []byte("after")); err == nil {
		t.Error("no error")
	}
	if data, _ := os.ReadFile(path); string(data) != "before" {
		t.Errorf("the file holds %q", data)
	}
}

func TestMakeDirMakesPrivateDirectories(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "var", "lb")
	for range 2 { // the second time it is there
		if err := MakeDir(dir); err != nil {
			t.Fatal(err)
		}
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("got %v, %v", info, err)
	}
	if all, _ := os.ReadDir(dir); len(all) != 0 {
		t.Errorf("it leaves the files %v", all)
	}
}

func TestMakeDirFailsIfNothingCanBeWritten(t *testing.T) {
	dir := t.TempDir()
	put(t, filepath.Join(dir, "file"), "", 0o600)
	if err := os.MkdirAll(filepath.Join(dir, "full", ".probe.new", "in the way"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"file", "file/below", "full"} {
		if err := MakeDir(filepath.Join(dir, name)); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestTimesOutOfBoundsAreNotValid(t *testing.T) {
	first, last := time.Unix(0, 0), time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC)
	for at, want := range map[time.Time]bool{
		first: true, first.Add(-1): false, last: true, last.Add(1): false, {}: false,
	} {
		if got := ValidTime(at); got != want {
			t.Errorf("%s: got %t, want %t", at, got, want)
		}
	}
}
