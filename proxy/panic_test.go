package proxy

import (
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"tokenring/proxy/deadline"
	"tokenring/tlsterm"
)

func TestAPanicEndsOneConnectionOnly(t *testing.T) {
	l := start(t, func(l *lab) { l.cfg.ShutdownGrace = 100 * time.Millisecond }, newHost(t, "a").on("/cut", says("", false)).on("/ws", accept(echo)))
	neighbour := l.dial().open("/ws", mark)
	neighbour.ping()
	var nobody map[string]int
	l.p.opt.Suspect = func(host string) { nobody[host]++ } // writes to a nil map
	l.dial().send(get("/cut?token=" + mark)).expectEnd()
	neighbour.ping()
	l.ask(get("/fine"), 200)
	eventually(t, "the fault is counted", func() bool { return testutil.ToFloat64(l.p.opt.Metrics.Connections.Panics) == 1 })
	l.stop()
	if log := l.log.String(); !strings.Contains(log, "nil map") || strings.Contains(log, mark) {
		t.Errorf("the log should say what went wrong, without the token:\n%s", log)
	}
}

// TestAPanicInAHandshakeLeavesNoSession meets a fault of ours in each step of a
// handshake after which the key counts as being on its host.
func TestAPanicInAHandshakeLeavesNoSession(t *testing.T) {
	for name, path := range map[string]string{"before the answer": "/cut", "on a bad answer": "/bad"} {
		t.Run(name, func(t *testing.T) {
			l := start(t, nil, newHost(t, "a").on("/cut", says("", false)).on("/bad", says("HTTP/1.1 101 Switching Protocols\r\n\r\n", false)))
			var nobody map[string]int
			l.p.opt.Suspect = func(host string) { nobody[host]++ } // writes to a nil map
			l.dial().send(upgrade(path, mark)).expectEnd()
			eventually(t, "the fault is counted", func() bool { return testutil.ToFloat64(l.p.opt.Metrics.Connections.Panics) == 1 })
			eventually(t, "no session of the key", func() bool { host, _ := l.p.Session(l.digest(mark)); return host == "" })
		})
	}
}

// TestAPanicInALargeBodyReleasesItsStep: otherwise the limit of large steps would be
// reached, one step with each fault.
func TestAPanicInALargeBodyReleasesItsStep(t *testing.T) {
	broken := fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", largeBody*4, strings.Repeat("x", 20<<10))
	l := start(t, nil, newHost(t, "a").on("/broken", says(broken, false)))
	var nobody map[string]int
	l.p.opt.Suspect = func(host string) { nobody[host]++ }
	w := l.dial().send(get("/broken"))
	_, _ = io.Copy(io.Discard, w.in)
	eventually(t, "the fault is counted", func() bool { return testutil.ToFloat64(l.p.opt.Metrics.Connections.Panics) == 1 })
	if n := len(largeSteps); n != 0 {
		t.Errorf("%d large steps are under way", n)
	}
}

// TestAPanicInAStreamClosesTheHostsConnection has a stream of HTTP/2 end by a
// fault of ours while its host still answers.
func TestAPanicInAStreamClosesTheHostsConnection(t *testing.T) {
	gone := make(chan error, 1)
	l := start(t, speaksH2(t), newHost(t, "a").on("/odd", func(w *wire, _ *http.Request) bool {
		w.send("HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n")
		_ = w.SetDeadline(time.Now().Add(20 * time.Second))
		_, err := io.Copy(io.Discard, w.in)
		gone <- err
		return false
	}))
	var nobody map[string]int
	l.p.opt.Suspect = func(host string) { nobody[host]++ }
	resp, err := l.h2client().Get("https://" + l.addr + "/odd")
	if err == nil {
		resp.Body.Close()
		t.Errorf("got %s", resp.Status)
	}
	if err := <-gone; deadline.Exceeded(err) {
		t.Error("the host's connection stays open")
	}
}

// TestAPanicInATLSHandshakeReleasesTheLimit has a limit of one handshake, which a panic in
// a callback of the configuration ends.
func TestAPanicInATLSHandshakeReleasesTheLimit(t *testing.T) {
	cert := certificate(t)
	var faulty atomic.Bool
	faulty.Store(true)
	l := start(t, func(l *lab) {
		withTLS(t, tlsterm.NewHandshakeLimit(1))(l)
		l.cfg.Timeouts.Handshake = 20 * time.Second
		l.listener.TLS = &tls.Config{GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			if faulty.CompareAndSwap(true, false) {
				panic("a fault of ours")
			}
			return &cert, nil
		}}
	}, newHost(t, "a"))
	if nc, err := tls.Dial("tcp", l.addr, &tls.Config{InsecureSkipVerify: true}); err == nil {
		nc.Close()
		t.Fatal("the handshake succeeded")
	}
	l.dialTLS().send(get("/")).want(200)
}
