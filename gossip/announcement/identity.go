package announcement

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"tokenring/route"
	"tokenring/statefile"
)

// The files of an agent in its state directory.
const (
	KeyName      = "agent.key"      // the seed of its key pair, in base64: a secret
	SequenceName = "agent.sequence" // the number of its last announcement
)

// An Identity is the key pair with which an agent signs what it announces, and the
// number of its last announcement. It is safe for concurrent use.
type Identity struct {
	dir     string // "": nothing is kept
	private ed25519.PrivateKey

	mu       sync.Mutex
	sequence uint64
}

// NewIdentity returns an identity with a new key that is kept nowhere.
func NewIdentity() *Identity {
	_, private, _ := ed25519.GenerateKey(rand.Reader) // never fails
	return &Identity{private: private}
}

// OpenIdentity returns the identity that is kept in dir. At the first start it makes dir
// and the identity. If the file of the key can't be used, it returns an error and doesn't
// change the file.
func OpenIdentity(dir string) (*Identity, error) {
	if err := statefile.MakeDir(dir); err != nil {
		return nil, fmt.Errorf("directory of the host's key: %w", err)
	}
	path := filepath.Join(dir, KeyName)
	text, err := statefile.KeepSecret(path)
	if err != nil {
		return nil, fmt.Errorf("the host's key: %w", err)
	}
	seed, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(seed) != ed25519.SeedSize {
		return nil, fmt.Errorf("the host's key: %s doesn't hold %d bytes in base64, as an agent writes them", path, ed25519.SeedSize)
	}
	i := &Identity{dir: dir, private: ed25519.NewKeyFromSeed(seed)}
	i.sequence, err = readSequence(filepath.Join(dir, SequenceName))
	return i, err
}

func readSequence(path string) (uint64, error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("number of the last announcement: %w", err)
	}
	n, err := strconv.ParseUint(strings.TrimSpace(string(b)), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("number of the last announcement: %s holds no number; remove it if the clock of this machine is right", path)
	}
	return n, nil
}

// Key returns the public key.
func (i *Identity) Key() route.HostKey { return route.HostKey(i.private.Public().(ed25519.PublicKey)) }

// next returns the number of another announcement. It is the time in milliseconds, or one
// more than the last number if that is greater. If the number can't be kept, next returns
// it with an error: it can be used, and the clock makes the numbers of the next run
// greater.
func (i *Identity) next(now time.Time) (uint64, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.sequence = max(i.sequence+1, uint64(max(now.UnixMilli(), 1)))
	if i.dir == "" {
		return i.sequence, nil
	}
	return i.sequence, statefile.Write(filepath.Join(i.dir, SequenceName), strconv.AppendUint(nil, i.sequence, 10))
}
