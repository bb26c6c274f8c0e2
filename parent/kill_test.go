package parent

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"tokenring/handover"
)

// killed is what the log says of a generation that is killed.
const killed = "killing a generation that doesn't obey"

// TestAGenerationThatDoesntRetireIsKilled: when it ran again, it would go on deciding.
func TestAGenerationThatDoesntRetireIsKilled(t *testing.T) {
	t.Parallel()
	s := start(t, behaviour{Stops: handover.KindRetire})
	old := dial(t, s.address)
	old.generation()
	pid := s.generations()[0].PID
	s.behave(behaviour{})
	s.reload()
	if !s.hasEnded(pid) {
		t.Error("another generation serves, and it lives")
	}
	old.expectEnd()
	if got := dial(t, s.address).generation(); got != "2" {
		t.Errorf("generation %s serves", got)
	}
	if log := s.log.String(); !strings.Contains(log, "retire: no answer within 500ms") || !strings.Contains(log, killed) {
		t.Error("the log doesn't say why it was killed")
	}
}

// TestTheNewestHasAnOlderGenerationKilled: when it is answered, a generation that hung has
// ended. It can't have a newer one killed.
func TestTheNewestHasAnOlderGenerationKilled(t *testing.T) {
	t.Parallel()
	s := start(t, behaviour{})
	first, second := dial(t, s.address), (*client)(nil)
	first.generation()
	pid := s.generations()[0].PID
	s.reload()
	second = dial(t, s.address)
	if _, got := first.ask("kill 2"); !strings.Contains(got, "isn't older") {
		t.Errorf("the first one got %q", got)
	}
	s.stop(pid)
	if _, got := second.ask("kill 1"); got != "kill 1" || !s.hasEnded(pid) {
		t.Errorf("got %q; the process has ended: %v", got, s.hasEnded(pid))
	}
	first.expectEnd()
	if _, got := second.ask("kill 1"); got != "kill 1" {
		t.Errorf("of one that has ended it got %q", got)
	}
}

// TestAGenerationThatHangsIsLeftAlone if there is nothing that it has to obey: its terminals
// go on when it does. Meanwhile operators see it, soon, and it is named as what is in the way.
func TestAGenerationThatHangsIsLeftAlone(t *testing.T) {
	t.Parallel()
	s := start(t, behaviour{})
	var old []*client
	for range 3 {
		old = append(old, dial(t, s.address))
		old[len(old)-1].generation()
		s.reload()
	}
	all := s.generations()
	for _, g := range all[:3] {
		s.stop(g.PID)
	}
	const soon = 2800 * time.Millisecond
	took := soon + 1
	for tries := 0; took > soon; tries++ { // a machine that has something else to do is slow at times
		if tries == 10 {
			t.Fatalf("it takes %v to hear that three generations hang", took)
		}
		began := time.Now()
		for i, g := range s.generations() {
			if g.Hangs != (i < 3) {
				t.Errorf("got %+v", g)
			}
		}
		took = time.Since(began)
	}
	want := fmt.Sprintf("doesn't answer, and its terminals must be known: link: no answer within 500ms; have its process go on, or end it and its terminals with: kill -9 %d", all[2].PID)
	if status, text := s.change("/v1/reload", "{}"); status != 502 || !strings.Contains(text, want) {
		t.Errorf("got %d %s", status, text)
	}
	if got := dial(t, s.address).generation(); got != "4" {
		t.Errorf("generation %s serves", got)
	}
	for i, g := range all[:3] {
		_ = syscall.Kill(g.PID, syscall.SIGCONT)
		if got := old[i].generation(); got != fmt.Sprint(i+1) {
			t.Errorf("an old connection is served by %s", got)
		}
	}
	s.eventually("they answer again", func() bool {
		for _, g := range s.generations() {
			if g.Hangs {
				return false
			}
		}
		return true
	})
	if strings.Contains(s.log.String(), killed) {
		t.Error("one was killed")
	}
}

// TestNobodyServesBesideTerminalsThatArentKnown: after a crash, an older generation that hangs
// can't say which terminals it has.
func TestNobodyServesBesideTerminalsThatArentKnown(t *testing.T) {
	t.Parallel()
	s := start(t, behaviour{})
	old := dial(t, s.address)
	old.generation()
	pid := s.generations()[0].PID
	s.reload()
	young := dial(t, s.address)
	young.generation()
	s.stop(pid)
	young.crash()
	if got := dial(t, s.address).generation(); got != "3" || !s.hasEnded(pid) {
		t.Errorf("generation %s serves; the one that hung has ended: %v", got, s.hasEnded(pid))
	}
	old.expectEnd()
}

// TestAGenerationThatDoesntCloseItsTerminalsIsKilled, so that there are never too many.
func TestAGenerationThatDoesntCloseItsTerminalsIsKilled(t *testing.T) {
	t.Parallel()
	s := start(t, behaviour{Max: 1, Stops: handover.KindEnd})
	for range 2 {
		dial(t, s.address).generation()
		s.reload()
	}
	s.eventually("one older generation is left", func() bool {
		all := s.generations()
		return len(all) == 2 && all[0].ID == 2
	})
	if !strings.Contains(s.log.String(), killed) {
		t.Error("the log doesn't say so")
	}
}

// stop stops a process until the test ends, as a debugger does.
func (s *service) stop(pid int) {
	s.t.Helper()
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = syscall.Kill(pid, syscall.SIGCONT) })
	s.eventually("it has stopped", func() bool {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		return err == nil && bytes.Contains(stat, []byte(") T "))
	})
}

// hasEnded reports whether a process has ended.
func (s *service) hasEnded(pid int) bool { return syscall.Kill(pid, 0) != nil }
