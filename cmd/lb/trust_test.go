//go:build integration

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
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

	"tokenring/testlog"
)

// A region is balancers and hosts, each a process with a directory of its own that
// stands for its machine.
type region struct {
	t         *testing.T
	root      string
	addresses map[string]string // by machine
	logs      map[string]*testlog.Buffer
}

// The machines of the runbook. Nobody gives the new secret to ide-3, which is hostile, nor
// in time to ide-4.
var (
	trustBalancers = []string{"lb-1", "lb-2"}
	trustHosts     = []string{"ide-1", "ide-2", "ide-3", "ide-4"}
)

// startRegion starts all machines with the same secrets, and waits until both balancers
// serve.
func startRegion(t *testing.T) *region {
	t.Helper()
	r := &region{t: t, root: t.TempDir(), addresses: map[string]string{}, logs: map[string]*testlog.Buffer{}}
	for _, machine := range append(trustBalancers, trustHosts...) {
		r.addresses[machine] = ownLoopback()
		r.logs[machine] = new(testlog.Buffer)
		r.write(machine, "pool.key", strings.Repeat("0a", 32)+"\n")
	}
	for i, lb := range trustBalancers {
		other := r.addresses[trustBalancers[1-i]]
		r.write(lb, "peers.key", strings.Repeat("0b", 32))
		r.write(lb, "admin.token", adminSecret)
		r.write(lb, "lb.yaml", strings.NewReplacer("NAME", lb, "OWN", r.addresses[lb], "OTHER", other).Replace(`
name: NAME
listen: [{address: "OWN:8080"}]
hash: {consistent: {partitions: 257, replicas: 20}}
pool: {bind: "OWN:7946", join: ["OTHER:7946"], secret_file: pool.key}
peers: {bind: "OWN:7947", join: ["OTHER:7947"], secret_file: peers.key}
health: {path: /healthz, interval: 1s, timeout: 1s, rise: 1, fall: 20}
admin: {address: "OWN:7000", token_file: admin.token}
state_dir: state
`))
		r.start(lb, "run", "-c", "etc/lb/lb.yaml")
	}
	for _, host := range trustHosts {
		at := r.addresses[host]
		r.start(host, "agent", "--demo", "--name", host, "--address", at+":4000", "--bind", at+":7946", "--join", r.addresses["lb-1"]+":7946", "--secret-file", "etc/lb/pool.key", "--state-dir", "state")
	}
	for _, lb := range trustBalancers {
		r.eventually(lb+" has all hosts in its ring", func() error { return r.has(lb, trustHosts...) })
	}
	return r
}

func (r *region) write(machine, name, content string) {
	r.t.Helper()
	file := filepath.Join(r.root, machine, "etc/lb", name)
	if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o700), os.WriteFile(file, []byte(content), 0o600)); err != nil {
		r.t.Fatal(err)
	}
}

// start runs lb on a machine until the test ends.
func (r *region) start(machine string, args ...string) {
	r.t.Helper()
	cmd := exec.Command("lb", args...)
	cmd.Dir = filepath.Join(r.root, machine)
	cmd.Stdout, cmd.Stderr = r.logs[machine], r.logs[machine]
	if err := cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		if err := cmd.Wait(); err != nil {
			r.t.Errorf("%s, after SIGTERM: %v", machine, err)
		}
		if r.t.Failed() {
			r.t.Logf("the log of %s:\n%s", machine, r.logs[machine].String())
		}
	})
}

// eventually waits until check finds nothing wrong. Other processes decide when that is:
// no channel leads there.
func (r *region) eventually(what string, check func() error) {
	r.t.Helper()
	for deadline := time.Now().Add(60 * time.Second); ; <-time.After(100 * time.Millisecond) {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			r.t.Fatalf("%s: not within a minute: %v", what, err)
		}
	}
}

// get asks the admin endpoint of a balancer.
func (r *region) get(lb, path string, into any) error {
	req, err := http.NewRequest("GET", "http://"+r.addresses[lb]+":7000"+path, nil)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+adminSecret)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	return json.NewDecoder(resp.Body).Decode(into)
}

// has returns an error unless a balancer has these hosts in its ring, among others, and
// they serve.
func (r *region) has(lb string, hosts ...string) error {
	for _, host := range hosts {
		var h struct {
			InRing  bool `json:"in_ring"`
			Serving bool
		}
		if err := r.get(lb, "/v1/hosts/"+host, &h); err != nil || !h.InRing || !h.Serving {
			return fmt.Errorf("%s on %s: %+v, %v", host, lb, h, err)
		}
	}
	return nil
}

