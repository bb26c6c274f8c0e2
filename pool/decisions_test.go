package pool

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func decision(host string, state State, ms int) Decision {
	return Decision{Host: host, State: state, Reason: "because", By: "ops", At: at(ms), Origin: "lb-1"}
}

// someDecisions returns decisions about few hosts at few moments, so that they
// often clash.
func someDecisions(r *rand.Rand) []Decision {
	var all []Decision
	for range r.IntN(8) {
		all = append(all, Decision{
			Host:   fmt.Sprintf("ide-%d", r.IntN(3)),
			State:  []State{Ready, Drain, Maint}[r.IntN(3)],
			Reason: []string{"", "x"}[r.IntN(2)],
			At:     at(r.IntN(3)),
			Origin: []string{"lb-1", "lb-2"}[r.IntN(2)],
		})
	}
	return all
}

func merged(lists ...[]Decision) registers {
	r := registers{}
	for _, list := range lists {
		for _, d := range list {
			r.merge(d)
		}
	}
	return r
}

func TestMergeIsCommutativeAssociativeIdempotent(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		a, b, c := someDecisions(r), someDecisions(r), someDecisions(r)
		want := merged(a, b, c)
		for law, got := range map[string]registers{
			"commutative": merged(c, b, a),
			"associative": merged(a, merged(b, c).list()),
			"idempotent":  merged(a, b, c, b, a, want.list()),
		} {
			if diff := cmp.Diff(want, got); diff != "" {
				t.Fatalf("merge isn't %s for\n%v\n%v\n%v\n(-want +got):\n%s", law, a, b, c, diff)
			}
		}
	}
}

func TestLastDecisionWins(t *testing.T) {
	r := registers{}
	if !r.merge(decision("a", Maint, 5)) {
		t.Error("the first decision changed nothing")
	}
	if r.merge(decision("a", Ready, 4)) {
		t.Error("an older decision changed something")
	}
	if r.merge(decision("a", Maint, 5)) {
		t.Error("the same decision changed something")
	}
	if !r.merge(decision("a", Drain, 6)) || r["a"].State != Drain {
		t.Errorf("a later decision was ignored: %+v", r["a"])
	}
}

func TestNewDecisionIsLaterThanAllKnownWhateverTheClock(t *testing.T) {
	r := merged([]Decision{decision("a", Maint, 5000), decision("b", Maint, 1000)})
	if got, want := r.next(at(0)), at(5000).Add(1); !got.Equal(want) {
		t.Errorf("with a slow clock: got %v, want %v", got, want)
	}
	if got := r.next(at(6000)); !got.Equal(at(6000)) {
		t.Errorf("got %v, want now", got)
	}
}

func TestDecisionsThatMakeNoSenseAreRefused(t *testing.T) {
	for what, change := range map[string]func(*Decision){
		"no host":           func(d *Decision) { d.Host = "" },
		"bad host":          func(d *Decision) { d.Host = "a/b" },
		"no state":          func(d *Decision) { d.State = "" },
		"unknown state":     func(d *Decision) { d.State = "gone" },
		"no origin":         func(d *Decision) { d.Origin = "" },
		"long reason":       func(d *Decision) { d.Reason = strings.Repeat("r", 201) },
		"long name":         func(d *Decision) { d.By = strings.Repeat("b", 65) },
		"broken UTF-8":      func(d *Decision) { d.Reason = "\xff" },
		"control character": func(d *Decision) { d.By = "a\x00" },
		"end of time":       func(d *Decision) { d.At = time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC) },
	} {
		d := decision("a", Maint, 0)
		change(&d)
		if d.check() == nil || (registers{}).merge(d) {
			t.Errorf("%s: taken", what)
		}
	}
}

func TestPruneDropsTheOldestStrangers(t *testing.T) {
	r := merged([]Decision{decision("old", Maint, 0), decision("known", Maint, 1), decision("new", Maint, 2)})
	if !r.prune(2, func(host string) bool { return host == "known" }) {
		t.Error("nothing was dropped")
	}
	if _, ok := r["old"]; ok || len(r) != 2 {
		t.Errorf("got %v, want known and new", r)
	}
	if r.prune(0, func(string) bool { return true }) {
		t.Error("a known host's decision was dropped")
	}
}

func TestDecisionsSurviveTheDisk(t *testing.T) {
	dir := t.TempDir()
	if r, err := loadDecisions(dir); err != nil || len(r) != 0 {
		t.Fatalf("without a file: got %v, %v", r, err)
	}
	odd := decision("b", Drain, 1)
	odd.Reason, odd.At = `"<é>"`, at(1).Add(17)
	want := merged([]Decision{decision("a", Maint, 0), odd})
	for range 2 { // the second time there is a file to replace
		if err := want.save(dir); err != nil {
			t.Fatal(err)
		}
	}
	got, err := loadDecisions(dir)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the disk changed them (-want +got):\n%s", diff)
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
		"bad decision":  `{"version":1,"decisions":[{"host":"a","state":"gone","at":"2026-01-01T00:00:00Z","origin":"lb-1"}]}`,
	} {
		dir := t.TempDir()
		path := filepath.Join(dir, decisionsName)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		r, err := loadDecisions(dir)
		if !errors.Is(err, errCorrupt) || r == nil || len(r) != 0 {
			t.Errorf("%s: got %v, %v; want none, and that it is corrupt", what, r, err)
		}
		if kept, err := os.ReadFile(path + ".corrupt"); err != nil || string(kept) != content {
			t.Errorf("%s: kept %q, %v", what, kept, err)
		}
		if r, err := loadDecisions(dir); err != nil || len(r) != 0 {
			t.Errorf("%s, the next start: got %v, %v", what, r, err)
		}
	}
}

func TestLongestDecisionFitsAGossipPacket(t *testing.T) {
	d := Decision{
		Host: strings.Repeat("h", maxName), Origin: strings.Repeat("o", maxName),
		Reason: strings.Repeat(`"`, maxReason), By: strings.Repeat("<", maxBy),
		State: Drain, At: at(1).Add(1),
	}
	if err := d.check(); err != nil {
		t.Fatal(err)
	}
	b, err := encodeDecisions([]Decision{d})
	if err != nil || len(b) > 1200 {
		t.Errorf("%d bytes, %v; want at most 1200", len(b), err)
	}
}

func FuzzDecisions(f *testing.F) {
	b, err := encodeDecisions([]Decision{decision("a", Maint, 0), decision("b", Ready, 1)})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		all, err := decodeDecisions(b)
		if err != nil {
			return
		}
		want := merged(all)
		again, err := encodeDecisions(want.list())
		if err != nil {
			t.Fatal(err)
		}
		got, err := parseFile(again)
		if err != nil {
			t.Fatalf("what was merged can't be read back: %v", err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("the file changed them (-want +got):\n%s", diff)
		}
	})
}
