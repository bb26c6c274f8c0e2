package balancer

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/bits"

	"github.com/cespare/xxhash/v2"
)

// A keyHash turns keys into the numbers by which they are placed. The zero
// keyHash is xxHash64, which anybody can compute: who may choose tokens can then
// choose many that fall on one host. With a seed it is SipHash-2-4 (Aumasson and
// Bernstein, "SipHash: a fast short-input PRF", 2012). A seed in front of the key
// wouldn't do: there are pairs of inputs on which xxHash64 collides every second
// time whatever came before them.
type keyHash struct {
	seeded bool
	k0, k1 uint64
}

// newKeyHash returns the hash for a seed; none if it is empty.
func newKeyHash(seed string) keyHash {
	if seed == "" {
		return keyHash{}
	}
	sum := sha256.Sum256([]byte(seed))
	return keyHash{true, binary.LittleEndian.Uint64(sum[:]), binary.LittleEndian.Uint64(sum[8:])}
}

// mark is what a seed adds to the parameters of a policy, and so to the digest.
// Like the seed it must not be shown.
func (k keyHash) mark() string {
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

// sipHash returns SipHash-2-4 of data under the key k0, k1.
func sipHash(k0, k1 uint64, data []byte) uint64 {
	v0, v1, v2, v3 := k0^0x736f6d6570736575, k1^0x646f72616e646f6d, k0^0x6c7967656e657261, k1^0x7465646279746573
	last := uint64(len(data)) << 56
	for ; len(data) >= 8; data = data[8:] {
		word := binary.LittleEndian.Uint64(data)
		v3 ^= word
		v0, v1, v2, v3 = sipHalf(v0, v1, v2, v3, 13, 16)
		v2, v1, v0, v3 = sipHalf(v2, v1, v0, v3, 17, 21)
		v0, v1, v2, v3 = sipHalf(v0, v1, v2, v3, 13, 16)
		v2, v1, v0, v3 = sipHalf(v2, v1, v0, v3, 17, 21)
		v0 ^= word
	}
	for i, b := range data {
		last |= uint64(b) << (8 * i)
	}
	v3 ^= last
	for i := range 6 {
		if i == 2 {
			v0 ^= last
			v2 ^= 0xff
		}
		v0, v1, v2, v3 = sipHalf(v0, v1, v2, v3, 13, 16)
		v2, v1, v0, v3 = sipHalf(v2, v1, v0, v3, 17, 21)
	}
	return v0 ^ v1 ^ v2 ^ v3
}

// sipHalf is half a SipRound; the other half has v0 and v2 swapped. It is small
// enough for the compiler to inline it.
func sipHalf(a, b, c, d uint64, r, s int) (uint64, uint64, uint64, uint64) {
	a += b
	b = bits.RotateLeft64(b, r) ^ a
	c += d
	d = bits.RotateLeft64(d, s) ^ c
	return bits.RotateLeft64(a, 32), b, c, d
}