// alarm returns what a balancer's alarm is.
func (r *region) alarm(lb string) string {
	var status struct{ Alarm string }
	if err := r.get(lb, "/v1/status", &status); err != nil {
		r.t.Fatal(err)
	}
	return status.Alarm
}

// A trustMember is a member in the answer of GET /v1/pool-key.
type trustMember struct {
	Name, Secret string
	Lost         bool
}

// members returns the secrets that a balancer sends with in a gossip, and the members by
// name.
func (r *region) members(lb, gossip string) (sends string, members map[string]trustMember) {
	r.t.Helper()
	var keys struct {
		Gossips []struct {
			Gossip  string
			Secrets []struct{ Digest string }
			Members []trustMember
		}
	}
	if err := r.get(lb, "/v1/pool-key", &keys); err != nil {
		r.t.Fatal(err)
	}
	members = map[string]trustMember{}
	for _, g := range keys.Gossips {
		if g.Gossip != gossip {
			continue
		}
		for _, m := range g.Members {
			members[m.Name] = m
		}
		sends = g.Secrets[0].Digest
	}
	return sends, members
}

// terminals opens a terminal on each of the hosts, through both balancers in turn, and
// types into it until the returned func is called, which fails the test if a terminal has
// ended.
func (r *region) terminals(hosts ...string) (end func()) {
	r.t.Helper()
	open := map[string]*websocket.Conn{}
	for i := 0; len(open) < len(hosts) && i < 1000; i++ {
		at := r.addresses[trustBalancers[i%2]]
		ws, _, err := websocket.Dial(r.t.Context(), fmt.Sprintf("ws://%s:8080/environment/websocket?mode=echo&token=user-%d", at, i), nil)
		if err != nil {
			r.t.Fatal(err)
		}
		r.t.Cleanup(func() { ws.CloseNow() })
		var hello struct{ Host string }
		if _, b, err := ws.Read(r.t.Context()); err != nil || json.Unmarshal(b, &hello) != nil {
			r.t.Fatalf("the host's first message: %q, %v", b, err)
		}
		for _, host := range hosts {
			if host == hello.Host && open[host] == nil {
				open[host] = ws
			}
		}
	}
	if len(open) != len(hosts) {
		r.t.Fatalf("terminals on %d hosts, want on all of %v", len(open), hosts)
	}
	stop := make(chan struct{})
	var typing sync.WaitGroup
	for host, ws := range open {
		typing.Go(func() { r.typeUntil(stop, host, ws) })
	}
	return sync.OnceFunc(func() {
		close(stop)
		typing.Wait()
	})
}

// typeUntil types into a terminal until stop is closed, or the terminal ends.
func (r *region) typeUntil(stop <-chan struct{}, host string, ws *websocket.Conn) {
	for {
		select {
		case <-stop:
			return
		case <-time.After(200 * time.Millisecond):
		}
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		err := ws.Write(ctx, websocket.MessageText, []byte("ls"))
		if err == nil {
			_, _, err = ws.Read(ctx)
		}
		cancel()
		if err != nil {
			r.t.Errorf("the terminal on %s has ended: %v", host, err)
			return
		}
	}
}

// shell returns a shell on lb-1, from which scp and ssh lead to the other machines.
func (r *region) shell() *readmeShell {
	r.t.Helper()
	bin := filepath.Join(r.root, "bin")
	for name, script := range map[string]string{
		"scp": `[ "$1" = -q ] && exec cp "$2" "` + r.root + `/${3%%:*}/${3#*:}"`,
		"ssh": `cd "` + r.root + `/$1" && shift && exec "$@"`,
	} {
		file := filepath.Join(bin, name)
		if err := errors.Join(os.MkdirAll(bin, 0o700), os.WriteFile(file, []byte("#!/bin/sh\n"+script+"\n"), 0o700)); err != nil {
			r.t.Fatal(err)
		}
	}
	return &readmeShell{t: r.t, dir: filepath.Join(r.root, "lb-1"), exports: []string{"export PATH=" + bin + `:"$PATH"`}}
}

// follow runs the commands of a block of docs/trust.md, none of which may fail, and
// returns what they write.
func (s *readmeShell) follow(block string) (out string) {
	s.t.Helper()
	out, err := s.try(block)
	if err != nil || strings.Contains(out, "hasn't got it") {
		s.t.Errorf("%s: %v\n%s", block, err, out)
	}
	return out
}

