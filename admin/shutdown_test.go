package admin

import (
	"bufio"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"tokenring/lastwrite"
)

// idleTLS connects with TLS, gets one answer, and reads nothing more: the alert with
// which the server closes the connection can't be written. It returns when the server
// waits for the next request.
func idleTLS(t *testing.T, s *Server, ln *memListener, cfg *tls.Config) {
	t.Helper()
	conn := tls.Client(ln.dial("10.0.0.7"), cfg)
	if _, err := io.WriteString(conn, "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	sent := time.Now()
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	if body, err := io.ReadAll(resp.Body); err != nil || string(body) != "ok\n" {
		t.Fatalf("got %q, %v", body, err)
	}
	for !hasIdleSince(s.conns, sent) {
		time.Sleep(time.Millisecond)
	}
}

// hasIdleSince reports whether a connection has become idle since a moment.
func hasIdleSince(c *connections, moment time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, is := range c.all {
		if is.waiting && is.since.After(moment) {
			return true
		}
	}
	return false
}

// The clock is the real one: net/http holds a lock while it closes idle connections, and
// the clock of a synctest bubble stands still as long as a goroutine waits for a lock.
func TestClientsThatReadNothingDelayAShutdownByTheGracePeriodAtMost(t *testing.T) {
	t.Parallel()
	source, roots := newCertificate(t)
	s := newServer(t, newRegion(), io.Discard)
	s.deps.TLS, s.grace = source, 200*time.Millisecond
	var stopped time.Time
	serving(t, s, func(ln *memListener) {
		for range 3 {
			idleTLS(t, s, ln, &tls.Config{RootCAs: roots, ServerName: "lb-1.internal"})
		}
		stopped = time.Now()
	})
	if took := time.Since(stopped); took > s.grace+4*time.Second {
		t.Errorf("the shutdown took %v, want about %v", took, s.grace)
	}
}

func TestNoWriteOutlastsTheEndOfWrites(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, began := newConnections(), time.Now()
		open := func() *lastwrite.Conn {
			_, theirs := net.Pipe()
			conn := &lastwrite.Conn{Conn: fromConn{theirs, &net.TCPAddr{IP: net.IPv4(10, 0, 0, 7), Port: 1}}}
			c.admit(conn)
			return conn
		}
		earlier := open()
		c.endWrites(began.Add(graceTimeout))
		for _, conn := range []*lastwrite.Conn{earlier, open()} {
			_ = conn.SetWriteDeadline(began.Add(time.Minute))
			_, err := conn.Write([]byte("x"))
			if took := time.Since(began); !errors.Is(err, os.ErrDeadlineExceeded) || took != graceTimeout {
				t.Errorf("a write ended after %v with %v, want a timeout after %v", took, err, graceTimeout)
			}
		}
	})
}
