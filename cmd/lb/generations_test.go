package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"

	"tokenring/handover"
)

// lb runs a command of the program, and returns what it has written.
func (c *child) lb(args ...string) (string, error) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, "lb", args...).CombinedOutput()
	return string(out), err
}

// ctl runs a command of lb ctl that must succeed.
func (c *child) ctl(args ...string) string {
	c.t.Helper()
	out, err := c.tryCtl(args...)
	if err != nil {
		c.t.Fatalf("lb ctl %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

// tryCtl runs a command of lb ctl, and returns what it has written.
func (c *child) tryCtl(args ...string) (string, error) {
	c.t.Helper()
	return c.lb(append([]string{"ctl", "-c", c.config, "--address", c.admin, "--token-file", filepath.Join(filepath.Dir(c.config), "admin.token")}, args...)...)
}

// generations returns the processes, as the parent tells them.
func (c *child) generations() []handover.Generation {
	c.t.Helper()
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", filepath.Join(filepath.Dir(c.config), "state", "control.sock"))
	}}}
	resp, err := client.Get("http://localhost/v1/generations")
	if err != nil {
		c.t.Fatal(err)
	}
	defer resp.Body.Close()
	var body struct{ Generations []handover.Generation }
	if err := json.NewDecoder(resp.Body).Decode(&body); err != nil {
		c.t.Fatal(err)
	}
	return body.Generations
}

// edit replaces a text in the configuration.
func (c *child) edit(old, replacement string) {
	c.t.Helper()
	text, err := os.ReadFile(c.config)
	if err != nil {
		c.t.Fatal(err)
	}
	if !bytes.Contains(text, []byte(old)) {
		c.t.Fatalf("the configuration has no %q", old)
	}
	if err := os.WriteFile(c.config, bytes.Replace(text, []byte(old), []byte(replacement), 1), 0o600); err != nil {
		c.t.Fatal(err)
	}
}

// TestAReloadCutsNoTerminal: terminals of all generations live, plain and with TLS, and end
// where they are.
func TestAReloadCutsNoTerminal(t *testing.T) {
	t.Parallel()
	c := startChild(t, 0, "")
	var open []*websocket.Conn
	for i := range 4 {
		open = append(open, c.terminal(c.plain), c.terminal(c.tls))
		if i == 1 {
			c.edit("rise: 1", "rise: 2")
		}
		out := c.ctl("reload")
		if want := "health.rise: 1 → 2\n"; strings.Contains(out, want) != (i == 1) || !strings.Contains(out, fmt.Sprintf("generation %d", i+2)) {
			t.Errorf("lb ctl reload says %q", out)
		}
	}
	for i, ws := range open {
		if err := c.echoes(ws); err != nil {
			t.Errorf("terminal %d: %v", i, err)
		}
	}
	all := c.generations()
	if len(all) != 5 {
		t.Fatalf("%d generations live, want 5: %+v", len(all), all)
	}
	for _, g := range all[:4] {
		if g.State != handover.StateOld || g.Terminals != 2 {
			t.Errorf("got %+v", g)
		}
	}
	for _, ws := range open {
		_ = ws.Close(websocket.StatusNormalClosure, "")
	}
	c.wait("generations without terminals to end", func() bool { return len(c.generations()) == 1 })
}

// TestTerminalsOfAllGenerationsCount: operators and limits see the sum.
func TestTerminalsOfAllGenerationsCount(t *testing.T) {
	t.Parallel()
	c := startChild(t, 0, "")
	c.terminal(c.plain)
	c.ctl("reload")
	c.terminal(c.tls)
	c.wait("two sessions", func() bool { return c.metric(`lb_host_sessions{host="ide-1"}`) == 2 })
	c.ctl("maint", "ide-1", "--yes")
	c.wait("none, in whichever process", func() bool { return c.metric(`lb_host_sessions{host="ide-1"}`) == 0 })
	c.wait("the older generation to end", func() bool { return len(c.generations()) == 1 })
}

