//go:build integration

// Package hashing runs a real HAProxy and a real nginx beside the policies that reproduce them.
package hashing

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"tokenring/balancer"
)

const (
	rounds = 24   // configurations
	tokens = 2000 // asked of each
	asking = 4    // connections to HAProxy
	most   = 12   // servers
)

// patience bounds the wait for a HAProxy that starts.
const patience = 30 * time.Second

// TestOursAndTheRealOneGiveTheSameAnswers asks both of them for random tokens under
// random configurations. Hosts that are disabled in HAProxy are not in our table;
// on a ring they are then put into it, and don't serve.
func TestOursAndTheRealOneGiveTheSameAnswers(t *testing.T) {
	release := version(t)
	seed := uint64(time.Now().Unix() / 86400) // other configurations and tokens each day
	rng := rand.New(rand.NewPCG(1, seed))
	t.Logf("HAProxy %s, seed %d", release, seed)
	sockets := serve(t)
	answers := 0
	for range rounds {
		c := random(rng, release)
		theirs := ask(t, c.start(t, sockets), randomTokens(rng))
		answers += len(theirs)
		compare(t, c, release, theirs)
	}
	if answers != rounds*tokens {
		t.Errorf("got %d answers, want %d", answers, rounds*tokens)
	}
}

// version returns that of the installed haproxy, which there must be.
func version(t *testing.T) string {
	t.Helper()
	out, err := exec.Command("haproxy", "-v").Output()
	if err != nil {
		t.Fatalf("haproxy -v: %v: install Debian's haproxy", err)
	}
	found := regexp.MustCompile(`version (\d+\.\d+)`).FindSubmatch(out)
	if found == nil {
		t.Fatalf("haproxy -v says %q", out)
	}
	return string(found[1])
}

// A configuration is a backend, as HAProxy has it and as we do.
type configuration struct {
	hash    balancer.HAProxyConfig
	words   string // of the hash-type line
	servers []server
}

type server struct {
	host     balancer.Host
	named    bool // the line gives the id
	disabled bool
}

func random(rng *rand.Rand, release string) configuration {
	functions := []string{"", "sdbm", "djb2", "wt6", "crc32"}
	if !strings.HasPrefix(release, "2.") {
		functions = append(functions, "none")
	}
	c := configuration{hash: balancer.HAProxyConfig{
		Type:     []string{balancer.HAProxyConsistent, balancer.HAProxyMapBased}[rng.IntN(2)],
		Function: functions[rng.IntN(len(functions))],
	}}
	c.words = c.hash.Type + " " + c.hash.Function
	if avalanche := true; c.hash.Function != "" && rng.IntN(2) == 0 {
		c.hash.Avalanche = &avalanche
		c.words += " avalanche"
	}
	heaviest := []int{1, 3, 20, 256}[rng.IntN(4)]
	numbered := rng.IntN(2) == 0 && c.hash.Type == balancer.HAProxyConsistent
	for i := range 1 + rng.IntN(most) {
		s := server{host: balancer.Host{Name: name(i), ID: uint32(i + 1), Weight: rng.IntN(heaviest + 1)}, disabled: rng.IntN(5) == 0}
		if s.named = numbered; numbered {
			s.host.ID = uint32(i+1) + uint32(rng.IntN(1<<27))*16 // differ modulo 16, and so modulo 2^20
		}
		c.servers = append(c.servers, s)
	}
	c.servers[0].disabled, c.servers[0].host.Weight = false, max(1, c.servers[0].host.Weight)
	return c
}

func name(i int) string { return fmt.Sprintf("s%d", i+1) }

// randomTokens returns tokens of all lengths and of all characters that HAProxy
// takes for a part of a value.
func randomTokens(rng *rand.Rand) []string {
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~%+,;=?@:/!*'()"
	list := make([]string, tokens)
	for i := range list {
		token := make([]byte, 1+rng.IntN(60))
		for j := range token {
			token[j] = letters[rng.IntN(len(letters))]
		}
		if list[i] = string(token); i%8 == 0 {
			list[i] = fmt.Sprint(int64(rng.Uint64())>>rng.IntN(60)) + []string{"", "7", "7654321", "x"}[rng.IntN(4)] // for hash-type none
		}
	}
	return list
}

// serve runs the servers, each of which answers with its name, and returns their
// sockets.
func serve(t *testing.T) []string {
	t.Helper()
	var sockets []string
	for i := range most {
		socket := filepath.Join(directory(t), "s")
		ln, err := net.Listen("unix", socket)
		if err != nil {
			t.Fatal(err)
		}
		srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-Server", name(i))
		})}
		var running sync.WaitGroup
		running.Go(func() { srv.Serve(ln) })
		t.Cleanup(func() {
			srv.Close()
			running.Wait()
		})
		sockets = append(sockets, socket)
	}
	return sockets
}

// directory returns one with a path that is short enough for a socket's.
func directory(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "lb")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// start runs HAProxy under c until the test ends, and returns a client of it.
func (c configuration) start(t *testing.T, sockets []string) *http.Client {
	t.Helper()
	dir := directory(t)
	socket, file := filepath.Join(dir, "f"), filepath.Join(dir, "haproxy.cfg")
	if err := os.WriteFile(file, []byte(c.text(socket, sockets)), 0o600); err != nil {
		t.Fatal(err)
	}
	return serving(t, socket, exec.Command("haproxy", "-db", "-f", file))
}

