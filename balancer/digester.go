package balancer

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"sync"
)

// A Digester turns keys, which are secrets, into short names for them that logs
// and pages may show. Without its secret nobody can test a guess of a key
// against such a name. It is safe for concurrent use. The zero Digester names
// every key "".
type Digester struct {
	macs *sync.Pool // of *mac, kept because keying one costs more than using it
}

// A mac is an HMAC-SHA-256 with room for its sum.
type mac struct {
	hash.Hash
	sum [sha256.Size]byte
}

// NewDigester returns a Digester for a secret of at least 16 random bytes, which
// all balancers of a region share if their logs are to agree. Without a secret
// it returns the zero Digester.
func NewDigester(secret []byte) Digester {
	if len(secret) == 0 {
		return Digester{}
	}
	own := append([]byte(nil), secret...)
	return Digester{macs: &sync.Pool{New: func() any { return &mac{Hash: hmac.New(sha256.New, own)} }}}
}

// Digest returns the first 12 hexadecimal digits of the HMAC-SHA-256 of key
// (RFC 2104), and "" when key is empty.
func (d Digester) Digest(key []byte) string {
	if d.macs == nil || len(key) == 0 {
		return ""
	}
	m := d.macs.Get().(*mac)
	defer d.macs.Put(m)
	m.Reset()
	m.Write(key)
	var digits [12]byte
	hex.Encode(digits[:], m.Sum(m.sum[:0])[:6])
	return string(digits[:])
}
