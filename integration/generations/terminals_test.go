//go:build integration

package generations

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"tokenring/handover"
)

// TestTerminalsLiveThroughUpgrades opens 5,000 idle and 200 busy terminals over TLS, from each
// of four generations, with three upgrades between them. Then the newest generation is killed.
func TestTerminalsLiveThroughUpgrades(t *testing.T) {
	const idle, busy, upgrades = 5000, 200, 3
	allowFiles(t, 14000)
	hosts := startHosts(t, 3)
	b := startBalancer(t, hosts, "")
	b.run("")
	programs := []string{lb, b.path("lb-a"), b.path("lb-b"), b.path("lb-c")}
	var open []*terminal
	traffic := newTraffic()
	defer traffic.stop()
	begin := time.Now()
	for i := range upgrades + 1 {
		if i > 0 {
			copyFile(t, lb, programs[i])
			out := b.mustCtl("upgrade", programs[i])
			t.Logf("after %v: %s", time.Since(begin).Round(time.Millisecond), out)
		}
		open = append(open, openMany(t, b.address, fmt.Sprintf("idle-%d", i), idle/(upgrades+1))...)
		traffic.add(openMany(t, b.address, fmt.Sprintf("busy-%d", i), busy/(upgrades+1)))
	}
	if took := time.Since(begin); took > time.Minute {
		t.Errorf("three upgrades took %v, and are to come within a minute", took)
	}
	report(t, b.generations())
	for i := range upgrades + 1 { // a second terminal of a token, through the newest generation
		token := fmt.Sprintf("idle-%d-0", i)
		second, err := openTerminal(b.address, token)
		if err != nil {
			t.Fatal(err)
		}
		open = append(open, second)
		defer second.conn.Close()
	}
	if two := onTwoHosts(hosts); len(two) > 0 {
		t.Errorf("%d tokens have terminals on two hosts: %s", len(two), two[0])
	}
	wantAll(t, open)
	if lost := traffic.lost.Load(); lost > 0 {
		t.Errorf("%d of %d busy terminals were cut", lost, busy)
	}
	kill(t, b, open)
	if lost := traffic.stop(); lost > busy/(upgrades+1) {
		t.Errorf("%d busy terminals were cut with the newest generation, which had %d", lost, busy/(upgrades+1))
	}
}

