package announcement

import (
	"cmp"
	"crypto/ed25519"
	"encoding/binary"
	"errors"
	"net/netip"
	"time"

	"tokenring/route"
)

// A Signature is the part of a host's announcement that says who has signed it. The zero
// value stands for an announcement that isn't signed.
type Signature struct {
	Key      route.HostKey
	Sequence uint64         // of two announcements, the one with the greater number counts
	Gossip   netip.AddrPort // of the host
}

// IsSigned reports whether the announcement is signed.
func (s Signature) IsSigned() bool { return !s.Key.IsZero() }

// Check returns what is wrong with s.
func (s Signature) Check() error {
	switch {
	case s == Signature{}:
		return nil
	case s.Key.IsZero() || s.Sequence == 0:
		return errors.New("a signed announcement needs a key and a number")
	case !s.Gossip.IsValid() || s.Gossip.Port() == 0 || s.Gossip.Addr().IsUnspecified() || s.Gossip.Addr().Is4In6() || s.Gossip.Addr().Zone() != "":
		return errors.New("a signed announcement needs the address of the host's gossip")
	}
	return nil
}

// signatureSize is the size of a signature in bytes, with its length in front.
const signatureSize = 1 + ed25519.SignatureSize

// signedSize is how much a signature adds to the fixed part, in bytes: number, IP
// address as 16 bytes, port, key.
const signedSize = 8 + 16 + 2 + ed25519.PublicKeySize

var errSignature = errors.New("its signature is wrong")

// appendTo adds s to the fixed part of a wire form.
func (s Signature) appendTo(b []byte) []byte {
	b = binary.BigEndian.AppendUint64(b, s.Sequence)
	ip := s.Gossip.Addr().As16()
	b = append(b, ip[:]...)
	b = binary.BigEndian.AppendUint16(b, s.Gossip.Port())
	return append(b, s.Key[:]...)
}

// readSignature reads what appendTo has written: signedSize bytes.
func readSignature(b []byte) (s Signature) {
	s.Sequence = binary.BigEndian.Uint64(b)
	s.Gossip = netip.AddrPortFrom(netip.AddrFrom16([16]byte(b[8:24])).Unmap(), binary.BigEndian.Uint16(b[24:]))
	s.Key = route.HostKey(b[26:signedSize])
	return s
}

// Sign returns the signed wire form of m, with the next number. label is that of the gossip,
// and at is the address of the host's gossip. If the number can't be kept, Sign returns an
// error beside the wire form.
func (i *Identity) Sign(m Metadata, label string, at netip.AddrPort) ([]byte, error) {
	if err := m.Check(); err != nil { // it needs no number then
		return nil, err
	}
	n, kept := i.next(time.Now())
	m.Signature = Signature{Key: i.Key(), Sequence: n, Gossip: at}
	b, err := i.sign(m, label)
	return b, cmp.Or(err, kept)
}

// sign returns the wire form of m, which has i's key, with its signature.
func (i *Identity) sign(m Metadata, label string) ([]byte, error) {
	b, err := m.MarshalBinary()
	if err != nil {
		return nil, err
	}
	b = append(b, ed25519.SignatureSize)
	return append(b, ed25519.Sign(i.private, signedBytes(b, label))...), nil
}

// Verify returns an error unless the wire form b ends with a signature by key, for the
// gossip with that label.
func Verify(b []byte, key route.HostKey, label string) error {
	n := len(b) - signatureSize
	if n < 0 || b[n] != ed25519.SignatureSize || !ed25519.Verify(key[:], signedBytes(b[:n+1], label), b[n+1:]) {
		return errSignature
	}
	return nil
}

// signedBytes returns what is signed: the wire form b up to the signature, behind the
// purpose and the label. So a signature is of no use for another purpose, or in another
// pool.
func signedBytes(b []byte, label string) []byte {
	all := []byte("tokenring: announcement of a host\x00")
	all = binary.BigEndian.AppendUint32(all, uint32(len(label)))
	all = append(all, label...)
	return append(all, b...)
}
