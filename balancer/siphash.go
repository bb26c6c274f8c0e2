package balancer

import (
	"encoding/binary"
	"math/bits"
)

// A sipState is the state of SipHash-2-4 (Aumasson and Bernstein, "SipHash: a fast
// short-input PRF", 2012).
type sipState struct{ v0, v1, v2, v3 uint64 }

// newSipState returns the state before any data, under the key k0, k1.
func newSipState(k0, k1 uint64) sipState {
	return sipState{k0 ^ 0x736f6d6570736575, k1 ^ 0x646f72616e646f6d, k0 ^ 0x6c7967656e657261, k1 ^ 0x7465646279746573}
}

// sipHash returns SipHash-2-4 of data under the key k0, k1.
func sipHash(k0, k1 uint64, data []byte) uint64 {
	s := newSipState(k0, k1).absorb(data)
	s.v2 ^= 0xff
	return s.finish().sum()
}

// sipHash128 returns SipHash-2-4 with 128 bits of output, of data under the key k0, k1.
func sipHash128(k0, k1 uint64, data []byte) (low, high uint64) {
	s := newSipState(k0, k1)
	s.v1 ^= 0xee
	s = s.absorb(data)
	s.v2 ^= 0xee
	s = s.finish()
	low = s.sum()
	s.v1 ^= 0xdd
	return low, s.finish().sum()
}

// absorb returns the state after all of data.
func (s sipState) absorb(data []byte) sipState {
	v0, v1, v2, v3 := s.v0, s.v1, s.v2, s.v3
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
	for range 2 {
		v0, v1, v2, v3 = sipHalf(v0, v1, v2, v3, 13, 16)
		v2, v1, v0, v3 = sipHalf(v2, v1, v0, v3, 17, 21)
	}
	return sipState{v0 ^ last, v1, v2, v3}
}

// finish returns the state after the last four rounds.
func (s sipState) finish() sipState {
	v0, v1, v2, v3 := s.v0, s.v1, s.v2, s.v3
	for range 4 {
		v0, v1, v2, v3 = sipHalf(v0, v1, v2, v3, 13, 16)
		v2, v1, v0, v3 = sipHalf(v2, v1, v0, v3, 17, 21)
	}
	return sipState{v0, v1, v2, v3}
}

func (s sipState) sum() uint64 { return s.v0 ^ s.v1 ^ s.v2 ^ s.v3 }

// sipHalf is half a SipRound; the other half has v0 and v2 swapped. It is small
// enough for the compiler to inline it.
func sipHalf(a, b, c, d uint64, r, s int) (uint64, uint64, uint64, uint64) {
	a += b
	b = bits.RotateLeft64(b, r) ^ a
	c += d
	d = bits.RotateLeft64(d, s) ^ c
	return bits.RotateLeft64(a, 32), b, c, d
}
