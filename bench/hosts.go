package main

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// hosts are the IDE hosts that the proxies stand in front of. They know just
// enough HTTP/1.1 for that: requests without a body, whose path says what the
// answer is, and WebSockets that get back every byte that they send. They share a core with the load, and what they use of it is missing
// for keeping the proxy busy; so one loop serves them all from an epoll set,
// which costs a tenth less than a goroutine for each connection.
type hosts struct {
	served atomic.Uint64 // requests of the load
	links  atomic.Uint64 // connections that carried at least one of them

	poll  int               // the epoll set
	doors []door            // the listening sockets
	conns map[int]*hostConn // the connections, by descriptor

	scratch [16 << 10]byte // the bytes that are being read; a quiet connection has no buffer
}

// A door is one host's listening socket.
type door struct {
	host
	fd int
}

// listen returns n hosts that serve must be called for.
func listen(n int) (*hosts, error) {
	poll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("epoll: %w", err)
	}
	h := &hosts{poll: poll, conns: map[int]*hostConn{}}
	for i := range n {
		if err := h.open(fmt.Sprintf("ide-%d", i+1)); err != nil {
			h.close()
			return nil, fmt.Errorf("host %d: %w", i+1, err)
		}
	}
	return h, nil
}

// open adds one host, on a port that is free.
func (h *hosts) open(name string) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	h.doors = append(h.doors, door{fd: fd})
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return err
	}
	if err := unix.Listen(fd, unix.SOMAXCONN); err != nil {
		return err
	}
	address, err := unix.Getsockname(fd)
	if err != nil {
		return err
	}
	port := address.(*unix.SockaddrInet4).Port
	h.doors[len(h.doors)-1].host = host{Name: name, Address: fmt.Sprintf("127.0.0.1:%d", port)}
	return h.watch(fd)
}

func (h *hosts) list() []host {
	var all []host
	for _, d := range h.doors {
		all = append(all, d.host)
	}
	return all
}

func (h *hosts) watch(fd int) error {
	return unix.EpollCtl(h.poll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)})
}

// serve serves until ctx ends, and closes everything then.
func (h *hosts) serve(ctx context.Context) error {
	const lookUp = 50 // ms; how late the end of ctx may be noticed
	defer h.close()
	events := make([]unix.EpollEvent, 128)
	for ctx.Err() == nil {
		n, err := unix.EpollWait(h.poll, events, lookUp)
		if err != nil && !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("hosts: %w", err)
		}
		for i := range max(n, 0) {
			h.attend(int(events[i].Fd), events[i].Events)
		}
	}
	return nil
}

func (h *hosts) close() {
	for fd := range h.conns {
		unix.Close(fd)
	}
	for _, d := range h.doors {
		unix.Close(d.fd)
	}
	unix.Close(h.poll)
}

// attend does what a descriptor that has become ready asks for.
func (h *hosts) attend(fd int, ready uint32) {
	if g := h.conns[fd]; g != nil {
		if !h.serveConn(g, ready) {
			delete(h.conns, fd)
			unix.Close(fd)
		}
		return
	}
	for _, d := range h.doors {
		if d.fd == fd {
			h.admit(d)
		}
	}
}

// admit accepts one connection; if more are waiting, epoll says so again.
func (h *hosts) admit(d door) {
	fd, _, err := unix.Accept4(d.fd, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
	if err != nil {
		return // it has gone again
	}
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1) // of use, not needed
	if err := h.watch(fd); err != nil {
		unix.Close(fd)
		return
	}
	h.conns[fd] = &hostConn{fd: fd, name: d.Name}
}
