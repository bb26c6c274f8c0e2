package pool

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"
)

// TestADiskThatHangsDelaysNoVerdict: nor a warm-up, nor a decision's effect. Only who
// decided waits for it.
func TestADiskThatHangsDelaysNoVerdict(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	pipe := filepath.Join(dir, "."+decisionsName+".new")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil { // to open it for writing hangs
		t.Fatal(err)
	}
	p, stop := startPoolWith(t, slowly("a", "b", "c"), PeersConfig{}, Options{Name: "lb-1", StateDir: dir, Hash: small, Logger: zerolog.Nop()})
	hear := func(v Verdict, hosts ...string) {
		t.Helper()
		for _, host := range hosts {
			p.checked(host, v, "", time.Now())
			eventually(t, host+" is "+v.String(), func() bool { return p.Snapshot().Host(host).Verdict == v })
		}
	}
	hear(Up, "a", "b")
	hear(Down, "c")
	<-p.Settled()
	hear(Up, "c") // its warm-up is to be written down
	hear(Down, "a")
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := p.Decide(ctx, Decision{Host: "b", State: Drain}); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "isn't on disk") {
		t.Errorf("got %v, want that it isn't on disk yet", err)
	}
	eventually(t, "the decision is in the ring", func() bool { return len(p.Snapshot().Table.Hosts()) == 2 })

	reader, err := os.OpenFile(pipe, os.O_RDONLY|syscall.O_NONBLOCK, 0) // the disk answers
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	if err := os.Remove(pipe); err != nil && !errors.Is(err, fs.ErrNotExist) { // the writer has tidied up
		t.Fatal(err)
	}
	if err := p.Decide(t.Context(), Decision{Host: "a", State: Maint}); err != nil {
		t.Error(err)
	}
	stop()
	m, _, err := loadMemory(dir)
	if err != nil || m.warmUps["c"].Number != 1 || m.decided.state("b").State != Drain || m.decided.state("a").State != Maint {
		t.Errorf("on disk: %+v, %v", m, err)
	}
}

func TestWhatHappensJustBeforeTheEndIsWrittenDown(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		l := live(t, slowly("a", "b"), Options{Logger: zerolog.Nop(), StateDir: dir})
		l.see(Up, "a")
		l.pass(settleLimit)
		for range 20 {
			l.checked("b", Up, "", time.Now())
			l.pass(time.Second)
			l.checked("b", Down, "", time.Now())
			l.pass(time.Second)
		}
		want := l.keeper.warmUps["b"].Number
		l.stop()
		if m, _, err := loadMemory(dir); err != nil || m.warmUps["b"].Number != want || want < 10 {
			t.Errorf("on disk is return %d, %v; it has returned %d times", m.warmUps["b"].Number, err, want)
		}
	})
}
