package parent

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"tokenring/handover"
)

func TestAReloadLeavesConnectionsWhereTheyAre(t *testing.T) {
	t.Parallel()
	s := start(t, behaviour{})
	var clients []*client
	for i := 1; i <= 4; i++ {
		clients = append(clients, dial(t, s.address))
		if got := clients[i-1].generation(); got != fmt.Sprint(i) {
			t.Fatalf("generation %s serves, want %d", got, i)
		}
		s.reload()
	}
	for i, c := range clients {
		if got := c.generation(); got != fmt.Sprint(i+1) {
			t.Errorf("client %d is served by generation %s", i+1, got)
		}
	}
	if all := s.generations(); len(all) != 5 {
		t.Errorf("%d generations live, want 5", len(all))
	}
	for _, c := range clients {
		c.conn.Close()
	}
	s.eventually("generations without connections end", func() bool { return len(s.generations()) == 1 })
}

// TestNoConnectionIsRefusedWhileGenerationsChange opens connections all the time.
func TestNoConnectionIsRefusedWhileGenerationsChange(t *testing.T) {
	t.Parallel()
	s := start(t, behaviour{})
	ctx, stop := context.WithCancel(t.Context())
	var opening sync.WaitGroup
	opened := 0
	opening.Go(func() {
		for ctx.Err() == nil {
			c := dial(t, s.address)
			c.generation()
			c.conn.Close()
			opened++
		}
	})
	const reloads = 10
	for range reloads {
		s.reload()
	}
	stop()
	opening.Wait() // dial and generation fail the test
	if opened < reloads {
		t.Errorf("only %d connections were opened during %d reloads", opened, reloads)
	}
}

// TestAGenerationThatFailsChangesNothing: what fails before it serves is told, and what
// served goes on.
func TestAGenerationThatFailsChangesNothing(t *testing.T) {
	t.Parallel()
	for fails, want := range map[string]struct {
		status int
		text   string
	}{
		"start": {502, "the configuration is wrong"},
		"panic": {502, "panic: a bug"},
		"hang":  {502, "it waits for something"},
		"ready": {502, "exit status 7"},
	} {
		t.Run(fails, func(t *testing.T) {
			t.Parallel()
			s := start(t, behaviour{Ready: time.Second})
			c := dial(t, s.address)
			c.generation()
			s.behave(behaviour{Fails: fails})
			if status, text := s.change("/v1/reload", "{}"); status != want.status || !strings.Contains(text, want.text) {
				t.Errorf("got %d %s", status, text)
			}
			if got := c.generation() + dial(t, s.address).generation(); got != "11" {
				t.Errorf("generations %s serve, want the first", got)
			}
			if all := s.generations(); len(all) != 1 {
				t.Errorf("%d generations live", len(all))
			}
		})
	}
}

// TestWhatWasBeforeIsPutBack: a generation that fails when it serves, or soon after, is
// replaced by one with the configuration of before.
func TestWhatWasBeforeIsPutBack(t *testing.T) {
	t.Parallel()
	for _, fails := range []string{"serve", "soon"} {
		t.Run(fails, func(t *testing.T) {
			t.Parallel()
			s := start(t, behaviour{})
			c := dial(t, s.address)
			c.generation()
			s.behave(behaviour{Fails: fails})
			if status, text := s.change("/v1/reload", "{}"); (status == 200) != (fails == "soon") {
				t.Errorf("got %d %s", status, text)
			}
			s.eventually("generation 3 serves, with the configuration of the first", func() bool { return s.serving() == 3 })
			if got := dial(t, s.address).generation() + c.generation(); got != "31" {
				t.Errorf("generations %s serve", got)
			}
			if !strings.Contains(s.log.String(), "generation 3 gets what 1 knows") {
				t.Error("what the first one has kept is lost")
			}
		})
	}
}

// TestACrashedGenerationIsStartedAgain: connections of older generations live, and new ones
// wait until there is another generation.
func TestACrashedGenerationIsStartedAgain(t *testing.T) {
	t.Parallel()
	s := start(t, behaviour{})
	old := dial(t, s.address)
	old.generation()
	s.reload()
	dial(t, s.address).crash()
	if got := dial(t, s.address).generation(); got != "3" {
		t.Errorf("generation %s serves", got)
	}
	if got := old.generation(); got != "1" {
		t.Errorf("the old connection is served by %s", got)
	}
}

// TestACrashIsFollowedByTheConfigurationInForce: the file may have a mistake by then.
func TestACrashIsFollowedByTheConfigurationInForce(t *testing.T) {
	t.Parallel()
	s := start(t, behaviour{})
	s.behave(behaviour{Fails: "start"})
	dial(t, s.address).crash()
	if got := dial(t, s.address).generation(); got != "2" {
		t.Errorf("generation %s serves", got)
	}
}

