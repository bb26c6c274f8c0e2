package clienttls

import (
	"crypto/tls"
	"errors"
	"net"
	"os"
	"testing"
	"testing/synctest"
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

// pipe returns the server's end of a TLS connection whose client takes nothing
// once the handshake is over, not even a byte.
func pipe(t *testing.T) *tls.Conn {
	t.Helper()
	near, far := net.Pipe()
	server := New(Options{
		Config:       &tls.Config{Certificates: []tls.Certificate{certificate(t)}},
		WriteTimeout: time.Minute,
		Yield:        func() {},
	})
	client := tls.Client(far, &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12}) // in which nothing follows the handshake
	done := make(chan error, 1)
	go func() { done <- client.Handshake() }()
	nc, err := server.Handshake(t.Context(), near, func() bool { return false })
	if err := errors.Join(err, <-done); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { far.Close() })
	return nc
}

// TestClosingWaitsLittleForAClientThatTakesNothing: crypto/tls alone would try for
// five seconds to send its alert.
func TestClosingWaitsLittleForAClientThatTakesNothing(t *testing.T) {
	for _, tt := range []struct {
		name   string
		before func(nc *tls.Conn)
		want   time.Duration
	}{
		{"it may take the alert yet", func(*tls.Conn) {}, CloseTimeout},
		{"a write has failed", func(nc *tls.Conn) {
			_ = nc.SetWriteDeadline(time.Now().Add(time.Millisecond))
			if _, err := nc.Write([]byte("x")); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("the write ends with %v", err)
			}
		}, 0},
	} {
		for how, end := range map[string]func(nc *tls.Conn){
			"both directions": func(nc *tls.Conn) { nc.Close() },
			"one direction":   func(nc *tls.Conn) { _ = CloseWrite(nc) },
		} {
			t.Run(tt.name+"/"+how, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					nc := pipe(t)
					tt.before(nc)
					began := time.Now()
					EndWrites(nc)
					end(nc)
					if took := time.Since(began); took != tt.want {
						t.Errorf("it takes %v, want %v", took, tt.want)
					}
				})
			})
		}
	}
}

// TestClosingEndsAWriteInProgress, and no later deadline lets it go on.
func TestClosingEndsAWriteInProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nc := pipe(t)
		began := time.Now()
		done := make(chan error)
		go func() { _, err := nc.Write([]byte("x")); done <- err }()
		synctest.Wait()
		EndWrites(nc)
		for _, later := range []time.Time{{}, began.Add(time.Hour)} {
			if err := errors.Join(nc.SetWriteDeadline(later), nc.SetDeadline(later)); err != nil {
				t.Error(err)
			}
		}
		if err := <-done; !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(began) != CloseTimeout {
			t.Errorf("the write ends after %v with %v", time.Since(began), err)
		}
	})
}
