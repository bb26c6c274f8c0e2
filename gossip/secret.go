package gossip

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/memberlist"
	"github.com/rs/zerolog"

	"tokenring/gossip/inspect"
	"tokenring/notify"
	"tokenring/statefile"
)

const (
	secretSize = 32 // bytes: AES-256
	maxSecrets = 2  // of a gossip at a time: enough to change from one to the next
)

// remedySecret says how to make a gossip key.
const remedySecret = "make one with: head -c 32 /dev/urandom | base64"

// ReadSecrets reads keys of 32 bytes from the file at path: one, or two in two lines while
// one replaces the other. The first is used to send. A key is raw, or one word of
// hexadecimal digits or base64, with white space around it. The error names the file, never
// its contents.
func ReadSecrets(path string) ([][]byte, error) {
	b, err := statefile.ReadSecret(path)
	if err != nil {
		return nil, fmt.Errorf("secret: %w; %s", err, remedySecret)
	}
	keys, why := parseSecrets(b)
	if why != "" {
		return nil, fmt.Errorf("secret: %s %s; %s", path, why, remedySecret)
	}
	return keys, nil
}

// parseSecrets returns the keys in the content of a file, or why there are none.
func parseSecrets(b []byte) (keys [][]byte, why string) {
	if len(b) == secretSize {
		return [][]byte{b}, ""
	}
	words := strings.FieldsFunc(string(b), func(c rune) bool { return c == '\n' || c == '\r' })
	words = slices.DeleteFunc(words, func(word string) bool { return strings.TrimSpace(word) == "" })
	if len(words) > maxSecrets {
		return nil, fmt.Sprintf("has %d lines, and at most %d secrets are possible at a time, each in a line", len(words), maxSecrets)
	}
	for _, word := range words {
		key := parseSecret(word)
		if key == nil {
			return nil, fmt.Sprintf("needs %d raw bytes, or in each of its lines %d hexadecimal digits or %d characters of base64",
				secretSize, hex.EncodedLen(secretSize), base64.StdEncoding.EncodedLen(secretSize))
		}
		keys = append(keys, key)
	}
	if len(keys) == maxSecrets && bytes.Equal(keys[0], keys[1]) {
		return nil, "has the same secret in both lines"
	}
	return keys, ""
}

// parseSecret returns the key that a line spells, nil if it is none.
func parseSecret(line string) []byte {
	for _, decode := range []func(string) ([]byte, error){
		hex.DecodeString,
		base64.StdEncoding.Strict().DecodeString,
		base64.RawStdEncoding.Strict().DecodeString,
		base64.URLEncoding.Strict().DecodeString,
		base64.RawURLEncoding.Strict().DecodeString,
	} {
		if key, err := decode(strings.TrimSpace(line)); err == nil && len(key) == secretSize {
			return key
		}
	}
	return nil
}

// SecretDigest returns a short name of a secret, by which it can be told from another
// one: 8 hexadecimal digits of an HMAC under the secret itself. It doesn't give the
// secret away.
func SecretDigest(secret []byte) string {
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte("tokenring digest of a gossip's secret"))
	return hex.EncodeToString(mac.Sum(nil)[:4])
}

func secretDigests(keys [][]byte) (digests []string) {
	for _, key := range keys {
		digests = append(digests, SecretDigest(key))
	}
	return digests
}

// secrets are those of one gossip, as its file has them. memberlist encrypts with the
// first, and decrypts with all. They are safe for concurrent use; one goroutine at a time
// calls refresh.
type secrets struct {
	file    string
	log     zerolog.Logger
	ring    *memberlist.Keyring
	inspect *inspect.Keys // at any time all of ring's
	changed notify.Note   // problem has changed
	heard   *secretLog
	last    secretFileState

	mu      sync.Mutex
	apart   *secrets // those of another gossip; the two have none in common. nil for none
	since   time.Time
	problem string // why what the file holds isn't in use; "" if it is
}

// A secretFileState is what one read of a secret's file has found.
type secretFileState struct {
	keys    [][]byte
	problem string // "" if keys can be used
}

func (s secretFileState) equal(other secretFileState) bool {
	return s.problem == other.problem && slices.EqualFunc(s.keys, other.keys, bytes.Equal)
}

// openSecrets reads the file of a gossip's secrets.
func openSecrets(file string, log zerolog.Logger) (*secrets, error) {
	keys, err := ReadSecrets(file)
	if err != nil {
		return nil, err
	}
	ring, err := memberlist.NewKeyring(keys[1:], keys[0])
	if err != nil {
		return nil, fmt.Errorf("secret: %w", err)
	}
	inspected, err := inspect.NewKeys(keys...)
	if err != nil {
		return nil, fmt.Errorf("secret: %w", err)
	}
	return &secrets{file: file, log: log, ring: ring, inspect: inspected, changed: notify.NewNote(), last: secretFileState{keys: keys}, since: time.Now()}, nil
}

