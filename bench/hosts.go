package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
)

// hosts are the IDE hosts that the proxies stand in front of. They know just
// enough HTTP/1.1 for that: requests without a body, whose path says what the
// answer is. All else would cost time on the core that they share with the load.
type hosts struct {
	listeners []net.Listener
	served    atomic.Uint64 // requests of the load
	links     atomic.Uint64 // connections that carried at least one of them

	mu    sync.Mutex
	conns map[net.Conn]struct{}
	wg    sync.WaitGroup
}

// listen returns n hosts that serve must be called for.
func listen(n int) (*hosts, error) {
	h := &hosts{conns: map[net.Conn]struct{}{}}
	for range n {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			h.close()
			return nil, err
		}
		h.listeners = append(h.listeners, ln)
	}
	return h, nil
}

func (h *hosts) list() []host {
	var all []host
	for i, ln := range h.listeners {
		all = append(all, host{Name: hostName(i), Address: ln.Addr().String()})
	}
	return all
}

func hostName(i int) string { return fmt.Sprintf("ide-%d", i+1) }

// serve serves until ctx ends.
func (h *hosts) serve(ctx context.Context) {
	for i, ln := range h.listeners {
		h.wg.Go(func() { h.accept(ln, hostName(i)) })
	}
	<-ctx.Done()
	h.close()
	h.wg.Wait()
}

func (h *hosts) close() {
	for _, ln := range h.listeners {
		ln.Close()
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for nc := range h.conns {
		nc.Close()
	}
	h.conns = nil
}

func (h *hosts) accept(ln net.Listener, name string) {
	for {
		nc, err := ln.Accept()
		if err != nil {
			return // closed
		}
		if !h.keep(nc) {
			nc.Close()
			return
		}
		h.wg.Go(func() {
			defer h.drop(nc)
			h.converse(nc, name)
		})
	}
}

func (h *hosts) keep(nc net.Conn) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.conns == nil {
		return false
	}
	h.conns[nc] = struct{}{}
	return true
}

func (h *hosts) drop(nc net.Conn) {
	nc.Close()
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.conns, nc)
}

// small is the answer to the load's requests: 100 bytes.
var small = answer(bytes.Repeat([]byte("0123456789"), 10), "")

func answer(body []byte, fields string) []byte {
	return fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n%sContent-Length: %d\r\n\r\n%s",
		fields, len(body), body)
}

// converse answers one connection's requests, until it ends.
func (h *hosts) converse(nc net.Conn, name string) {
	buf := make([]byte, 8192)
	counted := false
	for n := 0; ; {
		got, err := nc.Read(buf[n:])
		n += got
		if err != nil || n == len(buf) {
			return
		}
		if !bytes.HasSuffix(buf[:n], []byte("\r\n\r\n")) {
			continue
		}
		reply, last := small, false
		switch head := buf[:n]; {
		case asks(head, "/healthz"):
			reply, last = answer(nil, "Connection: close\r\n"), true
		case asks(head, "/echo"):
			reply = answer(append([]byte(name+"\n"), head...), "")
		default:
			h.served.Add(1)
			if !counted {
				counted = true
				h.links.Add(1)
			}
		}
		if _, err := nc.Write(reply); err != nil || last {
			return
		}
		n = 0
	}
}

// asks tells whether head is that of a GET for path.
func asks(head []byte, path string) bool {
	rest, ok := bytes.CutPrefix(head, []byte("GET "+path))
	return ok && len(rest) > 0 && (rest[0] == ' ' || rest[0] == '?')
}
