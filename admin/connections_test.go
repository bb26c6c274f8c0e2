package admin

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/rs/zerolog"

	"tokenring/lastwrite"
	"tokenring/tlsterm"
)

// A memListener is a listener in memory.
type memListener struct {
	conns chan net.Conn
	ended context.Context
	end   context.CancelFunc
}

func newMemListener(t *testing.T) *memListener {
	ctx, cancel := context.WithCancel(t.Context())
	return &memListener{make(chan net.Conn), ctx, cancel}
}

func (l *memListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.ended.Done():
		return nil, net.ErrClosed
	}
}

func (l *memListener) Close() error   { l.end(); return nil }
func (l *memListener) Addr() net.Addr { return &net.TCPAddr{} }

// A fromConn is a connection from an address.
type fromConn struct {
	net.Conn
	remote net.Addr
}

func (c fromConn) RemoteAddr() net.Addr { return c.remote }

// dial connects from an IPv4 address.
func (l *memListener) dial(from string) net.Conn {
	ours, theirs := net.Pipe()
	l.conns <- &fromConn{theirs, &net.TCPAddr{IP: net.ParseIP(from), Port: 1}}
	return ours
}

// gone reports whether the server has closed a connection. It waits a second.
func gone(conn net.Conn) bool {
	_ = conn.SetReadDeadline(time.Now().Add(time.Second))
	_, err := conn.Read(make([]byte, 1))
	return !errors.Is(err, os.ErrDeadlineExceeded)
}

// serves reports whether a connection gets an answer to a request.
func serves(conn net.Conn) bool {
	_ = conn.SetDeadline(time.Now().Add(time.Second))
	if _, err := io.WriteString(conn, "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"); err != nil {
		return false
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return false
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode == http.StatusOK
}

// serving has s serve in memory while story goes on.
func serving(t *testing.T, s *Server, story func(*memListener)) {
	t.Helper()
	ln := newMemListener(t)
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error)
	go func() { served <- s.Serve(ctx, ln) }()
	story(ln)
	cancel()
	if err := <-served; err != nil {
		t.Error(err)
	}
	if n := len(s.conns.all) + len(s.conns.bySource); n != 0 {
		t.Errorf("%d connections are still known", n)
	}
}

func TestOneSourceCannotTakeAllConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, newRegion(), io.Discard)
		serving(t, s, func(ln *memListener) {
			var silent []net.Conn
			for range maxSourceConns + 3 {
				silent = append(silent, ln.dial("10.0.0.7"))
				time.Sleep(time.Millisecond)
			}
			for i, conn := range silent[:5] {
				if gone(conn) != (i < 3) {
					t.Errorf("connection %d: got gone %v; the three that have waited longest give way", i, i >= 3)
				}
			}
			if !serves(ln.dial("10.0.0.8")) {
				t.Error("another source gets no answer")
			}
			if !serves(ln.dial("10.0.0.7")) {
				t.Error("a new connection of the same source gets no answer")
			}
			if got := testutil.ToFloat64(s.conns.closed); got != 4 {
				t.Errorf("counted %v, want 4", got)
			}
			for _, conn := range silent {
				_ = conn.Close()
			}
		})
	})
}

func TestSilentConnectionsOfManySourcesKeepNoClientOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, newRegion(), io.Discard)
		serving(t, s, func(ln *memListener) {
			for i := range maxConns + 10 {
				ln.dial(fmt.Sprintf("10.0.%d.%d", i/250, i%250))
			}
			synctest.Wait()
			if got := len(s.conns.all); got != maxConns {
				t.Errorf("there are %d connections, want %d", got, maxConns)
			}
			if !serves(ln.dial("10.1.0.1")) {
				t.Error("an operator gets no answer")
			}
			time.Sleep(headTimeout + time.Second)
			synctest.Wait()
			if got := len(s.conns.all); got != 1 { // the operator's, kept alive
				t.Errorf("%d connections are left of those that send nothing", got-1)
			}
		})
	})
}

// A connection that answers an operator isn't closed for a newcomer: the newcomer is.
func TestAConnectionWithARequestInProgressStays(t *testing.T) {
	c := newConnections()
	source := &net.TCPAddr{IP: net.IPv4(10, 0, 0, 7), Port: 1}
	var first *lastwrite.Conn
	for range maxSourceConns {
		conn := &lastwrite.Conn{Conn: fromConn{nil, source}}
		if c.admit(conn) != nil {
			t.Fatal("there is room")
		}
		c.changed(conn, http.StateActive)
		c.authenticated(withConn(t.Context(), conn))
		if first == nil {
			first = conn
		}
	}
	late := &lastwrite.Conn{Conn: fromConn{nil, source}}
	if c.admit(late) != late || len(c.all) != maxSourceConns {
		t.Error("the newcomer came in though all others answer requests")
	}
	c.changed(first, http.StateIdle)
	if c.admit(late) != first || c.all[late] == nil || c.all[first] != nil {
		t.Error("the one that waits didn't give way")
	}
}

