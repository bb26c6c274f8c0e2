package proxy

import (
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"golang.org/x/sys/unix"

	"tokenring/http1"
	"tokenring/proxy/deadline"
)

// A departure is a way in which a client leaves.
type departure struct {
	name   string
	secure bool // over TLS
	abort  bool // where a listener takes a bare FIN for one
	leave  func(w *wire)
}

func resets(w *wire) { reset(w.Conn) }

func fin(w *wire) { _ = tcpBelow(w.Conn).CloseWrite() }

var departures = []departure{
	{"reset", false, false, resets},
	{"FIN that aborts", false, true, fin},
	{"FIN, and later a reset", false, false, func(w *wire) {
		fin(w)
		time.Sleep(2 * firstWait) // until it is being watched
		reset(w.Conn)
	}},
	{"TLS reset", true, false, resets},
	{"TLS FIN", true, false, fin},
	{"close_notify", true, false, func(w *wire) { _ = w.Conn.(*tls.Conn).CloseWrite() }},
	{"close_notify behind the next request", true, false, func(w *wire) {
		w.send(get("/next"))
		_ = w.Conn.(*tls.Conn).CloseWrite()
	}},
	{"close_notify and FIN", true, false, func(w *wire) { w.Conn.Close() }},
}

// lab returns one whose clients leave in that way, and what connects to it.
func (d departure) lab(t *testing.T, h *host, change func(*lab)) (*lab, func() *wire) {
	l := start(t, func(l *lab) {
		if d.secure {
			withTLS(t, nil)(l)
		}
		l.listener.HalfCloseAborts = d.abort
		if change != nil {
			change(l)
		}
	}, h)
	return l, l.dialer(d.secure)
}

// silent is a script that sends what it has to say, tells that it has, and is quiet
// until its connection ends, which it tells, too.
func silent(says string, asked, gone chan<- bool) script {
	return func(w *wire, r *http.Request) bool {
		_, _ = io.Copy(io.Discard, r.Body)
		w.send(says)
		asked <- true
		if _, err := io.Copy(io.Discard, w.in); !deadline.Exceeded(err) {
			gone <- true
		}
		return false
	}
}

// TestClientThatLeavesIsNoticedWhileItsHostIsAwaited has a host be silent in each
// phase of an exchange.
func TestClientThatLeavesIsNoticedWhileItsHostIsAwaited(t *testing.T) {
	t.Parallel()
	const upload = "POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello"
	for _, phase := range []struct {
		name, request, says string
	}{
		{"before the head", get("/x"), ""},
		{"amid the head", get("/x"), "HTTP/1.1 200 OK\r\nContent-"},
		{"behind the body of a request", upload, ""},
		{"behind an interim answer", get("/x"), "HTTP/1.1 103 Early Hints\r\n\r\n"},
		{"amid a chunked answer", get("/x"), "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n"},
		{"amid its first chunk", get("/x"), "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1"},
		{"amid a large answer", get("/x"), "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n" + strings.Repeat("x", 200<<10)},
		{"in a handshake", upgrade("/x", mark), ""},
	} {
		for _, d := range departures {
			t.Run(phase.name+", "+d.name, func(t *testing.T) {
				t.Parallel()
				asked, gone := make(chan bool, 1), make(chan bool, 1)
				l, dial := d.lab(t, newHost(t, "a").on("/x", silent(phase.says, asked, gone)), nil)
				w := dial().send(phase.request)
				go func() { _, _ = io.Copy(io.Discard, w.in) }() // a reset must not come from bytes that nobody reads
				<-asked
				d.leave(w)
				select {
				case <-gone:
				case <-time.After(5 * time.Second):
					t.Error("the host is kept busy")
				}
				if e := l.logged("/x"); e["end"] != "client-gone" || l.suspects.Load() != 0 {
					t.Errorf("the log says %v, %d suspicions", e, l.suspects.Load())
				}
				w.Close()
			})
		}
	}
}

