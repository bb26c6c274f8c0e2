package dnswire

import (
	"encoding/binary"
	"net/netip"
)

// An EDNS is what a query's OPT record says (RFC 6891).
type EDNS struct {
	Present bool
	UDPSize uint16 // bytes of an answer by UDP that the client takes
	DO      bool   // it wants signatures, RFC 3225
	NSID    bool   // it wants to know which server answers, RFC 5001
	// Keepalive: it wants to know for how long a connection stays open, RFC 7828.
	Keepalive bool
	// Cookie is the client's 8 bytes, and then 8 to 32 of a server's, if it has them (RFC 7873
	// §4); nil for none. It is part of the message.
	Cookie []byte
	Subnet Subnet

	version byte
	bad     bool // an option is malformed
}

// A Subnet is the network for which a resolver asks (RFC 7871). The zero Subnet is none.
type Subnet struct {
	Present bool
	// Network is the address that the option has, with the length of its source prefix. It isn't
	// valid for a resolver that wants its clients kept out: the length is 0 then, and the
	// address family may be none.
	Network netip.Prefix

	option []byte // its data in the message
}

// The codes of options.
const (
	optionNSID      = 3
	optionSubnet    = 8
	optionCookie    = 10
	optionKeepalive = 11

	clientCookie    = 8
	minServerCookie = 8
	maxServerCookie = 32
)

// readOptions reads the data of an OPT record. Options that aren't known are passed over
// (RFC 6891 §6.1.2); of those that may be there once, the first counts.
func (e *EDNS) readOptions(data []byte) {
	for len(data) > 0 {
		if len(data) < 4 {
			e.bad = true
			return
		}
		code, size := binary.BigEndian.Uint16(data), int(binary.BigEndian.Uint16(data[2:]))
		if data = data[4:]; len(data) < size {
			e.bad = true
			return
		}
		e.readOption(code, data[:size])
		data = data[size:]
	}
}

func (e *EDNS) readOption(code uint16, data []byte) {
	switch code {
	case optionNSID: // its data is empty in queries, RFC 5001 §2.3; what else there is has no meaning
		e.NSID = true
	case optionKeepalive:
		e.Keepalive = true
		e.bad = e.bad || len(data) != 0 // RFC 7828 §3.2.1
	case optionCookie:
		server := len(data) - clientCookie
		if server != 0 && (server < minServerCookie || server > maxServerCookie) { // RFC 7873 §5.2.2
			e.bad = true
		} else if e.Cookie == nil {
			e.Cookie = data
		}
	case optionSubnet:
		if !e.Subnet.Present && !e.Subnet.read(data) {
			e.bad = true
		}
	}
}

// Families of addresses, as the IANA counts them.
const (
	familyNone = 0
	familyIPv4 = 1
	familyIPv6 = 2
)

// read reads the data of the option. It reports false if it is malformed: RFC 7871 §6 wants a
// FORMERR for it, and no bit behind the source prefix.
func (s *Subnet) read(data []byte) bool {
	if len(data) < 4 {
		return false
	}
	family, source, scope, address := binary.BigEndian.Uint16(data), int(data[2]), data[3], data[4:]
	if scope != 0 || len(address) != (source+7)/8 {
		return false
	}
	var from netip.Addr
	switch {
	case family == familyIPv4 && source <= 32:
		var full [4]byte
		copy(full[:], address)
		from = netip.AddrFrom4(full)
	case family == familyIPv6 && source <= 128:
		var full [16]byte
		copy(full[:], address)
		from = netip.AddrFrom16(full)
	case family == familyNone && source == 0:
		*s = Subnet{Present: true, option: data}
		return true
	default:
		return false
	}
	network := netip.PrefixFrom(from, source)
	if network.Masked() != network {
		return false
	}
	*s = Subnet{Present: true, Network: network, option: data}
	return true
}

// A Reply is what the OPT record of an answer says.
type Reply struct {
	UDPSize uint16
	// Subnet says that the query's subnet, if it has one, counts, and Scope for how long a prefix
	// the answer holds (RFC 7871 §7.2.1).
	Subnet bool
	Scope  uint8
	// NSID names the server, if the query wants it.
	NSID string
	// Cookie is the client's and the server's cookie; nil for none.
	Cookie []byte
	// Keepalive is for how long a connection stays open, in units of 100 ms. It is for a query by
	// TCP that asks for it.
	Keepalive uint16
	// TCP says how the query has come.
	TCP bool
}

// appendOPT appends the OPT record of an answer to q.
func (q *Query) appendOPT(b []byte, rcode Rcode, r *Reply) []byte {
	b = append(b, 0, 0, byte(TypeOPT))
	b = binary.BigEndian.AppendUint16(b, r.UDPSize)
	b = append(b, byte(rcode>>4), ednsVersion, 0, 0)
	if q.EDNS.DO { // RFC 3225 §3: copied
		b[len(b)-2] = flagDO
	}
	size := len(b)
	b = append(b, 0, 0)
	if q.EDNS.NSID && r.NSID != "" {
		b = appendOption(b, optionNSID, len(r.NSID))
		b = append(b, r.NSID...)
	}
	if q.EDNS.Subnet.Present && r.Subnet {
		b = appendOption(b, optionSubnet, len(q.EDNS.Subnet.option))
		b = append(b, q.EDNS.Subnet.option...)
		b[len(b)-len(q.EDNS.Subnet.option)+3] = r.Scope
	}
	if r.Cookie != nil {
		b = appendOption(b, optionCookie, len(r.Cookie))
		b = append(b, r.Cookie...)
	}
	if q.EDNS.Keepalive && r.TCP { // RFC 7828 §3.3.2
		b = appendOption(b, optionKeepalive, 2)
		b = binary.BigEndian.AppendUint16(b, r.Keepalive)
	}
	binary.BigEndian.PutUint16(b[size:], uint16(len(b)-size-2))
	return b
}

func appendOption(b []byte, code uint16, size int) []byte {
	b = binary.BigEndian.AppendUint16(b, code)
	return binary.BigEndian.AppendUint16(b, uint16(size))
}
