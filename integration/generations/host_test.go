//go:build integration

package generations

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// A host is an IDE host whose terminals echo. It knows which tokens have terminals on it.
type host struct {
	name, address string

	mu   sync.Mutex
	open map[string]int // terminals by token
}

// startHosts starts hosts until the test ends.
func startHosts(t *testing.T, n int) []*host {
	t.Helper()
	var all []*host
	for i := range n {
		h := &host{name: fmt.Sprintf("ide-%d", i+1), open: map[string]int{}}
		srv := httptest.NewServer(h)
		t.Cleanup(func() { srv.CloseClientConnections(); srv.Close() })
		h.address = srv.Listener.Addr().String()
		all = append(all, h)
	}
	return all
}

// ServeHTTP answers with the name of the host, or echoes on a WebSocket.
func (h *host) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Upgrade") == "" {
		_, _ = io.WriteString(w, h.name)
		return
	}
	ws, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true})
	if err != nil {
		return
	}
	defer ws.CloseNow()
	token := r.URL.Query().Get("token")
	h.count(token, 1)
	defer h.count(token, -1)
	for {
		kind, b, err := ws.Read(context.Background())
		if err != nil || ws.Write(context.Background(), kind, b) != nil {
			return
		}
	}
}

func (h *host) count(token string, n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.open[token] += n; h.open[token] == 0 {
		delete(h.open, token)
	}
}

// onTwoHosts returns the tokens that have terminals on several hosts.
func onTwoHosts(hosts []*host) (tokens []string) {
	seen := map[string]bool{}
	for _, h := range hosts {
		h.mu.Lock()
		for token := range h.open {
			if seen[token] {
				tokens = append(tokens, token)
			}
			seen[token] = true
		}
		h.mu.Unlock()
	}
	return tokens
}

// A terminal is a client's WebSocket over TLS, as small as it can be: a test has thousands.
type terminal struct {
	token string
	conn  net.Conn
}

// openTerminal opens a terminal. Its handshake is written by hand, so that nothing but the
// connection stays in memory.
func openTerminal(address, token string) (*terminal, error) {
	conn, err := tls.DialWithDialer(&net.Dialer{Timeout: 30 * time.Second}, "tcp", address, &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS13})
	if err != nil {
		return nil, err
	}
	_ = conn.SetDeadline(time.Now().Add(30 * time.Second))
	fmt.Fprintf(conn, "GET /?token=%s HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", token)
	in := bufio.NewReaderSize(conn, 512)
	status := ""
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			conn.Close()
			return nil, err
		}
		if status == "" {
			status = strings.TrimSpace(line)
		}
		if line == "\r\n" {
			break
		}
	}
	if !strings.HasPrefix(status, "HTTP/1.1 101") || in.Buffered() > 0 {
		conn.Close()
		return nil, fmt.Errorf("got %q", status)
	}
	return &terminal{token, conn}, nil
}

// frame is a text message of four bytes, masked with zeros (RFC 6455 §5.2); echoed is how it
// comes back.
var (
	frame  = []byte{0x81, 0x84, 0, 0, 0, 0, 'p', 'i', 'n', 'g'}
	echoed = []byte{0x81, 0x04, 'p', 'i', 'n', 'g'}
)

// echoes returns an error if the terminal has been cut.
func (t *terminal) echoes() error {
	_ = t.conn.SetDeadline(time.Now().Add(30 * time.Second))
	if _, err := t.conn.Write(frame); err != nil {
		return err
	}
	got := make([]byte, len(echoed))
	if _, err := io.ReadFull(t.conn, got); err != nil {
		return err
	}
	if string(got) != string(echoed) {
		return fmt.Errorf("got %x", got)
	}
	return nil
}

// openMany opens terminals with tokens of their own, several at a time.
func openMany(t *testing.T, address, prefix string, n int) []*terminal {
	t.Helper()
	all, errs := make([]*terminal, n), make([]error, n)
	each(n, func(i int) { all[i], errs[i] = openTerminal(address, fmt.Sprintf("%s-%d", prefix, i)) })
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		for _, one := range all {
			one.conn.Close()
		}
	})
	return all
}

// each calls do for 0 to n-1, several at a time.
func each(n int, do func(i int)) {
	var group sync.WaitGroup
	next := make(chan int)
	for range 16 {
		group.Go(func() {
			for i := range next {
				do(i)
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	group.Wait()
}
