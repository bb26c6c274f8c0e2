package route

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
)

// A HostKey is the public Ed25519 key of a host, with which it signs what it announces.
// The zero value is no key.
type HostKey [32]byte

// hostKeyText is how keys are written in files and in the API.
var hostKeyText = base64.RawStdEncoding.Strict()

// errHostKey doesn't show the text: it may be a secret that is in the wrong place.
var errHostKey = errors.New("a host's key is 43 characters of base64")

// ParseHostKey reads a key as String writes it. A "=" at its end is fine.
func ParseHostKey(text string) (k HostKey, err error) {
	if len(text) == base64.StdEncoding.EncodedLen(len(k)) && text[len(text)-1] == '=' {
		text = text[:len(text)-1]
	}
	b, err := hostKeyText.DecodeString(text)
	if err != nil || len(b) != len(k) || HostKey(b) == k {
		return HostKey{}, errHostKey
	}
	return HostKey(b), nil
}

// IsZero reports whether k is no key.
func (k HostKey) IsZero() bool { return k == HostKey{} }

// String returns the key in base64; "" for no key.
func (k HostKey) String() string {
	if k.IsZero() {
		return ""
	}
	return hostKeyText.EncodeToString(k[:])
}

// Fingerprint returns a short name of the key, for people; "" for no key.
func (k HostKey) Fingerprint() string {
	if k.IsZero() {
		return ""
	}
	sum := sha256.Sum256(k[:])
	return hex.EncodeToString(sum[:8])
}

// MarshalText implements encoding.TextMarshaler.
func (k HostKey) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (k *HostKey) UnmarshalText(b []byte) (err error) {
	*k = HostKey{}
	if len(b) > 0 {
		*k, err = ParseHostKey(string(b))
	}
	return err
}