// TestClientThatHalfClosedIsServed has it end its direction before the answer is
// there, which it still reads.
func TestClientThatHalfClosedIsServed(t *testing.T) {
	t.Parallel()
	asked, letGo := make(chan bool), make(chan bool)
	l := start(t, nil, newHost(t, "a").on("/hold", hold(asked, letGo)))
	w := l.dial().send(get("/hold"))
	<-asked
	fin(w)
	time.Sleep(3 * firstWait)
	letGo <- true
	w.want(200)
	w.expectCleanEnd()
	if e := l.logged("/hold"); e["end"] != "done" {
		t.Errorf("the log says %v", e)
	}
}

// TestBytesReadAheadAreTheNextRequest has a client over TLS send its next request
// while its host is awaited, in two parts.
func TestBytesReadAheadAreTheNextRequest(t *testing.T) {
	t.Parallel()
	asked, letGo := make(chan bool), make(chan bool)
	l := start(t, withTLS(t, nil), newHost(t, "a").on("/hold", hold(asked, letGo)))
	w := l.dialTLS().send(get("/hold"))
	<-asked
	time.Sleep(2 * firstWait)
	next := get("/next")
	w.send(next[:10])
	time.Sleep(firstWait)
	w.send(next[10:] + get("/last"))
	letGo <- true
	w.want(200)
	for _, path := range []string{"/next", "/last"} {
		if a := w.want(200); a.body != "a GET "+path {
			t.Errorf("got %q for %s", a.body, path)
		}
	}
}

// A lateConn is a connection whose next read comes after its deadline, as on a busy machine.
type lateConn struct {
	net.Conn
	late bool
}

func (l *lateConn) SetReadDeadline(at time.Time) error {
	if l.late {
		l.late, at = false, time.Unix(1, 0)
	}
	return l.Conn.SetReadDeadline(at)
}

// TestALateReadMissesNoCloseNotify: the poller doesn't tell of it a second time.
func TestALateReadMissesNoCloseNotify(t *testing.T) {
	t.Parallel()
	ln := listen(t)
	defer ln.Close()
	client, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	tcp, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer tcp.Close()
	w := newWire(t, tls.Client(client, &tls.Config{InsecureSkipVerify: true}))
	go w.send(get("/x"))
	slow := &lateConn{Conn: tcp}
	c := newConn(nil, tcp)
	c.use(tls.Server(slow, &tls.Config{Certificates: []tls.Certificate{certificate(t)}}))
	c.in = http1.NewReader(c.nc, Config{}.withDefaults().Limits.heads())
	if err := c.in.ReadRequest(new(http1.Request)); err != nil {
		t.Fatal(err)
	}
	_ = w.Conn.(*tls.Conn).CloseWrite()
	eventually(t, "the close_notify", func() bool { return c.happened()&unix.POLLIN != 0 })
	slow.late = true
	if !c.readAhead() || slow.late {
		t.Error("the client has left, and it isn't noticed")
	}
}

// TestCancelledRequestsReleaseTheirPlaces has clients take all the connections that are
// allowed, and leave.
func TestCancelledRequestsReleaseTheirPlaces(t *testing.T) {
	t.Parallel()
	const many = 60
	for _, d := range departures {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			asked, gone := make(chan bool, many), make(chan bool, many)
			h := newHost(t, "a").on("/x", silent("", asked, gone))
			l, dial := d.lab(t, h, func(l *lab) { l.cfg.Limits.Connections = many })
			var all []*wire
			for range many {
				all = append(all, dial().send(get("/x")))
			}
			for range many {
				<-asked
			}
			for _, w := range all {
				go d.leave(w)
			}
			begin := time.Now()
			dial().send(get("/honest")).want(200)
			if took := time.Since(begin); took > 3*time.Second {
				t.Errorf("an honest client has waited for %v", took)
			}
			eventually(t, "all abandoned connections are closed", func() bool {
				return testutil.ToFloat64(l.p.opt.Metrics.Connections.Open) <= 1
			})
			for _, w := range all {
				w.Close()
			}
		})
	}
}

