// Package passed has clients' connections on their way from an older process of a balancer
// to the newest one. A socket is passed itself. A connection with TLS stays where its keys
// are, and one end of a socket pair is passed in its place.
package passed

import (
	"fmt"
	"net"
	"net/netip"
	"os"

	"golang.org/x/sys/unix"

	"tokenring/clientcert"
	"tokenring/proxy/socket"
)

// A Conn is a client's connection that has no request in progress. Processes send it to one
// another as JSON, beside its File.
type Conn struct {
	Listener string         `json:"listener"`        // as proxy.Listener.Address has it
	Client   netip.AddrPort `json:"client"`          // the zero AddrPort if it isn't known
	TLS      bool           `json:"tls,omitempty"`   // the client speaks TLS with an older process
	Early    []byte         `json:"early,omitempty"` // what was read from the client and not served; a secret, as it has tokens

	// Certificate is the one that the client has shown to the process that has the TLS; nil for none.
	Certificate *clientcert.Certificate `json:"certificate,omitempty"`

	// File is the client's socket, or one end of a socket pair. It isn't closed by whom it
	// is given to.
	File *os.File `json:"-"`
}

// Open returns the connection as if it had just been accepted: its remote address is the
// client's. It leaves File open.
func (c *Conn) Open() (net.Conn, error) {
	nc, err := net.FileConn(c.File)
	if err != nil {
		return nil, fmt.Errorf("take a client's connection: %w", err)
	}
	if pair, ok := nc.(*net.UnixConn); ok {
		return &end{UnixConn: pair, client: net.TCPAddrFromAddrPort(c.Client)}, nil
	}
	return nc, nil
}

// An end is one end of a socket pair that stands for a client's TCP connection.
type end struct {
	*net.UnixConn
	client net.Addr
}

// RemoteAddr implements net.Conn. It returns the client's address.
func (e *end) RemoteAddr() net.Addr { return e.client }

// FileOf returns another descriptor of nc's socket, which the caller must close.
func FileOf(nc net.Conn) (*os.File, error) {
	fd, err := -1, error(nil)
	if outer := socket.Control(nc, func(old uintptr) { fd, err = unix.FcntlInt(old, unix.F_DUPFD_CLOEXEC, 0) }); outer != nil {
		err = outer
	}
	if err != nil {
		return nil, fmt.Errorf("duplicate a client's socket: %w", err)
	}
	return os.NewFile(uintptr(fd), "client"), nil
}

// Pair returns both ends of a socket pair: one to pass, and one to join with the client's
// connection. The caller must close both.
func Pair() (pass *os.File, join net.Conn, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("make a socket pair: %w", err)
	}
	pass = os.NewFile(uintptr(fds[0]), "client")
	other := os.NewFile(uintptr(fds[1]), "client")
	defer other.Close()
	if join, err = net.FileConn(other); err != nil {
		pass.Close()
		return nil, nil, fmt.Errorf("use a socket pair: %w", err)
	}
	return pass, join, nil
}
