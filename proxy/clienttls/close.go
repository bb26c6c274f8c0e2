package clienttls

import (
	"crypto/tls"
	"net"
	"time"
)

// CloseTimeout is how long a client may take to read the last bytes and the end of its
// connection.
const CloseTimeout = time.Second

// EndWrites makes writes to nc fail after CloseTimeout, if nc has TLS. Otherwise closing nc
// would wait longer for a client that reads nothing.
func EndWrites(nc net.Conn) {
	if tc, ok := nc.(*tls.Conn); ok {
		if below, ok := tc.NetConn().(*Conn); ok {
			below.EndWrites(time.Now().Add(CloseTimeout))
		}
	}
}

// CloseWrite closes our direction of nc, which may have TLS. It returns net.ErrClosed if nc
// can't do that.
func CloseWrite(nc net.Conn) error {
	if tc, ok := nc.(*tls.Conn); ok {
		if err := tc.CloseWrite(); err != nil { // the close_notify alert
			return err
		}
		nc = tc.NetConn()
	}
	if below, ok := nc.(*Conn); ok {
		nc = below.Socket()
	}
	if hc, ok := nc.(interface{ CloseWrite() error }); ok {
		return hc.CloseWrite()
	}
	return net.ErrClosed
}
