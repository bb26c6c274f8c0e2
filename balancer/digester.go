package balancer

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
)

// A Digest stands for a key in logs, on pages and in the balancer's memory. The zero
// Digest means that there is no key.
type Digest [16]byte

// String returns the first 12 hexadecimal digits, and "" for the zero Digest.
func (d Digest) String() string { return string(d.Append(nil)) }

// Append appends the text that String returns to b.
func (d Digest) Append(b []byte) []byte {
	const shown = 6 // bytes
	if d == (Digest{}) {
		return b
	}
	return hex.AppendEncode(b, d[:shown])
}

// MarshalText returns all hexadecimal digits. It is for messages between the processes of
// a balancer. Logs and pages show String.
func (d Digest) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, d[:]), nil }

// UnmarshalText sets d to the digest of which b has all hexadecimal digits.
func (d *Digest) UnmarshalText(b []byte) error {
	if len(b) != hex.EncodedLen(len(d)) {
		return fmt.Errorf("a digest of %d hexadecimal digits, want %d", len(b), hex.EncodedLen(len(d)))
	}
	if _, err := hex.Decode(d[:], b); err != nil {
		return fmt.Errorf("read a digest: %w", err)
	}
	return nil
}

// A Digester turns keys, which are secrets, into digests. Without the Digester's
// secret one can't test a guess of a key against a digest, or find two keys with the
// same digest. It is immutable and safe for concurrent use. The zero Digester has no
// secret, and gives every key the zero Digest.
type Digester struct {
	keyed  bool
	k0, k1 uint64
}

// NewDigester returns a Digester for a secret of at least 16 random bytes. All
// balancers and processes that share the secret give a key the same digest. Without a
// secret NewDigester returns the zero Digester.
func NewDigester(secret []byte) Digester {
	if len(secret) == 0 {
		return Digester{}
	}
	sum := sha256.Sum256(secret)
	return Digester{true, binary.LittleEndian.Uint64(sum[:]), binary.LittleEndian.Uint64(sum[8:])}
}

// Pool returns the Digester of a pool, by its name: "" is the main pool's, d itself. So a key in
// two pools is two keys.
func (d Digester) Pool(name string) Digester {
	if name == "" || !d.keyed {
		return d
	}
	k0, k1 := sipHash128(d.k0, d.k1, []byte("pool\x00"+name))
	return Digester{true, k0, k1}
}

// Digest returns the SipHash-2-4 of key with 128 bits, under the first 128 bits of the
// SHA-256 of the secret. It returns the zero Digest when key is empty. It doesn't
// allocate.
//
// SipHash is a pseudorandom function for short inputs, with a key of 128 bits. The
// best known attack is to guess that key. HMAC-SHA-256 would be as hard to attack
// here, but takes 200 ns for a key of 32 bytes, and SipHash takes 25 ns.
func (d Digester) Digest(key []byte) (digest Digest) {
	if !d.keyed || len(key) == 0 {
		return Digest{}
	}
	low, high := sipHash128(d.k0, d.k1, key)
	binary.LittleEndian.PutUint64(digest[:8], low)
	binary.LittleEndian.PutUint64(digest[8:], high)
	return digest
}
