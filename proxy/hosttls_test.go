package proxy

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"tokenring/hosttls"
	"tokenring/proxy/socket"
	"tokenring/proxy/tunnel"
	"tokenring/route"
)

// newTLSHost returns a host that speaks TLS.
func newTLSHost(t testing.TB, name string) *host {
	t.Helper()
	return newHostOn(t, name, tls.NewListener(listen(t), &tls.Config{Certificates: []tls.Certificate{certificate(t)}}))
}

// hostsSpeakTLS has the lab's proxy speak TLS to hosts, whose certificates it doesn't verify.
func hostsSpeakTLS(l *lab) {
	verify := false
	l.cfg.HostTLS = hosttls.New(hosttls.Config{Verify: &verify}, hosttls.Material{})
}

func TestRequestsGoToHostsOverTLS(t *testing.T) {
	body := noise(3*splicedStep + 1)
	h := newTLSHost(t, "a").on("/large", large(body, true)).on("/mirror", mirrorAndGoOn).
		on("/chunks", says("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", true))
	l := start(t, hostsSpeakTLS, h)
	w := l.dial()
	for range 3 {
		if a := w.send(get("/large?token=" + mark)).want(200); a.body != string(body) {
			t.Error("another body")
		}
		if a := w.send(get("/chunks?token=" + mark)).want(200); a.body != "hello" {
			t.Errorf("got %q", a.body)
		}
		w.send(fmt.Sprintf("POST /mirror?token=%s HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n", mark, len(body)))
		_, _ = w.Write(body)
		if a := w.want(200); a.body != string(body) {
			t.Error("the host got another body")
		}
	}
	if n := h.dials.Load(); n != 1 {
		t.Errorf("%d connections for requests one after the other, want 1", n)
	}
}

// mirrorAndGoOn is a script that sends the body back, and waits for another request.
func mirrorAndGoOn(w *wire, r *http.Request) bool {
	body, err := io.ReadAll(r.Body)
	w.send(fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", len(body)))
	_, _ = w.Write(body)
	return err == nil
}

// TestHostsGetACloseNotify tells that the end of a connection is no attack (RFC 8446 §6.1).
func TestHostsGetACloseNotify(t *testing.T) {
	ended := make(chan error, 1)
	h := newTLSHost(t, "a").on("/last", func(w *wire, _ *http.Request) bool {
		w.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
		_, err := io.ReadAll(w.Conn)
		ended <- err
		return false
	})
	l := start(t, hostsSpeakTLS, h)
	l.ask(get("/last?token="+mark), 200)
	if err := <-ended; err != nil {
		t.Errorf("the host got %v, want an orderly end", err)
	}
}

// TestAHostThatClosesIsNoticed: its alert may have come together with the answer, and no later
// byte wakes anybody.
func TestAHostThatClosesIsNoticed(t *testing.T) {
	h := newTLSHost(t, "a").on("/once", func(w *wire, _ *http.Request) bool {
		return corked(w, func() {
			w.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
			_ = w.Conn.(*tls.Conn).CloseWrite()
		})
	})
	l := start(t, hostsSpeakTLS, h)
	for range 5 {
		l.ask("POST /once?token="+mark+" HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n", 200)
		l.waitUntilIdle()
	}
	if n := h.dials.Load(); n != 5 {
		t.Errorf("%d connections, want 5", n)
	}
}

// corked has the kernel send what do writes in one segment, as far as it can.
func corked(w *wire, do func()) (keep bool) {
	cork := func(on int) {
		_ = socket.Control(w.Conn.(*tls.Conn).NetConn(), func(fd uintptr) { _ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_CORK, on) })
	}
	cork(1)
	do()
	cork(0)
	return true
}

func TestTerminalsOnHostsWithTLS(t *testing.T) {
	const records = 300
	h := newTLSHost(t, "a").on("/ws", func(w *wire, _ *http.Request) bool {
		corked(w, func() { // the records are read together with the 101
			w.send(agree(wsKey) + "early ")
			for range records {
				w.send("x")
			}
		})
		echo(w)
		_ = w.Conn.(*tls.Conn).CloseWrite()
		w.expectCleanEnd()
		return false
	})
	for name, dial := range map[string]func(*lab) *wire{"plain": (*lab).dial, "tls": (*lab).dialTLS} {
		t.Run(name, func(t *testing.T) {
			l := start(t, func(l *lab) {
				hostsSpeakTLS(l)
				if name == "tls" {
					withTLS(t, nil)(l)
				}
			}, h)
			w := dial(l).send(upgrade("/ws", mark) + "one ")
			w.opened()
			w.expect("early " + strings.Repeat("x", records) + "one ")
			large := noise(100 << 10)
			go func() { _, _ = w.Write(large) }()
			got := make([]byte, len(large))
			if _, err := io.ReadFull(w.in, got); err != nil || !bytes.Equal(got, large) {
				t.Errorf("another text comes back: %v", err)
			}
			w.ping()
			_ = w.Conn.(interface{ CloseWrite() error }).CloseWrite()
			w.expectCleanEnd()
			if e := l.logged("/ws"); e["end"] != "client" {
				t.Errorf("the log says %v", e)
			}
		})
	}
}

