package gslb

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/rs/zerolog"

	"tokenring/dnswire"
)

// serve serves a table on loopback, and returns the address.
func serve(t *testing.T, c Config, table *Table) string {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	s, err := Listen(ctx, &c, "ns-1")
	if err != nil {
		t.Fatal(err)
	}
	s.Use(table)
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return s.Addrs()[0].String()
}

func TestQueriesAreAnsweredByUDPAndTCP(t *testing.T) {
	c := three()
	p := planned(t, c)
	at := serve(t, c, NewTable(p, allUp(p), 7))
	for _, network := range []string{"udp", "tcp"} {
		client := dns.Client{Net: network, Timeout: 20 * time.Second}
		m := asked(t, "www.gslb.test. A 198.51.100.0/24")
		m.IsEdns0().Option = append(m.IsEdns0().Option, &dns.EDNS0_NSID{Code: dns.EDNS0NSID})
		answer, _, err := client.Exchange(m, at)
		if err != nil {
			t.Fatal(network, err)
		}
		if got := summary(answer); got != "noerror aa 60 IN A 192.0.2.11 scope 24" {
			t.Errorf("%s: %s", network, got)
		}
		if nsid := answer.IsEdns0().Option[0].String(); nsid != fmt.Sprintf("%x", "ns-1") {
			t.Errorf("%s: NSID %s", network, nsid)
		}
	}
}

// TestManyQueriesAtATimeAreEachAnswered by their own answers, also while tables are swapped.
func TestManyQueriesAtATimeAreEachAnswered(t *testing.T) {
	c := three()
	p := planned(t, c)
	table := NewTable(p, allUp(p), 7)
	ctx, cancel := context.WithCancel(t.Context())
	s, err := Listen(ctx, &c, "ns-1")
	if err != nil {
		t.Fatal(err)
	}
	s.Use(table)
	served := make(chan error, 1)
	go func() { served <- s.Serve(ctx) }()
	var swaps sync.WaitGroup
	swaps.Go(func() {
		for ctx.Err() == nil {
			s.Use(NewTable(p, allUp(p), 7))
		}
	})
	var clients sync.WaitGroup
	for i := range 8 {
		clients.Go(func() {
			conn, err := dns.Dial("udp", s.Addrs()[0].String())
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close()
			for j := range 100 {
				words, want := "www.gslb.test. A 198.51.100.0/24", "noerror aa 60 IN A 192.0.2.11 scope 24"
				if (i+j)%2 == 0 {
					words, want = "nope.gslb.test. A", "nxdomain aa authority gslb.test. 30 IN SOA"
				}
				m := asked(t, words)
				m.Id = uint16(1000*i + j)
				_ = conn.SetDeadline(time.Now().Add(30 * time.Second))
				if err := conn.WriteMsg(m); err != nil {
					t.Error(err)
					return
				}
				answer, err := conn.ReadMsg()
				if err != nil || answer.Id != m.Id || summary(answer) != want {
					t.Errorf("%s: %v, %v", words, answer, err)
					return
				}
			}
		})
	}
	clients.Wait()
	cancel()
	swaps.Wait()
	if err := <-served; err != nil {
		t.Error(err)
	}
}

// TestWhatIsNoQueryGetsNoAnswer, and the query after it does.
func TestWhatIsNoQueryGetsNoAnswer(t *testing.T) {
	c := three()
	p := planned(t, c)
	conn, err := net.Dial("udp", serve(t, c, NewTable(p, allUp(p), 7)))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	answer := asked(t, "www.gslb.test. A")
	answer.Response = true
	wire, _ := answer.Pack()
	large := make([]byte, maxQuery+1)
	for _, b := range [][]byte{{}, []byte("short"), wire, large} {
		if _, err := conn.Write(b); err != nil {
			t.Fatal(err)
		}
	}
	good := asked(t, "www.gslb.test. A")
	good.Id = 77
	wire, _ = good.Pack()
	if _, err := conn.Write(wire); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 4096)
	_ = conn.SetReadDeadline(time.Now().Add(20 * time.Second))
	n, err := conn.Read(b)
	if err != nil || n < 12 || binary.BigEndian.Uint16(b) != 77 {
		t.Errorf("% x, %v", b[:n], err)
	}
}

