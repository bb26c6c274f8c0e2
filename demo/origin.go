package demo

import (
	"net"
	"net/netip"
	"net/url"
	"strings"
)

// An originCheck decides which requests a host answers. Another site's page could reach a
// shell on loopback in three ways, and there is a rule against each:
//   - The page opens a WebSocket to localhost. Browsers then send the page's Origin, so
//     this must be the origin that the request is for.
//   - The page's own name resolves to 127.0.0.1 (DNS rebinding), so that both origins are
//     equal. So the Host must be a loopback name.
//   - The shell listens on an address that others can reach. So the listener must be on
//     loopback.
//
// A request without Origin doesn't come from a web page, because browsers send Origin
// with every WebSocket handshake and every POST (RFC 6455 §4.1, Fetch §3.2). It comes from
// a program, which could send any Origin, so that a check would be useless.
type originCheck struct {
	loopbackOnly bool // a real shell is behind it
}

// refuseHost returns why a request with this Host is refused, "" if it isn't.
func (g originCheck) refuseHost(host string) string {
	if g.loopbackOnly && !loopbackName(host) {
		return "there is a real shell behind this page, so it can only be opened as localhost"
	}
	return ""
}

// refuseSocket returns why a WebSocket is refused, "" if it isn't. remote is the client's
// address.
func (g originCheck) refuseSocket(origin, host, remote string) string {
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

// sameOrigin reports whether an Origin has the host (and port) of a request. It doesn't
// compare the scheme, because behind a balancer that terminates TLS a host sees http.
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

// loopbackName reports whether a Host field, with or without a port, names this machine.
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
