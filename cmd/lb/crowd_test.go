package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// allowFiles sets how many files this process may open.
func allowFiles(t *testing.T, n uint64) {
	t.Helper()
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	if limit.Cur >= n {
		return
	}
	was := limit
	limit.Cur, limit.Max = n, max(n, limit.Max)
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatalf("this test opens %d files, and the limit is %d: run it as root, or after ulimit -Hn %d (%v)", n, was.Max, n, err)
	}
	t.Cleanup(func() { _ = unix.Setrlimit(unix.RLIMIT_NOFILE, &was) })
}

// TestTenThousandSilentConnectionsDisturbNoOtherClient opens half of them to each
// listener: each costs only a goroutine and a small buffer. When they have gone, nothing
// is left.
func TestTenThousandSilentConnectionsDisturbNoOtherClient(t *testing.T) {
	const many, files = 5000, 14000 // to each listener
	allowFiles(t, files)
	c := startChild(t, files, "limits: {connections: 12000}\ntimeouts: {handshake: 120s, head: 120s}\nshutdown: {grace: 1s}")
	terminal, user := c.terminal(c.tls), c.neighbour()
	user.asks(100)
	idle := c.levels()
	whole := c // its connections stay open until the whole test ends
	var all []net.Conn
	for name, address := range map[string]string{"plain": c.plain, "tls": c.tls} {
		t.Run(name, func(t *testing.T) {
			c, user := c.in(t), user.in(t)
			before, quiet := c.levels(), median(user.asks(200))
			for n := 1000; n <= many; n += 1000 { // the kernel forgets some if 4096 wait to be accepted
				all = append(all, whole.crowd(address, 1000)...)
				c.waitMetric("lb_connections", before.connections+float64(n))
			}
			busy, full := median(user.asks(200)), c.levels()
			each := (full.held - before.held) / many
			t.Logf("%.1f KB each", each/1024)
			notSlower(t, busy, quiet)
			if each > 32<<10 {
				t.Errorf("%.1f KB each, want up to 32", each/1024)
			}
			if n := full.files - before.files; n > many+20 {
				t.Errorf("%d more files are open, want %d", n, many)
			}
			if err := c.echoes(terminal); err != nil {
				t.Errorf("a terminal that was open has ended: %v", err)
			}
		})
	}
	disperse(all)
	c.wait("what they held to be free", func() bool { return c.levels().within(idle) })
}

// crowd opens many silent connections.
func (c *child) crowd(address string, many int) []net.Conn {
	c.t.Helper()
	all := make([]net.Conn, many)
	for i := range all {
		all[i] = c.dial(address)
	}
	return all
}

func disperse(crowd []net.Conn) {
	for _, nc := range crowd {
		nc.Close()
	}
}

// TestRunningOutOfFileDescriptorsOnlyDelaysClients has more clients
// than the process may open files, and a limit of connections that is too high for it.
func TestRunningOutOfFileDescriptorsOnlyDelaysClients(t *testing.T) {
	const files = 100
	c := startChild(t, files, "limits: {connections: 100000}\ntimeouts: {head: 120s}\nshutdown: {grace: 1s}")
	if len(c.logged("limits.connections may need more open files")) != 1 {
		t.Error("no warning about a limit that the system doesn't allow")
	}
	terminal, user := c.terminal(c.plain), c.neighbour()
	user.asks(10)
	crowd := c.crowd(c.plain, 2*files)
	c.waitMetric("lb_accept_errors_total", 2)

	began, used, failed := time.Now(), c.cpu(), c.metric("lb_accept_errors_total")
	user.asks(10)
	if err := c.echoes(terminal); err != nil {
		t.Errorf("a terminal that was open has ended: %v", err)
	}
	<-time.After(time.Second)
	used, took := c.cpu()-used, time.Since(began)
	failed = c.metric("lb_accept_errors_total") - failed
	t.Logf("%v of processor time in %v, and %v failed accepts", used, took, failed)
	if failed < 1 || failed > 11*took.Seconds()+2 {
		t.Errorf("%v failed accepts in %v, want about ten each second", failed, took)
	}
	if used > took/4+100*time.Millisecond {
		t.Errorf("it spins: %v of processor time in %v", used, took)
	}
	c.starvedOfHosts(crowd[:5])
	if lines := len(c.logged("accept paused")); lines != 1 {
		t.Errorf("%d lines in the log about it, want 1", lines)
	}
	disperse(crowd)
	c.neighbour().asks(1)
	again := c.terminal(c.plain)
	if err := c.echoes(again); err != nil {
		t.Error(err)
	}
	if m := c.metrics(); m[`lb_host_connect_errors_total{host="ide-1"}`] != 0 || m[`lb_host_serving{host="ide-1"}`] != 1 {
		t.Error("the host counts as failing")
	}
}

