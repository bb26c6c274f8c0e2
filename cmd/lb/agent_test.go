package main

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"
)

// TestADemoHostListensOnItsAddressOnly, so no other machine reaches a demo on loopback.
func TestADemoHostListensOnItsAddressOnly(t *testing.T) {
	key := filepath.Join(t.TempDir(), "pool.key")
	if err := os.WriteFile(key, []byte(strings.Repeat("ab", 32)), 0o600); err != nil {
		t.Fatal(err)
	}
	own, other := ownLoopback()+":4000", ownLoopback()+":4000"
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan output)
	go func() {
		ended <- runProgram(ctx, t, "agent", "--demo", "--name=a", "--address="+own,
			"--bind=127.0.0.1:0", "--join=127.0.0.1:1", "--secret-file="+key, "--state-dir="+t.TempDir())
	}()
	defer func() { cancel(); <-ended }()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		c, err := net.Dial("tcp", own)
		if err == nil {
			c.Close()
			break
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
	if c, err := net.Dial("tcp", other); err == nil {
		c.Close()
		t.Error("it listens on other addresses, too")
	}
}

// TestAnAgentKeepsItsKeyOrSaysThatItHasNone: with a key that is lost at the next start, the
// balancers would refuse the host then.
func TestAnAgentKeepsItsKeyOrSaysThatItHasNone(t *testing.T) {
	dir, blocked := t.TempDir(), filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(blocked, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	start := func(a agentCmd) (key, logged string, err error) {
		var log strings.Builder
		identity, err := a.identity(zerolog.New(&log))
		if identity != nil {
			key = identity.Key().String()
		}
		return key, log.String(), err
	}
	first, logged, err := start(agentCmd{Name: "a", StateDir: dir})
	if file := filepath.Join(dir, "agent.key"); err != nil || first == "" || !strings.Contains(logged, first) || !strings.Contains(logged, file) {
		t.Errorf("the first start: %v, it logs %s", err, logged)
	}
	if again, _, err := start(agentCmd{Name: "a", StateDir: dir}); err != nil || again != first {
		t.Errorf("the second start has the key %s after %s, %v", again, first, err)
	}
	if key, _, err := start(agentCmd{Name: "a", StateDir: filepath.Join(blocked, "agent")}); err == nil || key != "" {
		t.Errorf("the directory of the flag can't be used, but: %q, %v", key, err)
	}
	t.Setenv("XDG_STATE_HOME", dir)
	if key, _, err := start(agentCmd{Name: "b"}); err != nil || key == "" {
		t.Errorf("the default directory: %q, %v", key, err)
	}
	if _, err := os.Stat(filepath.Join(dir, "lb", "agent", "b", "agent.key")); err != nil {
		t.Error(err)
	}
	t.Setenv("XDG_STATE_HOME", blocked)
	if key, logged, err := start(agentCmd{Name: "b"}); err != nil || key != "" || !strings.Contains(logged, `"level":"warn"`) || !strings.Contains(logged, "--state-dir") {
		t.Errorf("the default directory can't be used: %q, %v; it logs %s", key, err, logged)
	}
}
