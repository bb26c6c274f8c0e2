package hosttls

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tokenring/tlsterm"
)

// pair writes a certificate for names, which is its own authority, and its key.
func pair(t *testing.T, names ...string) (cert, key string) {
	t.Helper()
	certPEM, keyPEM, err := tlsterm.SelfSigned(names...)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cert, key = filepath.Join(dir, "a.crt"), filepath.Join(dir, "a.key")
	if err := errors.Join(os.WriteFile(cert, certPEM, 0o600), os.WriteFile(key, keyPEM, 0o600)); err != nil {
		t.Fatal(err)
	}
	return cert, key
}

// client returns a client for cfg.
func client(t *testing.T, cfg Config) *Client {
	t.Helper()
	m, err := cfg.Read()
	if err != nil {
		t.Fatal(err)
	}
	return New(cfg, m)
}

// A server is a TLS host that sends one byte on each connection, so that the client gets the
// tickets before it.
type server struct {
	t    *testing.T
	addr string
}

func serve(t *testing.T, cert, key string, change func(*tls.Config)) server {
	t.Helper()
	own, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	cfg := &tls.Config{Certificates: []tls.Certificate{own}, NextProtos: []string{"h2", "http/1.1"}}
	if change != nil {
		change(cfg)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			tc := tls.Server(nc, cfg)
			_ = tc.SetDeadline(time.Now().Add(20 * time.Second))
			_, _ = tc.Write([]byte("x"))
			_, _ = tc.Read(make([]byte, 1)) // until the client leaves
			tc.Close()
		}
	}()
	t.Cleanup(func() { ln.Close(); <-done })
	return server{t, ln.Addr().String()}
}

// meet connects, does the handshake, reads the byte, and returns the state of the connection.
func (s server) meet(p *Peer) (tls.ConnectionState, error) {
	s.t.Helper()
	nc, err := net.Dial("tcp", s.addr)
	if err != nil {
		s.t.Fatal(err)
	}
	defer nc.Close()
	ctx, cancel := context.WithTimeout(s.t.Context(), 20*time.Second)
	defer cancel()
	tc, err := p.Handshake(ctx, nc)
	if err != nil {
		return tls.ConnectionState{}, err
	}
	_ = tc.SetReadDeadline(time.Now().Add(20 * time.Second))
	_, err = tc.Read(make([]byte, 1))
	return tc.ConnectionState(), err
}

func TestWhichHostsAreTrusted(t *testing.T) {
	cert, key := pair(t, "ide.internal", "127.0.0.1")
	other, otherKey := pair(t, "lb.internal")
	no := false
	asks := func(cfg *tls.Config) { cfg.ClientAuth = tls.RequireAnyClientCert }
	older := func(cfg *tls.Config) { cfg.ClientAuth, cfg.MaxVersion = tls.RequireAnyClientCert, tls.VersionTLS12 }
	for name, row := range map[string]struct {
		cfg  Config
		name string
		host func(*tls.Config)
		want string // in the error; "" for none
	}{
		"its name":                           {Config{CA: cert}, "ide.internal:4000", nil, ""},
		"its IP address":                     {Config{CA: cert}, "127.0.0.1", nil, ""},
		"the name of all hosts":              {Config{CA: cert, ServerName: "ide.internal"}, "10.0.0.11", nil, ""},
		"another name":                       {Config{CA: cert}, "ide.example", nil, "is for another name"},
		"the name of all hosts isn't its":    {Config{CA: cert, ServerName: "ide.example"}, "ide.internal", nil, "is for another name"},
		"another authority":                  {Config{CA: other}, "ide.internal", nil, "authority that isn't trusted"},
		"the system's authorities":           {Config{}, "ide.internal", nil, "authority that isn't trusted"},
		"another authority, without a check": {Config{CA: other, Verify: &no}, "ide.example", nil, ""},
		"it wants a certificate":             {Config{CA: cert, Cert: other, Key: otherKey}, "ide.internal", asks, ""},
		"it wants one, and there is none":    {Config{CA: cert}, "ide.internal", asks, "certificate required"},
		"likewise with TLS 1.2":              {Config{CA: cert}, "ide.internal", older, "the host refuses the TLS handshake"},
		"it speaks only TLS 1.1":             {Config{CA: cert}, "ide.internal", func(cfg *tls.Config) { cfg.MinVersion, cfg.MaxVersion = tls.VersionTLS11, tls.VersionTLS11 }, "the TLS handshake"},
	} {
		t.Run(name, func(t *testing.T) {
			state, err := serve(t, cert, key, row.host).meet(client(t, row.cfg).Peer(row.name))
			switch {
			case row.want == "" && (err != nil || state.NegotiatedProtocol != "http/1.1"):
				t.Errorf("got %v and the protocol %q", err, state.NegotiatedProtocol)
			case row.want != "" && (err == nil || !strings.Contains(err.Error(), row.want) || !Failed(err)):
				t.Errorf("got %v, want an error of TLS with %q", err, row.want)
			}
		})
	}
}