func TestAChangeThatWantsAConfirmationGetsIt(t *testing.T) {
	t.Parallel()
	s := start(t, behaviour{})
	s.behave(behaviour{Refuse: "it moves many tokens"})
	if status, text := s.change("/v1/reload", "{}"); status != 409 || !strings.Contains(text, "moves many") {
		t.Errorf("got %d %s", status, text)
	}
	_ = s.cmd.Process.Signal(syscall.SIGHUP)
	s.logs("a signal can't confirm")
	if status, text := s.change("/v1/reload", `{"yes":true}`); status != 200 || !strings.Contains(text, `"changes":["something"]`) {
		t.Errorf("got %d %s", status, text)
	}
}

// TestOnlyItsUserMaySteerTheParent: the control socket wants no token.
func TestOnlyItsUserMaySteerTheParent(t *testing.T) {
	t.Parallel()
	s := start(t, behaviour{})
	info, err := os.Stat(filepath.Join(filepath.Dir(s.file), "control.sock"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("got %v, %v", info, err)
	}
}

func TestSignalsMakeChanges(t *testing.T) {
	t.Parallel()
	s := start(t, behaviour{})
	for i, signal := range []syscall.Signal{syscall.SIGHUP, syscall.SIGUSR2} {
		_ = s.cmd.Process.Signal(signal)
		s.eventually("another generation serves", func() bool { return s.serving() == i+2 })
	}
}

// TestTooManyGenerationsAreBounded: the oldest ones close what they carry.
func TestTooManyGenerationsAreBounded(t *testing.T) {
	t.Parallel()
	s := start(t, behaviour{Max: 2})
	for range 5 {
		dial(t, s.address).generation()
		s.reload()
	}
	s.eventually("two older generations are left", func() bool {
		all := s.generations()
		return len(all) == 3 && all[0].ID == 4
	})
}

// TestAnUpgradeReplacesTheParentToo: the process stays, and all that it has.
func TestAnUpgradeReplacesTheParentToo(t *testing.T) {
	t.Parallel()
	s := start(t, behaviour{Probation: time.Second})
	c := dial(t, s.address)
	c.generation()
	path := filepath.Join(filepath.Dir(s.file), "lb2")
	if err := os.Link(s.cmd.Path, path); err != nil {
		t.Fatal(err)
	}
	if status, text := s.change("/v1/upgrade", fmt.Sprintf(`{"binary":%q}`, path)); status != 200 {
		t.Fatalf("%d %s", status, text)
	}
	s.eventually("the parent runs the other program", func() bool {
		running, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", s.cmd.Process.Pid))
		return err == nil && running == path
	})
	s.eventually("it answers", func() bool { return s.serving() == 2 })
	if got := c.generation() + dial(t, s.address).generation(); got != "12" {
		t.Errorf("generations %s serve", got)
	}
	s.reload() // it goes on as before
	if got := dial(t, s.address).generation(); got != "3" {
		t.Errorf("generation %s serves", got)
	}
	dial(t, s.address).crash()
	if got := dial(t, s.address).generation(); got != "4" {
		t.Errorf("generation %s serves", got)
	}
	c.conn.Close()
	s.eventually("the one from before has ended", func() bool { all := s.generations(); return len(all) > 0 && all[0].ID > 1 })
}

// TestAnUpgradeOutlivesItsFiles: when the parent executes the new program, its file may be
// gone, the configuration may have a mistake, and a signal may come before it is handled.
func TestAnUpgradeOutlivesItsFiles(t *testing.T) {
	t.Parallel()
	s := start(t, behaviour{Probation: time.Second})
	path := filepath.Join(filepath.Dir(s.file), "lb2")
	if err := os.Link(s.cmd.Path, path); err != nil {
		t.Fatal(err)
	}
	if status, text := s.change("/v1/upgrade", fmt.Sprintf(`{"binary":%q}`, path)); status != 200 {
		t.Fatalf("%d %s", status, text)
	}
	s.behave(behaviour{Hangup: true})
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	s.logs("the parent runs another program now")
	s.reload()
	if got := dial(t, s.address).generation(); got != "3" {
		t.Errorf("generation %s serves", got)
	}
}

// TestASocketStaysOpenWhenARestartFails: clients wait in its queue.
func TestASocketStaysOpenWhenARestartFails(t *testing.T) {
	t.Parallel()
	stumble := filepath.Join(t.TempDir(), "stumble")
	s := start(t, behaviour{Stumbles: stumble})
	if err := os.WriteFile(stumble, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	dial(t, s.address).crash()
	if got := dial(t, s.address).generation(); got != "3" {
		t.Errorf("generation %s serves", got)
	}
}

// TestWhatIsPutBackStays: a start that fails doesn't bring back what has crashed.
func TestWhatIsPutBackStays(t *testing.T) {
	const probation = 5 * time.Second
	now := time.Now()
	before, newest := &binary{name: "before"}, &binary{name: "newest", file: os.NewFile(^uintptr(0), "none")}
	p := &Parent{source: source{newest, []byte("newest")}, previous: previous{source: source{before, []byte("before")}, until: now.Add(probation)}}
	for _, at := range []time.Time{now, now.Add(2 * probation)} {
		if p.putBack(at); p.binary != before || string(p.config) != "before" {
			t.Errorf("%v later: %s and %s are in force", at.Sub(now), p.binary.name, p.config)
		}
	}
}

func TestSocketsOfAGenerationThatFailsAreClosed(t *testing.T) {
	s := newSockets()
	defer s.close()
	kept, failed := handover.Socket{Network: handover.StreamSocket, Address: "127.0.0.1:0"}, handover.Socket{Network: handover.StreamSocket, Address: "127.0.0.1:0", N: 1}
	serving, next := newGeneration(1, new(os.Process), nil), newGeneration(2, new(os.Process), nil)
	for _, ask := range []struct {
		by   *generation
		want handover.Socket
	}{{serving, kept}, {next, kept}, {next, failed}} {
		files, err := s.open(ask.want, ask.by)
		if err != nil {
			t.Fatal(err)
		}
		handover.CloseAll(files)
	}
	s.discard(next, []*generation{serving})
	if len(s.files) != 1 || s.files[kept] == nil {
		t.Errorf("%v are open, want %v", s.files, kept)
	}
}

func TestAProgramThatCantRunIsRefused(t *testing.T) {
	t.Parallel()
	s := start(t, behaviour{})
	dir := filepath.Dir(s.file)
	for name, row := range map[string]struct {
		mode os.FileMode
		want string
	}{
		"text":  {0o755, "exec format error"},
		"data":  {0o644, "isn't an executable file"},
		"false": {0o755, "exit status 1"},
	} {
		path := filepath.Join(dir, name)
		var err error
		if name == "false" {
			err = os.Symlink("/bin/false", path)
		} else {
			err = os.WriteFile(path, []byte("not a program"), row.mode)
		}
		if err != nil {
			t.Fatal(err)
		}
		if status, text := s.change("/v1/upgrade", fmt.Sprintf(`{"binary":%q}`, path)); status != 422 || !strings.Contains(text, row.want) {
			t.Errorf("%s: got %d %s", name, status, text)
		}
	}
	if status, text := s.change("/v1/upgrade", `{"binary":"/nowhere"}`); status != 422 || !strings.Contains(text, "no such file") {
		t.Errorf("got %d %s", status, text)
	}
	if status, text := s.change("/v1/upgrade", `{"binary":"lb"}`); status != 422 || !strings.Contains(text, "absolute") {
		t.Errorf("got %d %s", status, text)
	}
	if s.serving() != 1 {
		t.Error("another generation serves")
	}
}

func TestAFirstGenerationThatFailsEndsIt(t *testing.T) {
	t.Parallel()
	s := prepare(t, behaviour{Fails: "start"})
	err := s.cmd.Run()
	if code := s.cmd.ProcessState.ExitCode(); code == 0 || !strings.Contains(s.log.String(), "the configuration is wrong") {
		t.Errorf("exit code %d, %v: %s", code, err, s.log)
	}
}

// TestASecondBalancerOfOneDirectoryIsRefused: two would write the same files.
func TestASecondBalancerOfOneDirectoryIsRefused(t *testing.T) {
	t.Parallel()
	s := start(t, behaviour{})
	other := exec.Command(s.cmd.Path, s.cmd.Args[1:]...)
	out, err := other.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "another balancer runs") && !strings.Contains(string(out), "address already in use") {
		t.Errorf("%v: %s", err, out)
	}
	if got := dial(t, s.address).generation(); got != "1" {
		t.Errorf("generation %s serves", got)
	}
}

// TestNoGenerationOutlivesTheParent: none is left behind, however the parent ends.
func TestNoGenerationOutlivesTheParent(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(s *service){
		"SIGTERM": func(s *service) { _ = s.cmd.Process.Signal(syscall.SIGTERM) },
		"twice": func(s *service) {
			dial(t, s.address).generation() // it would wait for this one
			_ = s.cmd.Process.Signal(syscall.SIGTERM)
			s.logs("generation 2 gets stop") // else the kernel may make one signal of both
			_ = s.cmd.Process.Signal(syscall.SIGTERM)
			s.logs("a second signal: ending at once")
		},
		"SIGKILL": func(s *service) { _ = s.cmd.Process.Kill() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t, behaviour{})
			s.reload()
			all := s.generations()
			end(s)
			<-s.ended
			for _, g := range all {
				s.eventually("its process has ended", func() bool { return syscall.Kill(g.PID, 0) != nil })
			}
		})
	}
}
