package routing

import (
	"bytes"
	"errors"
	"strings"

	"tokenring/netaddr"
)

// maxHost bounds the length of a route's host name, and that of a name which Match reads without allocating.
const maxHost = 256

// Host returns a host name as routes compare it: in lower case, without a port and a final dot.
func Host(host string) string { return string(hostName(nil, []byte(host))) }

// hostName returns what Host returns: a part of host, or its lower case, appended to buf.
func hostName(buf, host []byte) []byte {
	end := bytes.IndexByte(host, ':')
	if len(host) > 0 && host[0] == '[' { // an IPv6 address
		end = bytes.IndexByte(host, ']') + 1
	}
	if end > 0 {
		host = host[:end]
	}
	host = bytes.TrimSuffix(host, dot)
	for i, c := range host {
		if 'A' <= c && c <= 'Z' {
			buf = append(buf, host...)
			lower(buf[i:])
			return buf
		}
	}
	return host
}

// lower changes b to lower case.
func lower(b []byte) {
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c | 0x20
		}
	}
}

var dot = []byte{'.'}

// CheckHost returns why a host of a route can't match, nil if it can.
func CheckHost(host string) error {
	name := strings.TrimPrefix(host, "*.")
	bare := strings.TrimSuffix(strings.TrimPrefix(name, "["), "]")
	switch {
	case strings.Contains(name, "*"):
		return errors.New("a * may only stand for whole labels at the beginning, as in *.example.com")
	case strings.Contains(name, ":") && name == bare:
		return errors.New("a host of a route has no port")
	case !netaddr.HostLike(bare):
		return errors.New("this is no host name")
	}
	return nil
}
