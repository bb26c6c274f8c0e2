// Package announcement is what the members of a gossip announce of themselves, and how a
// balancer knows that a host itself has announced it: its metadata on the wire, the
// signature of it, and the keys and numbers of hosts that the signature is held against.
package announcement

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"

	"tokenring/route"
)

// A Role is what a member of a gossip is. It is also the prefix of the node's name in
// memberlist: "host/ide-1", "lb/lb-2".
type Role byte

// The roles.
const (
	HostRole     Role = 1
	BalancerRole Role = 2
)

// Prefix returns what the names of r's nodes begin with; "" for an unknown role.
func (r Role) Prefix() string {
	switch r {
	case HostRole:
		return "host/"
	case BalancerRole:
		return "lb/"
	}
	return ""
}

// Metadata is what a node announces about itself.
type Metadata struct {
	Role Role
	// Spec is the host, whose address is an ip:port in canonical form. Of a balancer
	// it has the name alone.
	route.Spec
	Version string // of the software
	Leaving bool   // about to go, on purpose
	Drain   Drain  // of a host

	Digest string // of the balancer's table; hosts have none
	Stream Stream // of a balancer; zero if it accepts no streams

	Signature // of a host; zero if the announcement isn't signed
}

// A Stream says where a balancer accepts the streams of its peers, and by which key they
// know it there.
type Stream struct {
	Address string   // ip:port in canonical form, or :port if the IP address is that of its gossip
	Key     [32]byte // the fingerprint of its key
}

// At returns s with an IP address, which is that of the balancer's gossip if it has none.
func (s Stream) At(gossip netip.Addr) Stream {
	if port, ok := strings.CutPrefix(s.Address, ":"); ok {
		s.Address = net.JoinHostPort(gossip.String(), port)
	}
	return s
}

// check says what is wrong with s.
func (s Stream) check() error {
	if s == (Stream{}) {
		return nil
	}
	if s.Key == ([32]byte{}) {
		return errors.New("its streams have no key")
	}
	address := s.At(netip.IPv4Unspecified().Next()).Address
	at, err := netip.ParseAddrPort(address)
	switch {
	case err != nil || at.String() != address || at.Port() == 0:
		return fmt.Errorf("the address of its streams %.64q is neither a plain ip:port nor a :port", s.Address)
	case at.Addr().IsUnspecified() || at.Addr().IsMulticast() || at.Addr().Zone() != "":
		return fmt.Errorf("its streams can't be reached at %q", s.Address)
	}
	return nil
}

// SplitNode returns the role and the name in a node's name; zero values if it has no
// role's prefix.
func SplitNode(node string) (Role, string) {
	for _, role := range []Role{HostRole, BalancerRole} {
		if name, ok := strings.CutPrefix(node, role.Prefix()); ok {
			return role, name
		}
	}
	return 0, ""
}

// Node returns the name that m must have in memberlist, by which Gossip.Members has it.
func (m Metadata) Node() string { return m.Role.Prefix() + m.Name }

// The wire form, at most 475 bytes of a host:
//
//	major version 1 byte · minor version 1 byte · role 1 byte · size of the fixed part 1 byte
//	fixed part: flags 1 byte · id 4 bytes · weight 2 bytes
//	if it is signed: sequence 8 bytes · gossip IP 16 bytes · gossip port 2 bytes · key 32 bytes
//	if it drains: since 8 bytes · deadline 8 bytes
//	texts: name, version, address, zone, digest: 1 byte of length, then the bytes
//	if a balancer accepts streams, two more: their address, their key (32 bytes)
//	if it is signed: 1 byte of length, 64 bytes of signature of all that is in front
//
// Numbers are big endian. The form can grow: a later minor version may use more flags,
// lengthen the fixed part, append further texts, in front of the signature, and announce
// more about a role than this one knows. A reader passes over what it doesn't know.
// Another major version can't be read, and what is cut short or out of bounds is refused.
const (
	majorVersion = 2
	minorVersion = 2
	headSize     = 4
	fixedSize    = 7 // of what isn't signed
	flagLeaving  = 1
	flagSigned   = 2
	flagDrains   = 4
	maxDigest    = 64
	maxMetadata  = 512 // memberlist.MetaMaxSize
)

var errShort = errors.New("metadata is cut short")

// MarshalBinary returns m's wire form without the signature, or what is wrong with m.
func (m Metadata) MarshalBinary() ([]byte, error) {
	if err := m.Check(); err != nil {
		return nil, err
	}
	var flags byte
	if m.Leaving {
		flags |= flagLeaving
	}
	b := []byte{majorVersion, minorVersion, byte(m.Role), fixedSize, flags}
	b = binary.BigEndian.AppendUint32(b, m.ID)
	b = binary.BigEndian.AppendUint16(b, uint16(m.Weight))
	if m.IsSigned() {
		b[3] += signedSize
		b[headSize] |= flagSigned
		b = m.Signature.appendTo(b)
	}
	if m.Drain.Drains() { // behind the signature, which readers of the minor version 1 expect in front
		b[3] += drainSize
		b[headSize] |= flagDrains
		b = m.Drain.appendTo(b)
	}
	texts := []string{m.Name, m.Version, m.Address, m.Zone, m.Digest}
	if m.Stream != (Stream{}) {
		texts = append(texts, m.Stream.Address, string(m.Stream.Key[:]))
	}
	for _, s := range texts {
		b = append(b, byte(len(s)))
		b = append(b, s...)
	}
	return b, nil
}

