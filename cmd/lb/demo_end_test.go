package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"tokenring/testlog"
)

// A demoProcess is `lb demo` in its own process, with its own folder for its files.
type demoProcess struct {
	t      *testing.T
	cmd    *exec.Cmd
	keys   io.WriteCloser
	out    *os.File // what it says; the test's end
	errOut testlog.Buffer
	dir    string
	ended  chan error
}

// hangUps has processes that tests start get SIGHUP, also if the tests were started so that it is
// ignored, as by nohup: what a program handles isn't ignored by those that it starts.
var hangUps = sync.OnceFunc(func() { signal.Notify(make(chan os.Signal, 1), syscall.SIGHUP) })

// startDemoProcess runs the demo, after a line of shell.
func startDemoProcess(t *testing.T, before string) *demoProcess {
	t.Helper()
	hangUps()
	d := &demoProcess{t: t, dir: t.TempDir(), ended: make(chan error, 1)}
	d.cmd = exec.Command("sh", "-c", before+"exec lb demo --no-shell --port 0 --admin-port 0")
	d.cmd.Env = append(os.Environ(), "TMPDIR="+d.dir)
	d.cmd.Stderr = &d.errOut
	out, theirs, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	d.out, d.cmd.Stdout = out, theirs
	if d.keys, err = d.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := d.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	theirs.Close()
	go func() { d.ended <- d.cmd.Wait() }()
	t.Cleanup(func() {
		_ = d.cmd.Process.Kill()
		out.Close()
	})
	return d
}

// welcomes waits until the demo has printed which host each user has.
func (d *demoProcess) welcomes() {
	d.t.Helper()
	for lines := bufio.NewScanner(d.out); lines.Scan(); {
		if strings.HasPrefix(lines.Text(), "Users without a terminal yet") {
			return
		}
	}
	d.t.Fatalf("the demo ended without a welcome: %s", d.errOut.String())
}

// end waits until the process has ended, and wants its folder to be empty.
func (d *demoProcess) end() error {
	d.t.Helper()
	var err error
	select {
	case err = <-d.ended:
	case <-time.After(time.Minute):
		d.t.Fatal("the demo goes on")
	}
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		left, readErr := os.ReadDir(d.dir)
		if readErr != nil {
			d.t.Fatal(readErr)
		}
		if len(left) == 0 {
			return err
		}
		if time.Now().After(deadline) {
			d.t.Fatalf("the demo has left %v behind", left)
		}
	}
}

func TestTheDemoLeavesNothingBehindHoweverItEnds(t *testing.T) {
	t.Parallel()
	signals := func(all ...os.Signal) func(*demoProcess) {
		return func(d *demoProcess) {
			for _, s := range all {
				_ = d.cmd.Process.Signal(s)
			}
		}
	}
	for name, row := range map[string]struct {
		end  func(*demoProcess)
		says string // on standard error
		want string // the error of Wait
	}{
		"its terminal closes": {signals(syscall.SIGHUP), "", ""},
		"interrupted":         {signals(syscall.SIGINT), "", ""},
		"told to stop":        {signals(syscall.SIGTERM), "", ""},
		"quit":                {signals(syscall.SIGQUIT), "", ""},
		"killed":              {signals(syscall.SIGKILL), "", "signal: killed"},
		"nobody reads it": {func(d *demoProcess) {
			d.out.Close()
			_, _ = io.WriteString(d.keys, "x\n") // it answers
		}, "standard output: write /dev/stdout: broken pipe", "exit status 1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := startDemoProcess(t, "")
			d.welcomes()
			row.end(d)
			got := ""
			if err := d.end(); err != nil {
				got = err.Error()
			}
			if got != row.want || !strings.Contains(d.errOut.String(), row.says) {
				t.Errorf("it ended with %q, want %q, and printed: %s", got, row.want, d.errOut.String())
			}
		})
	}
}

func TestADemoThatCantStartLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	for _, files := range []int{9, 14, 16, 21} { // for the folder, the balancer, a host
		d := startDemoProcess(t, fmt.Sprintf("ulimit -n %d; ", files))
		if err := d.end(); err == nil || !strings.Contains(d.errOut.String(), "too many open files") {
			t.Errorf("with %d files it ended with %v, and printed: %s", files, err, d.errOut.String())
		}
	}
}
