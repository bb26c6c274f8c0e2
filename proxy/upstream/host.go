// Package upstream has the connections to hosts. It opens them, keeps idle connections for
// later requests, and closes the connections of a host that moves.
package upstream

import (
	"context"
	"sync"
	"time"

	"tokenring/hosttls"
	"tokenring/http1"
	"tokenring/proxy/limit"
	"tokenring/proxy/queue"
	"tokenring/route"
)

// Config is what all hosts have in common.
type Config struct {
	Limits  http1.Limits    // of the heads of answers
	MaxIdle time.Duration   // of a connection between two requests
	Idle    *limit.Idle     // counts the idle connections of all hosts; nil for no limit
	TLS     *hosttls.Client // nil if hosts speak no TLS
	// SendProxy has each connection begin with a header of the PROXY protocol. It is then used for
	// requests of one client's connection only.
	SendProxy bool
}

// A Host is one host at one address: its connections and its gauges. It outlives
// snapshots. When the host's address changes, another Host replaces it: what the old one
// has open is closed before the new one opens anything. It is safe for concurrent use.
type Host struct {
	route.Endpoint               // must not be changed
	Gauges         *route.Gauges // must not be changed
	SafeIdle       SafeIdle
	Slots          queue.Slots // of its requests in progress, if they are bounded

	cfg    Config
	ctx    context.Context // ends dials in progress when the host is retired
	cancel context.CancelFunc
	dialer dialer
	opened chan struct{} // closed when connections may be opened

	mu       sync.Mutex
	conns    map[*Conn]struct{} // open connections, without those that tunnels have taken over
	idle     []*Conn            // connections that no request uses, the most recently used last
	expiry   *time.Timer        // calls expire
	closed   bool               // Retire was called
	watchers map[Watcher]struct{}
}

// A Watcher is told when a host is found down or taken out.
type Watcher interface {
	// Note must not block and must not call the Host.
	Note()
}

// New returns a host. Dial waits until Open is called.
func New(h *route.Host, cfg Config) *Host {
	u := &Host{Endpoint: route.Endpoint{Name: h.Name, Address: h.Address}, Gauges: h.Gauges, cfg: cfg, dialer: dialer{h.Address, cfg.TLS.Peer(h.Authority()), cfg.SendProxy}, opened: make(chan struct{}), conns: map[*Conn]struct{}{}}
	u.SafeIdle.init()
	u.ctx, u.cancel = context.WithCancel(context.Background())
	return u
}

// Open allows Dial to open connections. It must be called once, after all connections to
// the host's former address are closed.
func (h *Host) Open() { close(h.opened) }

// Retire makes the host open and keep no further connection. Open connections stay open
// until Close.
func (h *Host) Retire() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	if h.expiry != nil {
		h.expiry.Stop()
	}
	h.cancel()
}

// Retired reports whether Retire was called: the host has another address now, or isn't
// known any more.
func (h *Host) Retired() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.closed
}

// Close retires the host and closes its connections. Requests under way on them fail.
func (h *Host) Close() {
	h.Retire()
	h.mu.Lock()
	idle := h.idle
	h.idle = nil
	h.cfg.Idle.Remove(len(idle))
	for c := range h.conns {
		c.Cut() // the request on the connection calls Close
	}
	h.mu.Unlock()
	for _, c := range idle {
		c.Close()
	}
}

// Watch makes Notify call w, until Unwatch.
func (h *Host) Watch(w Watcher) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.watchers == nil {
		h.watchers = make(map[Watcher]struct{})
	}
	h.watchers[w] = struct{}{}
}

// Unwatch ends Watch. Once it has returned, w isn't called any more.
func (h *Host) Unwatch(w Watcher) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.watchers, w)
}

// Notify calls all watchers, because the host was found down or taken out.
func (h *Host) Notify() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for w := range h.watchers {
		w.Note()
	}
}

// Usage returns the numbers of open connections and of watchers. Tests find leaks with it.
func (h *Host) Usage() (conns, watchers int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.conns), len(h.watchers)
}
