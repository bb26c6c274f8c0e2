package upstream

import (
	"context"
	"errors"
	"net"
	"time"

	"golang.org/x/sys/unix"

	"tokenring/hosttls"
	"tokenring/netaddr"
	"tokenring/proxy/proxyheader"
	"tokenring/proxy/socket"
)

// ErrMoved says that a connection wasn't opened, because the host has left its address.
var ErrMoved = errors.New("the host has moved to another address")

// Dial opens a new connection to the host, with TLS if the host's pool has TLS. It waits for Open
// first. It returns ErrMoved if the host is retired meanwhile. timeout includes the handshake,
// and not the wait for Open. from is for Config.SendProxy.
func (h *Host) Dial(ctx context.Context, timeout time.Duration, from proxyheader.Ends) (*Conn, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(h.ctx, cancel)()
	select {
	case <-h.opened:
	case <-ctx.Done():
	}
	nc, err := h.dialer.connect(ctx, timeout, from)
	switch {
	case err != nil && h.Retired():
		return nil, ErrMoved
	case err != nil:
		if !IsLocal(err) && ctx.Err() == nil {
			h.Gauges.ConnectErrors.Add(1)
		}
		return nil, err
	}
	c := newConn(nc, h.cfg.Limits)
	c.from = from
	if !h.add(c) {
		c.Close()
		return nil, ErrMoved
	}
	return c, nil
}

// A dialer opens connections to one address.
type dialer struct {
	address string
	tls     *hosttls.Peer // nil without TLS

	sendProxy bool
}

// connect opens a socket, sends the header of the PROXY protocol, and does the handshake.
func (d *dialer) connect(ctx context.Context, timeout time.Duration, from proxyheader.Ends) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	tcp := net.Dialer{KeepAlive: socket.KeepAlive}
	network, at := netaddr.Dialled(d.address)
	nc, err := tcp.DialContext(ctx, network, at)
	if err == nil && d.sendProxy {
		if _, err = nc.Write(from.Append(nil)); err != nil { // a new socket has room for it
			nc.Close()
			return nil, err
		}
	}
	if err != nil || d.tls == nil {
		return nc, err
	}
	tc, err := d.tls.Handshake(ctx, nc)
	if err != nil {
		nc.Close()
		return nil, err
	}
	return tc, nil
}

// add makes c one of the host's connections. It reports false if the host is retired.
func (h *Host) add(c *Conn) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return false
	}
	c.Host = h
	h.conns[c] = struct{}{}
	return true
}

// remove ends what add began.
func (h *Host) remove(c *Conn) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.conns, c)
}

// IsRefused reports whether a connection wasn't opened because the host's machine refuses it:
// nothing serves there. ENOENT says so of a unix socket.
func IsRefused(err error) bool {
	return errors.Is(err, unix.ECONNREFUSED) || errors.Is(err, unix.ENOENT)
}

// IsLocal reports whether a connection wasn't opened because this machine lacks something,
// such as file descriptors. Such an error says nothing about the host.
func IsLocal(err error) bool {
	for _, e := range []error{unix.EMFILE, unix.ENFILE, unix.ENOBUFS, unix.ENOMEM, unix.EADDRNOTAVAIL} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}
