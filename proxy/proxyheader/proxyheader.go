// Package proxyheader reads the header of the PROXY protocol, versions 1 and 2, with which
// a load balancer in front of this one begins each connection, to tell the client's address. It
// writes that of version 2, with which this one begins its connections to hosts.
// Its specification is haproxy.org/download/3.0/doc/proxy-protocol.txt.
package proxyheader

import (
	"encoding/binary"
	"errors"
	"io"
	"net/netip"
	"strconv"
	"strings"
)

// ErrMalformed says that what a connection began with is no header of the PROXY protocol.
var ErrMalformed = errors.New("no header of the PROXY protocol")

const (
	signature = "\r\n\r\n\x00\r\nQUIT\n" // with which version 2 begins
	prefix    = "PROXY "                 // with which version 1 begins
	longest1  = 107                      // bytes of a header of version 1, its end of line included
	longest2  = 4096                     // bytes of a header of version 2 after its first 16
)

// Read reads one header from r, and not one byte more: what follows may be a TLS handshake.
// It returns the client's address and port, the zero value if the header tells none (LOCAL,
// UNKNOWN, a Unix socket): the connection is then the other balancer's own. A header that is
// malformed or longer than allowed is ErrMalformed; other errors are those of r, which must
// have a deadline.
func Read(r io.Reader) (netip.AddrPort, error) {
	var begin [len(signature)]byte // shorter than any header of version 1
	if _, err := io.ReadFull(r, begin[:]); err != nil {
		return netip.AddrPort{}, err
	}
	switch {
	case string(begin[:]) == signature:
		return read2(r)
	case strings.HasPrefix(string(begin[:]), prefix):
		return read1(r, begin[:])
	}
	return netip.AddrPort{}, ErrMalformed
}

// read1 reads the rest of a line, byte by byte, because it mustn't read more.
func read1(r io.Reader, begin []byte) (netip.AddrPort, error) {
	line := append(make([]byte, 0, longest1), begin...)
	for line[len(line)-1] != '\n' {
		if len(line) == longest1 {
			return netip.AddrPort{}, ErrMalformed
		}
		next := line[len(line) : len(line)+1]
		if _, err := io.ReadFull(r, next); err != nil {
			return netip.AddrPort{}, err
		}
		line = line[:len(line)+1]
	}
	text, ended := strings.CutSuffix(string(line), "\r\n")
	if !ended {
		return netip.AddrPort{}, ErrMalformed
	}
	return parse1(text)
}

// parse1 parses "PROXY TCP4 client server client's-port server's-port".
func parse1(line string) (netip.AddrPort, error) {
	words := strings.Split(line, " ")
	if words[1] == "UNKNOWN" { // whatever follows is ignored
		return netip.AddrPort{}, nil
	}
	if len(words) != 6 {
		return netip.AddrPort{}, ErrMalformed
	}
	client, ok := addrPort(words[1], words[2], words[4])
	_, toOK := addrPort(words[1], words[3], words[5])
	if !ok || !toOK {
		return netip.AddrPort{}, ErrMalformed
	}
	return client, nil
}

// addrPort parses an address of a family, TCP4 or TCP6, and a port without leading zeros.
func addrPort(family, address, port string) (netip.AddrPort, bool) {
	addr, err := netip.ParseAddr(address)
	if err != nil || addr.Zone() != "" {
		return netip.AddrPort{}, false
	}
	if family == "TCP4" && !addr.Is4() || family == "TCP6" && !addr.Is6() || family != "TCP4" && family != "TCP6" {
		return netip.AddrPort{}, false
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || strconv.FormatUint(n, 10) != port {
		return netip.AddrPort{}, false
	}
	return netip.AddrPortFrom(addr.Unmap(), uint16(n)), true
}

// The bytes of version 2: the version and command, and the family of the addresses.
const (
	local2 = 0x20
	proxy2 = 0x21
	tcp4   = 0x11
	tcp6   = 0x21
)

// read2 reads what follows the signature. What comes after the addresses (TLVs) is skipped.
func read2(r io.Reader) (netip.AddrPort, error) {
	var fixed [4]byte
	if _, err := io.ReadFull(r, fixed[:]); err != nil {
		return netip.AddrPort{}, err
	}
	length := binary.BigEndian.Uint16(fixed[2:])
	if fixed[0] != local2 && fixed[0] != proxy2 || length > longest2 {
		return netip.AddrPort{}, ErrMalformed
	}
	rest := make([]byte, length)
	if _, err := io.ReadFull(r, rest); err != nil {
		return netip.AddrPort{}, err
	}
	if fixed[0] == local2 {
		return netip.AddrPort{}, nil
	}
	return parse2(fixed[1], rest)
}

// parse2 parses the addresses of a family: the client's, the server's, and both ports.
func parse2(family byte, rest []byte) (netip.AddrPort, error) {
	size := 0
	switch family {
	case tcp4:
		size = 4
	case tcp6:
		size = 16
	case 0x00, 0x31: // UNSPEC, and a Unix socket
		return netip.AddrPort{}, nil
	}
	if size == 0 || len(rest) < 2*size+4 {
		return netip.AddrPort{}, ErrMalformed
	}
	addr, _ := netip.AddrFromSlice(rest[:size])
	return netip.AddrPortFrom(addr.Unmap(), binary.BigEndian.Uint16(rest[2*size:])), nil
}
