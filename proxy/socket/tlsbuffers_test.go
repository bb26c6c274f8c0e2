package socket

import (
	"crypto/tls"
	"errors"
	"net"
	"os"
	"testing"
	"time"

	"tokenring/tlsterm"
)

// connected returns both ends of a TCP connection.
func connected(t *testing.T) (far, near *net.TCPConn) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	a, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close() })
	b, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return a.(*net.TCPConn), b.(*net.TCPConn)
}

// certificate makes one for the tests.
func certificate(t *testing.T) tls.Certificate {
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

func TestBuffersOfTheHandshakeAreNotKept(t *testing.T) {
	if !knowsFields {
		t.Fatal("crypto/tls has changed: tlsbuffers.go doesn't know its fields any more")
	}
	far, near := connected(t)
	server, client := tls.Server(near, &tls.Config{Certificates: []tls.Certificate{certificate(t)}}), tls.Client(far, &tls.Config{InsecureSkipVerify: true})
	done := make(chan error)
	go func() { done <- client.Handshake() }()
	if err := server.Handshake(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	capacity := func() int { raw, hand, _ := inputs(server); return raw.Cap() + hand.Cap() }
	if capacity() < 1000 {
		t.Fatalf("%d bytes are there to be freed", capacity())
	}
	FreeBuffers(server, 1<<20)
	if capacity() < 1000 {
		t.Error("freed although it may be kept")
	}
	FreeBuffers(server, 0)
	if capacity() > 0 {
		t.Errorf("%d bytes are kept", capacity())
	}
	got := make([]byte, 3)
	for range 3 {
		if _, err := client.Write([]byte("abcdef")); err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{"abc", "def"} {
			if n, err := server.Read(got); err != nil || string(got[:n]) != want {
				t.Fatalf("got %q, %v, want %q", got[:n], err, want)
			}
			FreeBuffers(server, 0) // must leave alone what is still to be read
		}
	}
	if capacity() > 0 {
		t.Errorf("%d bytes are kept", capacity())
	}
	_ = server.SetReadDeadline(time.Now().Add(-time.Second))
	if _, err := server.Read(got); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error(err)
	}
}
