package edge

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"tokenring/config"
	"tokenring/testlog"
	"tokenring/tlsterm"
)

// A halfBuilt is a configuration with all parts. One of the parts can't be built.
type halfBuilt struct {
	t     *testing.T
	dir   string
	binds map[string]string // the addresses of the configuration, by what they are for
}

func newHalfBuilt(t *testing.T) *halfBuilt {
	t.Helper()
	h := &halfBuilt{t: t, dir: t.TempDir(), binds: map[string]string{}}
	for _, name := range []string{"plain", "tls", "pool", "peers", "admin"} {
		h.binds[name] = "127.0.0.1:0"
	}
	cert, key, err := tlsterm.SelfSigned("localhost")
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string]string{
		"ide.crt": string(cert), "ide.key": string(key), "admin.token": adminSecret,
		"pool.key": strings.Repeat("k", 32), "peers.key": strings.Repeat("p", 32), "cookie.key": strings.Repeat("c", 32),
	} {
		h.write(name, data)
	}
	return h
}

func (h *halfBuilt) write(name, text string) {
	h.t.Helper()
	if err := os.WriteFile(filepath.Join(h.dir, name), []byte(text), 0o600); err != nil {
		h.t.Fatal(err)
	}
}

// load writes lb.yaml and loads it. The other files are valid at that time.
func (h *halfBuilt) load() *config.Config {
	h.t.Helper()
	h.write("lb.yaml", fmt.Sprintf(`
listen: [{address: %q}, {address: %q, tls: true}]
tls: {certificates: [{cert: ide.crt, key: ide.key}]}
affinity: {cookie: {name: lb, secret_file: cookie.key}}
pool: {bind: %q, secret_file: pool.key}
peers: {bind: %q, secret_file: peers.key}
admin: {address: %q, token_file: admin.token}
state_dir: state
`, h.binds["plain"], h.binds["tls"], h.binds["pool"], h.binds["peers"], h.binds["admin"]))
	cfg, err := config.Load(filepath.Join(h.dir, "lb.yaml"))
	if err != nil {
		h.t.Fatal(err)
	}
	return cfg
}

// take makes the configuration name an address that is in use until the test ends.
func (h *halfBuilt) take(network, name string) {
	h.t.Helper()
	if network == "udp" {
		c, err := net.ListenPacket(network, "127.0.0.1:0")
		if err != nil {
			h.t.Fatal(err)
		}
		h.t.Cleanup(func() { c.Close() })
		h.binds[name] = c.LocalAddr().String()
		return
	}
	ln, err := net.Listen(network, "127.0.0.1:0")
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { ln.Close() })
	h.binds[name] = ln.Addr().String()
}

// TestABalancerThatCannotStartLeavesNothingOpen makes each part fail in turn. All
// sockets must be closed then, and no goroutine may be left.
func TestABalancerThatCannotStartLeavesNothingOpen(t *testing.T) {
	for name, row := range map[string]struct {
		network, taken string // the address of this name is taken
		file, text     string // this file holds something else
	}{
		"the certificate":          {file: "ide.crt", text: "none"},
		"the cookie's secret":      {file: "cookie.key", text: "short"},
		"the first listener":       {network: "tcp", taken: "plain"},
		"the second listener":      {network: "tcp", taken: "tls"},
		"the pool's gossip, TCP":   {network: "tcp", taken: "pool"},
		"the pool's gossip, UDP":   {network: "udp", taken: "pool"},
		"the peers' gossip, TCP":   {network: "tcp", taken: "peers"},
		"the peers' gossip, UDP":   {network: "udp", taken: "peers"},
		"the peers' secret":        {file: "peers.key", text: strings.Repeat("k", 32)},
		"the admin endpoint":       {network: "tcp", taken: "admin"},
		"the admin endpoint token": {file: "admin.token"},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHalfBuilt(t)
			if row.taken != "" {
				h.take(row.network, row.taken)
			}
			cfg := h.load()
			if row.file != "" {
				h.write(row.file, row.text)
			}
			goroutines, sockets := runtime.NumGoroutine(), openSockets(t)
			if e, err := open(cfg, io.Discard); err == nil {
				e.Close()
				t.Fatal("it starts")
			}
			if n := openSockets(t); n > sockets {
				t.Errorf("%d sockets are open, there were %d", n, sockets)
			}
			wantNoMore(t, goroutines)
		})
	}
}

