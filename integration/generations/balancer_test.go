//go:build integration

// Package generations tests that a reload and an upgrade cut no terminal, with the program as
// it is built and with as many terminals as a region has.
package generations

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
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"tokenring/handover"
	"tokenring/tlsterm"
)

// lb is the program under test.
var lb string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "lb-generations-")
	if err == nil {
		lb = filepath.Join(dir, "lb")
		var out []byte
		if out, err = exec.Command("go", "build", "-o", lb, "../../cmd/lb").CombinedOutput(); err != nil {
			err = fmt.Errorf("%w: %s", err, out)
		}
	}
	code := 1
	if err == nil {
		code = m.Run()
	} else {
		fmt.Fprintln(os.Stderr, err)
	}
	os.RemoveAll(dir)
	os.Exit(code)
}

// A balancer is lb run, with the hosts of a test.
type balancer struct {
	t       *testing.T
	dir     string
	cmd     *exec.Cmd
	ended   chan struct{}
	address string
	http    *http.Client // of the control socket
}

// startBalancer runs lb in front of hosts, with further lines of configuration.
func startBalancer(t *testing.T, hosts []*host, extra string) *balancer {
	t.Helper()
	b := &balancer{t: t, dir: t.TempDir(), address: freeAddress(t), ended: make(chan struct{})}
	cert, key, err := tlsterm.SelfSigned("localhost")
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, h := range hosts {
		list = append(list, fmt.Sprintf("{name: %s, address: %q}", h.name, h.address))
	}
	config := fmt.Sprintf(`
name: lb-1
listen: [{address: %q, tls: true}]
tls: {certificates: [{cert: ide.crt, key: ide.key}]}
pool: {hosts: [%s]}
health: {interval: 1s, timeout: 1s, rise: 1}
admin: {address: %q}
log: {access: false}
state_dir: state
shutdown: {grace: 1s}
%s
`, b.address, strings.Join(list, ", "), freeAddress(t), extra)
	b.write("lb.yaml", config)
	b.write("ide.crt", string(cert))
	b.write("ide.key", string(key))
	b.http = &http.Client{Timeout: time.Minute, Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", b.path("state/control.sock"))
	}}}
	return b
}

// run starts the process, after a line of shell, and waits until it serves.
func (b *balancer) run(before string) {
	b.t.Helper()
	log, err := os.Create(b.path("lb.log"))
	if err != nil {
		b.t.Fatal(err)
	}
	defer log.Close()
	b.cmd = exec.Command("sh", "-c", before+"exec "+lb+" run -c lb.yaml")
	b.cmd.Dir, b.cmd.Stdout, b.cmd.Stderr = b.dir, log, log
	if err := b.cmd.Start(); err != nil {
		b.t.Fatal(err)
	}
	go func() { _ = b.cmd.Wait(); close(b.ended) }()
	b.t.Cleanup(b.stop)
	b.eventually("it serves", func() bool { return len(b.generations()) == 1 })
}

func (b *balancer) stop() {
	_ = b.cmd.Process.Signal(syscall.SIGTERM)
	<-b.ended
	if b.t.Failed() {
		text, _ := os.ReadFile(b.path("lb.log"))
		b.t.Logf("the end of the log:\n%s", text[max(0, len(text)-6000):])
	}
}

func (b *balancer) path(name string) string { return filepath.Join(b.dir, name) }

func (b *balancer) write(name, text string) {
	b.t.Helper()
	if err := os.WriteFile(b.path(name), []byte(text), 0o600); err != nil {
		b.t.Fatal(err)
	}
}

// replace replaces a text in the configuration.
func (b *balancer) replace(old, replacement string) {
	b.t.Helper()
	text, err := os.ReadFile(b.path("lb.yaml"))
	if err != nil || !bytes.Contains(text, []byte(old)) {
		b.t.Fatalf("no %q in lb.yaml: %v", old, err)
	}
	b.write("lb.yaml", strings.Replace(string(text), old, replacement, 1))
}

// ctl runs lb ctl.
func (b *balancer) ctl(args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(b.t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, lb, append([]string{"ctl", "-c", b.path("lb.yaml")}, args...)...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// mustCtl runs lb ctl, which must succeed.
func (b *balancer) mustCtl(args ...string) string {
	b.t.Helper()
	out, err := b.ctl(args...)
	if err != nil {
		b.t.Fatalf("lb ctl %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

// generations returns the processes of the balancer, oldest first; nil if it doesn't answer.
func (b *balancer) generations() []handover.Generation {
	resp, err := b.http.Get("http://localhost/v1/generations")
	if err != nil {
		return nil
	}
	defer resp.Body.Close()
	var body struct{ Generations []handover.Generation }
	if json.NewDecoder(resp.Body).Decode(&body) != nil {
		return nil
	}
	return body.Generations
}

// serving returns the process that serves.
func (b *balancer) serving() handover.Generation {
	b.t.Helper()
	for _, g := range b.generations() {
		if g.State == handover.StateServing {
			return g
		}
	}
	b.t.Fatal("none serves")
	return handover.Generation{}
}

func (b *balancer) eventually(what string, ok func() bool) {
	b.t.Helper()
	for end := time.Now().Add(30 * time.Second); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			b.t.Fatalf("not in time: %s", what)
		}
	}
}

// ask asks over a TLS connection of its own, and returns the status.
func (b *balancer) ask(token string) error {
	client := &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	resp, err := client.Get("https://" + b.address + "/?token=" + token)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("status %d", resp.StatusCode)
	}
	return nil
}

func freeAddress(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.2:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

// allowFiles sets how many files this process and those that it starts may open.
func allowFiles(t *testing.T, n uint64) {
	t.Helper()
	var limit unix.Rlimit
	err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit)
	if err == nil && limit.Cur < n {
		limit = unix.Rlimit{Cur: n, Max: max(n, limit.Max)}
		err = unix.Setrlimit(unix.RLIMIT_NOFILE, &limit)
	}
	if err != nil {
		t.Fatalf("this test opens %d files: run it as root, or after ulimit -Hn %d (%v)", n, n, err)
	}
}
