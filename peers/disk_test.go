package peers

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"tokenring/route"
	"tokenring/statefile"
)

func put(t testing.TB, dir, name, content string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func content(t testing.TB, dir, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func open(t testing.TB, dir string) *disk {
	t.Helper()
	d, err := openDisk(dir, zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// write has registers written, and fails the test if they aren't on disk then.
func (d *disk) mustWrite(t testing.TB, registers ...Register) {
	t.Helper()
	changed := newestOf{}
	changed.add(registers...)
	if err, compactErr := d.write(changed, nil); err != nil || compactErr != nil {
		t.Fatalf("%v, %v", err, compactErr)
	}
}

// text returns what is to be on disk, in one form for one content.
func (d *disk) text() string { return string(EncodeMessage(d.all.list()...)) }

func filesIn(t testing.TB, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return strings.Join(names, " ")
}

func TestRegistersSurviveTheDisk(t *testing.T) {
	dir := t.TempDir()
	if d := open(t, dir); len(d.all) != 0 {
		t.Fatalf("without a file: got %s", d.text())
	}
	odd := override("b", route.Drain, 1)
	odd.Reason, odd.At = `"<é>"`, at(1).Add(17)
	want := append(must(t, override("a", route.Maint, 0), odd, weighing("a", 0, 2), weighing("b", route.OwnWeight, 3)),
		mustStart(t, SlowStart{Host: "a", Number: 3, Since: at(1).Add(17), Lasts: time.Minute}, SlowStart{Host: "b", Number: 1})...)
	for range 2 { // the second time there is a file to replace
		d := open(t, dir)
		d.mustWrite(t, want...)
		for _, where := range []string{JournalName, FileName} {
			if got := open(t, dir).text(); got != d.text() || len(d.all) != len(want) {
				t.Errorf("%s changed it: got\n%s\nwant\n%s", where, got, d.text())
			}
			info, err := os.Stat(filepath.Join(dir, where))
			if err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("mode %v, %v; want 0600", info.Mode().Perm(), err)
			}
			if err := d.compact(); err != nil {
				t.Fatal(err)
			}
		}
		if left := filesIn(t, dir); left != FileName {
			t.Errorf("left on disk: %v, want one file", left)
		}
	}
}

// TestEntriesThatCantBeBelievedAreKept: beside those that can. They are in the file
// again when that is written.
func TestEntriesThatCantBeBelievedAreKept(t *testing.T) {
	const date = `"at":"2026-01-01T00:00:00Z","origin":"lb-1"`
	for what, row := range map[string]struct{ list, entry string }{
		"bad weight":       {"weights", `{"host":"a","weight":999,` + date + `}`},
		"a weight in text": {"weights", `{"host":"a","weight":"3",` + date + `}`},
		"bad slow start":   {"warm_ups", `{"host":"a","number":1,"since":"2026-01-01T00:00:00Z","lasts":1}`},
		"bad override":     {"decisions", `{"host":"a","state":"gone",` + date + `}`},
		"a long addition":  {"decisions", `{"host":"a","state":"drain",` + date + `,"why":"` + strings.Repeat("x", statefile.MaxUnknown) + `"}`},
		"no key":           {"registers", `{"kind":"vote","up":true}`},
		"a long register":  {"registers", `{"kind":"vote","key":"a","why":"` + strings.Repeat("x", maxOther) + `"}`},
		"a kind of ours":   {"registers", `{"kind":"state","key":"a"}`},
	} {
		dir := t.TempDir()
		doc := map[string]any{"version": 1, "decisions": []any{json.RawMessage(`{"host":"b","state":"maint",` + date + `}`)}}
		list, _ := doc[row.list].([]any)
		doc[row.list] = append(list, json.RawMessage(row.entry))
		b, err := json.Marshal(doc)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{FileName, JournalName} {
			put(t, dir, name, string(b)+"\n")
			d := open(t, dir)
			if len(d.all) != 1 || !strings.Contains(d.text(), `"host":"b","state":"maint"`) || len(d.alarms) != 1 {
				t.Errorf("%s in %s: got %s and alarms %q; want the override of b", what, name, d.text(), d.alarms)
			}
			if err := d.compact(); err != nil {
				t.Fatal(err)
			}
			if got := content(t, dir, name); !strings.Contains(got, row.entry) {
				t.Errorf("%s: the entry is gone from %s: %s", what, name, got)
			}
			os.Remove(filepath.Join(dir, name))
			os.Remove(filepath.Join(dir, FileName))
		}
	}
}

// numbered returns overrides of n hosts, the later ones of hosts that had one before.
func numbered(t testing.TB, n int) []Register {
	t.Helper()
	var all []Override
	for i := range n {
		all = append(all, override(fmt.Sprintf("ide-%d", i%7), []route.State{route.Drain, route.Maint, route.Ready}[i%3], i))
	}
	return must(t, all...)
}

// TestACrashAtAnyMomentLosesNothingThatWasConfirmed cuts the journal at each byte.
func TestACrashAtAnyMomentLosesNothingThatWasConfirmed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	d := open(t, dir)
	d.mustWrite(t, numbered(t, 3)...)
	if err := d.compact(); err != nil {
		t.Fatal(err)
	}
	file := content(t, dir, FileName)
	all := numbered(t, 7)
	confirmed := []int64{0}
	for _, r := range all[3:] {
		d.mustWrite(t, r)
		confirmed = append(confirmed, d.journal.Size())
	}
	journal := content(t, dir, JournalName)
	if content(t, dir, FileName) != file {
		t.Fatal("the whole file was written for a change")
	}
	for cut := range len(journal) + 1 {
		crashed := t.TempDir()
		put(t, crashed, FileName, file)
		put(t, crashed, JournalName, journal[:cut])
		n := 0
		for n+1 < len(confirmed) && confirmed[n+1] <= int64(cut) {
			n++
		}
		want := text(setOf(t, all[:3+n]))
		again := open(t, crashed)
		if again.text() != want {
			t.Fatalf("cut at %d: got\n%s\nwant\n%s", cut, again.text(), want)
		}
		again.mustWrite(t, must(t, override("after", route.Drain, 99))...) // behind the part of a line
		if got := open(t, crashed); got.text() != again.text() {
			t.Fatalf("cut at %d, after another change: got\n%s\nwant\n%s", cut, got.text(), again.text())
		}
		if names := filesIn(t, crashed); names != JournalName+" "+FileName {
			t.Fatalf("cut at %d: left %s", cut, names)
		}
	}
}

// TestACrashBetweenFileAndJournalDoesNoHarm: the file is written, and the journal isn't
// removed yet.
func TestACrashBetweenFileAndJournalDoesNoHarm(t *testing.T) {
	dir := t.TempDir()
	d := open(t, dir)
	d.mustWrite(t, numbered(t, 12)...)
	journal := content(t, dir, JournalName)
	d.mustWrite(t, must(t, override("ide-1", route.Maint, 99))...)
	if err := d.compact(); err != nil {
		t.Fatal(err)
	}
	put(t, dir, JournalName, journal)
	if got := open(t, dir); got.text() != d.text() {
		t.Errorf("got\n%s\nwant\n%s", got.text(), d.text())
	}
}

func TestTheFileIsWrittenWhenTheJournalHasGrown(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	d := open(t, dir)
	written, last := 0, ""
	for i := range 1500 {
		d.mustWrite(t, must(t, override("ide-1", route.Drain, i))...)
		if d.journal.Size() > 2*minJournal {
			t.Fatalf("the journal has %d bytes", d.journal.Size())
		}
		if d.size > 0 && d.journal.Size() == 0 {
			written++
			last = content(t, dir, FileName)
		}
	}
	if written < 2 || written > 15 || strings.Count(last, `"ide-1"`) != 1 {
		t.Errorf("the file was written %d times in 1500 changes, and holds %s", written, last)
	}
}

// full has nothing written to dir: something is where its files should be. It returns
// what ends that.
func full(t *testing.T, dir string, names ...string) (end func()) {
	t.Helper()
	for _, name := range names {
		os.RemoveAll(filepath.Join(dir, name))
		if err := os.MkdirAll(filepath.Join(dir, name, "full"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	return func() {
		for _, name := range names {
			if err := os.RemoveAll(filepath.Join(dir, name)); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestWhatCantBeWrittenIsWrittenLater(t *testing.T) {
	for what, row := range map[string]struct {
		names            []string
		isErr, isCompact bool
	}{
		"nothing can be written":  {[]string{FileName, JournalName}, true, true},
		"no journal: the file":    {[]string{JournalName}, false, false},
		"no file, but a journal":  {[]string{FileName}, false, false}, // as long as it hasn't grown
		"no file when it is time": {[]string{FileName}, false, true},
	} {
		dir := t.TempDir()
		d := open(t, dir)
		end := full(t, dir, row.names...)
		changed := newestOf{}
		changed.add(numbered(t, 3)...)
		var dropped map[Topic]bool
		if row.isCompact {
			dropped = map[Topic]bool{{KindState, "gone"}: true}
		}
		err, compactErr := d.write(changed, dropped)
		if (err != nil) != row.isErr || (compactErr != nil) != row.isCompact {
			t.Errorf("%s: got %v and %v", what, err, compactErr)
		}
		if ack := (Ack{Err: err, CompactErr: compactErr}); (ack.Alarm() != "") != (row.isErr || row.isCompact) {
			t.Errorf("%s: alarm %q", what, ack.Alarm())
		}
		end()
		if !row.isErr && row.names[0] == FileName { // the journal has it
			if got := open(t, dir); got.text() != d.text() {
				t.Errorf("%s: on disk\n%s\nwant\n%s", what, got.text(), d.text())
			}
		}
		d.mustWrite(t) // once more, with nothing new
		if got := open(t, dir); got.text() != d.text() && row.names[0] != JournalName {
			t.Errorf("%s, and it is over: on disk\n%s\nwant\n%s", what, got.text(), d.text())
		}
	}
}

// TestWhatSomebodyRemovedIsWrittenAgain: with the next change.
func TestWhatSomebodyRemovedIsWrittenAgain(t *testing.T) {
	for _, name := range []string{FileName, JournalName} {
		dir := t.TempDir()
		d := open(t, dir)
		d.mustWrite(t, numbered(t, 3)...)
		if err := d.compact(); err != nil {
			t.Fatal(err)
		}
		d.mustWrite(t, must(t, override("b", route.Drain, 5))...)
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
		d.mustWrite(t, must(t, override("c", route.Drain, 6))...)
		if got := open(t, dir); got.text() != d.text() {
			t.Errorf("%s: on disk\n%s\nwant\n%s", name, got.text(), d.text())
		}
	}
}

func TestWhatIsDroppedIsNotOnDisk(t *testing.T) {
	dir := t.TempDir()
	d := open(t, dir)
	d.mustWrite(t, numbered(t, 3)...)
	if err, compactErr := d.write(newestOf{}, map[Topic]bool{{KindState, "ide-1"}: true}); err != nil || compactErr != nil {
		t.Fatal(err, compactErr)
	}
	if got := open(t, dir); len(got.all) != 2 || strings.Contains(got.text(), "ide-1") {
		t.Errorf("on disk: %s", got.text())
	}
}

// TestAFileThatIsRemovedBeforeTheFirstChangeIsWrittenAgain: the file is of an earlier run.
func TestAFileThatIsRemovedBeforeTheFirstChangeIsWrittenAgain(t *testing.T) {
	dir := t.TempDir()
	d := open(t, dir)
	d.mustWrite(t, must(t, override("a", route.Maint, 1))...)
	if err := d.compact(); err != nil {
		t.Fatal(err)
	}
	d = open(t, dir)
	if err := os.Remove(filepath.Join(dir, FileName)); err != nil {
		t.Fatal(err)
	}
	d.mustWrite(t, must(t, override("b", route.Maint, 2))...)
	if got := open(t, dir); got.text() != d.text() {
		t.Errorf("on disk\n%s\nwant\n%s", got.text(), d.text())
	}
}

// TestAJournalThatIsDamagedWhileTheFileCantBeWritten: the journal gets all that was in it,
// and what it has left of a line spoils none of that.
func TestAJournalThatIsDamagedWhileTheFileCantBeWritten(t *testing.T) {
	for what, damage := range map[string]func(path string) error{
		"removed":   os.Remove,
		"cut short": func(path string) error { return os.Truncate(path, 20) },
		"emptied":   func(path string) error { return os.Truncate(path, 0) },
	} {
		dir := t.TempDir()
		d := open(t, dir)
		end := full(t, dir, FileName)
		changed := newestOf{}
		changed.add(must(t, override("a", route.Maint, 1))...)
		if err, _ := d.write(changed, nil); err != nil {
			t.Fatal(err)
		}
		if err := damage(filepath.Join(dir, JournalName)); err != nil {
			t.Fatal(err)
		}
		changed = newestOf{}
		changed.add(must(t, override("b", route.Maint, 2))...)
		if err, compactErr := d.write(changed, nil); err != nil || compactErr == nil {
			t.Errorf("%s: got %v, %v; want it in the journal", what, err, compactErr)
		}
		end()
		if got := open(t, dir); got.text() != d.text() || len(got.alarms) > 0 {
			t.Errorf("%s: on disk\n%s\nwant\n%s", what, got.text(), d.text())
		}
	}
}

// TestACrashAfterADamagedJournalWasReadLosesNothing: its good lines are nowhere else until
// the file is written.
func TestACrashAfterADamagedJournalWasReadLosesNothing(t *testing.T) {
	dir := t.TempDir()
	d := open(t, dir)
	d.mustWrite(t, must(t, override("a", route.Maint, 1))...)
	good := content(t, dir, JournalName)
	put(t, dir, JournalName, "?\n"+good)
	if s, err := load(dir, zerolog.Nop()); err != nil || !s.damaged {
		t.Fatal(s.damaged, err)
	}
	if got := open(t, dir); got.text() != d.text() { // the start after the crash
		t.Errorf("on disk\n%s\nwant\n%s", got.text(), d.text())
	}
	if names := filesIn(t, dir); names != JournalName+".corrupt "+FileName {
		t.Errorf("left: %s", names)
	}
}