// TestClientThatLeavesIsNoticedWhileItsHostTakesNothing has a body that the host
// doesn't read.
func TestClientThatLeavesIsNoticedWhileItsHostTakesNothing(t *testing.T) {
	t.Parallel()
	release := make(chan bool)
	defer close(release)
	h := newHost(t, "a").on("/x", func(w *wire, _ *http.Request) bool {
		<-release
		return false
	})
	l := start(t, nil, h)
	w := l.dial().send("POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 100000000\r\n\r\n")
	_ = w.SetWriteDeadline(time.Now().Add(time.Second))
	_, err := io.Copy(w.Conn, io.LimitReader(zeros{}, 100_000_000))
	if !deadline.Exceeded(err) {
		t.Fatalf("the host has taken it all: %v", err)
	}
	reset(w.Conn)
	if e := l.logged("/x"); e["end"] != "client-gone" || l.suspects.Load() != 0 {
		t.Errorf("the log says %v, %d suspicions", e, l.suspects.Load())
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// TestClientThatLeavesIsNoticedWhileItsHostIsDialled has a host that doesn't
// accept the connection.
func TestClientThatLeavesIsNoticedWhileItsHostIsDialled(t *testing.T) {
	t.Parallel()
	for name, request := range map[string]string{"a request": get("/x"), "a handshake": upgrade("/x", mark)} {
		for _, d := range departures {
			if strings.HasPrefix(d.name, "close_notify") && !strings.HasSuffix(d.name, "FIN") {
				continue // it is noticed when there is a connection
			}
			t.Run(name+", "+d.name, func(t *testing.T) {
				t.Parallel()
				slow := newSlowListener(t)
				l, dial := d.lab(t, newHost(t, "a"), func(l *lab) { l.cfg.Timeouts.Connect = 20 * time.Second })
				l.hosts[0].Address = slow.address()
				l.use()
				w := dial().send(request)
				eventually(t, "an attempt to connect", slow.awaited)
				d.leave(w)
				if e := l.logged("/x"); e["end"] != "client-gone" || l.suspects.Load() != 0 {
					t.Errorf("the log says %v, %d suspicions", e, l.suspects.Load())
				}
				if n := l.hosts[0].Gauges.ConnectErrors.Load(); n != 0 {
					t.Errorf("%d failures of the host are counted", n)
				}
			})
		}
	}
}

// TestUnsentBytesAreDiscardedForAClientThatTakesNothing: the kernel would keep what it
// couldn't send for minutes after the connection was closed.
func TestUnsentBytesAreDiscardedForAClientThatTakesNothing(t *testing.T) {
	t.Parallel()
	for name, head := range map[string]string{
		"chunked": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n100000\r\n",
		"long":    "HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			endless := strings.Repeat("x", 1<<20)
			if name == "chunked" {
				endless += "\r\n100000\r\n"
			}
			h := newHost(t, "a").on("/endless", saysWithoutEnd(head, endless))
			l := start(t, func(l *lab) { l.cfg.Timeouts.Body = 50 * time.Millisecond }, h)
			w := l.dial().send(get("/endless"))
			if e := l.logged("/endless"); e["end"] != "timeout" {
				t.Errorf("the log says %v", e)
			}
			eventually(t, "the kernel to discard the connection", func() bool { return wasReset(t, w.Conn) })
		})
	}
}

// saysWithoutEnd is a script that writes head, and then piece until its connection fails.
func saysWithoutEnd(head, piece string) script {
	return func(w *wire, _ *http.Request) bool {
		for _, err := io.WriteString(w.Conn, head); err == nil; {
			_, err = io.WriteString(w.Conn, piece)
		}
		return false
	}
}

// wasReset reports whether the kernel has been told that the other end has discarded the
// connection. It is told so before nc is read to the end.
func wasReset(t *testing.T, nc net.Conn) bool {
	t.Helper()
	raw, err := nc.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var info *unix.TCPInfo
	if failed := raw.Control(func(fd uintptr) { info, err = unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO) }); failed != nil || err != nil {
		t.Fatal(failed, err)
	}
	return info.State == unix.BPF_TCP_CLOSE
}
