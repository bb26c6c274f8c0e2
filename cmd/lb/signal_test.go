package main

import (
	"errors"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestCommandsThatReadEndWithTheSignal: Ctrl-C must not wait for the end of
// standard input.
func TestCommandsThatReadEndWithTheSignal(t *testing.T) {
	taken := make(chan os.Signal, 1)
	signal.Notify(taken, os.Interrupt) // else the commands ignore it if this process was started in the background
	defer signal.Stop(taken)
	for _, args := range [][]string{{"explain", "-c", "../../testdata/config/examples/minimal.yaml"}, {"import", "-"}} {
		cmd := exec.Command("lb", args...)
		in, out, err := os.Pipe() // which stays open
		if err != nil {
			t.Fatal(err)
		}
		if _, err := out.WriteString("x\n"); err != nil {
			t.Fatal(err)
		}
		cmd.Stdin = in
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { ended <- cmd.Wait() }()
		for left := 1; left > 0; time.Sleep(time.Millisecond) { // until it reads
			if left, err = unix.IoctlGetInt(int(in.Fd()), unix.TIOCINQ); err != nil {
				t.Fatal(err)
			}
		}
		_ = cmd.Process.Signal(syscall.SIGINT)
		select {
		case err = <-ended:
		case <-time.After(20 * time.Second):
			_ = cmd.Process.Kill()
			err = <-ended
		}
		if signalOf(err) != syscall.SIGINT {
			t.Errorf("%v: ended with %v, want the signal", args, err)
		}
		in.Close()
		out.Close()
	}
}

// signalOf returns the signal that ended a process, -1 if none did.
func signalOf(err error) syscall.Signal {
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return -1
	}
	return exit.Sys().(syscall.WaitStatus).Signal()
}
