package peers

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"tokenring/route"
)

// run runs s until the returned func is called, and ends ctx then.
func run(t *testing.T, s *Store) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); s.Run(ctx) }()
	return func() {
		cancel()
		s.Close()
		<-ended
	}
}

func openStore(t *testing.T, dir string, log zerolog.Logger) (*Store, []Register) {
	t.Helper()
	s, registers, err := OpenStore(dir, log)
	if err != nil {
		t.Fatal(err)
	}
	return s, registers
}

func TestEachWriteIsConfirmedOnceItIsOnDisk(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		s, _ := openStore(t, dir, zerolog.Nop())
		stop := run(t, s)
		for i, r := range numbered(t, 5) {
			s.Write(Write{Number: uint64(i + 1), Registers: []Register{r}})
			if ack := <-s.Acks; ack != (Ack{Number: uint64(i + 1)}) {
				t.Errorf("got %+v", ack)
			}
			if got := open(t, dir); len(got.all) != i+1 {
				t.Errorf("%d on disk, want %d", len(got.all), i+1)
			}
		}
		stop()
	})
	if names := filesIn(t, dir); names != FileName {
		t.Errorf("after a clean stop: %s", names)
	}
	if _, registers := openStore(t, dir, zerolog.Nop()); text(setOf(t, registers)) != text(setOf(t, numbered(t, 5))) {
		t.Errorf("it holds %s", EncodeMessage(registers...))
	}
}

// TestWritesThatWaitAreWrittenTogether: the last of a topic counts, whether it is a
// register or that there is none any more.
func TestWritesThatWaitAreWrittenTogether(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		s, _ := openStore(t, dir, zerolog.Nop())
		a, b, c := Topic{KindState, "a"}, Topic{KindState, "b"}, Topic{KindState, "c"}
		s.Write(Write{Number: 1, Registers: must(t, override("a", route.Drain, 1), override("b", route.Drain, 1)), Dropped: []Topic{c}})
		s.Write(Write{Number: 2, Registers: must(t, override("a", route.Maint, 2), override("c", route.Maint, 2)), Dropped: []Topic{b}})
		stop := run(t, s)
		if ack := <-s.Acks; ack != (Ack{Number: 2}) {
			t.Errorf("got %+v", ack)
		}
		stop()
		got := open(t, dir).all
		if _, ok := got[b]; ok || len(got) != 2 || got[a].Version.Rank != at(2).UnixNano() || got[c].value == nil {
			t.Errorf("on disk: %s", EncodeMessage(got.list()...))
		}
	})
}

// TestWhatNobodyAsksForIsWrittenAllTheSame: after the end of the loop that takes Acks.
func TestWhatNobodyAsksForIsWrittenAllTheSame(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		s, _ := openStore(t, dir, zerolog.Nop())
		stop := run(t, s)
		s.Write(Write{Number: 1, Registers: numbered(t, 1)})
		synctest.Wait() // it waits for somebody to take the Ack
		s.Write(Write{Number: 2, Registers: numbered(t, 3)})
		stop()
	})
	if got := open(t, dir); len(got.all) != 3 {
		t.Errorf("on disk: %s", got.text())
	}
}

func TestALossAtTheEndIsLogged(t *testing.T) {
	dir := t.TempDir()
	var log bytes.Buffer
	synctest.Test(t, func(t *testing.T) {
		s, _ := openStore(t, dir, zerolog.New(&log))
		full(t, dir, FileName, JournalName)
		s.Write(Write{Number: 1, Registers: numbered(t, 1)})
		stop := run(t, s)
		synctest.Wait()
		stop()
	})
	if got := log.String(); !strings.Contains(got, "are not on disk: the next start has to learn them from peers") || !strings.Contains(got, `"error"`) {
		t.Errorf("logged %s", got)
	}
}

func TestWithoutADirectoryAllIsConfirmed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, registers := openStore(t, "", zerolog.Nop())
		stop := run(t, s)
		s.Write(Write{Number: 7, Registers: numbered(t, 1)})
		if ack := <-s.Acks; ack != (Ack{Number: 7}) || len(registers)+len(s.Alarms()) != 0 {
			t.Errorf("got %+v, %v, %v", ack, registers, s.Alarms())
		}
		stop()
	})
}

// TestWhatIsDroppedAndComesBackOlderIsOnDisk: a tombstone is dropped, and a peer still has
// the override that it has ended.
func TestWhatIsDroppedAndComesBackOlderIsOnDisk(t *testing.T) {
	dir := t.TempDir()
	d := open(t, dir)
	d.mustWrite(t, must(t, override("a", route.Ready, 2))...)
	synctest.Test(t, func(t *testing.T) {
		s, _ := openStore(t, dir, zerolog.Nop())
		s.Write(Write{Number: 1, Dropped: []Topic{{KindState, "a"}}})
		s.Write(Write{Number: 2, Registers: must(t, override("a", route.Maint, 1))})
		stop := run(t, s)
		<-s.Acks
		stop()
	})
	if got := open(t, dir); !strings.Contains(got.text(), "maint") {
		t.Errorf("on disk: %s, want the override that is in force", got.text())
	}
}

// TestWhenNothingChangesTheFileHasAll: an earlier version of lb, to which an operator goes
// back after a crash of this one, doesn't read the journal.
func TestWhenNothingChangesTheFileHasAll(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		s, _ := openStore(t, dir, zerolog.Nop())
		stop := run(t, s)
		for i, r := range numbered(t, 3) {
			s.Write(Write{Number: uint64(i + 1), Registers: []Register{r}})
			<-s.Acks
			time.Sleep(compactAfter - time.Second)
			if names := filesIn(t, dir); names != JournalName {
				t.Errorf("while it changes: %s", names)
			}
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if names := filesIn(t, dir); names != FileName {
			t.Errorf("later: %s", names)
		}
		stop()
	})
}

// TestAFileThatCantBeWrittenIsAnAlarmThoughNothingChanges, and the next write ends it.
func TestAFileThatCantBeWrittenIsAnAlarmThoughNothingChanges(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		s, _ := openStore(t, dir, zerolog.Nop())
		stop := run(t, s)
		defer stop()
		end := full(t, dir, FileName)
		s.Write(Write{Number: 7, Registers: numbered(t, 1)})
		if ack := <-s.Acks; ack.Alarm() != "" {
			t.Errorf("got %+v", ack)
		}
		if ack := <-s.Acks; ack.Number != 7 || ack.Err != nil || ack.CompactErr == nil {
			t.Errorf("after a while: got %+v", ack)
		}
		end()
		s.Write(Write{Number: 8})
		if ack := <-s.Acks; ack != (Ack{Number: 8}) {
			t.Errorf("got %+v", ack)
		}
	})
}
