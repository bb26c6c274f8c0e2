// Package lease has what a host's gate and the balancers say to each other, so that a host
// serves only while a majority of the balancers reaches it. A balancer's check carries a
// proof: it is signed, and repeats a challenge of the gate. A lease lasts from the moment in
// which the gate made that challenge, by the gate's clock alone. So no delay on the way
// makes a lease longer, and no balancer's clock matters. Nothing here opens or waits.
package lease

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Field is the name of the field of a check that has a proof, and of the answers that have the
// gate's next challenge.
const Field = "Lb-Lease"

// MaxBalancers is the largest number of balancers of which a proof may speak.
const MaxBalancers = 256

// Hello is the value of Field in the check of a balancer that has no challenge yet.
const Hello = "v1"

// Errors of a proof that the gate doesn't accept.
var (
	ErrHello     = errors.New("there is no proof yet")
	ErrMalformed = errors.New("the proof can't be read")
	ErrUnknown   = errors.New("the key isn't that of a balancer which the gate knows")
	ErrSignature = errors.New("the signature is wrong")
	ErrStale     = errors.New("the challenge is too old, or it has been used")
)

// A Claim is what a balancer signs.
type Claim struct {
	Host      string        // the name of the host that it checks
	Challenge string        // of that host's gate
	Length    time.Duration // of the lease, in whole milliseconds; 0 for a check that gives none
	Of        int           // how many balancers there are, this one among them
}

// message is what is signed. The name comes last, as it is the only part that is free.
func (c Claim) message() []byte {
	return fmt.Appendf(nil, "tokenring lease v1\n%s\n%d\n%d\n%s", c.Challenge, c.Length.Milliseconds(), c.Of, c.Host)
}

// Prove returns the value of Field for a check. sign signs with the key whose public part is
// public.
func (c Claim) Prove(public ed25519.PublicKey, sign func(message []byte) []byte) string {
	return strings.Join([]string{
		Hello, encode(public), c.Challenge, strconv.FormatInt(c.Length.Milliseconds(), 10), strconv.Itoa(c.Of), encode(sign(c.message())),
	}, " ")
}

// A Fingerprint is the SHA-256 of a public key in the form that certificates have it.
type Fingerprint [sha256.Size]byte

func fingerprintOf(key ed25519.PublicKey) Fingerprint {
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		return Fingerprint{} // no balancer has it
	}
	return sha256.Sum256(der)
}

// A proof is what a field's value has.
type proof struct {
	Claim
	key       ed25519.PublicKey
	signature []byte
}

// read reads a field's value. The host is that for which it must be signed.
func read(value, host string) (p proof, err error) {
	if value == Hello {
		return p, ErrHello
	}
	parts := strings.Split(value, " ")
	if len(parts) != 6 || parts[0] != Hello {
		return p, ErrMalformed
	}
	var errs [4]error
	var length int64
	p.key, errs[0] = decode(parts[1])
	length, errs[1] = strconv.ParseInt(parts[3], 10, 64)
	p.Of, errs[2] = strconv.Atoi(parts[4])
	p.signature, errs[3] = decode(parts[5])
	p.Host, p.Challenge, p.Length = host, parts[2], time.Duration(length)*time.Millisecond
	switch {
	case errors.Join(errs[:]...) != nil, len(p.key) != ed25519.PublicKeySize,
		length < 0, length > longest.Milliseconds(), p.Of < 1, p.Of > MaxBalancers:
		return p, ErrMalformed
	}
	return p, nil
}

// verify reports whether a proof is signed with its key.
func verify(p proof) bool { return ed25519.Verify(p.key, p.message(), p.signature) }

// longest is longer than any lease.
const longest = time.Hour

// Answer returns the value of Field in the answer to a check: the gate's next challenge, and why it
// didn't accept the check, nil if it did.
func Answer(challenge string, refused error) string {
	for why, err := range reasons {
		if err == refused {
			return challenge + " " + why
		}
	}
	return challenge
}

// ReadAnswer reads what Answer returns. It returns false if value isn't such a value. An unknown
// reason is ErrMalformed.
func ReadAnswer(value string) (challenge string, refused error, ok bool) {
	challenge, why, is := strings.Cut(value, " ")
	if b, err := decode(challenge); err != nil || len(b) != challengeSize {
		return "", nil, false
	}
	if refused = reasons[why]; is && refused == nil {
		refused = ErrMalformed
	}
	return challenge, refused, true
}

// reasons are the errors by their words in answers.
var reasons = map[string]error{"hello": ErrHello, "malformed": ErrMalformed, "unknown": ErrUnknown, "signature": ErrSignature, "stale": ErrStale}

// challengeSize is that of a challenge: when it was made, and what proves that.
const challengeSize = 8 + 16

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func decode(s string) ([]byte, error) { return base64.RawURLEncoding.Strict().DecodeString(s) }

// challengeAt returns the challenge of a moment. Nobody without the secret can make one.
func challengeAt(at time.Duration, secret []byte) string {
	text := binary.BigEndian.AppendUint64(nil, uint64(at))
	mac := hmac.New(sha256.New, secret)
	mac.Write(text)
	return encode(mac.Sum(text)[:challengeSize])
}

// madeAt returns when a challenge was made, false if it wasn't made with the secret.
func madeAt(challenge string, secret []byte) (at time.Duration, ok bool) {
	b, err := decode(challenge)
	if err != nil || len(b) != challengeSize {
		return 0, false
	}
	at = time.Duration(binary.BigEndian.Uint64(b))
	return at, hmac.Equal([]byte(challenge), []byte(challengeAt(at, secret)))
}
