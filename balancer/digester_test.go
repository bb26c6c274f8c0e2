package balancer

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"sync"
	"testing"
)

func TestDigestIsASipHashUnderTheHashOfTheSecret(t *testing.T) {
	secret := []byte("a secret of sixteen or more bytes")
	d := NewDigester(secret)
	sum := sha256.Sum256(secret)
	low, high := sipHash128(binary.LittleEndian.Uint64(sum[:]), binary.LittleEndian.Uint64(sum[8:]), []byte("alice"))
	var want Digest
	binary.LittleEndian.PutUint64(want[:], low)
	binary.LittleEndian.PutUint64(want[8:], high)
	clear(secret) // the Digester doesn't need it any more
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for range 100 {
				if got := d.Digest([]byte("alice")); got != want {
					t.Errorf("got %x, want %x", got, want)
				}
			}
		})
	}
	group.Wait()
	if got, want := want.String(), hex.EncodeToString(want[:])[:12]; got != want {
		t.Errorf("it is shown as %s, want %s", got, want)
	}
}

func TestDigestDependsOnKeyAndSecret(t *testing.T) {
	a, b := NewDigester([]byte("secret a")), NewDigester([]byte("secret b"))
	if a.Digest([]byte("alice")) == a.Digest([]byte("bob")) {
		t.Error("two keys have the same digest")
	}
	if a.Digest([]byte("alice")) == b.Digest([]byte("alice")) {
		t.Error("the digest is the same under another secret")
	}
}

// TestEveryByteOfAKeyChangesItsDigest flips each bit of keys of all lengths up to 70, and adds a
// zero byte: no two of these keys have one digest.
func TestEveryByteOfAKeyChangesItsDigest(t *testing.T) {
	d := NewDigester([]byte("0123456789abcdef"))
	seen := map[Digest]string{}
	note := func(key []byte) {
		digest := d.Digest(key)
		if other, found := seen[digest]; found {
			t.Fatalf("%q and %q have one digest", key, other)
		}
		seen[digest] = string(key)
	}
	for length := 1; length <= 70; length++ {
		key := make([]byte, length)
		note(key)
		for i := range 8 * length {
			key[i/8] ^= 1 << (i % 8)
			note(key)
			key[i/8] ^= 1 << (i % 8)
		}
	}
}

func TestNothingIsDigestedWithoutKeyOrSecret(t *testing.T) {
	for name, got := range map[string]Digest{
		"no key":     NewDigester([]byte("secret")).Digest(nil),
		"no secret":  NewDigester(nil).Digest([]byte("alice")),
		"zero value": Digester{}.Digest([]byte("alice")),
	} {
		if got != (Digest{}) || got.String() != "" {
			t.Errorf("%s: got %x, want nothing", name, got)
		}
	}
}

func TestDigestDoesNotAllocate(t *testing.T) {
	d, key := NewDigester([]byte("0123456789abcdef")), []byte("alice")
	if n := testing.AllocsPerRun(100, func() { d.Digest(key) }); n != 0 {
		t.Errorf("Digest allocates %v times", n)
	}
}

// BenchmarkDigest measures the cost for each request that has a key.
func BenchmarkDigest(b *testing.B) {
	d := NewDigester([]byte("0123456789abcdef"))
	for _, length := range []int{16, 32, 64} {
		key := make([]byte, length)
		b.Run(fmt.Sprintf("bytes=%d", length), func(b *testing.B) {
			for b.Loop() {
				d.Digest(key)
			}
		})
	}
}

// TestAKeyInTwoPoolsIsTwoKeys: and the same two on all balancers.
func TestAKeyInTwoPoolsIsTwoKeys(t *testing.T) {
	secret, key := []byte("a secret of sixteen or more bytes"), []byte("a key")
	seen := map[Digest]string{}
	for _, pool := range []string{"", "api", "ap", "static"} {
		digest := NewDigester(secret).Pool(pool).Digest(key)
		if other, known := seen[digest]; known {
			t.Errorf("the pools %q and %q have the same digest", pool, other)
		}
		if seen[digest] = pool; digest != NewDigester(secret).Pool(pool).Digest(key) {
			t.Errorf("the pool %q has two digests", pool)
		}
	}
	if NewDigester(secret).Digest(key) != NewDigester(secret).Pool("").Digest(key) {
		t.Error("the main pool has digests of its own")
	}
	if (Digester{}).Pool("api") != (Digester{}) {
		t.Error("a pool's Digester has a secret, and the other has none")
	}
}
