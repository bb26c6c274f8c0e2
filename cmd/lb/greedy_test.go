package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

const getHello = "GET /hello?token=b HTTP/1.1\r\nHost: ide.example\r\n\r\n"

// A greed is a way in which clients take more than their share.
type greed struct {
	name   string
	tls    bool          // to the TLS listener, though none of them speaks TLS as it should
	first  string        // what each sends at once
	drip   string        // what each sends again and again, until the proxy ends it
	every  time.Duration // between two drips
	deaf   bool          // it reads nothing meanwhile
	metric string        // what an operator sees grow by one for each of them
}

// greeds come in three groups. Deadlines are one second. The proxy must end each of these
// clients.
var greeds = map[string][]greed{
	"say nothing": {
		{name: "silence", metric: `lb_client_timeouts_total{phase="start"}`},
		{name: "silence before TLS", tls: true, metric: `lb_tls_handshake_errors_total{cause="timeout"}`},
		{name: "half a ClientHello", tls: true, first: "\x16\x03\x01\x02\x00\x01\x00\x01", metric: `lb_tls_handshake_errors_total{cause="timeout"}`},
	},
	"head without end": {
		{name: "a head, byte by byte", first: "GET / HTTP/1.1\r\nHost: ", drip: "x", every: 100 * time.Millisecond, metric: `lb_client_timeouts_total{phase="head"}`},
		{name: "fields without end", first: "GET / HTTP/1.1\r\nHost: x\r\n" + manyFields, drip: manyFields, every: 20 * time.Millisecond, metric: `lb_requests_refused_total`},
		{name: "a line without end", first: "GET /" + strings.Repeat(longLine, 4), drip: longLine, every: 20 * time.Millisecond, metric: `lb_requests_refused_total`},
	},
	"body without end": {
		{name: "a body that stops", first: "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\nhello", metric: `lb_client_timeouts_total{phase="upload"}`},
		{name: "a chunk that stops", first: "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nfff\r\nhello", metric: `lb_client_timeouts_total{phase="upload"}`},
		{name: "an answer that isn't taken", first: "GET /endless HTTP/1.1\r\nHost: x\r\n\r\n", drip: "x", every: 100 * time.Millisecond, deaf: true, metric: `lb_client_timeouts_total{phase="answer"}`},
	},
}

var manyFields, longLine = strings.Repeat("X: y\r\n", 200), strings.Repeat("x", 16<<10)

// TestGreedyClientsAreEndedAndDisturbNoOtherClient runs each group beside a
// client that behaves, and a terminal that was open before.
func TestGreedyClientsAreEndedAndDisturbNoOtherClient(t *testing.T) {
	c := startChild(t, 0, "timeouts: {handshake: 1s, head: 1s, body: 1s, idle: 60s}\nshutdown: {grace: 1s}")
	terminal := c.terminal(c.tls)
	user := c.neighbour()
	user.asks(100)
	idle := c.levels()
	for name, group := range greeds {
		t.Run(name, func(t *testing.T) {
			c, user := c.in(t), user.in(t)
			c.meet(group, user, idle)
			if err := c.echoes(terminal); err != nil {
				t.Errorf("a terminal that was open has ended: %v", err)
			}
		})
	}
	if m := c.metrics(); m[`lb_host_serving{host="ide-1"}`] != 1 || m[`lb_host_resets_total{host="ide-1"}`] != 0 {
		t.Error("the host counts as failing because of its clients")
	}
}

// meet runs many clients of each kind, and checks their cost, and the latency of a client
// that behaves.
func (c *child) meet(group []greed, user *neighbour, idle levels) {
	c.t.Helper()
	const each = 100
	many := each * len(group)
	before, quiet := c.metrics(), median(user.asks(100))
	ended := c.send(group, each)
	var took []time.Duration
	var peak levels
	for over := false; !over; {
		select {
		case <-ended:
			over = true
		default:
		}
		took = append(took, user.asks(20)...)
		peak = peak.max(c.levels())
		<-time.After(50 * time.Millisecond) // else this loop uses more of the processor than what it measures
	}
	c.compare(levels{held: idle.held + float64(many*most+slack), files: idle.files + 2*many + 20}, peak)
	notSlower(c.t, median(took), quiet)
	want := map[string]float64{}
	for _, g := range group {
		want[g.metric] += each
	}
	for metric, n := range want {
		c.waitMetric(metric, before[metric]+n)
	}
	c.wait("what they held to be free", func() bool { return c.levels().within(idle) })
}

// How much memory clients may cost the child, in bytes: each client, and all clients
// together for garbage that isn't collected yet.
const (
	most  = 96 << 10
	slack = 96 << 20 // of which the heap may have 32 MB without a collection, and the race detector takes as much again
)

