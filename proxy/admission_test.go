package proxy

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
	"math/big"
	"net"
	"net/http"
	"testing"
	"time"

	"tokenring/tlsterm"
)

// certificate makes one for the tests.
func certificate(t testing.TB) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"ide.example"}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// withTLS makes a lab's listener speak TLS.
func withTLS(t testing.TB, gate *tlsterm.Gate) func(*lab) {
	return func(l *lab) {
		l.listener = Listener{TLS: &tls.Config{Certificates: []tls.Certificate{certificate(t)}}, Gate: gate}
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
	l := start(t, withTLS(t, tlsterm.NewGate(1)), h)
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
		l.cfg.Timeouts.Handshake = 500 * time.Millisecond
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

func TestSilentClientsHoldNoPlaceInTheGate(t *testing.T) {
	gate := tlsterm.NewGate(1)
	l := start(t, withTLS(t, gate), newHost(t, "a"))
	l.dial()
	l.dial().send("\x16\x03\x01\x00")
	l.dialTLS().send(get("/")).want(200)

	if err := gate.Enter(context.Background()); err != nil { // now somebody computes
		t.Fatal(err)
	}
	done := make(chan *wire)
	go func() { done <- l.dialTLS() }()
	eventually(t, "the one who waits", func() bool { return gate.Waiting() == 1 })
	gate.Leave()
	(<-done).send(get("/")).want(200)
}

func TestClientThatStallsAfterItsHelloHoldsNoPlaceInTheGate(t *testing.T) {
	gate := tlsterm.NewGate(1)
	l := start(t, withTLS(t, gate), newHost(t, "a"))
	stalled := l.dial().send(clientHello(t))
	if _, err := stalled.in.Peek(1); err != nil { // our part is done, and it is the client's turn
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	if err := gate.Enter(ctx); err != nil {
		t.Fatal("the place is still held")
	}
	gate.Leave()
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
	gate := tlsterm.NewGate(1)
	l := start(t, func(l *lab) {
		withTLS(t, gate)(l)
		l.cfg.Timeouts.Handshake = 50 * time.Millisecond
	}, newHost(t, "a"))
	if err := gate.Enter(context.Background()); err != nil {
		t.Fatal(err)
	}
	if nc, err := tls.Dial("tcp", l.addr, &tls.Config{InsecureSkipVerify: true}); err == nil {
		nc.Close()
		t.Error("admitted without a place")
	}
	gate.Leave()
	l.dialTLS().send(get("/")).want(200)
}
