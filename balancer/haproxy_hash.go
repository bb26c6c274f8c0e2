package balancer

import (
	"hash/crc32"
	"math"
	"math/bits"
)

// crcSpace names the space of keys hashed by CRC-32.
const crcSpace = "crc32"

// haproxyFunctions are HAProxy's hash functions by their names in `hash-type`.
var haproxyFunctions = map[string]func(key []byte) uint32{
	"sdbm":  sdbm,
	"djb2":  djb2,
	"wt6":   wt6,
	"crc32": crc32.ChecksumIEEE,
	"none":  number,
}

// haproxyHash returns the function of that name. With avalanche its result goes
// through HAProxy's avalanche, mix32.
func haproxyHash(name string, avalanche bool) func([]byte) uint32 {
	function := haproxyFunctions[name]
	if !avalanche {
		return function
	}
	return func(key []byte) uint32 { return mix32(function(key)) }
}

// mix32 is HAProxy's avalanche: Bob Jenkins' integer mixer of six shifts, times a
// prime. It is a bijection.
func mix32(a uint32) uint32 {
	a += 0x7ed55d16 + a<<12
	a ^= 0xc761c23c ^ a>>19
	a += 0x165667b1 + a<<5
	a = (a + 0xd3a2646c) ^ a<<9
	a += 0xfd7046c5 + a<<3
	a ^= 0xb55a4f09 ^ a>>16
	return a * 3221225473
}

// sdbm is h*65599 + c for each byte c, from 0.
func sdbm(key []byte) uint32 { return polynomial(0, 65599, key) }

// djb2 is h*33 + c for each byte c, from 5381.
func djb2(key []byte) uint32 { return polynomial(5381, 33, key) }

// polynomial sets h to h*p + c for each byte c of key in turn, and returns h. It
// takes four bytes at a time, since each multiplication waits for the previous one.
func polynomial(h, p uint32, key []byte) uint32 {
	p2 := p * p
	p3, p4 := p2*p, p2*p2
	for ; len(key) >= 4; key = key[4:] {
		h = h*p4 + (uint32(key[0])*p3 + uint32(key[1])*p2 + uint32(key[2])*p + uint32(key[3]))
	}
	for _, c := range key {
		h = h*p + uint32(c)
	}
	return h
}

// wt6 is the function of that name by Emeric Brun, made for HAProxy 1.5.
func wt6(key []byte) uint32 {
	h0, h1 := uint32(0xa53c965a), uint32(0x5ca6953a)
	s0, s1 := 6, 18
	for _, c := range key {
		h0 = ^(h0 ^ uint32(c))
		h1 = ^(h1 + uint32(c))
		h0, h1 = bits.RotateLeft32(h1, s0), bits.RotateLeft32(h0, s1)
		t := (h0>>16 ^ h1) & 0xffff
		s0, s1 = int(t&31), int(t>>11)
	}
	return h0 ^ h1
}

// number is HAProxy's function none: the decimal number at the beginning of key,
// limited to the range of int64. The lower 32 bits are the result.
func number(key []byte) uint32 {
	negative := false
	if len(key) > 0 && (key[0] == '-' || key[0] == '+') {
		negative = key[0] == '-'
		key = key[1:]
	}
	var n uint64
	for _, c := range key {
		if c < '0' || c > '9' {
			break
		}
		digit := uint64(c - '0')
		if n > (math.MaxUint64-digit)/10 {
			n = math.MaxUint64
			break
		}
		n = n*10 + digit
	}
	if negative {
		return -uint32(min(n, 1<<63))
	}
	return uint32(min(n, math.MaxInt64))
}
