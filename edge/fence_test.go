package edge

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/rs/zerolog"

	"tokenring/gate"
	"tokenring/lease"
	"tokenring/pool/votes"
	"tokenring/route"
)

// A path is the network from one balancer to one host. While it is cut, nothing that is sent
// there arrives, in both directions, and nobody is told.
type path struct {
	ln  net.Listener
	to  string
	cut atomic.Bool
}

func newPath(t *testing.T, to string) *path {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &path{ln: ln, to: to}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			running.Go(func() { p.carry(t.Context(), conn) })
		}
	})
	t.Cleanup(func() { ln.Close(); running.Wait() })
	return p
}

// carry joins a connection with the host.
func (p *path) carry(ctx context.Context, conn net.Conn) {
	defer conn.Close()
	host, err := net.Dial("tcp", p.to)
	if err != nil {
		return
	}
	defer host.Close()
	defer context.AfterFunc(ctx, func() { conn.Close(); host.Close() })()
	var back sync.WaitGroup
	defer back.Wait()
	back.Go(func() { p.copy(conn, host) })
	p.copy(host, conn)
}

// copy passes on what comes, and the end, unless p is cut.
func (p *path) copy(to, from net.Conn) {
	buf := make([]byte, 4096)
	for {
		n, err := from.Read(buf)
		if p.cut.Load() {
			_, _ = io.Copy(io.Discard, from)
			return
		}
		if n > 0 {
			_, _ = to.Write(buf[:n])
		}
		if err != nil {
			to.Close()
			return
		}
	}
}

// A fencedHost is a host behind a gate, which notes when it serves.
type fencedHost struct {
	name    string
	gate    *gate.Gate
	address string // of the gate

	mu     sync.Mutex
	closed time.Time // when its terminal ended
	served time.Time // when it first answered a request of a user
}

// newFencedHost starts a host whose gate no balancer opens yet.
func newFencedHost(t *testing.T, name string) *fencedHost {
	t.Helper()
	h := &fencedHost{name: name}
	service := httptest.NewServer(h)
	t.Cleanup(service.Close)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h.address = ln.Addr().String()
	h.gate = gate.New(gate.Config{Host: name, To: service.Listener.Addr().String(), Marker: "X-Lb-Second-Chance"}, zerolog.Nop())
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- h.gate.Serve(ctx, ln) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return h
}

// ServeHTTP answers checks, and requests with the host's name. A terminal sends back what it gets.
func (h *fencedHost) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/healthz":
	case "/ws":
		ws, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer ws.CloseNow()
		_ = ws.Write(r.Context(), websocket.MessageText, []byte(h.name))
		for {
			kind, text, err := ws.Read(r.Context())
			if err != nil {
				break
			}
			_ = ws.Write(r.Context(), kind, text)
		}
		h.note(&h.closed)
	default:
		h.note(&h.served)
		_, _ = io.WriteString(w, h.name)
	}
}

// note notes that now is the first time of something.
func (h *fencedHost) note(at *time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if at.IsZero() {
		*at = time.Now()
	}
}

func (h *fencedHost) noted(at *time.Time) time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return *at
}

// startStrict starts a balancer that reaches hosts by paths, and gives them leases.
func startStrict(t *testing.T, name string, paths map[string]*path, others ...*member) *member {
	t.Helper()
	join := []string{}
	for _, o := range others {
		join = append(join, fmt.Sprintf("%q", o.pool.PeersAddr()))
	}
	text := fmt.Sprintf(`
name: %s
listen: [{address: "127.0.0.1:0"}]
health: {interval: 1s, timeout: 1s, rise: 1, damping: off}
timeouts: {response: 3s}
admin: {address: "127.0.0.1:0", token_file: given.token}
state_dir: state
sessions: {strict: true, strict_lease: 8s}
peers: {bind: "127.0.0.1:0", secret_file: peers.key, expect: 3, join: [%s]}
pool: {hosts: [{name: a, address: %q}, {name: b, address: %q}]}
`, name, strings.Join(join, ", "), paths["a"].ln.Addr(), paths["b"].ln.Addr())
	m := &member{t: t}
	var err error
	if m.Edge, err = open(parsed(t, t.TempDir(), text), io.Discard); err != nil {
		t.Fatal(err)
	}
	runs(t, m.Edge)
	return m
}

