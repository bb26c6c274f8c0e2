package tunnel

import (
	"crypto/tls"
	"io"
	"net"
	"reflect"
	"testing"
	"time"

	"tokenring/hosttls"
	"tokenring/poller"
	"tokenring/tlsterm"
)

// overTLS returns both ends of a TLS connection above near and far. near is a balancer's.
func overTLS(t *testing.T, near, far net.Conn) (host, ours *tls.Conn) {
	t.Helper()
	certPEM, keyPEM, err := tlsterm.SelfSigned("ide.internal")
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		t.Fatal(err)
	}
	host = tls.Server(far, &tls.Config{Certificates: []tls.Certificate{pair}})
	done := make(chan error, 1)
	go func() { done <- host.Handshake() }()
	no := false
	ours, err = hosttls.New(hosttls.Config{Verify: &no}, hosttls.Material{}).Peer("ide.internal").Handshake(t.Context(), near)
	if err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	return host, ours
}

// inputOf returns for how many bytes tc has a buffer of input.
func inputOf(tc *tls.Conn) int {
	return reflect.ValueOf(tc).Elem().FieldByName("rawInput").FieldByName("buf").Cap()
}

// TestAQuietTunnelKeepsNoBufferOfTheHostsTLS: a large record needs one, which an idle terminal gives
// back.
func TestAQuietTunnelKeepsNoBufferOfTheHostsTLS(t *testing.T) {
	quiet, err := poller.New(time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	client, near := connected(t)
	far, toHost := connected(t)
	host, ours := overTLS(t, toHost, far)
	b := &bench{t: t, tun: new(Tunnel), client: client, host: far}
	o := Options{Client: near, Host: ours, Poller: quiet, Owner: b, Idle: time.Hour, HalfClosed: time.Minute}
	if err := b.tun.Open(o, Greeting{Head: []byte("head")}); err != nil {
		t.Fatal(err)
	}
	defer b.tun.End(ByShutdown)
	b.now = epoch.Add(b.tun.last)
	b.read(client, "head")
	large := make([]byte, 64<<10) // whose first records are small
	_ = client.SetReadDeadline(time.Now().Add(20 * time.Second))
	got := make(chan error, 1)
	go func() {
		_, err := io.ReadFull(client, make([]byte, len(large)))
		got <- err
	}()
	go func() { _, _ = host.Write(large) }() // an error shows as text that doesn't come
	for end := time.Now().Add(20 * time.Second); b.tun.Stats().FromHost < int64(len(large)); b.events(false) {
		if time.Now().After(end) {
			t.Fatal("the text doesn't come")
		}
	}
	if err := <-got; err != nil {
		t.Fatal(err)
	}
	if n := inputOf(ours); n <= smallRecord {
		t.Fatalf("a buffer of %d bytes has held a large record", n)
	}
	b.tun.Tick(b.now)
	if n := inputOf(ours); n > smallRecord {
		t.Errorf("a quiet tunnel keeps a buffer of %d bytes", n)
	}
}