func TestABalancerThatNeverRanLeavesNothingOpen(t *testing.T) {
	cfg := newHalfBuilt(t).load()
	goroutines, sockets := runtime.NumGoroutine(), openSockets(t)
	e, err := open(cfg, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if n := openSockets(t); n < sockets+7 {
		t.Fatalf("%d sockets are open, there were %d: this test sees nothing", n, sockets)
	}
	e.Close()
	if n := openSockets(t); n > sockets {
		t.Errorf("%d sockets are open, there were %d", n, sockets)
	}
	wantNoMore(t, goroutines)
}

// TestABalancerThatIsClosedLogsNoErrors: the gossips end before their sockets are closed, so
// that none of them logs an error of its own sockets.
func TestABalancerThatIsClosedLogsNoErrors(t *testing.T) {
	cfg := newHalfBuilt(t).load()
	for range 10 { // an error would come from another goroutine, and not each time
		sockets, err := Listen(cfg, Here{})
		if err != nil {
			t.Fatal(err)
		}
		log := new(testlog.Buffer)
		e, err := New(cfg, sockets, Options{Logger: zerolog.New(log).Level(zerolog.WarnLevel), AccessLog: io.Discard})
		if err != nil {
			t.Fatal(err)
		}
		e.Close()
		if got := log.String(); got != "" {
			t.Fatalf("it logs %s", got)
		}
	}
}

// TestMissingSocketsAreRefusedAndTheOthersClosed: there must be a socket for each
// listener, and one for the admin endpoint.
func TestMissingSocketsAreRefusedAndTheOthersClosed(t *testing.T) {
	cfg := newHalfBuilt(t).load()
	for name, lose := range map[string]func(*Sockets) net.Listener{
		"a listener's": func(s *Sockets) net.Listener { ln := s.Clients[1]; s.Clients = s.Clients[:1]; return ln },
		"the admin's":  func(s *Sockets) net.Listener { ln := s.Admin; s.Admin = nil; return ln },
	} {
		s, err := Listen(cfg, Here{})
		if err != nil {
			t.Fatal(err)
		}
		lose(&s).Close()
		if e, err := New(cfg, s, Options{Logger: zerolog.Nop(), AccessLog: io.Discard}); err == nil {
			e.Close()
			t.Errorf("without %s socket: it starts", name)
		}
		if _, err := s.Clients[0].Accept(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("without %s socket: the others aren't closed: %v", name, err)
		}
	}
}

// openSockets returns how many sockets of this process wait for connections or datagrams.
// Connections don't count, because other tests may still be closing some.
func openSockets(t *testing.T) (n int) {
	t.Helper()
	waiting := waitingSockets(t)
	const dir = "/proc/self/fd"
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if target, err := os.Readlink(filepath.Join(dir, e.Name())); err == nil && waiting[target] {
			n++
		}
	}
	return n
}

// waitingSockets returns the sockets of all processes that listen or accept datagrams, as
// /proc names them.
func waitingSockets(t *testing.T) map[string]bool {
	t.Helper()
	const state, inode, listens = 3, 9, "0A" // proc_net(5)
	all := map[string]bool{}
	for _, table := range []string{"tcp", "tcp6", "udp", "udp6"} {
		lines, err := os.ReadFile("/proc/self/net/" + table)
		if err != nil && !errors.Is(err, os.ErrNotExist) { // a kernel may have no IPv6
			t.Fatal(err)
		}
		for line := range strings.Lines(string(lines)) {
			f := strings.Fields(line)
			if len(f) > inode && (f[state] == listens || strings.HasPrefix(table, "udp")) {
				all["socket:["+f[inode]+"]"] = true
			}
		}
	}
	return all
}

// wantNoMore waits until no more goroutines run than before.
func wantNoMore(t *testing.T, before int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
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
