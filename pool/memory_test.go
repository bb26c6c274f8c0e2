package pool

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestTheMemorySurvivesTheDisk(t *testing.T) {
	dir := t.TempDir()
	if m, _, err := loadMemory(dir); err != nil || len(m.decided)+len(m.warmUps) != 0 {
		t.Fatalf("without a file: got %v, %v", m, err)
	}
	odd := decision("b", Drain, 1)
	odd.Reason, odd.At = `"<é>"`, at(1).Add(17)
	want := memory{merged([]Decision{decision("a", Maint, 0), odd, weighing("a", 0, 2), weighing("b", OwnWeight, 3)}), warmUps{}}
	want.warmUps.merge(warmUp{Host: "a", Number: 3, Since: at(1).Add(17), Lasts: time.Minute})
	want.warmUps.merge(warmUp{Host: "b", Number: 1})
	for range 2 { // the second time there is a file to replace
		if err := want.save(dir, leftover{}); err != nil {
			t.Fatal(err)
		}
	}
	got, _, err := loadMemory(dir)
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

func FuzzMemory(f *testing.F) {
	decided := []Decision{decision("a", Maint, 0), decision("b", Ready, 1), weighing("b", 3, 2)}
	b, err := encodeMemory(decided, []warmUp{{Host: "a", Number: 1, Since: at(1), Lasts: time.Minute}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte(`{"version":1,"decisions":[{"host":"a","state":"drain","at":"1999-01-01T00:00:00Z","origin":"lb-2","deadline":"2h"}],"pins":[1]}`))
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
		got, _, err := parseFile(again)
		if err != nil {
			t.Fatalf("what was merged can't be read back: %v", err)
		}
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(memory{})); diff != "" {
			t.Errorf("the file changed it (-want +got):\n%s", diff)
		}
	})
}
