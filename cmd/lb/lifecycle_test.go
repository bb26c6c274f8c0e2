package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"tokenring/config"
	"tokenring/tlsterm"
)

// messages returns the messages of a JSON log, in order.
func messages(log string) (all []string) {
	for line := range strings.Lines(log) {
		var e struct{ Message string }
		if json.Unmarshal([]byte(line), &e) == nil {
			all = append(all, e.Message)
		}
	}
	return all
}

// TestARunSaysWhatItIsAndWhatItWaitsFor: an operator who reads the log alone knows
// what runs, from which file, where it listens, and when it was ready and ended.
func TestARunSaysWhatItIsAndWhatItWaitsFor(t *testing.T) {
	t.Parallel()
	c := startChild(t, 0, "timeouts: {shutdown: 300ms}")
	c.terminal(c.plain)
	c.terminal(c.tls)
	c.waitMetric(`lb_host_sessions{host="ide-1"}`, 2)
	if err := c.end(syscall.SIGTERM); err != nil {
		t.Errorf("ended with %v", err)
	}
	want := []string{
		"starting", "admin endpoint listening", "waiting until hosts are found and checked, 10 s at most",
		"listening", "listening", "ready", "stopping; a second signal ends it at once", "stopped",
	}
	all := messages(c.errOut.String())
	got := slices.DeleteFunc(slices.Clone(all), func(m string) bool { return !slices.Contains(want, m) })
	if !slices.Equal(got, want) {
		t.Errorf("it said %q, want %q among them", all, want)
	}
	for message, want := range map[string]map[string]any{
		"starting":                 {"version": version(), "file": c.config, "name": "lb-1"},
		"admin endpoint listening": {"address": c.admin},
		"waiting until hosts":      {"listed_hosts": 1.0},
		"ready":                    {"serving": 1.0},
		"stopping":                 {"terminals": 2.0, "grace": "300ms"},
	} {
		for key, value := range want {
			if line := c.said(message)[0]; line[key] != value {
				t.Errorf("%q has %s %v, want %v", message, key, line[key], value)
			}
		}
	}
}

func TestASecondSignalEndsItAtOnce(t *testing.T) {
	t.Parallel()
	for _, second := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		t.Run(second.String(), func(t *testing.T) {
			t.Parallel()
			c := startChild(t, 0, "timeouts: {shutdown: 60s}")
			c.terminal(c.plain)
			_ = c.cmd.Process.Signal(syscall.SIGTERM)
			c.wait("the first signal to be heard", func() bool { return len(c.said("stopping")) == 1 })
			begin := time.Now()
			if got := signalOf(c.end(second)); got != second {
				t.Errorf("ended by %v, want %v", got, second)
			}
			if took := time.Since(begin); took > 20*time.Second {
				t.Errorf("it took %v", took)
			}
			if len(c.said("a second signal")) != 1 {
				t.Error("it didn't say why")
			}
		})
	}
}

// TestASecondSignalEndsWhatWasToIgnoreIt: scripts of a shell run what is in their
// background so, and lb catches the signal all the same.
func TestASecondSignalEndsWhatWasToIgnoreIt(t *testing.T) {
	t.Parallel()
	c := newChild(t, "timeouts: {shutdown: 60s}")
	c.before = "trap '' INT; "
	c.run(0)
	c.terminal(c.plain)
	_ = c.cmd.Process.Signal(syscall.SIGINT)
	c.wait("the first signal to be heard", func() bool { return len(c.said("stopping")) == 1 })
	if err := c.end(syscall.SIGINT); err == nil || err.Error() != "exit status 130" {
		t.Errorf("ended with %v, want exit status 130", err)
	}
}

// TestAHangupEndsNothing: operators send it to have a configuration read again.
func TestAHangupEndsNothing(t *testing.T) {
	t.Parallel()
	c := startChild(t, 0, "")
	ws := c.terminal(c.plain)
	_ = c.cmd.Process.Signal(syscall.SIGHUP)
	c.wait("a word about it", func() bool { return len(c.said("SIGHUP does nothing")) == 1 })
	if err := c.echoes(ws); err != nil {
		t.Errorf("a terminal after SIGHUP: %v", err)
	}
}

// TestItSaysWhenNobodyCanBeServed: that is a change of state like any other.
func TestItSaysWhenNobodyCanBeServed(t *testing.T) {
	t.Parallel()
	c := startChild(t, 0, "")
	c.host.Close()
	c.wait("not ready", func() bool { return len(c.said("not ready")) == 1 })
	if why := c.said("not ready")[0]["why"]; why != "no host can serve" {
		t.Errorf("why: %v", why)
	}
}

// halfBuilt is a configuration with all parts, each on a port of its own.
type halfBuilt struct {
	t     *testing.T
	dir   string
	cfg   *config.Config
	ports []int
}

