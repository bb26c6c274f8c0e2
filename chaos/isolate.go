package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
)

// isolated is set in the environment of the process that runs in namespaces of its own.
const isolated = "LB_CHAOS_ISOLATED"

// isolate runs this program again, as the first process of namespaces of its own: when it ends,
// whatever the reason, all that it has started ends, too, and its network is gone.
func isolate(ctx context.Context, o options) int {
	if os.Getuid() != 0 {
		return exit(errors.New("each process of the region has a network of its own, and only root can make these: run it as root"))
	}
	if o.seed == 0 {
		o.seed = 1 + rand.Uint64N(1_000_000)
	}
	if err := prepare(&o); err != nil {
		return exit(err)
	}
	cmd := exec.Command("/proc/self/exe", "-lb", o.lb, "-dir", o.dir, "-seed", fmt.Sprint(o.seed), "-duration", o.duration.String(),
		"-users", fmt.Sprint(o.users), "-mutant", o.mutant)
	cmd.Env = append(os.Environ(), isolated+"=1")
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWPID | syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL, Setpgid: true,
	}
	if err := cmd.Start(); err != nil {
		return exit(fmt.Errorf("make namespaces: %w", err))
	}
	defer context.AfterFunc(ctx, func() { _ = cmd.Process.Signal(syscall.SIGTERM) })()
	err := cmd.Wait()
	var ended *exec.ExitError
	if errors.As(err, &ended) {
		return max(1, ended.ExitCode())
	}
	return exit(err)
}

// prepare makes the run's directory, and paths absolute.
func prepare(o *options) error {
	var err error
	if o.lb, err = filepath.Abs(o.lb); err != nil {
		return err
	}
	if _, err := os.Stat(o.lb); err != nil {
		return err
	}
	if o.dir == "" {
		o.dir, err = os.MkdirTemp("", "lb-chaos-")
		return err
	}
	if o.dir, err = filepath.Abs(o.dir); err != nil {
		return err
	}
	if err := os.MkdirAll(o.dir, 0o700); err != nil {
		return err
	}
	entries, err := os.ReadDir(o.dir)
	if err == nil && len(entries) > 0 {
		err = fmt.Errorf("%s isn't empty", o.dir)
	}
	return err
}

// ownProcesses has /proc show the processes of this namespace.
func ownProcesses() error {
	if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("keep mounts apart: %w", err)
	}
	if err := syscall.Mount("proc", "/proc", "proc", 0, ""); err != nil {
		return fmt.Errorf("mount /proc: %w", err)
	}
	return nil
}
