package balancer

import (
	"encoding/binary"
	"encoding/hex"
	"testing"
)

// TestSipHashGivesThePapersAnswers uses the key 00 01 … 0f and the inputs 00 01 …,
// as in the paper's appendix A and the vectors of its authors.
func TestSipHashGivesThePapersAnswers(t *testing.T) {
	key := make([]byte, 64)
	for i := range key {
		key[i] = byte(i)
	}
	k0, k1 := binary.LittleEndian.Uint64(key), binary.LittleEndian.Uint64(key[8:])
	for length, want := range map[int]uint64{
		0:  0x726fdb47dd0e0e31,
		1:  0x74f839c593dc67fd,
		7:  0xab0200f58b01d137,
		8:  0x93f5f5799a932462,
		15: 0xa129ca6149be45e5,
		63: 0x958a324ceb064572,
	} {
		if got := sipHash(k0, k1, key[:length]); got != want {
			t.Errorf("%d bytes: got %016x, want %016x", length, got, want)
		}
	}
}

// TestSipHash128GivesItsAuthorsAnswers uses the same key and inputs, and their
// vectors for 128 bits.
func TestSipHash128GivesItsAuthorsAnswers(t *testing.T) {
	key := make([]byte, 64)
	for i := range key {
		key[i] = byte(i)
	}
	k0, k1 := binary.LittleEndian.Uint64(key), binary.LittleEndian.Uint64(key[8:])
	for length, want := range map[int]string{
		0:  "a3817f04ba25a8e66df67214c7550293",
		1:  "da87c1d86b99af44347659119b22fc45",
		7:  "a1f1ebbed8dbc153c0b84aa61ff08239",
		8:  "3b62a9ba6258f5610f83e264f31497b4",
		15: "5493e99933b0a8117e08ec0f97cfc3d9",
		16: "6ee2a4ca67b054bbfd3315bf85230577",
		33: "77c6077146f01c32b6b69d5f4ea9ffcf",
		63: "5150d1772f50834a503e069a973fbd7c",
	} {
		var b [16]byte
		low, high := sipHash128(k0, k1, key[:length])
		binary.LittleEndian.PutUint64(b[:8], low)
		binary.LittleEndian.PutUint64(b[8:], high)
		if got := hex.EncodeToString(b[:]); got != want {
			t.Errorf("%d bytes: got %s, want %s", length, got, want)
		}
	}
}