func newHalfBuilt(t *testing.T) *halfBuilt {
	t.Helper()
	h := &halfBuilt{t: t, dir: t.TempDir()}
	for range 5 {
		h.ports = append(h.ports, testPort())
	}
	cert, key, err := tlsterm.SelfSigned("localhost")
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string]string{
		"ide.crt": string(cert), "ide.key": string(key), "admin.token": adminSecret,
		"pool.key": strings.Repeat("k", 32), "peers.key": strings.Repeat("p", 32), "cookie.key": strings.Repeat("c", 32),
		"lb.yaml": fmt.Sprintf(`
listen: [{address: "127.0.0.1:%d"}, {address: "127.0.0.1:%d", tls: true}]
tls: {certificates: [{cert: ide.crt, key: ide.key}]}
affinity: {cookie: {name: lb, secret_file: cookie.key}}
pool: {bind: "127.0.0.1:%d", secret_file: pool.key}
peers: {bind: "127.0.0.1:%d", secret_file: peers.key}
admin: {address: "127.0.0.1:%d", token_file: admin.token}
state_dir: state
`, h.ports[0], h.ports[1], h.ports[2], h.ports[3], h.ports[4]),
	} {
		h.write(name, data)
	}
	if h.cfg, err = config.Load(filepath.Join(h.dir, "lb.yaml")); err != nil {
		t.Fatal(err)
	}
	return h
}

func (h *halfBuilt) write(name, text string) {
	h.t.Helper()
	if err := os.WriteFile(filepath.Join(h.dir, name), []byte(text), 0o600); err != nil {
		h.t.Fatal(err)
	}
}

// take occupies the port with that index until the function that it returns is
// called.
func (h *halfBuilt) take(network string, i int) (free func()) {
	h.t.Helper()
	addr := loopback(h.ports[i])
	if network == "udp" {
		c, err := net.ListenPacket(network, addr)
		if err != nil {
			h.t.Fatal(err)
		}
		return func() { c.Close() }
	}
	ln, err := net.Listen(network, addr)
	if err != nil {
		h.t.Fatal(err)
	}
	return func() { ln.Close() }
}

// TestNothingIsLeftOfABalancerThatCantStart has each part fail in turn: every port
// is free again then, and no goroutine goes on.
func TestNothingIsLeftOfABalancerThatCantStart(t *testing.T) {
	taken := func(network string, port int) func(*halfBuilt) func() {
		return func(h *halfBuilt) func() { return h.take(network, port) }
	}
	spoiled := func(name, text string) func(*halfBuilt) func() {
		return func(h *halfBuilt) func() { h.write(name, text); return func() {} }
	}
	for name, spoil := range map[string]func(*halfBuilt) func(){
		"the certificate":          spoiled("ide.crt", "none"),
		"the cookie's secret":      spoiled("cookie.key", "short"),
		"the first listener":       taken("tcp", 0),
		"the second listener":      taken("tcp", 1),
		"the pool's gossip, TCP":   taken("tcp", 2),
		"the pool's gossip, UDP":   taken("udp", 2),
		"the peers' gossip, TCP":   taken("tcp", 3),
		"the peers' gossip, UDP":   taken("udp", 3),
		"the peers' secret":        spoiled("peers.key", strings.Repeat("k", 32)),
		"the admin endpoint":       taken("tcp", 4),
		"the admin endpoint token": spoiled("admin.token", ""),
	} {
		t.Run(name, func(t *testing.T) {
			h := newHalfBuilt(t)
			before := runtime.NumGoroutine()
			free := spoil(h)
			e, err := newEdge(h.cfg, zerolog.Nop(), new(syncBuffer))
			if err == nil {
				e.close()
				t.Fatal("it starts")
			}
			free()
			for i := range h.ports {
				for _, network := range []string{"tcp", "udp"} {
					h.take(network, i)()
				}
			}
			wantNoMore(t, before)
		})
	}
}

func TestNothingIsLeftOfABalancerThatNeverRan(t *testing.T) {
	h := newHalfBuilt(t)
	before := runtime.NumGoroutine()
	e, err := newEdge(h.cfg, zerolog.Nop(), new(syncBuffer))
	if err != nil {
		t.Fatal(err)
	}
	e.close()
	for i := range h.ports {
		h.take("tcp", i)()
	}
	wantNoMore(t, before)
}

// wantNoMore waits until no more goroutines run than before.
func wantNoMore(t *testing.T, before int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for runtime.NumGoroutine() > before {
		select {
		case <-ctx.Done():
			buf := make([]byte, 1<<16)
			t.Fatalf("%d goroutines are left, there were %d:\n%s", runtime.NumGoroutine(), before, buf[:runtime.Stack(buf, true)])
		case <-time.After(5 * time.Millisecond): // memberlist's end by themselves
		}
	}
}
