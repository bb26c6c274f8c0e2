package proxy

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"tokenring/balancer"
	"tokenring/maintenance"
	"tokenring/proxy/deadline"
	"tokenring/proxy/metrics"
	"tokenring/route"
	"tokenring/session"
	"tokenring/session/claims"
	"tokenring/testlog"
)

// mark begins every token in these tests. Nothing but a request to a host may
// ever hold it.
const mark = "s3cr3t"

func TestMain(m *testing.M) {
	_ = flag.Set("test.parallel", "16") // the default: parallel tests wait for deadlines, not for a processor
	debug.SetGCPercent(400)             // they make much garbage, and little of it lives
	before := runtime.NumGoroutine()
	code := m.Run()
	if f := flag.Lookup("test.fuzz"); f.Value.String() != "" {
		os.Exit(code) // the fuzzer has goroutines of its own
	}
	for end := time.Now().Add(5 * time.Second); runtime.NumGoroutine() > before && code == 0; runtime.Gosched() {
		if time.Now().After(end) {
			buf := make([]byte, 1<<16)
			fmt.Fprintf(os.Stderr, "goroutines are left: %s\n", buf[:runtime.Stack(buf, true)])
			code = 1
		}
	}
	os.Exit(code)
}

// A lab is a proxy on loopback in front of scripted hosts. When its test ends
// it checks what must be true after every test: Serve returns, gauges are zero,
// the access log is JSON, and no token has leaked.
type lab struct {
	successor atomic.Pointer[replacement] // see retire
	t         testing.TB
	p         *Proxy
	srv       *server
	cfg       Config
	listener  Listener
	ln        net.Listener // nil for one of the usual kind
	addr      string
	hosts     []*route.Host
	bound     float64      // of loads; 0 for none
	name      string       // among its peers
	peers     claims.Peers // nil for none
	log       *testlog.Buffer
	more      []string        // Options.AccessFields
	haproxy   *testlog.Buffer // gets the access log in HAProxy's form; nil for JSON, in log

	maintenance *maintenance.Switches // nil for none
	reg         *prometheus.Registry
	suspects    atomic.Int64
	cancel      context.CancelFunc
	served      chan error
	stopped     sync.Once
}

// start runs a proxy in front of hosts. change may alter the lab before it runs.
func start(t testing.TB, change func(*lab), hosts ...*host) *lab {
	t.Helper()
	l := &lab{t: t, log: new(testlog.Buffer), reg: prometheus.NewRegistry(), served: make(chan error, 1)}
	if change != nil {
		change(l)
	}
	access := zerolog.New(l.log)
	o := Options{
		Logger:  zerolog.New(l.log),
		Access:  &access,
		Metrics: metrics.New(l.reg),
		Suspect: func(string) { l.suspects.Add(1) },
		Digest:  balancer.NewDigester([]byte("0123456789abcdef")),
		Name:    l.name,
		Peers:   l.peers,

		AccessFields: l.more,
		Maintenance:  l.maintenance,
	}
	if l.haproxy != nil {
		o.Access, o.AccessHAProxy = nil, l.haproxy
	}
	l.p = New(l.cfg, o)
	for _, h := range hosts {
		l.hosts = append(l.hosts, h.entry())
	}
	if len(hosts) > 0 {
		l.use()
	}
	if l.ln == nil {
		l.ln = listen(t)
	}
	l.addr = l.ln.Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	l.cancel = cancel
	l.srv = newServer(l.p, l.listener)
	ln := l.ln // retire replaces it
	go func() { l.served <- l.srv.serve(ctx, ln) }()
	t.Cleanup(l.stop)
	return l
}

// digest returns what stands for a token.
func (l *lab) digest(token string) balancer.Digest { return l.p.opt.Digest.Digest([]byte(token)) }

// key returns what a request with this token is admitted as.
func (l *lab) key(token string) session.Key {
	return l.p.pools.Main.KeyOf(l.p.pools.Main.Snapshot(), []byte(token))
}

// enter has the sessions count a terminal of the token on a host. leave takes it out.
func (l *lab) enter(token, host string) (leave func()) {
	t := &session.Terminal{Tunnel: new(terminal)}
	l.p.sessions.Add(l.key(token), &route.Endpoint{Name: host}, t, nil)
	return func() { l.p.sessions.Remove(t) }
}

