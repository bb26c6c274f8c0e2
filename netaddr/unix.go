package netaddr

import "strings"

// unixPrefix begins the addresses of unix sockets, such as "unix:/run/ide.sock".
const unixPrefix = "unix:"

// UnixPath returns the path of a unix socket. ok is false if address is none.
func UnixPath(address string) (path string, ok bool) { return strings.CutPrefix(address, unixPrefix) }

// Dialled returns an address of a host, host:port or that of a unix socket, as net.Dialer takes
// it.
func Dialled(address string) (network, at string) {
	if path, ok := UnixPath(address); ok {
		return "unix", path
	}
	return "tcp", address
}