// TestAConnectionHasManyQueries: RFC 7766 §6.2.1.1. It ends when it is quiet, or sends what isn't a query.
func TestAConnectionHasManyQueries(t *testing.T) {
	c := three()
	c.Limits.TCPIdle = 300 * time.Millisecond
	p := planned(t, c)
	at := serve(t, c, NewTable(p, allUp(p), 7))
	conn, err := net.Dial("tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	var all []byte
	for i := range 50 { // pipelined
		m := asked(t, "www.gslb.test. AAAA")
		m.Id = uint16(i)
		wire, _ := m.Pack()
		all = append(binary.BigEndian.AppendUint16(all, uint16(len(wire))), wire...)
	}
	if _, err := conn.Write(all); err != nil {
		t.Fatal(err)
	}
	_ = conn.SetReadDeadline(time.Now().Add(20 * time.Second))
	for i := range 50 {
		b, err := readMessage(conn, nil)
		if err != nil || binary.BigEndian.Uint16(b) != uint16(i) {
			t.Fatalf("answer %d: % x, %v", i, b, err)
		}
	}
	if _, err := conn.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("a quiet connection: %v", err)
	}
	other, err := net.Dial("tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if _, err := other.Write([]byte("\x00\x03abc")); err != nil {
		t.Fatal(err)
	}
	_ = other.SetReadDeadline(time.Now().Add(20 * time.Second))
	if n, err := other.Read(make([]byte, 1)); n != 0 || err == nil || os.IsTimeout(err) {
		t.Errorf("what isn't a query: %d, %v", n, err)
	}
}

func TestConnectionsAreBounded(t *testing.T) {
	c := three()
	c.Limits.TCP, c.Limits.TCPIdle = 1, time.Minute
	p := planned(t, c)
	at := serve(t, c, NewTable(p, allUp(p), 7))
	first, err := dns.Dial("tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	exchange := func() error {
		_ = first.SetDeadline(time.Now().Add(20 * time.Second))
		if err := first.WriteMsg(asked(t, "www.gslb.test. A")); err != nil {
			return err
		}
		_, err := first.ReadMsg()
		return err
	}
	if err := exchange(); err != nil {
		t.Fatal(err)
	}
	second, err := net.Dial("tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	_ = second.SetReadDeadline(time.Now().Add(20 * time.Second))
	if _, err := second.Read(make([]byte, 1)); err == nil || os.IsTimeout(err) {
		t.Errorf("the second connection: %v", err)
	}
	if err := exchange(); err != nil {
		t.Errorf("the first one: %v", err)
	}
}

// regions are servers of regions on addresses of loopback, with one port.
type regions struct {
	port int
	down [256]atomic.Bool // by the last byte of the address
}

// startRegions starts the regions of addresses 127.0.0.x.
func startRegions(t *testing.T, last ...byte) *regions {
	t.Helper()
	r := &regions{}
	for _, x := range last {
		ln, err := net.Listen("tcp", fmt.Sprintf("127.0.0.%d:%d", x, r.port))
		if err != nil {
			t.Fatal(err)
		}
		r.port = ln.Addr().(*net.TCPAddr).Port
		server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if r.down[x].Load() {
				w.WriteHeader(http.StatusServiceUnavailable)
			}
		}))
		server.Listener.Close()
		server.Listener = ln
		server.Start()
		t.Cleanup(server.Close)
	}
	return r
}

