package proxy

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"

	"tokenring/http1"
	"tokenring/route"
)

// A recorder is a host that reads strictly and keeps what it reads.
type recorder struct {
	t        testing.TB
	ln       net.Listener
	raw      []byte // its answer to all but canaries; nil for its usual one
	closes   bool   // behind that answer
	answered sync.WaitGroup
	served   sync.WaitGroup

	mu     sync.Mutex
	cuts   func([]byte) [][]byte // how the answer is cut up
	whole  []*message            // complete requests, in the order of their ends
	begun  []string              // requests that ended before their end
	faults []error               // what a strict reader refuses
	conns  map[int]net.Conn
	count  int
}

func newRecorder(t testing.TB, c *strictCase) *recorder {
	t.Helper()
	r := &recorder{t: t, ln: listen(t), raw: c.response, closes: c.flags["host-closes"], cuts: atOnce, conns: map[int]net.Conn{}}
	r.served.Go(r.accept)
	t.Cleanup(r.stop)
	return r
}

func (r *recorder) entry() *route.Host {
	return &route.Host{
		Spec:       route.Spec{Name: "a", Address: r.ln.Addr().String(), Weight: 1},
		AdminState: route.AdminState{State: route.Ready}, Health: route.Health{Verdict: route.Up}, Standing: route.Standing{InRing: true}, Gauges: new(route.Gauges),
	}
}

// stop ends the host. finish is the way to do so that loses nothing.
func (r *recorder) stop() {
	r.ln.Close()
	r.mu.Lock()
	for _, nc := range r.conns {
		nc.Close()
	}
	r.mu.Unlock()
	r.served.Wait()
}

// finish reads all connections to their ends, which must have been sent.
func (r *recorder) finish() {
	r.ln.Close()
	r.served.Wait()
}

func (r *recorder) accept() {
	for {
		nc, err := r.ln.Accept()
		if err != nil {
			return
		}
		r.mu.Lock()
		r.count++
		number := r.count
		r.conns[number] = nc
		r.mu.Unlock()
		r.served.Go(func() {
			r.serve(nc, number)
			nc.Close()
			r.mu.Lock()
			delete(r.conns, number)
			r.mu.Unlock()
		})
	}
}

func (r *recorder) serve(nc net.Conn, number int) {
	in := bufio.NewReader(nc)
	for {
		m, err := r.read(nc, in)
		m.conn = number
		if !r.record(m, err) {
			return
		}
		goOn := r.answer(nc, in, m)
		r.answered.Done()
		if !goOn {
			return
		}
	}
}

// read reads one request, and lets a client that waits for it send its body.
func (r *recorder) read(nc net.Conn, in *bufio.Reader) (*message, error) {
	m, err := readStrictHead(in, strictRequest)
	if err != nil {
		return m, err
	}
	if err := m.checkRequest(); err != nil {
		return m, err
	}
	if len(values(m.fields, "Expect")) > 0 {
		_, _ = io.WriteString(nc, "HTTP/1.1 100 Continue\r\n\r\n")
	}
	return m, m.readStrictBody(in, false, false)
}

// record keeps m, and reports whether it is to be answered.
func (r *recorder) record(m *message, err error) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	bad, isBad := err.(errNotStrict)
	switch {
	case err == nil:
		r.whole = append(r.whole, m)
		r.answered.Add(1)
	case isBad:
		r.faults = append(r.faults, bad)
	case m.line != "": // else it was an end between two requests
		r.begun = append(r.begun, fmt.Sprintf("%q %q %q", m.line, m.fields, m.body))
	}
	return err == nil
}

// answer reports whether the connection may go on.
func (r *recorder) answer(nc net.Conn, in *bufio.Reader, m *message) bool {
	method, target, _ := strings.Cut(strings.TrimSuffix(m.line, " HTTP/1.1"), " ")
	switch {
	case r.raw != nil && !strings.HasPrefix(target, "/canary/"):
		r.mu.Lock()
		pieces := r.cuts(r.raw)
		r.mu.Unlock()
		writeAll(nc, pieces)
		return !r.closes
	case len(values(m.fields, "Upgrade")) > 0:
		key := values(m.fields, "Sec-WebSocket-Key")[0]
		fmt.Fprintf(nc, "HTTP/1.1 101 \r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: %s\r\n\r\n", http1.AcceptKey([]byte(key)))
		_, _ = io.Copy(nc, in)
		return false
	}
	body := method + " " + target
	fmt.Fprintf(nc, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", len(body))
	if method != "HEAD" {
		_, _ = io.WriteString(nc, body)
	}
	return true
}

// since returns the complete requests from the n-th on, canaries apart.
func (r *recorder) since(n int) (requests, canaries []*message) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, m := range r.whole[n:] {
		if strings.Contains(m.line, " /canary/") {
			canaries = append(canaries, m)
		} else {
			requests = append(requests, m)
		}
	}
	return requests, canaries
}

func (r *recorder) mark() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.whole)
}

// speak sets how the answers are cut up from now on.
func (r *recorder) speak(cuts func([]byte) [][]byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cuts = cuts
}

func writeAll(nc net.Conn, pieces [][]byte) {
	for _, p := range pieces {
		if _, err := nc.Write(p); err != nil {
			return
		}
	}
}

// The ways in which bytes come. Each piece is a segment of its own: Go sets
// TCP_NODELAY.
func atOnce(b []byte) [][]byte { return [][]byte{b} }

func byteByByte(b []byte) [][]byte { return piecesOf(b, 1+len(b)/1500) } // the large ones in some hundred pieces

func inSevens(b []byte) [][]byte { return piecesOf(b, 7+len(b)/1500) }

func piecesOf(b []byte, size int) (pieces [][]byte) {
	for len(b) > size {
		pieces, b = append(pieces, b[:size]), b[size:]
	}
	return append(pieces, b)
}
