// Package region runs the balancers and hosts of a chaos run, each in a node of a network of
// its own, and breaks them.
package region

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"tokenring/chaos/network"
)

// A process is a program in a node, with all that it starts: a process group.
type process struct {
	cmd    *exec.Cmd
	exited chan struct{} // closed when the program has ended
}

// start starts a program, whose output is added to NAME.log in dir.
func start(node *network.Node, dir, name, program string, args ...string) (*process, error) {
	log, err := os.OpenFile(filepath.Join(dir, name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	p := &process{cmd: exec.Command(program, args...), exited: make(chan struct{})}
	p.cmd.Dir, p.cmd.Stdout, p.cmd.Stderr = dir, log, log
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := node.Start(p.cmd); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	go func() { // ends with the process, for which all who end it wait
		_ = p.cmd.Wait()
		close(p.exited)
	}()
	return p, nil
}

// signal sends a signal to the whole group. It is safe on a process that has ended or that is
// nil.
func (p *process) signal(s syscall.Signal) {
	if p != nil {
		_ = syscall.Kill(-p.cmd.Process.Pid, s)
	}
}

// kill ends the program and all processes that come from it at once, whatever their groups.
func (p *process) kill() {
	if p == nil {
		return
	}
	all := descendants(p.cmd.Process.Pid)
	p.signal(syscall.SIGKILL)
	for _, pid := range all {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	<-p.exited
	for _, pid := range all { // they are children of this process now, the first of its namespace
		_, _ = syscall.Wait4(pid, nil, 0, nil)
	}
}

// descendants returns the processes that come from one.
func descendants(of int) (all []int) {
	files, _ := filepath.Glob("/proc/[0-9]*/stat") // the pattern is a good one
	children := map[int][]int{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // it has ended
		}
		var pid, parent int
		var state string
		_, _ = fmt.Sscan(string(text), &pid)
		_, rest, _ := strings.Cut(string(text), ") ") // after the name
		if n, _ := fmt.Sscan(rest, &state, &parent); n == 2 {
			children[parent] = append(children[parent], pid)
		}
	}
	for next := []int{of}; len(next) > 0; {
		next = append(next[1:], children[next[0]]...)
		if len(next) > 0 {
			all = append(all, next[0])
		}
	}
	return all
}

// stop asks the program to end, and waits until it has.
func (p *process) stop() {
	if p != nil {
		_ = p.cmd.Process.Signal(syscall.SIGTERM)
		<-p.exited
	}
}

// running reports whether the program runs.
func (p *process) running() bool {
	if p == nil {
		return false
	}
	select {
	case <-p.exited:
		return false
	default:
		return true
	}
}
