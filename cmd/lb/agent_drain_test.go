package main

import (
	"fmt"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"

	"tokenring/gossip"
)

// TestAnAgentDrainsItsHost: on SIGUSR1 until an operator ends it, and at SIGTERM with a deadline,
// at which a balancer closes the terminals and the agent leaves.
func TestAnAgentDrainsItsHost(t *testing.T) {
	t.Parallel()
	c, at := newChild(t, ""), ownLoopback()
	key := filepath.Join(filepath.Dir(c.config), "pool.key")
	if err := os.WriteFile(key, []byte(strings.Repeat("ab", 32)), 0o600); err != nil {
		t.Fatal(err)
	}
	c.edit("pool: {", fmt.Sprintf("pool: {bind: %q, secret_file: pool.key, ", at+":7946"))
	c.run(0)
	host := httptest.NewServer(ideHost())
	t.Cleanup(host.Close)
	agent := startAgent(t, nil, "--name=ide-2", "--address="+host.Listener.Addr().String(), "--bind="+at+":0", "--join="+at+":7946", "--secret-file="+key, "--drain=3s")
	serves := func() bool { return c.metric(`lb_host_serving{host="ide-2"}`) == 1 }
	drains := func() bool { return strings.Contains(c.ctl("hosts"), "draining; drain by the host itself") }
	c.wait("the agent's host", serves)
	var ws *websocket.Conn
	for i := 0; c.metric(`lb_host_sessions{host="ide-2"}`) == 0; i++ {
		ws = c.terminalOf(fmt.Sprint("user-", i), c.plain)
	}

	_ = agent.Process.Signal(syscall.SIGUSR1)
	c.wait("the drain", drains)
	c.ctl("ready", "ide-2", "--yes")
	c.wait("the end of the drain", serves)

	began := time.Now()
	_ = agent.Process.Signal(syscall.SIGTERM)
	c.wait("the drain with a deadline", drains)
	if err := c.echoes(ws); err != nil {
		t.Errorf("before the deadline: %v", err)
	}
	if err := agent.Wait(); err != nil || time.Since(began) < 3*time.Second {
		t.Errorf("the agent ended after %v with %v", time.Since(began), err)
	}
	if _, _, err := ws.Read(t.Context()); websocket.CloseStatus(err) != websocket.StatusGoingAway {
		t.Errorf("the terminal ended with %v", err)
	}
}

// TestASecondSignalLetsAnAgentLeaveAtOnce, though its drain goes on for long. The service manager
// hears how long that may be.
func TestASecondSignalLetsAnAgentLeaveAtOnce(t *testing.T) {
	t.Parallel()
	key := filepath.Join(t.TempDir(), "pool.key")
	if err := os.WriteFile(key, []byte(strings.Repeat("ab", 32)), 0o600); err != nil {
		t.Fatal(err)
	}
	at := ownLoopback() + ":7946"
	balancer := runBalancerMember(t, gossip.Config{Bind: at, SecretFile: key})
	manager := newServiceManager(t)
	agent := startAgent(t, manager.environment("300000"), "--name=ide-1", "--address=127.0.0.1:4000", "--bind=127.0.0.1:0", "--join="+at, "--secret-file="+key, "--drain=1h")
	manager.until("STATUS=announced")
	_ = agent.Process.Signal(syscall.SIGTERM)
	manager.until("STOPPING=1\nEXTEND_TIMEOUT_USEC=3630000000\nSTATUS=the host drains until ")
	manager.until("WATCHDOG=1")
	for deadline := time.Now().Add(30 * time.Second); !balancer.Members()["host/ide-1"].Metadata.Drain.Drains(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the balancer doesn't hear of the drain")
		}
	}
	_ = agent.Process.Signal(syscall.SIGTERM)
	manager.until("STOPPING=1\nEXTEND_TIMEOUT_USEC=30000000\n")
	if err := agent.Wait(); err != nil {
		t.Error(err)
	}
	if m, here := balancer.Members()["host/ide-1"]; here && !m.Metadata.Leaving {
		t.Errorf("the host was last announced as %+v, want that it leaves", m.Metadata)
	}
}

// startAgent runs an agent with a state directory of its own, and ends it with the test. env is
// nil for the environment of the test.
func startAgent(t *testing.T, env []string, flags ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command("lb", append([]string{"agent", "--state-dir=" + t.TempDir()}, flags...)...)
	cmd.Env = env
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	return cmd
}
