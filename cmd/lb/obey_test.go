package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"tokenring/handover"
)

// TestATokenIsOnOneHostThoughAnOlderProcessHangs: the older process can't end the terminal of
// a host in maint, and would carry it on when it runs again. So it has been killed before
// another host has the token.
func TestATokenIsOnOneHostThoughAnOlderProcessHangs(t *testing.T) {
	t.Parallel()
	c := newChild(t, "")
	var hanging, overlaps atomic.Int64 // the process that hangs, and terminals that began while it lived
	host := ideHost()
	watched := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if pid := int(hanging.Load()); pid != 0 && r.URL.Path == "/echo" && syscall.Kill(pid, 0) == nil {
			overlaps.Add(1)
		}
		host.ServeHTTP(w, r)
	})
	c.host.Config.Handler = watched
	second := httptest.NewServer(watched)
	t.Cleanup(second.Close)
	c.edit("pool: {hosts: [", fmt.Sprintf("pool: {hosts: [{name: ide-2, address: %q}, ", second.Listener.Addr()))
	c.run(0)
	old := c.terminal(c.tls)
	of := "ide-1"
	if c.metric(`lb_host_sessions{host="ide-2"}`) == 1 {
		of = "ide-2"
	}
	pid := c.pid()
	c.ctl("reload")
	stopProcess(c, pid)
	hanging.Store(int64(pid))
	for i, g := range c.generations() {
		if g.Hangs != (i == 0) {
			t.Errorf("got %+v", g)
		}
	}
	if table := c.ctl("generations"); !regexp.MustCompile(`\n1 +\d+ +old, hangs .* UTC +\? +\? `).MatchString(table) {
		t.Errorf("lb ctl generations says\n%s", table)
	}
	c.ctl("maint", of, "--yes")
	if err := c.echoes(c.terminal(c.tls)); err != nil {
		t.Error(err)
	}
	if n := overlaps.Load(); n != 0 {
		t.Errorf("%d terminals began while another process had the token elsewhere", n)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if _, _, err := old.Read(ctx); err == nil || ctx.Err() != nil {
		t.Error("the old terminal goes on")
	}
	killed := c.logged("killing a generation that doesn't obey")
	if len(killed) == 0 || killed[0]["terminals"] != 1.0 || killed[0]["why"] != "it hasn't ended terminals (maint): end key: no answer within 5s" {
		t.Errorf("the log says %v", killed)
	}
	c.wait("the log to say what was lost", func() bool { return len(c.logged("an older generation has ended before its terminals")) == 1 })
	if all := c.generations(); len(all) != 1 || all[0].State != handover.StateServing {
		t.Errorf("got %+v", all)
	}
}

// stopProcess stops a process of the child, as a debugger does.
func stopProcess(c *child, pid int) {
	c.t.Helper()
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { _ = syscall.Kill(pid, syscall.SIGCONT) })
	c.wait("the process to stop", func() bool {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		return err == nil && bytes.Contains(stat, []byte(") T "))
	})
}

// TestTheGenerationsAreListedThoughTheOneThatServesHangs: the parent knows them, too. When that
// process is killed, another one serves.
func TestTheGenerationsAreListedThoughTheOneThatServesHangs(t *testing.T) {
	t.Parallel()
	c := newChild(t, "")
	ln, err := net.Listen("tcp", "127.0.0.2:0") // a port that is free, and that no other test is given
	if err != nil {
		t.Fatal(err)
	}
	ln.Close()
	c.edit(`admin: {address: "127.0.0.1:0"`, fmt.Sprintf("admin: {address: %q", ln.Addr()))
	c.run(0)
	pid := c.pid()
	stopProcess(c, pid)
	if table, err := c.lb("ctl", "-c", c.config, "generations"); err != nil || !regexp.MustCompile(`\n1 +\d+ +serving, hangs `).MatchString(table) {
		t.Errorf("lb ctl generations says %v\n%s", err, table)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if err := c.echoes(c.terminal(c.tls)); err != nil {
		t.Error(err)
	}
}