// kill kills the newest generation: its terminals end with it, the others live, and a new one
// waits until there is another generation.
func kill(t *testing.T, b *balancer, open []*terminal) {
	t.Helper()
	time.Sleep(6 * time.Second) // the probation of the last upgrade
	newest := b.serving()
	older := open[:len(open)-len(open)/4-4] // those of the first three generations
	if err := syscall.Kill(newest.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	fresh, err := openTerminal(b.address, "after-the-crash")
	if err != nil {
		t.Fatalf("after the newest generation was killed: %v", err)
	}
	defer fresh.conn.Close()
	if took := time.Since(begin); took > 2*time.Second {
		t.Errorf("a new terminal took %v after the newest generation was killed", took)
	} else {
		t.Logf("a new terminal took %v after the newest generation was killed", took.Round(time.Millisecond))
	}
	wantAll(t, older)
}

// wantAll wants all terminals to echo.
func wantAll(t *testing.T, open []*terminal) {
	t.Helper()
	var lost atomic.Int64
	each(len(open), func(i int) {
		if open[i].echoes() != nil {
			lost.Add(1)
		}
	})
	if n := lost.Load(); n > 0 {
		t.Errorf("%d of %d terminals were cut", n, len(open))
	}
}

// report logs what the generations cost.
func report(t *testing.T, all []handover.Generation) {
	t.Helper()
	for _, g := range all {
		t.Logf("generation %d: %s, %d terminals, %d MB, %.1f s of CPU", g.ID, g.State, g.Terminals, g.RSS>>20, g.CPU)
	}
}

// traffic are terminals that echo all the time.
type traffic struct {
	ctx    context.Context
	cancel context.CancelFunc
	group  sync.WaitGroup
	lost   atomic.Int64
}

func newTraffic() *traffic {
	ctx, cancel := context.WithCancel(context.Background())
	return &traffic{ctx: ctx, cancel: cancel}
}

func (f *traffic) add(all []*terminal) {
	for _, one := range all {
		f.group.Go(func() {
			for tick := time.NewTicker(250 * time.Millisecond); f.ctx.Err() == nil; <-tick.C {
				if err := one.echoes(); err != nil {
					f.lost.Add(1)
					return
				}
			}
		})
	}
}

// stop ends the traffic, and returns how many terminals were cut.
func (f *traffic) stop() int64 {
	f.cancel()
	f.group.Wait()
	return f.lost.Load()
}

// TestManyReloadsAreBounded makes twenty reloads, with terminals left in each generation.
func TestManyReloadsAreBounded(t *testing.T) {
	const reloads, each, most = 20, 10, 8
	allowFiles(t, 14000)
	hosts := startHosts(t, 3)
	b := startBalancer(t, hosts, "generations: {rate: 1000}")
	b.run("")
	var open []*terminal
	for i := range reloads {
		open = append(open, openMany(t, b.address, fmt.Sprint(i), each)...)
		b.mustCtl("reload")
	}
	b.eventually("no more than eight older generations", func() bool { return len(b.generations()) <= most+1 })
	before := b.generations()
	report(t, before)
	const quiet = 10 * time.Second
	time.Sleep(quiet)
	for i, g := range b.generations() {
		if i >= len(before) || g.ID != before[i].ID || g.State == handover.StateServing {
			continue
		}
		if used := g.CPU - before[i].CPU; used > 0.1 {
			t.Errorf("the idle generation %d used %.2f s of CPU in %v", g.ID, used, quiet)
		}
		if g.RSS > 60<<20 {
			t.Errorf("generation %d has %d MB for %d terminals", g.ID, g.RSS>>20, g.Terminals)
		}
	}
	wantAll(t, open[len(open)-most*each:])
	for _, one := range open {
		one.conn.Close()
	}
	b.eventually("generations without terminals to end", func() bool { return len(b.generations()) == 1 })
}

// TestWhatFailsCutsNothing tries reloads that can't be done.
func TestWhatFailsCutsNothing(t *testing.T) {
	allowFiles(t, 14000)
	hosts := startHosts(t, 3)
	b := startBalancer(t, hosts, "")
	state := b.path("state")
	if err := os.Mkdir(state, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", state, "tmpfs", 0, "size=6m"); err != nil {
		t.Fatalf("this test mounts a small disk: run it as root (%v)", err)
	}
	defer func() { _ = syscall.Unmount(state, syscall.MNT_DETACH) }()
	b.run("")
	open := openMany(t, b.address, "t", 50)
	wants := func(why string, args ...string) {
		t.Helper()
		out, err := b.ctl(args...)
		if err == nil || !strings.Contains(out, why) {
			t.Errorf("%v: want %q in %s", err, why, out)
		}
	}
	fill := filepath.Join(state, "fill")
	if err := os.WriteFile(fill, make([]byte, 5<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	wants("left on its disk", "reload")
	os.Remove(fill)
	b.replace("name: lb-1", "name: lb-1\nnames: [x]")
	wants("names", "reload")
	b.replace("names: [x]", "")
	for name, text := range map[string]string{
		"panics":  "#!/bin/sh\necho 'panic: a bug' >&2; exit 2\n",
		"nothing": "no program",
	} {
		b.write(name, text)
		if err := os.Chmod(b.path(name), 0o700); err != nil {
			t.Fatal(err)
		}
		wants("nothing was changed", "upgrade", b.path(name))
	}
	if all := b.generations(); len(all) != 1 || all[0].ID != 1 {
		t.Errorf("got %+v", all)
	}
	wantAll(t, open)
	b.mustCtl("reload")
	wantAll(t, open)
}

// TestAReloadWithFewDescriptorsLeft: nine of ten are in use.
func TestAReloadWithFewDescriptorsLeft(t *testing.T) {
	const files = 1000
	allowFiles(t, 14000)
	hosts := startHosts(t, 3)
	b := startBalancer(t, hosts, "limits: {connections: 440}")
	b.run(fmt.Sprintf("ulimit -n %d; ", files))
	open := openMany(t, b.address, "t", 430) // two files each
	if out, err := b.ctl("reload"); err != nil {
		t.Logf("refused: %s", out) // that is right as well, if it says why
	}
	wantAll(t, open)
	if err := b.ask("another"); err != nil {
		t.Errorf("another user: %v", err)
	}
}

// copyFile copies a program.
func copyFile(t *testing.T, from, to string) {
	t.Helper()
	text, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, text, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
}