// TestAQuietTerminalOnAHostWithTLSHasNoGoroutine: only the hosts of the test have some.
func TestAQuietTerminalOnAHostWithTLSHasNoGoroutine(t *testing.T) {
	h := newTLSHost(t, "a").on("/ws", accept(echo))
	l := start(t, hostsSpeakTLS, h)
	l.dial().open("/ws", mark).ping()
	const more = 40
	before := runtime.NumGoroutine()
	var all []*wire
	for range more {
		w := l.dial().open("/ws", mark)
		w.ping()
		all = append(all, w)
	}
	eventually(t, "the end of the terminals' goroutines", func() bool { return runtime.NumGoroutine() <= before+more })
	for _, w := range all { // each still works
		w.ping()
	}
}

func TestATerminalThatWeEndOnAHostWithTLS(t *testing.T) {
	got := make(chan string, 1)
	h := newTLSHost(t, "a").on("/ws", accept(func(w *wire) {
		all, err := io.ReadAll(w.in)
		got <- fmt.Sprintf("%x %v", all[:min(2, len(all))], err)
	}))
	l := start(t, hostsSpeakTLS, h)
	w := l.dial().open("/ws", mark)
	l.p.sessions.End(func(*route.Endpoint) bool { return true }, string(tunnel.ByOperator))
	w.expectClose(1001)
	if end := <-got; !strings.HasPrefix(end, "88") || !strings.HasSuffix(end, " <nil>") { // a close frame, and a clean end
		t.Errorf("the host got %s", end)
	}
}

// TestAHostWhoseTLSFails is one that can't be reached, and the kind of failure says why.
func TestAHostWhoseTLSFails(t *testing.T) {
	plain := newHost(t, "a")
	l := start(t, hostsSpeakTLS, plain)
	l.ask(get("/?token="+mark), 502)
	if n := counted(t, l, "lb_upstream_errors_total", "kind", kindTLS); n != 1 {
		t.Errorf("%v failures of TLS, want 1", n)
	}
	if got := plain.received(); strings.Contains(got, "GET") {
		t.Errorf("the host got %q in plain text", got)
	}
	stranger := newTLSHost(t, "a")
	l = start(t, func(l *lab) { l.cfg.HostTLS = hosttls.New(hosttls.Config{}, hosttls.Material{}) }, stranger)
	l.ask(get("/?token="+mark), 502)
	if got := stranger.received(); got != "" {
		t.Errorf("a host that isn't trusted got %q", got)
	}
}

// counted returns the value of a counter, by one of its labels.
func counted(t testing.TB, l *lab, name, label, value string) float64 {
	t.Helper()
	families, err := l.reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			for _, is := range m.GetLabel() {
				if is.GetName() == label && is.GetValue() == value {
					return m.GetCounter().GetValue()
				}
			}
		}
	}
	return 0
}

// TestASlowHandshakeCountsAsConnecting: timeouts.connect bounds both.
func TestASlowHandshakeCountsAsConnecting(t *testing.T) {
	silent := newHostOn(t, "a", listen(t)) // it waits for a request, and says nothing
	l := start(t, func(l *lab) {
		hostsSpeakTLS(l)
		l.cfg.Timeouts.Connect = 50 * time.Millisecond
	}, silent)
	l.ask(get("/?token="+mark), 502)
}

// TestHostsAtUnixSockets: their terminals wait without a goroutine as others do, and the whole road
// is without TCP.
func TestHostsAtUnixSockets(t *testing.T) {
	ln, err := net.Listen("unix", filepath.Join(t.TempDir(), "ide.sock"))
	if err != nil {
		t.Fatal(err)
	}
	body := noise(3*splicedStep + 1)
	h := newHostOn(t, "a", ln).on("/ws", accept(echo)).on("/large", large(body, true))
	l := start(t, nil, h)
	l.hosts[0].Address = "unix:" + ln.Addr().String()
	l.use()
	w := l.dial()
	for range 2 {
		if a := w.send(get("/large?token=" + mark)).want(200); a.body != string(body) {
			t.Error("another body")
		}
	}
	if n := h.dials.Load(); n != 1 {
		t.Errorf("%d connections for requests one after the other, want 1", n)
	}
	if a := l.dial().send("GET /?token=" + mark + " HTTP/1.0\r\n\r\n").want(200); a.err != nil || !strings.Contains(h.received(), "Host: localhost\r\n") {
		t.Errorf("the host got %q", h.received())
	}
	l.dial().open("/ws", mark).ping()
	w = l.dial().open("/ws", mark)
	l.p.sessions.End(func(*route.Endpoint) bool { return true }, string(tunnel.ByOperator))
	w.expectClose(1001)
	h.stop()
	l.ask(get("/?token="+mark), 502)
}