// Decode reads foreign bytes, and doesn't look at the signature: see Verify. The
// result owns no part of b.
func Decode(b []byte) (Metadata, error) {
	if len(b) > maxMetadata {
		return Metadata{}, fmt.Errorf("metadata has %d bytes", len(b))
	}
	if len(b) > 0 && b[0] != majorVersion {
		return Metadata{}, fmt.Errorf("metadata of version %d, this software knows %d", b[0], majorVersion)
	}
	if len(b) < headSize || b[3] < fixedSize || len(b) < headSize+int(b[3]) {
		return Metadata{}, errShort
	}
	m, rest := Metadata{Role: Role(b[2])}, b[headSize+int(b[3]):]
	if err := m.decodeFixed(b[headSize : headSize+int(b[3])]); err != nil {
		return Metadata{}, err
	}
	for _, field := range []*string{&m.Name, &m.Version, &m.Address, &m.Zone, &m.Digest} {
		var err error
		if *field, rest, err = cutText(rest); err != nil {
			return Metadata{}, err
		}
	}
	if err := m.decodeMore(rest); err != nil {
		return Metadata{}, err
	}
	m = m.known()
	return m, m.Check()
}

// decodeFixed reads the fixed part, of fixedSize bytes at least.
func (m *Metadata) decodeFixed(fixed []byte) error {
	flags := fixed[0]
	m.Leaving = flags&flagLeaving != 0
	m.ID = binary.BigEndian.Uint32(fixed[1:])
	m.Weight = int(binary.BigEndian.Uint16(fixed[5:]))
	fixed = fixed[fixedSize:]
	if flags&flagSigned != 0 {
		if len(fixed) < signedSize {
			return errShort
		}
		m.Signature, fixed = readSignature(fixed), fixed[signedSize:]
	}
	if flags&flagDrains != 0 {
		if len(fixed) < drainSize {
			return errShort
		}
		m.Drain = readDrain(fixed)
	}
	return nil
}

// decodeMore reads the texts that not everybody announces: those of a stream, and those of
// a later version.
func (m *Metadata) decodeMore(rest []byte) error {
	var more []string
	for len(rest) > 0 {
		text, after, err := cutText(rest)
		if err != nil {
			return err
		}
		more, rest = append(more, text), after
	}
	if m.Role == BalancerRole && len(more) >= 2 && len(more[1]) == len(m.Stream.Key) {
		m.Stream.Address = more[0]
		copy(m.Stream.Key[:], more[1])
	}
	return nil
}

// known returns m without what this version doesn't know of its role.
func (m Metadata) known() Metadata {
	switch m.Role {
	case HostRole:
		m.Digest, m.Stream = "", Stream{}
	case BalancerRole:
		m.Spec, m.Signature, m.Drain = route.Spec{Name: m.Name}, Signature{}, Drain{}
	}
	return m
}

// cutText takes a text with its length in front off b.
func cutText(b []byte) (text string, rest []byte, err error) {
	if len(b) == 0 || len(b) < 1+int(b[0]) {
		return "", nil, errShort
	}
	n := 1 + int(b[0])
	return string(b[1:n]), b[n:], nil
}

// Check says what is wrong with m.
func (m Metadata) Check() error {
	check := route.CheckName
	if m.Role == HostRole {
		check = route.CheckHostName
	}
	if err := check(m.Name); err != nil {
		return err
	}
	for _, text := range []struct {
		what, text string
		limit      int
	}{{"version", m.Version, route.MaxVersion}, {"zone", m.Zone, route.MaxZone}, {"digest", m.Digest, maxDigest}} {
		if err := checkText(text.what, text.text, text.limit); err != nil {
			return err
		}
	}
	switch m.Role {
	case HostRole:
		return m.checkHost()
	case BalancerRole:
		if m != m.known() {
			return errors.New("a balancer announces what only a host has")
		}
		return m.Stream.check()
	}
	return fmt.Errorf("it has the role %d, which this software doesn't know", m.Role)
}

func (m Metadata) checkHost() error {
	if m != m.known() {
		return errors.New("a host announces what only a balancer has")
	}
	if err := m.CheckWeight(); err != nil {
		return err
	}
	address, err := netip.ParseAddrPort(m.Address)
	if err != nil || len(m.Address) > route.MaxAddress || address.String() != m.Address {
		return fmt.Errorf("the service address %.64q is not a plain ip:port", m.Address)
	}
	ip := address.Addr()
	if address.Port() == 0 || ip.IsUnspecified() || ip.IsMulticast() || ip.Zone() != "" || ip.Is4In6() {
		return fmt.Errorf("no host can be reached at the service address %q", m.Address)
	}
	if err := m.Drain.check(); err != nil {
		return err
	}
	return m.Signature.Check()
}

// checkText refuses what could spoil a log line or a page: everything but
// printable ASCII.
func checkText(what, text string, limit int) error {
	if len(text) > limit {
		return fmt.Errorf("the %s has %d bytes, at most %d are possible", what, len(text), limit)
	}
	if strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' }) {
		return fmt.Errorf("the %s holds other than Printable ASCII", what)
	}
	return nil
}

// Printable replaces what metadata can't hold.
func Printable(version string) string {
	clean := []byte(version)
	for i, c := range clean {
		if c < ' ' || c > '~' {
			clean[i] = '?'
		}
	}
	return string(clean[:min(len(clean), route.MaxVersion)])
}
