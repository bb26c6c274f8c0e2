package basicauth

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/bcrypt"

	"tokenring/filewatch"
)

// Users are a Config with its file. It is safe for concurrent use.
type Users struct {
	challenge string
	secret    [32]byte // of the digests of good pairs
	now       atomic.Pointer[list]
	watch     *filewatch.Watch[map[string][]byte]
}

// A list is the users of a moment.
type list struct {
	hashes map[string][]byte
	other  []byte // a hash for users that there aren't, so that they take as long; nil if there are no users

	mu   sync.Mutex
	good map[digest]time.Time // pairs of name and password that were right, until when they count
}

type digest [sha256.Size]byte

const (
	goodFor  = 5 * time.Minute
	mostGood = 1024
)

// A Verdict is what Check says.
type Verdict uint8

// The verdicts.
const (
	Wrong Verdict = iota // or nothing is shown
	Right
	Busy // too many passwords are being checked
)

// hashing has a place for each hash that is computed at a time, for all routes. It is half of the
// processors, so that wrong passwords leave the other half to everybody else.
var hashing = make(chan struct{}, max(1, runtime.GOMAXPROCS(0)/2))

// patience is for how long a request waits for such a place.
const patience = 2 * time.Second

// Open reads the file of c. It returns nil if c is nil.
func Open(c *Config) (*Users, error) {
	if c == nil {
		return nil, nil
	}
	u := &Users{challenge: c.challenge()}
	_, _ = rand.Read(u.secret[:]) // never fails
	watch, hashes, err := filewatch.Open(func() (map[string][]byte, error) { return ReadFile(c.File) }, c.File)
	if err != nil {
		return nil, err
	}
	u.watch = watch
	u.use(hashes)
	return u, nil
}

// use makes users those in force, and forgets which pairs were right.
func (u *Users) use(hashes map[string][]byte) {
	l := &list{hashes: hashes, good: map[digest]time.Time{}}
	for _, hash := range hashes {
		l.other = hash
		break
	}
	u.now.Store(l)
}

// Follow reads the file again when it changes, until ctx ends. It calls note after each change: err says
// why it isn't used, and what the file held before stays in force.
func (u *Users) Follow(ctx context.Context, note func(err error)) {
	u.watch.Follow(ctx, func(c filewatch.Change[map[string][]byte]) {
		if c.Err == nil {
			u.use(c.Value)
		}
		note(c.Err)
	})
}

// Problem returns why what the file holds isn't in use, "" if it is.
func (u *Users) Problem() string { return u.watch.Problem() }

// Challenge returns the value of WWW-Authenticate for an answer to a request that isn't right.
func (u *Users) Challenge() string { return u.challenge }

// Check judges the value of Authorization, nil for none. A pair that was right counts for five minutes
// without another look at its hash, which is slow on purpose. Otherwise Check computes the hash, and may
// wait for two seconds before it does.
func (u *Users) Check(authorization []byte, now time.Time) Verdict {
	name, password, ok := parse(authorization)
	if !ok {
		return Wrong
	}
	l := u.now.Load()
	pair := u.digest(name, password)
	if l.knows(pair, now) {
		return Right
	}
	hash, known := l.hashes[name]
	if !known {
		hash = l.other
	}
	if hash == nil {
		return Wrong
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case hashing <- struct{}{}:
	case <-timer.C:
		return Busy
	}
	defer func() { <-hashing }()
	if bcrypt.CompareHashAndPassword(hash, password) != nil || !known {
		return Wrong
	}
	l.remember(pair, now)
	return Right
}

// parse reads the value of Authorization (RFC 7617 §2).
func parse(authorization []byte) (name string, password []byte, ok bool) {
	scheme, rest, _ := bytes.Cut(authorization, []byte(" "))
	if !bytes.EqualFold(scheme, []byte("Basic")) {
		return "", nil, false
	}
	pair, err := base64.StdEncoding.AppendDecode(nil, bytes.TrimLeft(rest, " "))
	if err != nil {
		return "", nil, false
	}
	user, password, ok := bytes.Cut(pair, []byte(":"))
	return string(user), password, ok
}

// digest returns what stands for a pair in memory, so that no password stays there.
func (u *Users) digest(name string, password []byte) (d digest) {
	h := hmac.New(sha256.New, u.secret[:])
	h.Write([]byte(name))
	h.Write([]byte{':'}) // which no name has
	h.Write(password)
	h.Sum(d[:0])
	return d
}

func (l *list) knows(pair digest, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return now.Before(l.good[pair])
}

// remember has a pair count. If there are too many, it forgets some other.
func (l *list) remember(pair digest, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for other := range l.good {
		if len(l.good) < mostGood {
			break
		}
		delete(l.good, other)
	}
	l.good[pair] = now.Add(goodFor)
}
