package haproxycfg

import (
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// hostAddress returns a server's address as host:port, or the path of its socket. If that isn't possible, ask says what
// the operator must fill in.
func hostAddress(text string) (address, ask string) {
	rest := text
	for _, prefix := range []string{"ipv4@", "ipv6@", "tcp@", "tcp4@", "tcp6@"} {
		rest = strings.TrimPrefix(rest, prefix)
	}
	if path := strings.TrimPrefix(rest, "unix@"); strings.HasPrefix(path, "/") {
		return "unix:" + path, ""
	}
	colon := strings.LastIndexByte(rest, ':')
	if colon < 0 || strings.ContainsAny(rest, "/@") {
		return "", text
	}
	host, port := strings.Trim(rest[:colon], "[]"), rest[colon+1:]
	if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 || strings.HasPrefix(port, "+") || !hostLike(host) {
		return "", text
	}
	return net.JoinHostPort(host, port), ""
}

// hostLike reports whether text is an IP address or may be a host name. An unquoted variable
// is neither, because HAProxy expands variables only between double quotes.
func hostLike(text string) bool {
	if _, err := netip.ParseAddr(text); err == nil {
		return true
	}
	other := func(r rune) bool { return r >= 0x80 || !nameByte(byte(r)) && r != '-' && r != '.' }
	return text != "" && !strings.ContainsFunc(text, other)
}
