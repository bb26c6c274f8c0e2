package demo

import (
	"net"
	"net/netip"
	"net/url"
	"strings"
)

// A guard decides who may talk to a host. Three ways lead from a foreign web
// page to a shell on loopback, and each has its rule:
//   - the page opens a WebSocket to localhost: browsers then send the page's
//     Origin, which must be the origin the request is for;
//   - the page's own name is made to resolve to 127.0.0.1 (DNS rebinding), so
//     that both are equal: the Host must be a loopback name;
//   - the shell listens where others reach it: the listener must be loopback.
//
// A request without Origin doesn't come from a web page, as browsers send one
// with every WebSocket handshake and every POST (RFC 6455 §4.1, Fetch §3.2). It
// comes from a program on this machine, and that is free to make one up anyway.
type guard struct {
	loopbackOnly bool // a real shell is behind it
}

// refuseHost tells why a request for this Host is refused, "" if it isn't.
func (g guard) refuseHost(host string) string {
	if g.loopbackOnly && !loopbackName(host) {
		return "a real shell is behind this page: it is reached as localhost only"
	}
	return ""
}

// refuseSocket tells why a WebSocket is refused, "" if it isn't. remote is the
// address of the connection's other end.
func (g guard) refuseSocket(origin, host, remote string) string {
	if origin != "" {
		if !sameOrigin(origin, host) {
			return "another site's page may not open a terminal here"
		}
		return ""
	}
	if ap, err := netip.ParseAddrPort(remote); g.loopbackOnly && (err != nil || !ap.Addr().Unmap().IsLoopback()) {
		return "a client without Origin must be on this machine"
	}
	return ""
}

// sameOrigin tells whether an Origin names the host (and port) of a request.
// The scheme isn't compared: behind a balancer that ends TLS a host sees http.
func sameOrigin(origin, host string) bool {
	u, err := url.Parse(origin)
	if err != nil || u.Host == "" || u.Path != "" || u.User != nil || u.RawQuery != "" {
		return false
	}
	port := ""
	switch u.Scheme {
	case "http":
		port = ":80"
	case "https":
		port = ":443"
	default:
		return false
	}
	return strings.EqualFold(strings.TrimSuffix(u.Host, port), strings.TrimSuffix(host, port))
}

// loopbackName tells whether a Host field names this machine, port or not.
func loopbackName(host string) bool {
	name, _, err := net.SplitHostPort(host)
	if err != nil {
		name = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	}
	if strings.EqualFold(name, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(name)
	return err == nil && ip.IsLoopback()
}

func loopback(addr net.Addr) bool {
	tcp, ok := addr.(*net.TCPAddr)
	return ok && tcp.IP.IsLoopback()
}
