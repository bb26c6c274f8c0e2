package main

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"tokenring/gossip"
	"tokenring/gossip/announcement"
	"tokenring/route"
	"tokenring/systemd"
)

// A serviceManager listens to what a service tells it, and always has room for more.
type serviceManager struct {
	t      *testing.T
	socket string

	mu   sync.Mutex
	told []string // that no test has read yet
}

func newServiceManager(t *testing.T) *serviceManager {
	t.Helper()
	m := &serviceManager{t: t, socket: filepath.Join(t.TempDir(), "notify.sock")}
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: m.socket, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	var listening sync.WaitGroup
	listening.Go(func() { m.listen(conn) })
	t.Cleanup(func() { conn.Close(); listening.Wait() })
	return m
}

// listen returns when conn is closed.
func (m *serviceManager) listen(conn *net.UnixConn) {
	buf := make([]byte, 4096)
	for {
		n, err := conn.Read(buf)
		if err != nil {
			return
		}
		m.mu.Lock()
		m.told = append(m.told, string(buf[:n]))
		m.mu.Unlock()
	}
}

// environment is that of a service with a watchdog.
func (m *serviceManager) environment(watchdog string) []string {
	return append(os.Environ(), "NOTIFY_SOCKET="+m.socket, "WATCHDOG_USEC="+watchdog)
}

// until reads messages up to the first that contains want, and returns all of them.
func (m *serviceManager) until(want string) (all []string) {
	m.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		m.mu.Lock()
		told := m.told
		at := slices.IndexFunc(told, func(message string) bool { return strings.Contains(message, want) })
		if at >= 0 {
			m.told = told[at+1:]
			m.mu.Unlock()
			return told[:at+1]
		}
		m.mu.Unlock()
		all = told
	}
	m.t.Fatalf("no %q in %q", want, all)
	return nil
}

// TestTheServiceManagerHearsOfTheAgent: that it is ready before any balancer has its host,
// whether one has it, that it works, and that it stops.
func TestTheServiceManagerHearsOfTheAgent(t *testing.T) {
	t.Parallel()
	key := filepath.Join(t.TempDir(), "pool.key")
	if err := os.WriteFile(key, []byte(strings.Repeat("ab", 32)), 0o600); err != nil {
		t.Fatal(err)
	}
	at := ownLoopback() + ":7946"
	manager := newServiceManager(t)
	cmd := exec.Command("lb", "agent", "--name=ide-1", "--address=127.0.0.1:4000", "--bind=127.0.0.1:0", "--join="+at, "--secret-file="+key, "--state-dir="+t.TempDir())
	cmd.Env = manager.environment("300000")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	first := manager.until("READY=1")
	if len(first) != 1 || first[0] != "READY=1\nSTATUS=looks for a balancer" {
		t.Errorf("the first messages are %q", first)
	}
	manager.until("WATCHDOG=1")
	runBalancerMember(t, gossip.Config{Bind: at, SecretFile: key})
	manager.until("STATUS=announced: balancer lb-1 has the host in its list")
	manager.until("WATCHDOG=1")
	_ = cmd.Process.Signal(syscall.SIGTERM)
	manager.until("STOPPING=1\nEXTEND_TIMEOUT_USEC=30000000\n")
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}

// runBalancerMember runs a member of the pool that is a balancer, until the test ends.
func runBalancerMember(t *testing.T, cfg gossip.Config) *gossip.Gossip {
	t.Helper()
	sockets, err := gossip.Listen(cfg.Bind)
	if err != nil {
		t.Fatal(err)
	}
	self := announcement.Metadata{Role: announcement.BalancerRole, Spec: route.Spec{Name: "lb-1"}}
	g, err := gossip.Open(cfg.WithLabel(gossip.PoolLabel), sockets, gossip.Options{Self: self, Filter: gossip.Filter{Anywhere: true}, Log: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { defer close(ended); g.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-ended })
	return g
}

// TestAnAgentThatHangsIsNotAlive, so that the watchdog ends it.
func TestAnAgentThatHangsIsNotAlive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &agentService{notifier: new(systemd.Notifier)}
		if s.alive(t.Context()) {
			t.Error("alive before it has begun")
		}
		s.tell("looks for a balancer")
		time.Sleep(gossip.RoundLimit - time.Second)
		if !s.alive(t.Context()) {
			t.Error("not alive between two rounds")
		}
		s.tell("looks for a balancer")
		time.Sleep(gossip.RoundLimit)
		if s.alive(t.Context()) {
			t.Error("alive without a round for so long")
		}
	})
}
