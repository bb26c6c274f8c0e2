package inspect

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
)

// The form of what is encrypted: version 1 byte, nonce, AES-GCM's ciphertext with its tag.
// memberlist also takes version 0, which pads, and believes the padding.
const (
	version   = 1
	nonceSize = 12
	tagSize   = 16
	overhead  = 1 + nonceSize + tagSize
)

// Keys are the keys of a gossip that count, at least one.
type Keys struct{ list atomic.Pointer[[]key] }

// A key encrypts and decrypts.
type key struct {
	cipher.AEAD
	secret []byte
}

// NewKeys returns keys of 16, 24 or 32 bytes; see Set.
func NewKeys(keys ...[]byte) (*Keys, error) {
	k := new(Keys)
	return k, k.Set(keys...)
}

// Set replaces the keys. The first one is used to encrypt. memberlist must not have a key
// that isn't here: give a new one to Set first, and take an old one from memberlist
// first. After an error the keys are as before.
func (k *Keys) Set(keys ...[]byte) error {
	var list []key
	for i, secret := range keys {
		if slices.ContainsFunc(keys[:i], func(other []byte) bool { return bytes.Equal(secret, other) }) {
			continue
		}
		block, err := aes.NewCipher(secret)
		if err != nil {
			return fmt.Errorf("key %d: %w", i+1, err)
		}
		gcm, err := cipher.NewGCM(block)
		if err != nil {
			return fmt.Errorf("key %d: %w", i+1, err)
		}
		list = append(list, key{gcm, secret})
	}
	if len(list) == 0 {
		return errors.New("there is no key")
	}
	k.list.Store(&list)
	return nil
}

// open decrypts b, which was sealed with data, and returns the key that it was sealed with.
//
// AES-GCM doesn't commit to its key: whoever knows two keys can write a message that both
// decrypt, to different texts. Then memberlist might read another text than the one that
// was inspected. So open refuses what more than one key decrypts.
func (k *Keys) open(b, data []byte) (plain []byte, by key, refusal *Refusal) {
	switch {
	case len(b) == 0 || b[0] > version:
		return nil, key{}, &Refusal{Reason: Unencrypted, Why: errUnencrypted}
	case b[0] != version:
		return nil, key{}, malformed("encryption version %d", b[0])
	case len(b) <= overhead:
		return nil, key{}, malformed("%d bytes can't hold a message", len(b))
	}
	nonce, ciphertext := b[1:1+nonceSize], b[1+nonceSize:]
	for _, candidate := range *k.list.Load() {
		text, err := candidate.Open(nil, nonce, ciphertext, data)
		if err != nil {
			continue
		}
		if plain != nil {
			return nil, key{}, malformed("two keys decrypt it")
		}
		plain, by = text, candidate
	}
	if plain == nil {
		return nil, key{}, &Refusal{Reason: Secret, Why: errSecret}
	}
	return plain, by, nil
}

// seal appends plain to head, encrypted together with data.
func (k key) seal(head, plain, data []byte) []byte {
	nonce := make([]byte, nonceSize)
	rand.Read(nonce) // never fails
	b := append(append(head, version), nonce...)
	return k.Seal(b, nonce, plain, data)
}