// serving runs a program until the test ends, and returns a client of the socket on which it listens.
// What it says stands beside the socket.
func serving(t *testing.T, socket string, cmd *exec.Cmd) *http.Client {
	t.Helper()
	out, err := os.Create(filepath.Join(filepath.Dir(socket), "out"))
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		out.Close()
	})
	await(t, socket, out.Name())
	return clientOf(t, socket)
}

// clientOf returns a client of whoever listens on a socket.
func clientOf(t *testing.T, socket string) *http.Client {
	transport := &http.Transport{MaxIdleConnsPerHost: asking, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: patience}
}

// await waits until somebody listens on a socket.
func await(t *testing.T, socket, log string) {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		conn, err := net.Dial("unix", socket)
		if err == nil {
			conn.Close()
			return
		}
		if time.Now().After(deadline) {
			said, _ := os.ReadFile(log)
			t.Fatalf("nothing answers: %v; it said:\n%s", err, said)
		}
	}
}

// text returns c as HAProxy reads it.
func (c configuration) text(socket string, sockets []string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "defaults\n mode http\n timeout connect 10s\n timeout client 60s\n timeout server 60s\n")
	fmt.Fprintf(&b, "frontend f\n bind unix@%s\n default_backend b\nbackend b\n balance url_param token\n hash-type %s\n", socket, c.words)
	for i, s := range c.servers {
		fmt.Fprintf(&b, " server %s unix@%s weight %d", s.host.Name, sockets[i], s.host.Weight)
		if s.named {
			fmt.Fprintf(&b, " id %d", s.host.ID)
		}
		if s.disabled {
			b.WriteString(" disabled")
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// An answer says which server HAProxy sent a token to.
type answer struct{ token, server string }

// ask returns who answers each of the tokens.
func ask(t *testing.T, client *http.Client, tokens []string) []answer {
	t.Helper()
	answers := make([]answer, len(tokens))
	var group sync.WaitGroup
	for first := range asking {
		group.Go(func() {
			for i := first; i < len(tokens); i += asking {
				answers[i] = answer{tokens[i], one(t, client, tokens[i])}
			}
		})
	}
	group.Wait()
	return answers
}

// one returns who answers token.
func one(t *testing.T, client *http.Client, token string) string {
	req, err := http.NewRequest(http.MethodGet, "http://ide.test/", nil)
	if err != nil {
		t.Error(err)
		return ""
	}
	req.URL.RawQuery = "token=" + token
	resp, err := client.Do(req)
	if err != nil {
		t.Error(err)
		return ""
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Errorf("%s: got status %d", token, resp.StatusCode)
	}
	return resp.Header.Get("X-Server")
}

// compare holds our answers against theirs. HAProxy from 3.0 on places servers in
// either way, depending on whether its release has the mistake; Debian's 3.0.11 has
// it.
func compare(t *testing.T, c configuration, release string, theirs []answer) {
	t.Helper()
	wrong := c.mistakes(t, theirs)
	if len(wrong) > 0 && strings.HasPrefix(release, "3.") && c.hash.Type == balancer.HAProxyConsistent {
		c.hash.HashKey = balancer.HAProxyHashKey30
		wrong = c.mistakes(t, theirs)
	}
	if len(wrong) > 0 {
		t.Errorf("hash-type %s, %+v: %d of %d answers differ, such as %s", c.words, c.servers, len(wrong), len(theirs), wrong[0])
	}
}

// mistakes returns where we differ.
func (c configuration) mistakes(t *testing.T, theirs []answer) (wrong []string) {
	t.Helper()
	var hosts, left []balancer.Host
	for _, s := range c.servers {
		if hosts = append(hosts, s.host); !s.disabled {
			left = append(left, s.host)
		}
	}
	without, with := c.build(t, left), c.build(t, hosts)
	up := make([]bool, len(with.Hosts()))
	for i, h := range with.Hosts() {
		for _, s := range c.servers {
			up[i] = up[i] || s.host.Name == h.Name && !s.disabled
		}
	}
	for _, a := range theirs {
		if got := without.Hosts()[without.Owner([]byte(a.token))].Name; got != a.server {
			wrong = append(wrong, fmt.Sprintf("%s: got %s, want %s", a.token, got, a.server))
		}
		picked, _ := with.Pick([]byte(a.token), up, -1)
		if got := with.Hosts()[picked].Name; c.hash.Type == balancer.HAProxyConsistent && got != a.server {
			wrong = append(wrong, fmt.Sprintf("%s, with those that are down: got %s, want %s", a.token, got, a.server))
		}
	}
	return wrong
}

func (c configuration) build(t *testing.T, hosts []balancer.Host) *balancer.Table {
	t.Helper()
	b, err := balancer.NewBuilder(balancer.Config{Policy: balancer.PolicyHAProxy, HAProxy: c.hash})
	if err != nil {
		t.Fatal(err)
	}
	table, err := b.Build(hosts)
	if err != nil {
		t.Fatal(err)
	}
	return table
}