// asks asks for a token's page, and returns the host that answers; "" if none does.
func (m *member) asks(token string) string {
	client := http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Get(m.url("http", "/", token))
	if err != nil {
		return ""
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	if resp.StatusCode == 421 {
		m.t.Errorf("%s: a client got the 421 of a fenced host", m.cfg.Name)
	}
	if resp.StatusCode != 200 {
		return ""
	}
	return string(body)
}

// TestAFencedHostHasClosedItsTerminalsBeforeAnotherServesTheirTokens: a host that a majority of the
// balancers can't reach serves a terminal through the third (dotnet/orleans#9225). While one
// balancer alone can't reach it, nothing is closed.
func TestAFencedHostHasClosedItsTerminalsBeforeAnotherServesTheirTokens(t *testing.T) {
	t.Parallel()
	hosts := map[string]*fencedHost{"a": newFencedHost(t, "a"), "b": newFencedHost(t, "b")}
	var region []*member
	var ways []map[string]*path
	keys := map[lease.Fingerprint]string{}
	for i := range 3 {
		ways = append(ways, map[string]*path{"a": newPath(t, hosts["a"].address), "b": newPath(t, hosts["b"].address)})
		m := startStrict(t, fmt.Sprintf("lb-%d", i+1), ways[i], region...)
		region = append(region, m)
		keys[lease.Fingerprint(m.announced.Key)] = m.cfg.Name
		for _, h := range hosts {
			h.gate.SetBalancers(maps.Clone(keys))
		}
		m.until("two hosts in the ring", func() bool { return len(m.pool.Snapshot().Table.Hosts()) == 2 })
		if <-m.accepts; i == 0 {
			if got := m.asks("user"); got != "" {
				t.Errorf("%s serves though one balancer of three runs", got)
			}
		}
	}
	for _, m := range region {
		m.hears(2)
	}
	for _, h := range hosts {
		region[0].until("leases for "+h.name, func() bool { return len(h.gate.Status().Giving) == 3 })
	}

	third := region[2]
	ws, name := third.terminal("user")
	host, other := hosts[name], hosts[map[string]string{"a": "b", "b": "a"}[name]]
	types := func() error {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		if err := ws.Write(ctx, websocket.MessageText, []byte("x")); err != nil {
			return err
		}
		_, _, err := ws.Read(ctx)
		return err
	}
	ways[0][name].cut.Store(true)
	region[0].until("a host that is held", func() bool { return region[0].Snapshot().Host(name).Held })
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(500 * time.Millisecond) { // longer than a lease
		if err := types(); err != nil {
			t.Fatalf("a terminal was cut because one balancer can't reach its host: %v", err)
		}
		if got := region[0].asks("user"); got != "" {
			t.Fatalf("lb-1 sends its token to %s", got)
		}
	}

	ways[1][name].cut.Store(true)
	begun := time.Now()
	region[0].until("tokens of the host that may go elsewhere", func() bool {
		for _, m := range region {
			if h := m.Snapshot().Host(name); h.Verdict == route.Down && !h.Held {
				return true
			}
		}
		return false
	})
	if !host.gate.Status().Fenced || host.noted(&host.closed).IsZero() {
		t.Errorf("tokens may go elsewhere after %v, and the host isn't fenced: %v", time.Since(begun), host.gate.Status())
	}
	third.until("another host that serves the token", func() bool {
		for _, m := range region {
			if m.asks("user") == other.name {
				return true
			}
		}
		return false
	})
	closed, served := host.noted(&host.closed), other.noted(&other.served)
	if closed.IsZero() || !closed.Before(served) {
		t.Errorf("the other host has served since %v, and the terminal was closed at %v", served, closed)
	}
	t.Logf("closed after %v, served elsewhere after %v", closed.Sub(begun), served.Sub(begun))
	if err := types(); err == nil {
		t.Error("the terminal is still open")
	}

	healed := time.Now()
	ways[0][name].cut.Store(false)
	ways[1][name].cut.Store(false)
	third.until("a gate that is open again", func() bool { return !host.gate.Status().Fenced })
	if took := time.Since(healed); took < votes.NoticedAfter {
		t.Errorf("the gate is open %v after the first check can have passed: balancers that count on each other's votes may not know yet", took)
	}
	region[0].until("a host that serves again", func() bool { return region[0].Snapshot().Host(name).Serving() })
}
