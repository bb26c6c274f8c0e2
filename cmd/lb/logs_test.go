package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestLogsAreRotated: after SIGUSR1 all processes of a balancer write to the new file, those
// with terminals from before a reload as well.
func TestLogsAreRotated(t *testing.T) {
	t.Parallel()
	c := newChild(t, "")
	c.edit("log: {access: false}", "log: {access: true, access_output: access.log}")
	c.run(0)
	file := filepath.Join(filepath.Dir(c.config), "access.log")
	old := c.terminal(c.tls)
	c.ctl("reload")
	pids := []int{c.cmd.Process.Pid}
	for _, g := range c.generations() {
		pids = append(pids, g.PID)
	}
	if len(pids) != 3 {
		t.Fatalf("the parent and its generations are %v", pids)
	}
	if err := os.Rename(file, file+".1"); err != nil {
		t.Fatal(err)
	}
	_ = c.cmd.Process.Signal(syscall.SIGUSR1)
	c.wait("all processes to write to the new file", func() bool {
		for _, pid := range pids {
			if hasOpen(t, pid, file+".1") {
				return false
			}
		}
		return true
	})
	before := content(t, file+".1")
	old.CloseNow()
	if err := c.askOnce(); err != nil {
		t.Fatal(err)
	}
	c.wait("both lines", func() bool {
		text := content(t, file)
		return strings.Contains(text, `"status":101`) && strings.Contains(text, `"status":200`)
	})
	if after := content(t, file+".1"); after != before || !strings.Contains(before, `"status":101`) {
		t.Errorf("the file that was moved away had\n%s\nand has\n%s", before, after)
	}
}

// hasOpen reports whether a process has a file open.
func hasOpen(t *testing.T, pid int, file string) bool {
	t.Helper()
	dir := fmt.Sprintf("/proc/%d/fd", pid)
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if to, err := os.Readlink(filepath.Join(dir, e.Name())); err == nil && to == file {
			return true
		}
	}
	return false
}

func content(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return string(text)
}
