package balancer

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"

	"github.com/cespare/xxhash/v2"
)

// A keyHash turns keys into the numbers by which they are placed. The zero keyHash
// is xxHash64. Everybody can compute it, so a user who may choose tokens can choose
// many that fall on one host. With a seed it is SipHash-2-4 (Aumasson and Bernstein,
// "SipHash: a fast short-input PRF", 2012). xxHash64 of the seed and the key would not
// be enough: there are pairs of inputs on which xxHash64 collides for half of all
// prefixes.
type keyHash struct {
	seeded bool
	k0, k1 uint64
}

// newKeyHash returns the hash for a seed. Without a seed it returns the zero keyHash.
func newKeyHash(seed string) keyHash {
	if seed == "" {
		return keyHash{}
	}
	sum := sha256.Sum256([]byte(seed))
	return keyHash{true, binary.LittleEndian.Uint64(sum[:]), binary.LittleEndian.Uint64(sum[8:])}
}

// parameters returns the text that a seed adds to the parameters of a policy, and so
// to the digest. Like the seed it must not be shown.
func (k keyHash) parameters() string {
	if !k.seeded {
		return ""
	}
	return fmt.Sprintf(" seed=%016x%016x", k.k0, k.k1)
}

// sum returns the hash of key.
func (k keyHash) sum(key []byte) uint64 {
	if !k.seeded {
		return xxhash.Sum64(key)
	}
	return sipHash(k.k0, k.k1, key)
}
