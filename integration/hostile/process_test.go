//go:build integration

package hostile

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// A process is lb, as a balancer or an agent. A balancer is two: a parent, and the generation
// that serves and gossips. Both are in one process group.
type process struct {
	t       *testing.T
	name    string
	log     string // file
	cmd     *exec.Cmd
	serving func() (pid int, err error) // the process that gossips
	exited  chan struct{}               // closed when all of it has ended

	watched int // the process that gossiped when the attack began; 0 if it was started later
	memory  int // kilobytes that it had then
}

// start starts lb with arguments, in dir. It ends with the test. For a balancer, the caller
// sets serving.
func start(t *testing.T, name, dir string, args ...string) *process {
	t.Helper()
	p := &process{t: t, name: name, log: filepath.Join(dir, name+".log"), cmd: exec.Command(lb, args...), exited: make(chan struct{})}
	log, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	all := struct{ io.Writer }{log} // no file: else Wait wouldn't wait for a generation, which writes there, too
	p.cmd.Dir, p.cmd.Stdout, p.cmd.Stderr = dir, all, all
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p.serving = func() (int, error) { return p.cmd.Process.Pid, nil }
	go func() {
		defer close(p.exited)
		defer log.Close()
		_ = p.cmd.Wait()
	}()
	t.Cleanup(p.end)
	return p
}

// end ends the process at once, and shows its log if the test has failed.
func (p *process) end() {
	if !p.down() { // else its number may be another group's
		_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
	}
	<-p.exited
	if p.t.Failed() {
		text, _ := os.ReadFile(p.log)
		p.t.Logf("the end of the log of %s:\n%s", p.name, text[max(0, len(text)-2000):])
	}
}

// stop tells the process to end, and waits until it has.
func (p *process) stop() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	<-p.exited
}

// down reports whether the process has ended.
func (p *process) down() bool {
	select {
	case <-p.exited:
		return true
	default:
		return false
	}
}

// watch takes note of what gossips, and of its memory, before an attack.
func (p *process) watch() {
	p.t.Helper()
	var err error
	if p.watched, err = p.serving(); err != nil {
		p.t.Fatalf("%s: %v", p.name, err)
	}
	p.memory = p.kilobytes(p.watched, "VmRSS")
}

// check fails the test if what gossiped before the attack has ended, or has taken much memory.
func (p *process) check() {
	p.t.Helper()
	if p.down() {
		p.t.Errorf("%s is down", p.name)
		return
	}
	now, err := p.serving()
	if err != nil || p.watched != 0 && now != p.watched {
		p.t.Errorf("%s: process %d serves after the attack, %d did before: %v", p.name, now, p.watched, err)
		return
	}
	more := p.kilobytes(now, "VmHWM") - p.memory
	p.t.Logf("%s: at most %d KB more", p.name, more)
	if more > maxMemory {
		p.t.Errorf("%s has taken %d KB more, at most %d are possible", p.name, more, maxMemory)
	}
}

// kilobytes returns a value of a process's status in the kernel: VmRSS is the memory that it
// has, VmHWM the most that it has had.
func (p *process) kilobytes(pid int, field string) int {
	p.t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		p.t.Errorf("%s: %v", p.name, err)
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, field+":"); ok {
			n := 0
			_, _ = fmt.Sscan(rest, &n)
			return n
		}
	}
	p.t.Errorf("%s: the kernel doesn't say %s", p.name, field)
	return 0
}

// A host is a machine's IDE. It records the tokens that it sees, and passes its checks.
type host struct {
	name string
	at   netip.AddrPort

	mu     sync.Mutex
	slow   chan struct{}  // requests wait until it is closed; nil if they don't
	tokens map[string]int // how often each came
	checks int
}

// newHost serves until the test ends: at an address, and at as many further ports.
func newHost(t *testing.T, name string, at netip.AddrPort, further uint16) *host {
	t.Helper()
	h := &host{name: name, at: at, tokens: map[string]int{}}
	server := &http.Server{Handler: h}
	var serving sync.WaitGroup
	t.Cleanup(func() { _ = server.Close(); serving.Wait() })
	for i := range 1 + further {
		ln, err := net.Listen("tcp", netip.AddrPortFrom(at.Addr(), at.Port()+i).String())
		if err != nil {
			t.Fatal(err)
		}
		serving.Go(func() { _ = server.Serve(ln) })
	}
	return h
}

// ServeHTTP implements http.Handler.
func (h *host) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.mu.Lock()
	slow := h.slow
	if token := r.URL.Query().Get("token"); token != "" {
		h.tokens[token]++
	} else {
		h.checks++
	}
	h.mu.Unlock()
	if slow != nil {
		select {
		case <-slow:
		case <-r.Context().Done():
		}
	}
	w.Header().Set("X-Host", h.name)
}

// slowDown makes requests wait until the returned func is called.
func (h *host) slowDown() (restore func()) {
	slow := make(chan struct{})
	h.mu.Lock()
	h.slow = slow
	h.mu.Unlock()
	return func() {
		close(slow)
		h.mu.Lock()
		h.slow = nil
		h.mu.Unlock()
	}
}

// seen returns how many tokens, and how many checks, have come.
func (h *host) seen() (tokens, checks int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.tokens), h.checks
}
