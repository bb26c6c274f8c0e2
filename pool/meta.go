package pool

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"tokenring/balancer"
)

// A role is what a member of a gossip pool is. It is also the prefix of the
// node's name in memberlist: "host/ide-1", "lb/lb-2".
type role byte

const (
	roleHost role = 1
	roleLB   role = 2
)

func (r role) prefix() string {
	switch r {
	case roleHost:
		return "host/"
	case roleLB:
		return "lb/"
	}
	return ""
}

// A meta is what a node announces about itself in memberlist's metadata. A host
// fills in the first group, a balancer may fill in Digest.
type meta struct {
	Role    role
	Name    string
	Version string // of the software
	Leaving bool   // about to go, on purpose

	ID      uint32
	Address string // ip:port of the service, in canonical form
	Weight  int
	Zone    string

	Digest string // of the balancer's table
}

// node returns the name that m must have in memberlist.
func (m meta) node() string { return m.Role.prefix() + m.Name }

// placed returns what a table knows of the host.
func (m meta) placed() balancer.Host { return balancer.Host{Name: m.Name, ID: m.ID, Weight: m.Weight} }

// The wire form, at most 410 bytes:
//
//	version 1 byte · role 1 byte · flags 1 byte · id 4 bytes · weight 2 bytes
//	name, version, address, zone, digest: 1 byte of length, then the bytes
//
// Numbers are big endian. There is exactly one form per meta: unknown flags,
// bytes at the end, or an address in another spelling are errors.
const (
	metaVersion = 1
	flagLeaving = 1
	metaFixed   = 9
	maxDigest   = 64
	maxMeta     = 512 // memberlist.MetaMaxSize
)

var errMetaShort = errors.New("metadata is cut short")

// encode returns m's wire form, or what is wrong with m.
func (m meta) encode() ([]byte, error) {
	if err := m.check(); err != nil {
		return nil, err
	}
	var flags byte
	if m.Leaving {
		flags |= flagLeaving
	}
	b := []byte{metaVersion, byte(m.Role), flags}
	b = binary.BigEndian.AppendUint32(b, m.ID)
	b = binary.BigEndian.AppendUint16(b, uint16(m.Weight))
	for _, s := range []string{m.Name, m.Version, m.Address, m.Zone, m.Digest} {
		b = append(b, byte(len(s)))
		b = append(b, s...)
	}
	return b, nil
}

// decodeMeta reads foreign bytes. The result owns no part of b.
func decodeMeta(b []byte) (meta, error) {
	if len(b) < metaFixed {
		return meta{}, errMetaShort
	}
	if len(b) > maxMeta {
		return meta{}, fmt.Errorf("metadata has %d bytes", len(b))
	}
	if b[0] != metaVersion {
		return meta{}, fmt.Errorf("metadata of version %d, this software knows %d", b[0], metaVersion)
	}
	if b[2]&^flagLeaving != 0 {
		return meta{}, fmt.Errorf("metadata with unknown flags %#x", b[2])
	}
	m := meta{
		Role:    role(b[1]),
		Leaving: b[2]&flagLeaving != 0,
		ID:      binary.BigEndian.Uint32(b[3:]),
		Weight:  int(binary.BigEndian.Uint16(b[7:])),
	}
	rest := b[metaFixed:]
	for _, field := range []*string{&m.Name, &m.Version, &m.Address, &m.Zone, &m.Digest} {
		var err error
		if *field, rest, err = cutText(rest); err != nil {
			return meta{}, err
		}
	}
	if len(rest) > 0 {
		return meta{}, fmt.Errorf("metadata has %d bytes too many", len(rest))
	}
	return m, m.check()
}

// cutText takes a text with its length in front off b.
func cutText(b []byte) (text string, rest []byte, err error) {
	if len(b) == 0 || len(b) < 1+int(b[0]) {
		return "", nil, errMetaShort
	}
	n := 1 + int(b[0])
	return string(b[1:n]), b[n:], nil
}

// check says what is wrong with m.
func (m meta) check() error {
	if err := CheckName(m.Name); err != nil {
		return err
	}
	for _, text := range []struct {
		what, text string
		limit      int
	}{{"version", m.Version, maxVersion}, {"zone", m.Zone, maxZone}, {"digest", m.Digest, maxDigest}} {
		if err := checkText(text.what, text.text, text.limit); err != nil {
			return err
		}
	}
	switch m.Role {
	case roleHost:
		return m.checkHost()
	case roleLB:
		if m.ID != 0 || m.Weight != 0 || m.Address != "" || m.Zone != "" {
			return errors.New("a balancer announces what only a host has")
		}
		return nil
	}
	return fmt.Errorf("unknown role %d", m.Role)
}

func (m meta) checkHost() error {
	if m.Digest != "" {
		return errors.New("a host announces a table")
	}
	if m.Weight < 0 || m.Weight > maxWeight {
		return fmt.Errorf("the weight %d is not in 0..%d", m.Weight, maxWeight)
	}
	address, err := netip.ParseAddrPort(m.Address)
	if err != nil || len(m.Address) > maxAddress || address.String() != m.Address {
		return fmt.Errorf("the service address %.64q is not a plain ip:port", m.Address)
	}
	ip := address.Addr()
	if address.Port() == 0 || ip.IsUnspecified() || ip.IsMulticast() || ip.Zone() != "" || ip.Is4In6() {
		return fmt.Errorf("nobody can be reached at the service address %q", m.Address)
	}
	return nil
}

// checkText refuses what could spoil a log line or a page: everything but
// printable ASCII.
func checkText(what, text string, limit int) error {
	if len(text) > limit {
		return fmt.Errorf("the %s has %d bytes, at most %d are possible", what, len(text), limit)
	}
	if strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' }) {
		return fmt.Errorf("the %s holds other than printable ASCII", what)
	}
	return nil
}