func TestSessionsAreResumedUntilTheFilesChange(t *testing.T) {
	cert, key := pair(t, "ide.internal")
	s := serve(t, cert, key, nil)
	c := client(t, Config{CA: cert})
	p := c.Peer("ide.internal")
	resumed := func() bool {
		t.Helper()
		state, err := s.meet(p)
		if err != nil {
			t.Fatal(err)
		}
		return state.DidResume
	}
	if resumed() || !resumed() {
		t.Error("the second handshake doesn't resume the session of the first")
	}
	m, err := (&Config{CA: cert}).Read()
	if err != nil {
		t.Fatal(err)
	}
	c.Use(m)
	if resumed() {
		t.Error("a session from before the change of the files is resumed")
	}
	other, _ := pair(t, "ide.internal")
	if m, err = (&Config{CA: other}).Read(); err != nil {
		t.Fatal(err)
	}
	c.Use(m)
	if _, err := s.meet(p); err == nil {
		t.Error("a host is trusted whose authority isn't any more")
	}
}

func TestAHostWithoutTLS(t *testing.T) {
	near, far := net.Pipe()
	defer near.Close()
	go func() {
		defer far.Close()
		_, _ = far.Read(make([]byte, 1<<14))
		_, _ = far.Write([]byte("HTTP/1.1 400 Bad Request\r\n\r\n"))
	}()
	_, err := client(t, Config{}).Peer("ide.internal").Handshake(t.Context(), near)
	if err == nil || err.Error() != "the host doesn't speak TLS" {
		t.Errorf("got %v", err)
	}
}

// TestNoTLSIsANilPeer lets callers ask for the peer of any pool.
func TestNoTLSIsANilPeer(t *testing.T) {
	if p := (*Client)(nil).Peer("ide.internal"); p != nil {
		t.Errorf("got %v", p)
	}
}

func TestFilesThatCantBeUsed(t *testing.T) {
	cert, key := pair(t, "a.internal")
	_, otherKey := pair(t, "b.internal")
	for name, cfg := range map[string]Config{
		"no file":          {CA: filepath.Join(t.TempDir(), "ca.crt")},
		"a key as the CA":  {CA: key},
		"no key":           {Cert: cert},
		"no certificate":   {Key: key},
		"another's key":    {Cert: cert, Key: otherKey},
		"a swapped couple": {Cert: key, Key: cert},
	} {
		if _, err := cfg.Read(); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if got := (&Config{CA: "a", Cert: "b", Key: "c"}).Files(); len(got) != 3 {
		t.Errorf("got %v", got)
	}
}

// TestAWriteAfterItsDeadline is how TLS answers a key update, long after a request.
func TestAWriteAfterItsDeadline(t *testing.T) {
	near, far := net.Pipe()
	defer far.Close()
	c := &Conn{Conn: near}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(-time.Hour)); err != nil {
		t.Fatal(err)
	}
	go func() { _, _ = far.Read(make([]byte, 1)) }()
	if _, err := c.Write([]byte("x")); err != nil {
		t.Error(err)
	}
	if c.Socket() != near || Socket(c) != net.Conn(c) {
		t.Error("another socket")
	}
}
