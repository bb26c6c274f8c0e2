package affinity

import (
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"

	"golang.org/x/crypto/chacha20poly1305"
)

// A Payload is the content of an affinity cookie. Dates are in seconds since 1970; 0 is no
// date.
type Payload struct {
	Host  string
	First uint32 // when the client came to the host
	Last  uint32 // when the client was last seen there
}

// A Sealer writes the values of affinity cookies and reads them again. A value is
//
//	"1" base64url( nonce[24] XChaCha20-Poly1305( first[4] last[4] host 0… ) )
//
// The numbers are big-endian. Zeros fill the sealed part up to a multiple of 16 bytes, so
// that the value hides the length of the host's name. The nonce is random, so that two
// values for one host have nothing in common. The cookie's name is authenticated data. A
// Sealer is immutable and safe for concurrent use.
type Sealer struct {
	ciphers    []cipher.AEAD // the first one seals values
	additional []byte        // data that is authenticated: the cookie's name
}

const (
	version   = '1'
	datesSize = 8
	blockSize = 16
	maxPlain  = 80 // the dates and the longest name of a host
	overhead  = chacha20poly1305.NonceSizeX + chacha20poly1305.Overhead
	maxSealed = maxPlain + overhead
	maxValue  = 1 + (maxSealed*8+5)/6 // characters
)

// strictBase64 accepts only one encoding of each value: unused bits must be zero.
var strictBase64 = base64.RawURLEncoding.Strict()

// NewSealer returns a Sealer for the cookie with a name. It has one key for each secret; the
// first one seals values. Without secrets it has one random key, and no other Sealer opens
// its values.
func NewSealer(name string, secrets [][]byte) *Sealer {
	if len(secrets) == 0 {
		own := make([]byte, chacha20poly1305.KeySize)
		_, _ = rand.Read(own) // never fails
		secrets = [][]byte{own}
	}
	s := &Sealer{additional: []byte(name)}
	for _, secret := range secrets {
		key, err := hkdf.Key(sha256.New, secret, nil, "tokenring affinity cookie", chacha20poly1305.KeySize)
		if err != nil { // only for a length that no hash can give
			panic(err)
		}
		aead, err := chacha20poly1305.NewX(key)
		if err != nil { // only for a key of another size
			panic(err)
		}
		s.ciphers = append(s.ciphers, aead)
	}
	return s
}

// Append appends the value that says p. A host's name longer than 72 bytes gives a
// value that Open refuses; no host has such a name.
func (s *Sealer) Append(dst []byte, p Payload) []byte {
	var buf [maxSealed + maxPlain]byte
	plain := binary.BigEndian.AppendUint32(buf[maxSealed:maxSealed], p.First)
	plain = binary.BigEndian.AppendUint32(plain, p.Last)
	plain = append(plain, p.Host...)
	for len(plain)%blockSize != 0 {
		plain = append(plain, 0)
	}
	nonce := buf[:chacha20poly1305.NonceSizeX]
	_, _ = rand.Read(nonce) // never fails
	sealed := s.ciphers[0].Seal(nonce[:len(nonce):maxSealed], nonce, plain, s.additional)
	return strictBase64.AppendEncode(append(dst, version), sealed)
}

// Open reads a value. old says that the value was sealed with another key than the first.
// ok is false if none of the keys has sealed the value. The time that Open takes reveals
// nothing about the keys.
func (s *Sealer) Open(value []byte) (p Payload, old, ok bool) {
	if len(value) < 1 || len(value) > maxValue || value[0] != version {
		return Payload{}, false, false
	}
	var buf [maxSealed + maxPlain]byte
	n, err := strictBase64.Decode(buf[:maxSealed], value[1:])
	size := n - overhead
	if err != nil || strictBase64.EncodedLen(n) != len(value)-1 || size < blockSize || size%blockSize != 0 {
		return Payload{}, false, false
	}
	nonce, sealed := buf[:chacha20poly1305.NonceSizeX], buf[chacha20poly1305.NonceSizeX:n]
	for i, aead := range s.ciphers {
		if plain, err := aead.Open(buf[maxSealed:maxSealed], nonce, sealed, s.additional); err == nil {
			return readPayload(plain), i > 0, true
		}
	}
	return Payload{}, false, false
}

// readPayload decodes the plain text of a value.
func readPayload(plain []byte) Payload {
	name := plain[datesSize:]
	for len(name) > 0 && name[len(name)-1] == 0 {
		name = name[:len(name)-1]
	}
	return Payload{
		First: binary.BigEndian.Uint32(plain),
		Last:  binary.BigEndian.Uint32(plain[4:]),
		Host:  string(name),
	}
}