// startNode starts a node with two regions, eu at 127.0.0.111 and us at 127.0.0.112.
func startNode(t *testing.T, r *regions, stateDir string) (n *Node, stop func()) {
	t.Helper()
	c := three()
	for _, name := range []string{"eu", "us"} {
		c.Regions[name].Addresses = []AddressConfig{{Address: map[string]string{"eu": "127.0.0.111", "us": "127.0.0.112"}[name]}}
	}
	delete(c.Regions, "ap")
	c.Services = []ServiceConfig{{Name: "www", Regions: []string{"us", "eu"}}}
	c.Map = MapConfig{Networks: Networks{{"127.0.0.0/8", []string{"eu"}}}}
	c.Probe = ProbeConfig{Protocol: "http", Port: r.port, Path: "/", Interval: 50 * time.Millisecond, Timeout: 50 * time.Millisecond, Rise: 1, Fall: 2}
	c = c.WithDefaults()
	ctx, cancel := context.WithCancel(t.Context())
	n, err := NewNode(ctx, &c, Options{Name: "ns-1", StateDir: stateDir, Logger: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	n.first = 20 * time.Second // on a machine that does much else
	done := make(chan error, 1)
	go func() { done <- n.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	return n, stop
}

// awaits waits until the node's answer has an address and a TTL.
func awaits(t *testing.T, n *Node, want string) {
	t.Helper()
	client := dns.Client{Timeout: time.Second}
	got := ""
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		m, _, err := client.Exchange(asked(t, "www.gslb.test. A"), n.Server().Addrs()[0].String())
		if err != nil {
			continue
		}
		if got = summary(m); got == want {
			return
		}
	}
	t.Fatalf("got %s, want %s", got, want)
}

func TestUsersFollowTheirRegions(t *testing.T) {
	r := startRegions(t, 111, 112)
	dir := filepath.Join(t.TempDir(), "state")
	n, stop := startNode(t, r, dir)
	awaits(t, n, "noerror aa 60 IN A 127.0.0.111")
	first := n.Table().serial
	r.down[111].Store(true)
	awaits(t, n, "noerror aa 20 IN A 127.0.0.112")
	if n.Table().serial <= first {
		t.Error("the serial doesn't grow")
	}
	last := n.Table().serial
	stop()

	// After a start it goes on from what was known: eu is down without a probe that says so, and
	// the TTL is still that of changes.
	again, stop := startNode(t, r, dir)
	awaits(t, again, "noerror aa 20 IN A 127.0.0.112")
	if again.Table().serial < last {
		t.Errorf("the serial was %d and is %d", last, again.Table().serial)
	}
	r.down[111].Store(false)
	awaits(t, again, "noerror aa 20 IN A 127.0.0.111")
	stop()
	if b, err := os.ReadFile(filepath.Join(dir, stateFile)); err != nil || !strings.Contains(string(b), "eu/127.0.0.111") {
		t.Errorf("%s, %v", b, err)
	}
}

// TestNoAnswerIsMadeOfGuesses: before the first round of probes is over nobody is answered.
func TestNoAnswerIsMadeOfGuesses(t *testing.T) {
	r := startRegions(t, 111, 112)
	r.down[111].Store(true)
	n, _ := startNode(t, r, t.TempDir())
	client := dns.Client{Timeout: 30 * time.Second}
	m, _, err := client.Exchange(asked(t, "www.gslb.test. A"), n.Server().Addrs()[0].String())
	if err != nil {
		t.Fatal(err)
	}
	if got := summary(m); got != "noerror aa 60 IN A 127.0.0.112" {
		t.Error("the first answer is", got)
	}
}

func TestAStateFileThatCannotBeReadIsPutAside(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, stateFile), []byte(`{"serial": "x"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	n, _ := startNode(t, startRegions(t, 111, 112), dir)
	awaits(t, n, "noerror aa 60 IN A 127.0.0.111")
	if _, err := os.Stat(filepath.Join(dir, stateFile+".corrupt")); err != nil {
		t.Error(err)
	}
}

// TestAClientGetsACookie that counts after a start, too.
func TestAClientGetsACookie(t *testing.T) {
	dir, last := t.TempDir(), ""
	for range 2 {
		n, stop := startNode(t, startRegions(t, 111, 112), dir)
		for _, network := range []string{"udp", "tcp"} {
			m := asked(t, "www.gslb.test. A")
			m.SetEdns0(1232, false)
			cookie := "0011223344556677" + last
			m.IsEdns0().Option = []dns.EDNS0{&dns.EDNS0_COOKIE{Code: dns.EDNS0COOKIE, Cookie: cookie}}
			client := dns.Client{Net: network, Timeout: 30 * time.Second}
			answer, _, err := client.Exchange(m, n.Server().Addrs()[0].String())
			if err != nil {
				t.Fatal(err)
			}
			got := answer.IsEdns0().Option[0].(*dns.EDNS0_COOKIE).Cookie
			if !strings.HasPrefix(got, "0011223344556677") || len(got) != 48 || last != "" && got != cookie {
				t.Errorf("%s: %s, after %s", network, got, cookie)
			}
			last = got[16:]
		}
		stop()
	}
}

// TestAnsweringDoesNotAllocate by UDP.
func TestAnsweringDoesNotAllocate(t *testing.T) {
	c := three()
	p := planned(t, c)
	table := NewTable(p, allUp(p), 7)
	s := &Server{nsid: "ns-1", cookies: new(dnswire.CookieSecret)}
	s.Use(table)
	u := &udp{s: s}
	m := asked(t, "www.gslb.test. A 198.51.100.0/24")
	m.IsEdns0().Option = append(m.IsEdns0().Option, &dns.EDNS0_COOKIE{Code: dns.EDNS0COOKIE, Cookie: "0011223344556677"})
	wire, _ := m.Pack()
	u.in[0].size = uint32(copy(u.queries[0][:], wire))
	u.from[0].Family, u.from[0].Port = 2, 53
	if n := testing.AllocsPerRun(100, func() {
		if u.answer(1) != 1 {
			t.Fatal("no answer")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkFind(b *testing.B) {
	p := planned(b, three())
	table := NewTable(p, allUp(p), 7)
	m := new(dns.Msg)
	m.SetQuestion("www.gslb.test.", dns.TypeA)
	wire, _ := m.Pack()
	var q dnswire.Query
	q.Read(wire)
	from := netip.MustParseAddr("198.51.100.9")
	for b.Loop() {
		table.Find(&q, from)
	}
}