func (c *child) compare(bound, got levels) {
	c.t.Helper()
	c.t.Logf("up to %.1f MB held, %d files open", got.held/(1<<20), got.files)
	if got.held > bound.held {
		c.t.Errorf("%.1f MB are held, want up to %.1f", got.held/(1<<20), bound.held/(1<<20))
	}
	if got.files > bound.files {
		c.t.Errorf("%d files are open, want up to %d", got.files, bound.files)
	}
}

// notSlower compares the median latency of another client with its latency before. The
// bound is wide, because the greedy clients run on this machine, too.
func notSlower(t *testing.T, busy, quiet time.Duration) {
	t.Helper()
	t.Logf("another client's median latency is %v, was %v", busy, quiet)
	if bound := max(20*quiet, 100*time.Millisecond); busy > bound {
		t.Errorf("another client's median latency is %v, was %v, want up to %v", busy, quiet, bound)
	}
}

// send runs so many clients of each kind until the proxy has ended all of them.
func (c *child) send(group []greed, each int) (ended <-chan struct{}) {
	c.t.Helper()
	var running sync.WaitGroup
	for _, g := range group {
		address := c.plain
		if g.tls {
			address = c.tls
		}
		for range each {
			nc := c.dial(address)
			_, _ = io.WriteString(nc, g.first)
			running.Go(func() {
				defer nc.Close()
				if err := g.live(nc); err != nil {
					c.t.Errorf("%s: %v", g.name, err)
				}
			})
		}
	}
	done := make(chan struct{})
	go func() {
		running.Wait()
		close(done)
	}()
	return done
}

// live runs one client until the proxy ends it.
func (g greed) live(nc net.Conn) error {
	_ = nc.SetDeadline(time.Now().Add(30 * time.Second))
	if !g.deaf {
		told := make(chan error, 1)
		go func() { told <- untilEnd(nc) }()
		g.dripOn(nc)
		return <-told
	}
	g.dripOn(nc)
	return untilEnd(nc)
}

// dripOn sends until sending fails.
func (g greed) dripOn(nc net.Conn) {
	for g.drip != "" {
		if _, err := io.WriteString(nc, g.drip); err != nil {
			return
		}
		time.Sleep(g.every)
	}
}

// untilEnd reads until the other side has closed or reset the connection.
func untilEnd(nc net.Conn) error {
	if _, err := io.Copy(io.Discard, nc); errors.Is(err, os.ErrDeadlineExceeded) {
		return fmt.Errorf("the proxy doesn't end it: %w", err)
	}
	return nil
}

// levels are the resources that clients cost the child.
type levels struct {
	held                    float64 // bytes that Go has taken from the kernel and not given back
	goroutines, connections float64
	files                   int
}

func (c *child) levels() levels {
	m := c.metrics()
	return levels{
		held:       m["go_memstats_sys_bytes"] - m["go_memstats_heap_released_bytes"],
		goroutines: m["go_goroutines"], connections: m["lb_connections"], files: c.files(),
	}
}

func (l levels) max(o levels) levels {
	return levels{max(l.held, o.held), max(l.goroutines, o.goroutines), max(l.connections, o.connections), max(l.files, o.files)}
}

// within reports whether l is as idle was, except for some idle connections to the host.
// It ignores memory, which the collector gives back later.
func (l levels) within(idle levels) bool {
	return l.goroutines <= idle.goroutines+10 && l.connections <= idle.connections && l.files <= idle.files+10
}

// A neighbour is a client that behaves: it has one connection and sends small requests.
type neighbour struct {
	t    *testing.T
	nc   net.Conn
	from *bufio.Reader
}

func (c *child) neighbour() *neighbour {
	nc := c.dial(c.plain)
	return &neighbour{t: c.t, nc: nc, from: bufio.NewReader(nc)}
}

// in returns u for use in a subtest.
func (u *neighbour) in(t *testing.T) *neighbour { return &neighbour{t: t, nc: u.nc, from: u.from} }

// asks sends n requests one after the other, and returns how long each took.
func (u *neighbour) asks(n int) []time.Duration {
	u.t.Helper()
	took := make([]time.Duration, n)
	for i := range took {
		begin := time.Now()
		_ = u.nc.SetDeadline(begin.Add(30 * time.Second))
		_, _ = io.WriteString(u.nc, getHello)
		resp, err := http.ReadResponse(u.from, nil)
		if err != nil {
			u.t.Fatal(err)
		}
		if body, err := io.ReadAll(resp.Body); string(body) != "hello" || resp.StatusCode != 200 {
			u.t.Fatalf("got %d %q, %v", resp.StatusCode, body, err)
		}
		took[i] = time.Since(begin)
	}
	return took
}

func median(d []time.Duration) time.Duration {
	slices.Sort(d)
	return d[len(d)/2]
}
