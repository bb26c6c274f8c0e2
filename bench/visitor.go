package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A target is where a load's connections go to.
type target struct {
	Address string
	TLS     bool
}

// sources is from how many loopback addresses the connections come, so that
// ports don't run out while old connections linger.
const sources = 8

var dialed atomic.Uint64

// connect returns a new connection on which nothing has been asked. Its TLS is
// what a browser would do with the ciphers of the job, and with the key exchange
// that all proxies know.
func (t target) connect(ctx context.Context) (net.Conn, error) {
	source := net.IPv4(127, 0, 0, byte(2+dialed.Add(1)%sources))
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: source}, Control: portLater, KeepAlive: -1}
	nc, err := d.DialContext(ctx, "tcp4", t.Address)
	if err != nil || !t.TLS {
		return nc, err
	}
	tc := tls.Client(nc, &tls.Config{
		InsecureSkipVerify: true, // the probe has verified the certificate; to do it each time would cost the load's core a lot
		ServerName:         "localhost",
		NextProtos:         []string{"http/1.1"},
		MinVersion:         tls.VersionTLS13,
		CurvePreferences:   []tls.CurveID{tls.X25519},
		ClientSessionCache: forgetful{},
	})
	if err := tc.HandshakeContext(ctx); err != nil {
		nc.Close()
		return nil, err
	}
	state := tc.ConnectionState()
	if err := agreed(true, &state); err != nil {
		nc.Close()
		return nil, err
	}
	return tc, nil
}

// portLater has connect choose the port, not bind: then it need only be free
// towards this one target.
func portLater(_, _ string, c syscall.RawConn) error {
	var err error
	controlErr := c.Control(func(fd uintptr) {
		err = unix.SetsockoptInt(int(fd), unix.SOL_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1)
	})
	return errors.Join(controlErr, err)
}

// forgetful asks for session tickets, as browsers do, and uses none.
type forgetful struct{}

func (forgetful) Get(string) (*tls.ClientSessionState, bool) { return nil, false }
func (forgetful) Put(string, *tls.ClientSessionState)        {}

// ask sends a GET for path with a token of its own and returns the answer's
// head and the part of the body that came with it.
func ask(c net.Conn, path, fields string) ([]byte, error) {
	request := fmt.Appendf(nil, "GET %s?token=%s HTTP/1.1\r\nHost: localhost\r\n%s\r\n", path, rand.Text(), fields)
	if _, err := c.Write(request); err != nil {
		return nil, err
	}
	buf := make([]byte, 2048)
	for n := 0; n < len(buf); {
		got, err := c.Read(buf[n:])
		if err != nil {
			return nil, err
		}
		if n += got; bytes.Contains(buf[:n], []byte("\r\n\r\n")) {
			return buf[:n], nil
		}
	}
	return nil, errors.New("a head that doesn't end")
}

// visit opens a connection, sends one small request, and closes the connection
// when the whole answer is there.
func (t target) visit(ctx context.Context) error {
	c, err := t.stay(ctx)
	if err != nil {
		return err
	}
	return c.Close()
}

// stay is visit, but leaves the connection open.
func (t target) stay(ctx context.Context) (net.Conn, error) {
	const patience = 10 * time.Second
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	c, err := t.connect(ctx)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(c.SetDeadline(time.Now().Add(patience)), read(c), c.SetDeadline(time.Time{})); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// read sends one small request and takes the whole answer.
func read(c net.Conn) error {
	got, err := ask(c, smallPath, "")
	if err != nil {
		return err
	}
	if err := status(got, "200"); err != nil {
		return err
	}
	_, body, _ := bytes.Cut(got, []byte("\r\n\r\n"))
	for have := len(body); have < smallBody; {
		n, err := c.Read(got)
		if err != nil {
			return err
		}
		have += n
	}
	return nil
}

const smallBody = 100 // bytes, see small

func status(head []byte, want string) error {
	if !bytes.HasPrefix(head, []byte("HTTP/1.1 "+want+" ")) {
		line, _, _ := bytes.Cut(head, []byte("\r\n"))
		return fmt.Errorf("answer %q, want status %s", line, want)
	}
	return nil
}