// TestCountersGoOn: they never jump back, though processes end.
func TestCountersGoOn(t *testing.T) {
	t.Parallel()
	c := startChild(t, 0, "")
	const accepted = "lb_connections_total"
	ws := c.terminal(c.plain)
	before := c.metric(accepted)
	for range 2 {
		c.ctl("reload")
		for range 3 {
			if err := c.askOnce(); err != nil {
				t.Fatal(err)
			}
			after := c.metric(accepted)
			if after < before+1 {
				t.Errorf("%s is %v, was %v before another connection", accepted, after, before)
			}
			before = after
		}
	}
	if n := c.metric("lb_tunnels"); n != 1 {
		t.Errorf("lb_tunnels is %v, want the one of an older generation", n)
	}
	_ = ws.Close(websocket.StatusNormalClosure, "")
	c.wait("the older generations to end", func() bool { return len(c.generations()) == 1 })
	all := c.metrics()
	if all[accepted] < before || all["lb_tunnels"] != 0 {
		t.Errorf("after the older generation has ended: %s is %v, was %v; lb_tunnels is %v", accepted, all[accepted], before, all["lb_tunnels"])
	}
	count := 0.0
	for name, v := range all {
		if strings.HasPrefix(name, "lb_tunnels_ended_total") {
			count += v
		}
	}
	if count != 1 {
		t.Errorf("%v tunnels have ended, want 1", count)
	}
}

// TestNoCounterJumpsBackThoughTheProcessIsKilled: what was shown stays in the sum.
func TestNoCounterJumpsBackThoughTheProcessIsKilled(t *testing.T) {
	t.Parallel()
	c := startChild(t, 0, "")
	c.terminal(c.plain)
	c.ctl("reload")
	const accepted = "lb_connections_total"
	before := 0.0
	for range 3 {
		for range 3 {
			if err := c.askOnce(); err != nil {
				t.Fatal(err)
			}
			after := c.metric(accepted)
			if after < before+1 {
				t.Errorf("%s is %v, was %v before another connection", accepted, after, before)
			}
			before = after
		}
		if err := syscall.Kill(c.pid(), syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		c.operator.CloseIdleConnections()
	}
}

// TestAReloadThatCantBeDoneChangesNothing: a mistake is shown with its line.
func TestAReloadThatCantBeDoneChangesNothing(t *testing.T) {
	t.Parallel()
	c := startChild(t, 0, "")
	ws := c.terminal(c.tls)
	c.edit("name: lb-1", "name: lb-1\nlisten_to: 7")
	out, err := c.lb("ctl", "-c", c.config, "--address", c.admin, "--token-file", filepath.Join(filepath.Dir(c.config), "admin.token"), "reload")
	if err == nil || !strings.Contains(out, "nothing was changed") || !strings.Contains(out, "lb.yaml:3") || !strings.Contains(out, "listen_to") {
		t.Errorf("%v: %s", err, out)
	}
	c.edit("listen_to: 7", "tls_of_old: 1")
	_ = c.cmd.Process.Signal(syscall.SIGHUP)
	c.wait("the log to say why", func() bool { return len(c.logged("nothing was changed")) > 1 })
	if all := c.generations(); len(all) != 1 || all[0].ID != 1 {
		t.Errorf("got %+v", all)
	}
	if err := c.echoes(ws); err != nil {
		t.Error(err)
	}
}

// shortProbation is a part of the configuration. The parent looks once a second whether a
// probation is over.
const shortProbation = "generations: {probation: 1s}"

// TestAKilledGenerationIsReplaced: older terminals live, and new connections wait.
func TestAKilledGenerationIsReplaced(t *testing.T) {
	t.Parallel()
	c := startChild(t, 0, shortProbation)
	old := c.terminal(c.tls)
	c.ctl("reload")
	c.wait("generation 2 to be out of probation", func() bool { return time.Since(c.generations()[1].Started) > 3*time.Second })
	if err := syscall.Kill(c.pid(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	ws := c.terminal(c.tls)
	if took := time.Since(begin); took > 20*time.Second {
		t.Errorf("a new terminal took %v", took)
	}
	for _, ws := range []*websocket.Conn{old, ws} {
		if err := c.echoes(ws); err != nil {
			t.Error(err)
		}
	}
}

// TestNoHandshakeFailsDuringReloads opens TLS connections and asks, all the time.
func TestNoHandshakeFailsDuringReloads(t *testing.T) {
	t.Parallel()
	c := startChild(t, 0, "")
	ctx, stop := context.WithCancel(t.Context())
	var asking sync.WaitGroup
	var mu sync.Mutex
	asked, failures := 0, []error(nil)
	for range 2 {
		asking.Go(func() {
			for ctx.Err() == nil {
				err := c.askOnce()
				mu.Lock()
				if asked++; err != nil {
					failures = append(failures, err)
				}
				mu.Unlock()
			}
		})
	}
	kept := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}} // keeps its connection across all
	defer kept.CloseIdleConnections()
	const reloads = 5
	for range reloads {
		c.ctl("reload")
		resp, err := kept.Get("https://" + c.tls + "/?token=a")
		if err != nil {
			t.Errorf("on a kept connection: %v", err)
			continue
		}
		resp.Body.Close()
	}
	stop()
	asking.Wait()
	if len(failures) > 0 || asked < reloads {
		t.Errorf("%d of %d requests failed: %v", len(failures), asked, failures)
	}
}

// askOnce asks on a connection of its own.
func (c *child) askOnce() error {
	client := &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	resp, err := client.Get("https://" + c.tls + "/?token=a")
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("status %d", resp.StatusCode)
	}
	return nil
}

