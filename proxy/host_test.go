package proxy

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tokenring/proxy/deadline"
	"tokenring/route"
)

// A host is a scripted IDE host. It answers 200 with its name, the method and
// the path, unless there is a script for the path. A script returns whether the
// connection may go on.
type host struct {
	t       testing.TB
	name    string
	ln      net.Listener
	scripts sync.Map // path to script
	dials   atomic.Int64
	mu      sync.Mutex
	got     bytes.Buffer
	wg      sync.WaitGroup
	open    map[net.Conn]bool
	idle    atomic.Int64 // the time.Duration of closesAfter
}

type script = func(w *wire, r *http.Request) bool

func newHost(t testing.TB, name string) *host {
	t.Helper()
	return newHostOn(t, name, listen(t))
}

// newHostOn returns a host that serves what ln accepts.
func newHostOn(t testing.TB, name string, ln net.Listener) *host {
	t.Helper()
	h := &host{t: t, name: name, ln: ln, open: map[net.Conn]bool{}}
	h.wg.Go(h.accept)
	t.Cleanup(h.stop)
	return h
}

// on sets the script for a path.
func (h *host) on(path string, s script) *host {
	h.scripts.Store(path, s)
	return h
}

// closesAfter has the host close connections that have been idle for that long, and
// take a tenth of it for that.
func (h *host) closesAfter(idle time.Duration) *host {
	h.idle.Store(int64(idle))
	return h
}

// says is a script that writes raw and goes on if keep is true.
func says(raw string, keep bool) script {
	return func(w *wire, _ *http.Request) bool {
		w.send(raw)
		return keep
	}
}

func (h *host) entry() *route.Host {
	return &route.Host{
		Spec:       route.Spec{Name: h.name, Address: h.ln.Addr().String(), Weight: 1},
		AdminState: route.AdminState{State: route.Ready}, Health: route.Health{Verdict: route.Up}, Standing: route.Standing{InRing: true}, Gauges: new(route.Gauges),
	}
}

// stop closes the host with all its connections.
func (h *host) stop() {
	h.ln.Close()
	h.mu.Lock()
	for nc := range h.open {
		nc.Close()
	}
	h.open = nil
	h.mu.Unlock()
	h.wg.Wait()
}

// received returns all bytes that have come, of all connections.
func (h *host) received() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.got.String()
}

func (h *host) accept() {
	for {
		nc, err := h.ln.Accept()
		if err != nil {
			return
		}
		h.dials.Add(1)
		h.mu.Lock()
		if h.open == nil {
			nc.Close()
		} else {
			h.open[nc] = true
		}
		h.mu.Unlock()
		h.wg.Go(func() { h.serve(nc) })
	}
}

func (h *host) serve(nc net.Conn) {
	defer nc.Close()
	w := newWire(h.t, nc)
	w.in = bufio.NewReader(io.TeeReader(nc, h))
	for {
		idle := time.Duration(h.idle.Load())
		if idle > 0 {
			_ = nc.SetReadDeadline(time.Now().Add(idle))
		}
		r, err := http.ReadRequest(w.in)
		if deadline.Exceeded(err) {
			time.Sleep(idle / 10) // between its decision and the end of the connection
		}
		if err != nil {
			return
		}
		if s, ok := h.scripts.Load(r.URL.Path); ok {
			if !s.(script)(w, r) {
				return
			}
			continue
		}
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			return
		}
		body := h.name + " " + r.Method + " " + r.URL.Path
		w.send(fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", len(body)))
		if r.Method != "HEAD" {
			w.send(body)
		}
	}
}

// Write records what has come.
func (h *host) Write(b []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.got.Write(b)
}