// TestAnOperatorsStreamIsntClosedForNewConnections: the server notes on which connection a
// token has been shown.
func TestAnOperatorsStreamIsntClosedForNewConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, newRegion(), io.Discard)
		serving(t, s, func(ln *memListener) {
			stream := ln.dial("10.0.0.7")
			_, _ = io.WriteString(stream, "GET /events HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer "+adminToken+"\r\n\r\n")
			ended := make(chan struct{})
			go func() { defer close(ended); _, _ = io.Copy(io.Discard, stream) }()
			synctest.Wait()
			var silent []net.Conn
			for range 2 * maxSourceConns {
				silent = append(silent, ln.dial("10.0.0.7"))
				synctest.Wait()
			}
			select {
			case <-ended:
				t.Error("the stream gave way to connections that show no token")
			default:
			}
			for _, conn := range append(silent, stream) {
				_ = conn.Close()
			}
			synctest.Wait()
		})
	})
}

// Anybody can send the head of a request, and keep its body for as long as there is
// time for one.
func TestRequestsWithoutATokenKeepNoOperatorOut(t *testing.T) {
	for name, head := range map[string]string{
		"a sign-in":     "POST /signin HTTP/1.1\r\nHost: 127.0.0.1\r\nOrigin: http://127.0.0.1\r\nX-Lb-Dashboard: 1\r\nContent-Length: 40\r\n\r\n{",
		"a wrong token": "POST /v1/explain HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer wrong\r\nContent-Length: 40\r\n\r\n{",
		"health":        "GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 40\r\n\r\n{",
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newServer(t, newRegion(), io.Discard)
				serving(t, s, func(ln *memListener) {
					var all []net.Conn
					for range maxSourceConns {
						conn := ln.dial("10.0.0.7")
						go func() { _, _ = io.Copy(io.Discard, conn) }()
						_, _ = io.WriteString(conn, head)
						all = append(all, conn)
					}
					synctest.Wait()
					if !serves(ln.dial("10.0.0.7")) {
						t.Error("an operator of the same source gets no answer")
					}
					for _, conn := range all {
						_ = conn.Close()
					}
				})
			})
		})
	}
}

// Whoever opens one connection after the other loses his own by it.
func TestTheSourceWithTheMostConnectionsLosesOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newConnections()
		from := func(last byte) *lastwrite.Conn {
			return &lastwrite.Conn{Conn: fromConn{nil, &net.TCPAddr{IP: net.IPv4(10, 0, 0, last), Port: 1}}}
		}
		operator := from(1)
		c.admit(operator)
		for i := range 3 * maxConns {
			time.Sleep(time.Millisecond)
			c.admit(from(byte(2 + i%5)))
		}
		if c.all[operator] == nil || len(c.all) != maxConns {
			t.Errorf("the only connection of its source has given way; there are %d", len(c.all))
		}
	})
}

// A stream whose client doesn't read must not be kept.
func TestAStreamThatIsntReadEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, newRegion(), io.Discard)
		serving(t, s, func(ln *memListener) {
			conn := ln.dial("10.0.0.7")
			_, _ = io.WriteString(conn, "GET /events HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer "+adminToken+"\r\n\r\n")
			if _, err := conn.Read(make([]byte, 1)); err != nil {
				t.Fatal(err)
			}
			time.Sleep(streamWrite + 2*time.Second)
			synctest.Wait()
			if len(s.streams) != 0 || len(s.conns.all) != 0 {
				t.Errorf("%d streams, %d connections are left", len(s.streams), len(s.conns.all))
			}
		})
	})
}

// newCertificate returns the source of a certificate, and a pool that accepts it.
func newCertificate(t *testing.T) (*tlsterm.Source, *x509.CertPool) {
	t.Helper()
	dir := t.TempDir()
	certPEM, keyPEM, err := tlsterm.SelfSigned("lb-1.internal", "*.ops.internal", "127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	pair := tlsterm.Pair{Cert: filepath.Join(dir, "a.crt"), Key: filepath.Join(dir, "a.key")}
	if err := errors.Join(os.WriteFile(pair.Cert, certPEM, 0o600), os.WriteFile(pair.Key, keyPEM, 0o600)); err != nil {
		t.Fatal(err)
	}
	source, err := tlsterm.New(tlsterm.Config{Terms: tlsterm.Terms{Certificates: []tlsterm.Pair{pair}}}, zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(certPEM)
	return source, roots
}

func TestTheEndpointSpeaksTLS(t *testing.T) {
	source, roots := newCertificate(t)
	s := newServer(t, newRegion(), io.Discard)
	s.deps.TLS = source
	url, stop := start(t, s)
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, DisableKeepAlives: true}}
	url = strings.Replace(url, "http:", "https:", 1)

	for host, want := range map[string]int{
		"":                       http.StatusNoContent,
		"lb-1.internal:7000":     http.StatusNoContent,
		"a.ops.internal":         http.StatusNoContent,
		"evil.example":           http.StatusMisdirectedRequest,
		"b.a.ops.internal":       http.StatusMisdirectedRequest,
		"lb-1.internal.evil.com": http.StatusMisdirectedRequest,
	} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+"/signin", strings.NewReader(`{"token":"`+adminToken+`"}`))
		if err != nil {
			t.Fatal(err)
		}
		req.Host = host
		if host == "" {
			host = req.URL.Host
		}
		req.Header.Set("Origin", "https://"+host)
		req.Header.Set(dashboardHeader, "1")
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("Host %s: got %d, want %d", host, resp.StatusCode, want)
		}
		if want == http.StatusNoContent && (len(resp.Cookies()) != 1 || !resp.Cookies()[0].Secure) {
			t.Errorf("Host %s: got cookies %v, want one that browsers send over TLS alone", host, resp.Cookies())
		}
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
	if n := len(s.conns.all); n != 0 {
		t.Errorf("%d connections are still known", n)
	}
}