// TestAnUpgradeReplacesThePrograms: parent and generation.
func TestAnUpgradeReplacesThePrograms(t *testing.T) {
	t.Parallel()
	c := startChild(t, 0, shortProbation)
	ws := c.terminal(c.tls)
	lb, err := exec.LookPath("lb")
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(filepath.Dir(c.config), "next")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	next := filepath.Join(dir, "lb")
	if err := copyFile(lb, next); err != nil {
		t.Fatal(err)
	}
	c.ctl("upgrade", next)
	for _, pid := range []int{c.pid(), c.cmd.Process.Pid} {
		c.wait("the new program", func() bool {
			exe, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid))
			return err == nil && exe == next
		})
	}
	c.ctl("reload")
	// As a package does it: another file takes the place of the program's.
	if err := copyFile(lb, next+".new"); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(next+".new", next); err != nil {
		t.Fatal(err)
	}
	c.ctl("upgrade")
	for _, pid := range []int{c.pid(), c.cmd.Process.Pid} {
		c.wait("the program that is there now", func() bool {
			running, err := os.Stat(fmt.Sprintf("/proc/%d/exe", pid))
			file, fileErr := os.Stat(next)
			return err == nil && fileErr == nil && os.SameFile(running, file)
		})
	}
	c.wait("the parent to be ready for signals again", func() bool { return len(c.logged("the parent runs another program now")) == 2 })
	if err := c.echoes(ws); err != nil {
		t.Error(err)
	}
}

func copyFile(from, to string) error {
	text, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, text, 0o755)
}

// TestTheServiceManagerHearsOfTheBalancer: of its start, of each reload and its end, also of
// one that is refused, of its stop, and that it works, also when its program was replaced.
func TestTheServiceManagerHearsOfTheBalancer(t *testing.T) {
	t.Parallel()
	manager := newServiceManager(t)
	c := newChild(t, shortProbation)
	c.before = "export NOTIFY_SOCKET=" + manager.socket + " WATCHDOG_USEC=300000; "
	c.run(0)
	first := manager.until("READY=1")
	if last := first[len(first)-1]; last != "READY=1\nSTATUS=generation 1 serves, 0 older ones carry terminals" {
		t.Errorf("the first messages are %q", first)
	}
	manager.until("WATCHDOG=1")
	reloaded := func() {
		t.Helper()
		all := manager.until("RELOADING=1")
		if last := all[len(all)-1]; !strings.Contains(last, "\nMONOTONIC_USEC=") {
			t.Errorf("RELOADING came without its time: %q", last)
		}
		manager.until("READY=1")
	}
	c.ctl("reload")
	reloaded()
	c.edit("name: lb-1", "name: lb-1\nlisten_to: 7")
	_ = c.cmd.Process.Signal(syscall.SIGHUP)
	reloaded()
	c.edit("\nlisten_to: 7", "")
	lb, err := exec.LookPath("lb")
	if err != nil {
		t.Fatal(err)
	}
	next := filepath.Join(t.TempDir(), "lb")
	if err := copyFile(lb, next); err != nil {
		t.Fatal(err)
	}
	c.ctl("upgrade", next)
	reloaded()
	manager.until("READY=1") // of the next program
	manager.until("WATCHDOG=1")
	if err := c.end(syscall.SIGTERM); err != nil {
		t.Errorf("it ended with %v", err)
	}
	manager.until("STOPPING=1\nEXTEND_TIMEOUT_USEC=")
}

// TestATokenThatLingersOutlivesReloads, also when it has had its terminal in an older process.
func TestATokenThatLingersOutlivesReloads(t *testing.T) {
	t.Parallel()
	c := startChild(t, 0, "")
	ws := c.terminalOf("b", c.plain)
	if err := c.askOnce(); err != nil {
		t.Fatal(err)
	}
	linger := func(n float64) {
		t.Helper()
		c.wait(fmt.Sprintf("%v tokens that linger", n), func() bool { return c.metric("lb_sessions_lingering") == n })
	}
	linger(1)
	c.ctl("reload")
	linger(1)
	_ = ws.Close(websocket.StatusNormalClosure, "")
	linger(2)
	c.ctl("reload")
	linger(2)
}
