package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"tokenring/health"
	"tokenring/lease"
	"tokenring/stream"
)

func TestTheFlagsOfAGate(t *testing.T) {
	file := filepath.Join(t.TempDir(), "balancers")
	if err := os.WriteFile(file, []byte("lb-1=x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	key := func(n int) string { return fmt.Sprintf("lb-%d=%064x", n, n) }
	three := []string{key(1), key(2), key(3)}
	for _, row := range []struct {
		flags gateFlags
		want  string
	}{
		{gateFlags{}, ""},
		{gateFlags{Gate: ":80", To: "127.0.0.1:81", Balancer: three}, ""},
		{gateFlags{To: "127.0.0.1:81"}, "--to, --balancer, --balancers-file and --lease are for --gate, which isn't there"},
		{gateFlags{Gate: ":80", Balancer: three}, "--gate needs --to: where the IDE listens, such as 127.0.0.1:4001"},
		{gateFlags{Gate: ":80", To: "127.0.0.1:81"}, "--gate needs either --balancer NAME=KEY for each balancer, or --balancers-file"},
		{gateFlags{Gate: ":80", To: "127.0.0.1:81", Balancer: three, BalancersFile: file}, "--gate needs either --balancer NAME=KEY for each balancer, or --balancers-file"},
		{gateFlags{Gate: ":80", To: "127.0.0.1:81", Balancer: three[:2]}, "--balancer: there are fewer than three balancers: one that is away would close all terminals"},
		{gateFlags{Gate: ":80", To: "127.0.0.1:81", BalancersFile: file}, "--balancers-file " + file + ": line 1: want NAME=KEY, such as lb fingerprint writes it"},
		{gateFlags{Gate: "80", To: "127.0.0.1:81", Balancer: three}, "--gate 80: want IP:PORT"},
		{gateFlags{Gate: ":80", To: "localhost", Balancer: three}, "--to localhost: want IP:PORT"},
		{gateFlags{Gate: ":80", To: "127.0.0.1:81", Balancer: three, Lease: -1}, "--lease must be a time, such as 10s"},
		{gateFlags{Gate: ":80", To: "127.0.0.1:81", Balancer: three, GateField: "X:"}, `--gate-field "X:": want the name of a field, such as X-Lb-Second-Chance`},
	} {
		if row.flags.Gate != "" && row.flags.GateField == "" {
			row.flags.GateField = "X-Lb-Second-Chance"
		}
		got := ""
		if err := row.flags.check(); err != nil {
			got = err.Error()
		}
		if got != row.want {
			t.Errorf("%+v: got %q, want %q", row.flags, got, row.want)
		}
	}
}

// TestAnAgentsGateOpensForBalancers has an agent with a gate before its demo host, and balancers
// whose keys are in a file, which changes.
func TestAnAgentsGateOpensForBalancers(t *testing.T) {
	dir, at := t.TempDir(), ownLoopback()
	key, file := filepath.Join(dir, "pool.key"), filepath.Join(dir, "balancers")
	var lines []string
	var keys []stream.Identity
	for i := range 6 {
		keys = append(keys, stream.NewIdentity())
		lines = append(lines, fmt.Sprintf("lb-%d=%s\n", i+1, keys[i].Fingerprint()))
	}
	for name, text := range map[string]string{key: strings.Repeat("ab", 32), file: strings.Join(lines[:3], "")} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	manager := newServiceManager(t)
	t.Setenv("NOTIFY_SOCKET", manager.socket)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan output)
	go func() {
		ended <- runProgram(ctx, t, "agent", "--demo", "--name=a", "--address="+at+":4000", "--gate="+at+":4000", "--to="+at+":4001",
			"--balancers-file="+file, "--bind=127.0.0.1:0", "--join=127.0.0.1:1", "--secret-file="+key, "--state-dir="+dir)
	}()
	defer func() { cancel(); <-ended }()
	manager.until("READY=1\nSTATUS=fenced: no majority of the balancers reaches this host (none); ")
	answer := func() (status int, marked string) {
		resp, err := http.Get("http://" + at + ":4000/")
		if err != nil {
			return 0, err.Error()
		}
		resp.Body.Close()
		return resp.StatusCode, resp.Header.Get("X-Lb-Second-Chance")
	}
	if status, marked := answer(); status != 421 || marked != "fenced" {
		t.Errorf("without leases: %d %q", status, marked)
	}
	for _, k := range keys[:2] {
		leaseHost(t, "a", at+":4000", k)
	}
	manager.until("STATUS=open: balancers reach this host (lb-1, lb-2); ")
	if status, _ := answer(); status != 200 {
		t.Errorf("with leases: %d", status)
	}
	if err := os.WriteFile(file, []byte(strings.Join(lines[3:], "")), 0o600); err != nil {
		t.Fatal(err)
	}
	manager.until("STATUS=fenced: ")
}

// leaseHost has a balancer with a key give leases to a host, until the test ends.
func leaseHost(t *testing.T, host, address string, key stream.Identity) {
	m := health.New(health.Config{Interval: 100 * time.Millisecond, Timeout: 20 * time.Second}, zerolog.Nop(), func(string, health.Status) {})
	m.SetLeasing(health.Leasing{Prove: func(host, challenge string, _ bool) string {
		return lease.Claim{Host: host, Challenge: challenge, Length: time.Hour, Of: 3}.Prove(key.Public(), key.Sign)
	}})
	m.Watch([]health.Target{{Name: host, Address: address}})
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = m.Run(ctx) }()
	t.Cleanup(func() { stop(); <-done })
}
