package statefile

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

func appendLines(t *testing.T, j *Journal, lines ...string) {
	t.Helper()
	var all [][]byte
	for _, line := range lines {
		all = append(all, []byte(line))
	}
	if err := j.Append(all...); err != nil {
		t.Fatal(err)
	}
}

func TestAppendedLinesAreInTheFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	j := OpenJournal(path, 0)
	appendLines(t, j, "one")
	appendLines(t, j, "two", "three")
	holds(t, path, "one\ntwo\nthree\n")
	again := OpenJournal(path, j.Size())
	appendLines(t, again, "four")
	holds(t, path, "one\ntwo\nthree\nfour\n")
}

func TestAppendOverwritesAPartialLine(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	put(t, path, "one\ntwo\nthr", 0o600)
	lines, size := SplitLines([]byte("one\ntwo\nthr"))
	if len(lines) != 2 || string(lines[1]) != "two" || size != 8 {
		t.Errorf("got %q, %d bytes; want two lines of 8", lines, size)
	}
	appendLines(t, OpenJournal(path, size), "3")
	holds(t, path, "one\ntwo\n3\n")
}

func TestSplitLinesOfShortContent(t *testing.T) {
	for _, row := range []struct {
		text string
		n    int
		size int64
	}{{"", 0, 0}, {"part", 0, 0}, {"\n", 1, 1}, {"a\n", 1, 2}, {"a\n\n", 2, 3}} {
		if lines, size := SplitLines([]byte(row.text)); len(lines) != row.n || size != row.size {
			t.Errorf("%q: got %q, %d", row.text, lines, size)
		}
	}
}

func TestAFailedAppendAddsNoLine(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	j := OpenJournal(path, 0)
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := j.Append([]byte("one")); err == nil || j.Size() != 0 {
		t.Errorf("got %v, %d bytes", err, j.Size())
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	appendLines(t, j, "two")
	holds(t, path, "two\n")
}

func TestResetReplacesAllLines(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	j := OpenJournal(path, 0)
	if err := j.Reset(); err != nil {
		t.Errorf("without a file: %v", err)
	}
	appendLines(t, j, "one", "two")
	if err := j.Reset([]byte("kept")); err != nil {
		t.Fatal(err)
	}
	holds(t, path, "kept\n")
	appendLines(t, j, "three")
	holds(t, path, "kept\nthree\n")
	if err := j.Reset(); err != nil || j.Size() != 0 {
		t.Errorf("got %v, %d bytes", err, j.Size())
	}
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Errorf("the file is there still: %v", err)
	}
}

func TestAJournalNoticesThatItWasRemoved(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	j := OpenJournal(path, 0)
	if !j.Intact() {
		t.Error("an empty journal needs no file")
	}
	appendLines(t, j, "one")
	if !j.Intact() {
		t.Error("it isn't intact after Append")
	}
	if err := os.Truncate(path, 1); err != nil {
		t.Fatal(err)
	}
	if j.Intact() {
		t.Error("it was cut short, and isn't noticed")
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if j.Intact() {
		t.Error("it was removed, and isn't noticed")
	}
}

// FuzzSplitLines checks that the lines with their ends and the rest make up the input.
func FuzzSplitLines(f *testing.F) {
	f.Add([]byte("one\ntwo\nthr"))
	f.Fuzz(func(t *testing.T, b []byte) {
		lines, size := SplitLines(b)
		var again []byte
		for _, line := range lines {
			again = append(append(again, line...), '\n')
		}
		if !bytes.Equal(again, b[:size]) || bytes.ContainsRune(b[size:], '\n') {
			t.Errorf("got %q, %d of %q", lines, size, b)
		}
	})
}
