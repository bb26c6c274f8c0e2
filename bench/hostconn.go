package main

import (
	"bytes"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// A hostConn is a connection to a host, at the host's side. There are thousands of quiet
// terminals, so it needs little memory: rest and unsent are nearly always empty.
type hostConn struct {
	fd       int
	name     string // of the host
	rest     []byte // an incomplete head
	unsent   []byte // bytes that aren't written yet; nothing is read meanwhile
	counted  bool
	terminal bool // it is a WebSocket
	last     bool // it is closed when unsent is empty
}

// serveConn reads or writes as the descriptor is ready, and reports whether the connection
// stays open.
func (h *hosts) serveConn(g *hostConn, ready uint32) bool {
	if ready&unix.EPOLLOUT != 0 {
		return h.send(g, g.unsent)
	}
	n, err := unix.Read(g.fd, h.scratch[:])
	if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR) {
		return true
	}
	if err != nil || n <= 0 {
		return false
	}
	if g.terminal {
		return h.send(g, h.scratch[:n])
	}
	return h.readHead(g, h.scratch[:n])
}

// readHead answers a request if data completes its head.
func (h *hosts) readHead(g *hostConn, data []byte) bool {
	const longest = 4096
	head := data
	if len(g.rest) > 0 {
		head = append(g.rest, data...)
	}
	if !bytes.HasSuffix(head, []byte("\r\n\r\n")) {
		g.rest = bytes.Clone(head)
		return len(head) < longest
	}
	g.rest = nil
	return h.send(g, h.reply(g, head))
}

// send writes data. It copies the bytes that can't be written yet, and they are sent
// later.
func (h *hosts) send(g *hostConn, data []byte) bool {
	waited := len(g.unsent) > 0
	n, err := unix.Write(g.fd, data)
	switch {
	case errors.Is(err, unix.EAGAIN), errors.Is(err, unix.EINTR):
		n = 0
	case err != nil:
		return false
	}
	rest := data[n:]
	if !waited && len(rest) > 0 && g.terminal {
		rest = bytes.Clone(rest) // it is in scratch; other answers never change
	}
	g.unsent = rest
	if waits := len(rest) > 0; waits != waited && h.rearm(g, waits) != nil {
		return false
	}
	return len(g.unsent) > 0 || !g.last
}

// rearm sets whether epoll reports that g can be written, or that it can be read.
func (h *hosts) rearm(g *hostConn, out bool) error {
	event := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(g.fd)}
	if out {
		event.Events = unix.EPOLLOUT
	}
	return unix.EpollCtl(h.poll, unix.EPOLL_CTL_MOD, g.fd, &event)
}

// reply returns the answer to a request.
func (h *hosts) reply(g *hostConn, head []byte) []byte {
	switch {
	case asks(head, "/healthz"):
		g.last = true
		return answer(nil, "Connection: close\r\n")
	case asks(head, "/echo"):
		return answer(append([]byte(g.name+"\n"), head...), "")
	case asks(head, terminalPath):
		g.terminal = true
		return switched(head)
	}
	h.served.Add(1)
	if !g.counted {
		g.counted = true
		h.links.Add(1)
	}
	if asks(head, largePath) {
		return large
	}
	return small
}

// The paths that the load asks for.
const (
	smallPath    = "/environment"
	largePath    = "/file"
	terminalPath = "/terminal"
)

// small and large are the answers to the load's requests; their bodies are 100
// bytes and 1 MiB long.
var (
	small = answer(bytes.Repeat([]byte("0123456789"), 10), "")
	large = answer(bytes.Repeat([]byte("0123456789abcdef"), 1<<16), "")
)

func answer(body []byte, fields string) []byte {
	return fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n%sContent-Length: %d\r\n\r\n%s",
		fields, len(body), body)
}

// switched agrees to a WebSocket (RFC 6455 §4.2.2).
func switched(head []byte) []byte {
	const magic = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
	sum := sha1.Sum(append(field(head, "sec-websocket-key"), magic...))
	return fmt.Appendf(nil, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n",
		base64.StdEncoding.EncodeToString(sum[:]))
}

// field returns a copy of a field's value, empty if head doesn't have it. The
// name is to be given in lower case.
func field(head []byte, name string) []byte {
	for line := range bytes.Lines(head) {
		key, value, _ := bytes.Cut(line, []byte(":"))
		if bytes.EqualFold(key, []byte(name)) {
			return bytes.Clone(bytes.TrimSpace(value))
		}
	}
	return nil
}

// asks tells whether head is that of a GET for path.
func asks(head []byte, path string) bool {
	rest, ok := bytes.CutPrefix(head, []byte("GET "+path))
	return ok && len(rest) > 0 && (rest[0] == ' ' || rest[0] == '?')
}