// starvedOfHosts asks for a terminal while the process can't open another file. The
// answer must say that the balancer is overloaded, and when to try again.
func (c *child) starvedOfHosts(accepted []net.Conn) {
	c.t.Helper()
	before := c.metric(`lb_upstream_errors_total{kind="local"}`)
	for _, nc := range accepted { // one of them may find the file that a health check has just closed
		resp := c.upgrade(nc)
		if resp.StatusCode == 503 && resp.Header.Get("Retry-After") != "" && c.metric(`lb_upstream_errors_total{kind="local"}`) > before {
			return
		}
	}
	c.t.Error("no client was told that the balancer has too few files")
}

// TestConnectionsOverTheLimitWait: limits.connections protects open connections.
// A client above the limit is served when another connection has ended.
func TestConnectionsOverTheLimitWait(t *testing.T) {
	const limit = 20
	c := startChild(t, 0, fmt.Sprintf("limits: {connections: %d}\ntimeouts: {head: 120s}\nshutdown: {grace: 1s}", limit))
	terminal, user := c.terminal(c.tls), c.neighbour()
	crowd := c.crowd(c.plain, limit-2)
	c.waitMetric("lb_connections", limit)
	var late []*neighbour
	for range 10 {
		late = append(late, c.neighbour())
	}
	user.asks(10)
	if err := c.echoes(terminal); err != nil {
		t.Errorf("a terminal that was open has ended: %v", err)
	}
	c.waitMetric("lb_accept_waits_total", 1)
	if m := c.metrics(); m["lb_connections"] > limit+2 || m["lb_connections_limit"] != limit { // one more for each listener
		t.Errorf("%v connections are open, the metric of the limit says %v, want %d", m["lb_connections"], m["lb_connections_limit"], limit)
	}
	if lines := len(c.logged("accept paused")); lines == 0 || lines > 2 {
		t.Errorf("%d lines in the log about it, want one for each listener", lines)
	}
	disperse(crowd)
	for _, u := range late {
		u.asks(1)
	}
}

// TestTheLimitOfConnectionsFollowsFromTheLimitOfOpenFiles: by
// default, connected clients reach their hosts however many others connect.
func TestTheLimitOfConnectionsFollowsFromTheLimitOfOpenFiles(t *testing.T) {
	const files = 120
	c := startChild(t, files, "timeouts: {head: 120s}\nshutdown: {grace: 1s}")
	limit := c.metric("lb_connections_limit")
	if limit < files/4 || limit > files/2 {
		t.Errorf("%v connections with %d files", limit, files)
	}
	crowd := c.crowd(c.plain, 2*files)
	c.waitMetric("lb_connections", limit)
	c.waitMetric("lb_accept_waits_total", 1)
	if resp := c.upgrade(crowd[0]); resp.StatusCode != 101 {
		t.Errorf("a client that is in gets %d", resp.StatusCode)
	}
	if m := c.metrics(); m["lb_accept_errors_total"] != 0 {
		t.Errorf("%v accepts have failed", m["lb_accept_errors_total"])
	}
}

// upgrade asks for a terminal.
func (c *child) upgrade(nc net.Conn) *http.Response {
	c.t.Helper()
	const upgrade = "GET /echo?token=b HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
	_ = nc.SetDeadline(time.Now().Add(30 * time.Second))
	_, _ = io.WriteString(nc, upgrade)
	resp, err := http.ReadResponse(bufio.NewReader(nc), nil)
	if err != nil {
		c.t.Fatal(err)
	}
	return resp
}
