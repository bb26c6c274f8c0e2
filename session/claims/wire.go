package claims

import (
	"errors"
	"fmt"

	"tokenring/balancer"
	"tokenring/route"
)

// A question is the digests of keys. Its answer has two Answers for each of them, in their
// order: what is claimed, and what else is known. Each is a byte for the Kind, and, unless that
// is Free, the length of the host's name in a byte and the name.

const (
	keySize = len(balancer.Digest{})
	maxKeys = 512 // in a question
)

func appendQuestion(b []byte, keys []balancer.Digest) []byte {
	for _, key := range keys {
		b = append(b, key[:]...)
	}
	return b
}

func readQuestion(b []byte) ([]balancer.Digest, error) {
	if len(b)%keySize != 0 || len(b)/keySize > maxKeys {
		return nil, fmt.Errorf("a question about claims has %d bytes, a multiple of %d up to %d is possible", len(b), keySize, maxKeys*keySize)
	}
	keys := make([]balancer.Digest, len(b)/keySize)
	for i := range keys {
		copy(keys[i][:], b[i*keySize:])
	}
	return keys, nil
}

func appendAnswer(b []byte, all [2]Answer) []byte {
	for _, a := range all {
		b = append(b, byte(a.Kind))
		if a.Kind != Free {
			b = append(append(b, byte(len(a.Host))), a.Host...)
		}
	}
	return b
}

var errAnswer = errors.New("an answer about claims is malformed")

// readAnswers reads the answers to a question about n keys.
func readAnswers(b []byte, n int) ([][2]Answer, error) {
	all := make([][2]Answer, n)
	for i := range 2 * n {
		if len(b) == 0 || Kind(b[0]) >= kinds {
			return nil, errAnswer
		}
		a := &all[i/2][i%2]
		a.Kind, b = Kind(b[0]), b[1:]
		if a.Kind == Free {
			continue
		}
		if len(b) == 0 || len(b) <= int(b[0]) {
			return nil, errAnswer
		}
		end := 1 + int(b[0])
		a.Host, b = string(b[1:end]), b[end:]
		if err := route.CheckHostName(a.Host); err != nil {
			return nil, fmt.Errorf("%w: %w", errAnswer, err)
		}
	}
	if len(b) > 0 {
		return nil, errAnswer
	}
	return all, nil
}
