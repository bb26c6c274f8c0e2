package pool

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestTheMemorySurvivesTheDisk(t *testing.T) {
	dir := t.TempDir()
	if m, err := loadMemory(dir); err != nil || len(m.decided)+len(m.warmUps) != 0 {
		t.Fatalf("without a file: got %v, %v", m, err)
	}
	odd := decision("b", Drain, 1)
	odd.Reason, odd.At = `"<é>"`, at(1).Add(17)
	want := memory{merged([]Decision{decision("a", Maint, 0), odd, weighing("a", 0, 2), weighing("b", OwnWeight, 3)}), warmUps{}}
	want.warmUps.merge(warmUp{Host: "a", Number: 3, Since: at(1).Add(17), Lasts: time.Minute})
	want.warmUps.merge(warmUp{Host: "b", Number: 1})
	for range 2 { // the second time there is a file to replace
		if err := want.save(dir); err != nil {
			t.Fatal(err)
		}
	}
	got, err := loadMemory(dir)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(memory{})); diff != "" {
		t.Errorf("the disk changed it (-want +got):\n%s", diff)
	}
	info, err := os.Stat(filepath.Join(dir, decisionsName))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v; want 0600", info.Mode().Perm(), err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*")); len(left) != 1 {
		t.Errorf("left on disk: %v, want one file", left)
	}
}

func TestCorruptFileIsPutAsideAndReported(t *testing.T) {
	for what, content := range map[string]string{
		"cut short":     `{"version":1,"decisions":[{"ho`,
		"empty":         ``,
		"other version": `{"version":2,"decisions":[]}`,
		"bad weight":    `{"version":1,"decisions":[],"weights":[{"host":"a","weight":999,"at":"2026-01-01T00:00:00Z","origin":"lb-1"}]}`,
		"bad warm-up":   `{"version":1,"decisions":[],"warm_ups":[{"host":"a","number":1,"since":"2026-01-01T00:00:00Z","lasts":1}]}`,
		"bad decision":  `{"version":1,"decisions":[{"host":"a","state":"gone","at":"2026-01-01T00:00:00Z","origin":"lb-1"}]}`,
	} {
		dir := t.TempDir()
		path := filepath.Join(dir, decisionsName)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		m, err := loadMemory(dir)
		if !errors.Is(err, errCorrupt) || m.decided == nil || m.warmUps == nil || len(m.decided)+len(m.warmUps) != 0 {
			t.Errorf("%s: got %v, %v; want none, and that it is corrupt", what, m, err)
		}
		if kept, err := os.ReadFile(path + ".corrupt"); err != nil || string(kept) != content {
			t.Errorf("%s: kept %q, %v", what, kept, err)
		}
		if m, err := loadMemory(dir); err != nil || len(m.decided) != 0 {
			t.Errorf("%s, the next start: got %v, %v", what, m, err)
		}
	}
}

func FuzzMemory(f *testing.F) {
	decided := []Decision{decision("a", Maint, 0), decision("b", Ready, 1), weighing("b", 3, 2)}
	b, err := encodeMemory(decided, []warmUp{{Host: "a", Number: 1, Since: at(1), Lasts: time.Minute}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		decided, warming, err := decodeMemory(b)
		if err != nil {
			return
		}
		want := memory{merged(decided), warmUps{}}
		for _, w := range warming {
			want.warmUps.merge(w)
		}
		again, err := want.encode()
		if err != nil {
			t.Fatal(err)
		}
		got, err := parseFile(again)
		if err != nil {
			t.Fatalf("what was merged can't be read back: %v", err)
		}
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(memory{})); diff != "" {
			t.Errorf("the file changed it (-want +got):\n%s", diff)
		}
	})
}