// use gives the proxy a snapshot of the lab's hosts as they are now.
func (l *lab) use(change ...func(*route.Snapshot)) {
	l.t.Helper()
	b, err := balancer.NewBuilder(balancer.Config{Consistent: balancer.ConsistentConfig{Partitions: 257, Replicas: 20}})
	if err != nil {
		l.t.Fatal(err)
	}
	var ring []balancer.Host
	var hosts []*route.Host
	for _, h := range l.hosts {
		if h.InRing {
			ring = append(ring, balancer.Host{Name: h.Name, Weight: 1})
		}
		again := *h
		hosts = append(hosts, &again)
	}
	table, err := b.Build(ring)
	if err != nil {
		l.t.Fatal(err)
	}
	s := route.NewSnapshot(table, hosts)
	s.BoundedLoad = l.bound
	for _, f := range change {
		f(s)
	}
	l.p.Use(s)
}

// token returns a token that the named host owns.
func (l *lab) token(name string) string {
	l.t.Helper()
	s := l.p.pools.Main.Snapshot()
	for i := range 10000 {
		token := fmt.Sprintf("%s-%d", mark, i)
		if owner := s.Table.Owner([]byte(token)); owner >= 0 && s.Table.Hosts()[owner].Name == name {
			return token
		}
	}
	l.t.Fatalf("no token for %s", name)
	return ""
}

// stop ends the proxy and checks what it leaves behind.
func (l *lab) stop() {
	l.stopped.Do(func() {
		l.cancel()
		select {
		case err := <-l.served:
			if err != nil {
				l.t.Errorf("Serve: %v", err)
			}
		case <-time.After(time.Minute):
			l.t.Fatal("Serve doesn't return")
		}
		upstreams := l.p.pools.Main.Hosts().Upstreams
		l.p.Use(route.NewSnapshot(nil, nil)) // closes what is idle
		for name, u := range upstreams {
			if n, m := u.Usage(); n != 0 || m != 0 {
				l.t.Errorf("%s is left with %d connections and %d waits", name, n, m)
			}
		}
		l.checkRest()
	})
}

func (l *lab) checkRest() {
	for _, h := range l.hosts {
		if n, m := h.Gauges.Sessions.Load(), h.Gauges.InFlight.Load(); n != 0 || m != 0 {
			l.t.Errorf("%s is left with %d sessions and %d requests in flight", h.Name, n, m)
		}
	}
	if open, waiting := l.p.streams.Usage(); open != 0 || waiting != 0 || l.p.idle.Count() != 0 {
		l.t.Error("streams, or idle connections to hosts, are counted that aren't there")
	}
	if live := l.p.Live(); len(live) != 0 {
		l.t.Errorf("%d sessions are left", len(live))
	}
	entries := l.entries()
	for _, e := range entries {
		for _, name := range []string{"id", "client", "why", "status", "end", "took_ms"} {
			if _, ok := e[name]; !ok && e["message"] == nil {
				l.t.Errorf("no %q in the access line %v", name, e)
			}
		}
	}
	for _, e := range entries {
		switch end := e["end"]; end {
		case endRefused, endNoHost, endHostFailed, endTimeout, endFault:
			if reason, _ := e["reason"].(string); reason == "" && e["status"] != 101.0 {
				l.t.Errorf("no reason in the access line %v", e)
			}
		}
	}
	if strings.Contains(l.log.String(), mark) {
		l.t.Errorf("a token is in the log:\n%s", l.log)
	}
	families, err := l.reg.Gather()
	if err != nil {
		l.t.Error(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() { // f.String would take longer than the test
			for _, label := range m.GetLabel() {
				if strings.Contains(label.GetValue(), mark) {
					l.t.Errorf("a token is in the metrics: %s", f)
				}
			}
		}
	}
}

// entries returns the lines of the log.
func (l *lab) entries() []map[string]any {
	var all []map[string]any
	for line := range strings.Lines(l.log.String()) {
		var e map[string]any
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			l.t.Errorf("not JSON: %v: %s", err, line)
			continue
		}
		all = append(all, e)
	}
	return all
}

// logged waits for an access line about the end of an exchange with path, and returns the
// first. The line comes after the answer's end, and in any order with those of others.
func (l *lab) logged(path string) (found map[string]any) {
	l.t.Helper()
	eventually(l.t, "a line in the access log about "+path, func() bool {
		for _, e := range l.entries() {
			if p, ok := e["path"]; ok && p == path && e["end"] != endOpen {
				found = e
				return true
			}
		}
		return false
	})
	return found
}