// keys returns the secrets in use, of which the first is used to send. Nobody may change
// what it returns.
func (s *secrets) keys() [][]byte { return s.ring.GetKeys() }

// watch reads the file again and again until ctx ends.
func (s *secrets) watch(ctx context.Context, interval time.Duration) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			s.refresh(time.Now())
		}
	}
}

// refresh reads the file, and uses what it holds if the last read found the same: a file
// that is being written may hold the first of two secrets for a moment. What can't be used
// changes nothing.
func (s *secrets) refresh(now time.Time) {
	found := s.read()
	same := found.equal(s.last)
	s.last = found
	if !same {
		return
	}
	if found.problem == "" && !slices.EqualFunc(found.keys, s.keys(), bytes.Equal) {
		s.use(found.keys, now)
	}
	s.setProblem(found.problem)
}

// read reads the file once.
func (s *secrets) read() secretFileState {
	keys, err := ReadSecrets(s.file)
	if err == nil {
		err = s.checkApart(keys)
	}
	if err != nil {
		return secretFileState{problem: err.Error()}
	}
	return secretFileState{keys: keys}
}

// use makes keys the secrets in use, without a moment in which there is none. Only the
// last key of the ring is removed: memberlist moves those behind it while others read
// them.
func (s *secrets) use(keys [][]byte, now time.Time) {
	before := secretDigests(s.keys())
	err := errors.Join(s.inspect.Set(slices.Concat(keys, s.keys())...), s.ring.AddKey(keys[0]), s.ring.UseKey(keys[0]))
	for ring := s.keys(); err == nil && len(ring) > 1 && !slices.EqualFunc(ring, keys, bytes.Equal); ring = s.keys() {
		err = s.ring.RemoveKey(ring[len(ring)-1])
	}
	for _, key := range keys[1:] {
		err = errors.Join(err, s.ring.AddKey(key))
	}
	if err == nil {
		err = s.inspect.Set(keys...)
	}
	if err != nil { // a key of another size, which ReadSecrets has refused
		s.log.Error().Err(err).Str("file", s.file).Msg("secrets not changed")
		return
	}
	s.mu.Lock()
	s.since = now
	s.mu.Unlock()
	s.log.Info().Str("file", s.file).Strs("before", before).Strs("digests", secretDigests(keys)).Msg("secrets changed; the first is used to send")
}

// setProblem takes note of what is wrong with the file, "" for nothing, and logs it once.
func (s *secrets) setProblem(problem string) {
	s.mu.Lock()
	before := s.problem
	s.problem = problem
	s.mu.Unlock()
	switch {
	case problem == before:
		return
	case problem == "":
		s.log.Info().Str("file", s.file).Msg("the secret file can be used again")
	default:
		s.log.Error().Str("why", problem).Strs("stay", secretDigests(s.keys())).Msg("the changed secret file isn't used; the secrets before stay")
	}
	s.changed.Leave()
}

// checkApart returns an error if a secret is in use in the gossip to keep apart from.
func (s *secrets) checkApart(keys [][]byte) error {
	s.mu.Lock()
	apart := s.apart
	s.mu.Unlock()
	if apart == nil {
		return nil
	}
	for _, key := range keys {
		if slices.ContainsFunc(apart.keys(), func(other []byte) bool { return bytes.Equal(key, other) }) {
			return fmt.Errorf("the secret in %s is in %s too: hosts know the pool's, and balancers need their own", s.file, apart.file)
		}
	}
	return nil
}

// KeepApart returns an error if both gossips have a secret in common. From now on,
// neither takes one from its file that the other uses.
func (g *Gossip) KeepApart(other *Gossip) error {
	for _, pair := range [][2]*secrets{{g.secrets, other.secrets}, {other.secrets, g.secrets}} {
		pair[0].mu.Lock()
		pair[0].apart = pair[1]
		pair[0].mu.Unlock()
	}
	return other.secrets.checkApart(other.secrets.keys())
}

// SecretChanged returns the note that is left when SecretProblem has changed; nil for a
// nil Gossip.
func (g *Gossip) SecretChanged() notify.Note {
	if g == nil {
		return nil
	}
	return g.secrets.changed
}

// SecretProblem says why what the secret's file holds isn't in use, "" if it is. It is
// fit for operators, and doesn't show a secret.
func (g *Gossip) SecretProblem() string {
	if g == nil {
		return ""
	}
	g.secrets.mu.Lock()
	defer g.secrets.mu.Unlock()
	return g.secrets.problem
}
