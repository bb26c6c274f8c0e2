package proxy

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"tokenring/tlsterm"
)

// certificate makes one for the tests.
func certificate(t testing.TB) tls.Certificate {
	t.Helper()
	certPEM, keyPEM, err := tlsterm.SelfSigned("ide.example")
	if err != nil {
		t.Fatal(err)
	}
	cert, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

// withTLS makes a lab's listener speak TLS.
func withTLS(t testing.TB, limit *tlsterm.HandshakeLimit) func(*lab) {
	return func(l *lab) {
		l.listener = Listener{TLS: &tls.Config{Certificates: []tls.Certificate{certificate(t)}}, HandshakeLimit: limit}
	}
}

func (l *lab) dialTLS() *wire {
	l.t.Helper()
	nc, err := tls.Dial("tcp", l.addr, &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() { nc.NetConn().Close() })
	return newWire(l.t, nc)
}

func TestRequestsAndTunnelsOverTLS(t *testing.T) {
	heads := make(chan *http.Request, 1)
	h := newHost(t, "a").on("/ws", accept(echo)).on("/m", mirror(heads))
	l := start(t, withTLS(t, tlsterm.NewHandshakeLimit(1)), h)
	w := l.dialTLS().send(get("/m?token=" + mark))
	w.want(200)
	if got := (<-heads).Header.Get("X-Forwarded-Proto"); got != "https" {
		t.Errorf("got X-Forwarded-Proto %q", got)
	}
	w.open("/ws", mark).ping()
	_ = w.Conn.(*tls.Conn).CloseWrite()
	w.expectEnd() // orderly, for expectEnd tells a cut from a close_notify
	if e := l.logged("/ws"); e["tls"] != true || e["end"] != "client" {
		t.Errorf("the log says %v", e)
	}
}

func TestHostsHalfCloseIsACloseNotify(t *testing.T) {
	rest := make(chan string, 1)
	h := newHost(t, "a").on("/ws", accept(func(w *wire) {
		_ = w.Conn.(*net.TCPConn).CloseWrite()
		all, _ := io.ReadAll(w.in)
		rest <- string(all)
	}))
	l := start(t, withTLS(t, nil), h)
	w := l.dialTLS().open("/ws", mark)
	if rest, err := io.ReadAll(w.in); err != nil || len(rest) != 0 {
		t.Errorf("got %q, %v, want a clean end", rest, err)
	}
	w.send("later")
	_ = w.Conn.(*tls.Conn).CloseWrite()
	if got := <-rest; got != "later" {
		t.Errorf("the host got %q", got)
	}
}

func TestCutAnswerOverTLSNeverLooksWhole(t *testing.T) {
	h := newHost(t, "a").on("/cut", says(cuts["chunked"], false))
	l := start(t, withTLS(t, nil), h)
	w := l.dialTLS().send("GET /cut HTTP/1.0\r\n\r\n")
	if a := w.answer("GET"); a.err == nil {
		t.Errorf("got %q, which looks whole", a.body)
	}
}

func TestFailedHandshakesEndAndAreCounted(t *testing.T) {
	t.Parallel()
	l := start(t, func(l *lab) {
		withTLS(t, nil)(l)
		l.cfg.Timeouts.Handshake = 3 * time.Second // enough for those that say all they have to
	}, newHost(t, "a"))
	l.dial().expectEnd()                      // says nothing
	l.dial().send("\x16\x03\x01").expectEnd() // stops half way
	plain := l.dial().send(get("/?token=" + mark))
	_, _ = io.Copy(io.Discard, plain.in)
	gone := l.dial()
	gone.Close()
	_, err := tls.Dial("tcp", l.addr, &tls.Config{ServerName: "ide.example", RootCAs: x509.NewCertPool()}) // distrusts the certificate
	if err == nil {
		t.Error("the certificate is trusted")
	}
	got := map[string]float64{}
	eventually(t, "the counts", func() bool {
		families, _ := l.reg.Gather()
		for _, f := range families {
			for _, m := range f.GetMetric() {
				if f.GetName() == "lb_tls_handshake_errors_total" {
					got[m.GetLabel()[0].GetValue()] = m.GetCounter().GetValue()
				}
			}
		}
		return got["timeout"] == 2 && got["not_tls"] == 1 && got["closed"] == 1 && got["alert"] == 1
	})
	l.dialTLS().send(get("/")).want(200)
}

func TestSilentClientsDontCountAsHandshakes(t *testing.T) {
	limit := tlsterm.NewHandshakeLimit(1)
	l := start(t, withTLS(t, limit), newHost(t, "a"))
	l.dial()
	l.dial().send("\x16\x03\x01\x00")
	l.dialTLS().send(get("/")).want(200)

	if err := limit.Acquire(context.Background()); err != nil { // now a handshake counts
		t.Fatal(err)
	}
	done := make(chan *wire)
	go func() { done <- l.dialTLS() }()
	eventually(t, "the one that waits", func() bool { return limit.Waiting() == 1 })
	limit.Release()
	(<-done).send(get("/")).want(200)
}

func TestAClientThatStallsAfterItsHelloDoesntCountAsAHandshake(t *testing.T) {
	limit := tlsterm.NewHandshakeLimit(1)
	l := start(t, withTLS(t, limit), newHost(t, "a"))
	stalled := l.dial().send(clientHello(t))
	if _, err := stalled.in.Peek(1); err != nil { // our part is done, and it is the client's turn
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := limit.Acquire(ctx); err != nil {
		t.Fatal("the handshake still counts")
	}
	limit.Release()
}

// clientHello returns the first record of a TLS handshake.
func clientHello(t *testing.T) string {
	t.Helper()
	client, server := net.Pipe()
	defer server.Close()
	done := make(chan bool)
	go func() {
		defer close(done)
		_ = tls.Client(client, &tls.Config{InsecureSkipVerify: true}).Handshake() // ends with the pipe
	}()
	hello := make([]byte, 1<<14)
	n, err := server.Read(hello)
	if err != nil {
		t.Fatal(err)
	}
	server.Close()
	<-done
	return string(hello[:n])
}

func TestHandshakeThatIsNotAdmittedInTimeEnds(t *testing.T) {
	limit := tlsterm.NewHandshakeLimit(1)
	l := start(t, func(l *lab) {
		withTLS(t, limit)(l)
		l.cfg.Timeouts.Handshake = 50 * time.Millisecond
	}, newHost(t, "a"))
	if err := limit.Acquire(context.Background()); err != nil {
		t.Fatal(err)
	}
	if nc, err := tls.Dial("tcp", l.addr, &tls.Config{InsecureSkipVerify: true}); err == nil {
		nc.Close()
		t.Error("admitted beyond the limit")
	}
	limit.Release()
	l.dialTLS().send(get("/")).want(200)
}