// waitUntilIdle waits until no request is in flight, and so every connection is back.
func (l *lab) waitUntilIdle() {
	l.t.Helper()
	eventually(l.t, "the requests' end", func() bool {
		for _, h := range l.hosts {
			if h.Gauges.InFlight.Load() != 0 {
				return false
			}
		}
		return true
	})
}

// eventually waits until ok is true.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	eventuallyIn(t, time.Minute, what, ok)
}

// eventuallyIn is eventually for what may take its time.
func eventuallyIn(t testing.TB, d time.Duration, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(d); !ok(); <-tick.C {
		if time.Now().After(end) {
			t.Fatalf("not in time: %s", what)
		}
	}
}

func listen(t testing.TB) net.Listener {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return ln
}

// A wire is one end of a connection of which a test decides every byte.
type wire struct {
	net.Conn
	t  testing.TB
	in *bufio.Reader
}

func newWire(t testing.TB, nc net.Conn) *wire {
	_ = nc.SetDeadline(time.Now().Add(30 * time.Second))
	return &wire{Conn: nc, t: t, in: bufio.NewReader(nc)}
}

// dial connects to the proxy.
func (l *lab) dial() *wire {
	l.t.Helper()
	nc, err := net.Dial("tcp", l.addr)
	if err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() { nc.Close() })
	return newWire(l.t, nc)
}

// send writes; errors show in what is read later.
func (w *wire) send(s string) *wire {
	_, _ = io.WriteString(w.Conn, s)
	return w
}

// expect reads exactly want.
func (w *wire) expect(want string) {
	w.t.Helper()
	got := make([]byte, len(want))
	n, err := io.ReadFull(w.in, got)
	if string(got[:n]) != want {
		w.t.Errorf("got %q (%v), want %q", got[:n], err, want)
	}
}

// expectEnd reads to the end, which has to come before any byte.
func (w *wire) expectEnd() {
	w.t.Helper()
	rest, err := io.ReadAll(w.in)
	if len(rest) > 0 || deadline.Exceeded(err) {
		w.t.Errorf("got %q (%v), want the end", rest, err)
	}
}

// expectCleanEnd is expectEnd for an end that must not be a reset.
func (w *wire) expectCleanEnd() {
	w.t.Helper()
	if rest, err := io.ReadAll(w.in); err != nil || len(rest) > 0 {
		w.t.Errorf("got %q (%v), want a clean end", rest, err)
	}
}

// expectClose reads a close frame with that code, and then a clean end.
func (w *wire) expectClose(code uint16) {
	w.t.Helper()
	got, err := io.ReadAll(w.in)
	if err != nil || len(got) < 4 || got[0] != 0x88 || int(got[1]) != len(got)-2 || binary.BigEndian.Uint16(got[2:]) != code {
		w.t.Errorf("got %q (%v), want a close frame with %d", got, err, code)
	}
}

// An answer is a response with its body read.
type answer struct {
	*http.Response
	body string
	err  error // of the head or the body
}

// answer reads one response to a request of that method.
func (w *wire) answer(method string) answer {
	w.t.Helper()
	resp, err := http.ReadResponse(w.in, &http.Request{Method: method})
	if err != nil {
		return answer{&http.Response{}, "", err}
	}
	body, err := io.ReadAll(resp.Body)
	if strings.Contains(fmt.Sprint(resp.Header)+string(body), mark) {
		w.t.Errorf("a token is in the answer %v %q", resp.Header, body)
	}
	return answer{resp, string(body), err}
}

// want reads a response and checks its status, which it must have as a whole.
func (w *wire) want(status int) answer {
	w.t.Helper()
	a := w.answer("GET")
	if a.StatusCode != status || a.err != nil {
		w.t.Errorf("got status %d, %.200q, %v, want %d", a.StatusCode, a.body, a.err, status)
	}
	return a
}

// ask sends one request on a connection of its own and wants that status.
func (l *lab) ask(head string, status int) answer {
	l.t.Helper()
	w := l.dial()
	defer w.Close()
	return w.send(head).want(status)
}

// get is a plain request for a target.
func get(target string) string {
	return "GET " + target + " HTTP/1.1\r\nHost: ide.example\r\n\r\n"
}

// canary checks that the proxy still serves, and serves the right thing.
func (l *lab) canary() {
	l.t.Helper()
	if a := l.ask(get("/canary?token="+mark), 200); !strings.HasSuffix(a.body, " GET /canary") {
		l.t.Errorf("the canary got %q", a.body)
	}
}
