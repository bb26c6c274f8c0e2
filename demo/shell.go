package demo

import (
	"fmt"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"
)

const hangUpGrace = time.Second // from SIGHUP to SIGKILL

// findShell returns the user's shell, or one that most systems have, or "".
func findShell() string {
	for _, path := range []string{os.Getenv("SHELL"), "/bin/bash", "/bin/sh"} {
		if path == "" {
			continue
		}
		if _, err := exec.LookPath(path); err == nil {
			return path
		}
	}
	return ""
}

// ptyShell is a shell in a pseudo-terminal. It is the leader of its own session and process
// group.
type ptyShell struct {
	cmd   *exec.Cmd
	tty   *os.File
	close sync.Once
}

func startShell(path, host string) (program, error) {
	cmd := exec.Command(path)
	cmd.Env = append(os.Environ(), "TERM=xterm-256color", "TOKENRING_HOST="+host)
	if home, err := os.UserHomeDir(); err == nil {
		if st, err := os.Stat(home); err == nil && st.IsDir() {
			cmd.Dir = home
		}
	}
	tty, err := pty.StartWithSize(cmd, &pty.Winsize{Cols: 80, Rows: 24})
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", path, err)
	}
	s := &ptyShell{cmd: cmd, tty: tty}
	if s.tty, err = pollable(tty); err != nil {
		s.tty = tty
		_ = s.Close()
		return nil, fmt.Errorf("start %s: %w", path, err)
	}
	return s, nil
}

// pollable returns tty as a file whose Close interrupts its Read, and closes tty. The file
// of the pty package is in blocking mode.
func pollable(tty *os.File) (*os.File, error) {
	fd, err := unix.FcntlInt(tty.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		_ = unix.Close(fd)
		return nil, err
	}
	_ = tty.Close()
	return os.NewFile(uintptr(fd), tty.Name()), nil
}

func (s *ptyShell) Read(p []byte) (int, error)  { return s.tty.Read(p) }
func (s *ptyShell) Write(p []byte) (int, error) { return s.tty.Write(p) }

// Resize sets the terminal's size. It ignores impossible sizes.
func (s *ptyShell) Resize(cols, rows uint16) {
	if cols == 0 || rows == 0 || cols > 1000 || rows > 1000 {
		return
	}
	raw, err := s.tty.SyscallConn()
	if err != nil {
		return // it's closed
	}
	_ = raw.Control(func(fd uintptr) {
		_ = unix.IoctlSetWinsize(int(fd), unix.TIOCSWINSZ, &unix.Winsize{Col: cols, Row: rows})
	})
}

// Close sends SIGHUP to the shell and its process group, and closes the terminal, so that
// the kernel sends SIGHUP to its foreground processes. It kills what is left of the group
// after hangUpGrace.
func (s *ptyShell) Close() error {
	s.close.Do(s.hangUp)
	return nil
}

func (s *ptyShell) hangUp() {
	pid := s.cmd.Process.Pid
	_ = syscall.Kill(-pid, syscall.SIGHUP)
	_ = s.tty.Close()
	exited := make(chan struct{})
	go func() {
		defer close(exited)
		awaitExit(pid)
	}()
	grace := time.NewTimer(hangUpGrace)
	defer grace.Stop()
	select {
	case <-exited:
	case <-grace.C:
	}
	// Until Wait, the pid is the shell's even if the shell has exited, so this can't
	// kill another process.
	_ = syscall.Kill(-pid, syscall.SIGKILL)
	<-exited
	_ = s.cmd.Wait() // the exit status doesn't matter
}

// awaitExit returns when the child has exited. Wait must still be called for it.
func awaitExit(pid int) {
	for unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil) == unix.EINTR {
	}
}
