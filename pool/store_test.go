package pool

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"tokenring/gossip"
	"tokenring/peers"
	"tokenring/pool/ringfile"
	"tokenring/route"
)

// TestADiskThatHangsDelaysNoVerdict, no slow start, and no effect of an
// override. Only the answer to the operator waits.
func TestADiskThatHangsDelaysNoVerdict(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p, stop := startPoolWith(t, slowly("a", "b", "c"), gossip.Config{}, Options{Name: "lb-1", StateDir: dir, Hash: small, Logger: zerolog.Nop()})
	pipe := filepath.Join(dir, peers.JournalName)
	if err := syscall.Mkfifo(pipe, 0o600); err != nil { // to open it for writing hangs
		t.Fatal(err)
	}
	hear := func(v route.Verdict, hosts ...string) {
		t.Helper()
		for _, host := range hosts {
			p.checked(host, v, "", time.Now())
			eventually(t, host+" is "+v.String(), func() bool { return p.Snapshot().Host(host).Verdict == v })
		}
	}
	hear(route.Up, "a", "b")
	hear(route.Down, "c")
	<-p.Ready()
	hear(route.Up, "c") // its slow start is to be written down
	hear(route.Down, "a")
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := p.Override(ctx, route.Override{Host: "b", State: route.Drain}); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "isn't on disk") {
		t.Errorf("got %v, want that it isn't on disk yet", err)
	}
	eventually(t, "the override is in the ring", func() bool { return len(p.Snapshot().Table.Hosts()) == 2 })

	reader, err := os.OpenFile(pipe, os.O_RDONLY|syscall.O_NONBLOCK, 0) // the disk answers
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	if err := os.Remove(pipe); err != nil && !errors.Is(err, fs.ErrNotExist) { // the writer has tidied up
		t.Fatal(err)
	}
	if err := p.Override(t.Context(), route.Override{Host: "a", State: route.Maint}); err != nil {
		t.Error(err)
	}
	stop()
	s := onDisk(t, dir)
	if s.SlowStart("c").Number != 1 || s.State("b").State != route.Drain || s.State("a").State != route.Maint {
		t.Errorf("%d registers are on disk", s.Len())
	}
}

// TestAHostInMaintenanceDoesNotServeAfterACrash: the balancer ends before
// it has written decisions.json, as in a crash just after the operator's answer.
func TestAHostInMaintenanceDoesNotServeAfterACrash(t *testing.T) {
	dir, crashed := t.TempDir(), t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		l := live(t, statics("a", "b"), Options{Logger: zerolog.Nop(), StateDir: dir})
		l.see(route.Up, "a", "b")
		if err := l.override("a", route.Maint); err != nil {
			t.Fatal(err)
		}
		if err := os.CopyFS(crashed, os.DirFS(dir)); err != nil {
			t.Fatal(err)
		}
		l.stop()
		if names := filesIn(t, dir); !slices.Equal(names, []string{peers.FileName, gossip.CacheName, ringfile.Name}) {
			t.Errorf("a clean stop leaves %v", names)
		}
	})
	if names := filesIn(t, crashed); !slices.Contains(names, peers.JournalName) || slices.Contains(names, peers.FileName) {
		t.Fatalf("the crash left %v", names)
	}
	synctest.Test(t, func(t *testing.T) {
		l := live(t, statics("a", "b"), Options{Logger: zerolog.Nop(), StateDir: crashed})
		defer l.stop()
		if got := l.shots[0].Host("a"); got.State != route.Maint || got.StateOverride.Reason != "disk" {
			t.Errorf("in the first snapshot: %+v", got)
		}
		l.see(route.Up, "a", "b")
		l.wantRing("b", "after a crash")
	})
}

func TestSlowStartsJustBeforeTheEndAreOnDisk(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		l := live(t, slowly("a", "b"), Options{Logger: zerolog.Nop(), StateDir: dir})
		l.see(route.Up, "a")
		l.pass(readyLimit)
		for range 20 {
			l.checked("b", route.Up, "", time.Now())
			l.pass(time.Second)
			l.checked("b", route.Down, "", time.Now())
			l.pass(time.Second)
		}
		want := l.machine.registers.SlowStart("b").Number
		l.stop()
		if got := onDisk(t, dir).SlowStart("b").Number; got != want || want < 10 {
			t.Errorf("on disk is return %d; it has returned %d times", got, want)
		}
	})
}