// try runs the commands of a block until one fails.
func (s *readmeShell) try(block string) (out string, err error) {
	s.t.Helper()
	for command := range strings.Lines(block) {
		command = strings.NewReplacer("/etc/lb/", "etc/lb/", "--wait 5m", "--wait 15s").Replace(strings.TrimSpace(command))
		if strings.HasPrefix(command, "export ") {
			s.exports = append(s.exports, command)
			continue
		}
		written, err := s.command(s.t.Context(), command).CombinedOutput()
		s.t.Logf("$ %s\n%s", command, written)
		if out += string(written); err != nil {
			return out, err
		}
	}
	return out, nil
}

// TestTheSecretsChangeAsTheRunbookSays follows docs/trust.md in a region that runs, with
// terminals open all the time. One host is hostile and keeps the old secret; one is
// forgotten, and is given the new secret at last.
func TestTheSecretsChangeAsTheRunbookSays(t *testing.T) {
	t.Parallel()
	var blocks []string
	for _, block := range fence.FindAllStringSubmatch(readFile(t, "../../docs/trust.md"), -1) {
		blocks = append(blocks, block[2])
	}
	if len(blocks) != 9 {
		t.Fatalf("docs/trust.md has %d blocks of commands, want 9", len(blocks))
	}
	r := startRegion(t)
	s := r.shell()
	before, _ := r.members("lb-1", "pool")
	end := r.terminals("ide-1", "ide-2", "ide-4")
	defer end()
	for _, block := range blocks[:5] {
		s.follow(block)
	}
	missed := "yet: host ide-4 at " + r.addresses["ide-4"] + ":7946 uses " + before
	if out, err := s.try(blocks[5]); err == nil || !strings.Contains(out, missed) || strings.Contains(out, missed+",") {
		t.Errorf("all members are said to have changed over, want %q alone: %v\n%s", missed, err, out)
	}
	s.follow(blocks[6])
	r.newSecretIsInUse("pool", before, "ide-1", "ide-2")
	for _, lb := range trustBalancers {
		r.eventually(lb+" has an alarm about the hosts that it refuses", func() error {
			for _, host := range []string{"ide-3", "ide-4"} {
				want := fmt.Sprintf("%s:7946 (secret of %q)", r.addresses[host], host)
				if alarm := r.alarm(lb); !strings.Contains(alarm, want) {
					return fmt.Errorf("no %s in %q", want, alarm)
				}
			}
			return r.has(lb, "ide-1", "ide-2", "ide-4")
		})
	}
	if log := r.logs["ide-4"].String(); !strings.Contains(log, "missed the change of the secret") {
		t.Error("a host that has missed the change doesn't say so")
	}
	s.follow(blocks[7])
	r.eventually("the forgotten host is a member again", func() error { return r.uses("lb-1", "pool", "ide-4") })

	before, _ = r.members("lb-1", "peers")
	s.follow(blocks[8])
	for _, block := range blocks[2:7] {
		s.follow(block)
	}
	r.newSecretIsInUse("peers", before, "lb-2")
	end()
	for _, lb := range trustBalancers {
		r.eventually(lb+" has the hosts in its ring", func() error { return r.has(lb, "ide-1", "ide-2", "ide-4") })
		for digest, what := range map[string]string{strings.Repeat("0a", 32): "pool's", strings.Repeat("0b", 32): "peers'"} {
			if strings.Contains(r.logs[lb].String(), digest) {
				t.Errorf("the log of %s has the %s secret", lb, what)
			}
		}
	}
}

// newSecretIsInUse checks that lb-1 has one secret in a gossip, another than before, and
// that the members use it.
func (r *region) newSecretIsInUse(gossip, before string, members ...string) {
	r.t.Helper()
	if sends, _ := r.members("lb-1", gossip); sends == before {
		r.t.Errorf("%s: the secret is still %s", gossip, before)
	}
	for _, member := range members {
		r.eventually(member+" uses the new secret", func() error { return r.uses("lb-1", gossip, member) })
	}
}

// uses returns an error unless a member uses the secret that a balancer sends with.
func (r *region) uses(lb, gossip, member string) error {
	sends, members := r.members(lb, gossip)
	if m, ok := members[member]; !ok || m.Lost || m.Secret != sends {
		return fmt.Errorf("%s sends in %s with %s, and has %+v", lb, gossip, sends, m)
	}
	return nil
}
