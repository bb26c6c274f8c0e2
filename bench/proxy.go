package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// A proxy is one of the programs that are compared, and how to start it.
type proxy struct {
	name    string
	config  string                       // its template in configs/
	command func(config string) []string // keeps it in the foreground
	version []string                     // prints the version on its first line
}

// subject is the name of the proxy that the others are there to judge.
const subject = "lb"

func proxies(lb string) []proxy {
	return []proxy{
		{
			name: subject, config: "lb.yaml",
			command: func(config string) []string { return []string{lb, "run", "-c", config} },
			version: []string{lb, "version"},
		},
		{
			name: "haproxy", config: "haproxy.cfg",
			command: func(config string) []string { return []string{"haproxy", "-db", "-f", config} },
			version: []string{"haproxy", "-v"},
		},
		{
			name: "nginx", config: "nginx.conf",
			command: func(config string) []string {
				return []string{"nginx", "-p", filepath.Dir(config), "-e", "stderr", "-c", config}
			},
			version: []string{"nginx", "-v"},
		},
	}
}

// A process is a running proxy. stop must be called.
type process struct {
	cmd    *exec.Cmd
	cancel context.CancelFunc
	output string // the file that its standard output and error go to
}

// start starts the proxy on one core. It doesn't wait until the proxy is ready.
func (p proxy) start(ctx context.Context, j job, core int) (*process, error) {
	config, err := j.configure(p.config)
	if err != nil {
		return nil, err
	}
	output, err := os.Create(filepath.Join(j.Dir, p.name+".out"))
	if err != nil {
		return nil, err
	}
	defer output.Close()
	ctx, cancel := context.WithCancel(ctx)
	args := append([]string{"-c", strconv.Itoa(core)}, p.command(config)...)
	cmd := exec.CommandContext(ctx, "taskset", args...) // becomes the proxy: its pid is the proxy's
	cmd.Env = append(os.Environ(), "GOMAXPROCS=1")
	cmd.Stdout, cmd.Stderr = output, output
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	gently(cmd)
	if err := cmd.Start(); err != nil {
		cancel()
		return nil, fmt.Errorf("start %s: %w", p.name, err)
	}
	return &process{cmd: cmd, cancel: cancel, output: output.Name()}, nil
}

func (p *process) pid() int { return p.cmd.Process.Pid }

// stop ends the process and waits for that.
func (p *process) stop() {
	p.cancel()
	_ = p.cmd.Wait()                            // an exit by SIGTERM is what is wanted
	_ = syscall.Kill(-p.pid(), syscall.SIGKILL) // its children, if it had to be killed
}

// said returns the end of what the process has printed, for an error message.
func (p *process) said() string {
	const enough = 2000
	data, err := os.ReadFile(p.output)
	if err != nil {
		return err.Error()
	}
	return strings.TrimSpace(string(data[max(0, len(data)-enough):]))
}

// gently has the end of cmd's context end the process with SIGTERM, and kill it
// only after some seconds.
func gently(cmd *exec.Cmd) {
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 5 * time.Second
}

// firstLine runs a command and returns the first line that it prints.
func firstLine(ctx context.Context, command []string) string {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	out, _ := exec.CommandContext(ctx, command[0], command[1:]...).CombinedOutput() // wrk -v exits with 1
	line, _, _ := bytes.Cut(out, []byte("\n"))
	return strings.TrimSpace(string(line))
}
