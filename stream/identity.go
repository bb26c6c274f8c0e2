package stream

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"net"
	"time"

	"tokenring/statefile"
)

// KeyName is the name of the file in the state directory that has this balancer's key.
const KeyName = "peer.key"

// An Identity is the key pair by which peers know this balancer. It is immutable. The zero
// Identity has no key, and no peer accepts it; see NewIdentity and OpenIdentity.
type Identity struct {
	certificate tls.Certificate
	fingerprint Fingerprint
}

// NewIdentity returns an Identity with a new key that is kept nowhere.
func NewIdentity() Identity {
	_, private, _ := ed25519.GenerateKey(rand.Reader) // never fails
	i, err := identityOf(private)
	if err != nil {
		panic(err) // an ed25519 key can always sign
	}
	return i
}

// OpenIdentity returns the Identity whose key is in the file at path. If there is no file,
// it makes one with a new key, for its owner alone; the directory must exist. If the file
// can't be used, it returns an error and doesn't change the file: with another key no peer
// would accept this balancer.
func OpenIdentity(path string) (Identity, error) {
	text, err := statefile.KeepSecret(path)
	if err != nil {
		return Identity{}, fmt.Errorf("the balancer's key: %w", err)
	}
	seed, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(seed) != ed25519.SeedSize {
		return Identity{}, fmt.Errorf("the balancer's key: %s doesn't hold %d bytes in base64, as lb writes them; restore the file, or remove it for a new key", path, ed25519.SeedSize)
	}
	return identityOf(ed25519.NewKeyFromSeed(seed))
}

// identityOf returns the Identity of a key. Its certificate only carries the key: peers look
// at nothing else of it, and so it is valid at any time.
func identityOf(private ed25519.PrivateKey) (Identity, error) {
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: "lb"},
		NotBefore:    time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC),
		NotAfter:     time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC), // RFC 5280 §4.1.2.5: none
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		return Identity{}, fmt.Errorf("the balancer's certificate: %w", err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return Identity{}, fmt.Errorf("the balancer's certificate: %w", err)
	}
	return Identity{
		certificate: tls.Certificate{Certificate: [][]byte{der}, PrivateKey: private, Leaf: leaf},
		fingerprint: fingerprintOf(leaf),
	}, nil
}

// Fingerprint returns what peers know of the key.
func (i Identity) Fingerprint() Fingerprint { return i.fingerprint }

// Public returns the public part of the key; nil if i has none.
func (i Identity) Public() ed25519.PublicKey {
	private, ok := i.certificate.PrivateKey.(ed25519.PrivateKey)
	if !ok {
		return nil
	}
	return private.Public().(ed25519.PublicKey)
}

// Sign signs a message with the key. i must have one. What is signed must not be what TLS
// signs: begin it with a text that says what it is for.
func (i Identity) Sign(message []byte) []byte {
	return ed25519.Sign(i.certificate.PrivateKey.(ed25519.PrivateKey), message)
}

// A Fingerprint is the SHA-256 of a public key, in the form that certificates have it
// (SubjectPublicKeyInfo, RFC 5280 §4.1.2.7). As text it has 64 hexadecimal digits. The zero
// Fingerprint belongs to no key.
type Fingerprint [sha256.Size]byte

func fingerprintOf(c *x509.Certificate) Fingerprint { return sha256.Sum256(c.RawSubjectPublicKeyInfo) }

// IsZero reports whether f is the zero Fingerprint.
func (f Fingerprint) IsZero() bool { return f == Fingerprint{} }

// String returns f as text.
func (f Fingerprint) String() string { return hex.EncodeToString(f[:]) }

// short returns the first digits of f, for the log.
func (f Fingerprint) short() string { return hex.EncodeToString(f[:6]) }

// MarshalText implements encoding.TextMarshaler.
func (f Fingerprint) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, f[:]), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (f *Fingerprint) UnmarshalText(b []byte) error {
	if len(b) != hex.EncodedLen(len(f)) {
		return fmt.Errorf("a fingerprint of %d hexadecimal digits, want %d", len(b), hex.EncodedLen(len(f)))
	}
	var read Fingerprint
	if _, err := hex.Decode(read[:], b); err != nil {
		return fmt.Errorf("read a fingerprint: %w", err)
	}
	*f = read
	return nil
}

// errOtherKey is what is wrong with a peer that has another key than it should.
var errOtherKey = errors.New("it has another key than its fingerprint")

// dialConfig returns how this balancer opens a stream to the peer with a key.
func dialConfig(own Identity, want Fingerprint) *tls.Config {
	c := baseConfig(own)
	c.InsecureSkipVerify = true // VerifyConnection does it: no authority stands behind a key
	c.VerifyConnection = func(s tls.ConnectionState) error {
		if got := peerKey(s); got != want || got.IsZero() {
			return fmt.Errorf("%w: %s", errOtherKey, got.short())
		}
		return nil
	}
	return c
}

// acceptConfig returns how this balancer accepts streams of peers. known reports whether a
// peer has a key.
func acceptConfig(own Identity, known func(Fingerprint) bool) *tls.Config {
	c := baseConfig(own)
	c.ClientAuth = tls.RequireAnyClientCert
	c.VerifyConnection = func(s tls.ConnectionState) error {
		if got := peerKey(s); got.IsZero() || !known(got) {
			return unknownKeyError{got}
		}
		return nil
	}
	return c
}

// baseConfig returns what both have. Without tickets each connection proves both keys.
func baseConfig(own Identity) *tls.Config {
	return &tls.Config{
		MinVersion:             tls.VersionTLS13,
		Certificates:           []tls.Certificate{own.certificate},
		SessionTicketsDisabled: true,
	}
}

// peerKey returns the key of the other end, zero if it has shown none.
func peerKey(s tls.ConnectionState) Fingerprint {
	if len(s.PeerCertificates) == 0 {
		return Fingerprint{}
	}
	return fingerprintOf(s.PeerCertificates[0])
}

// An unknownKeyError is the error of a handshake with somebody whose key no peer has.
type unknownKeyError struct{ key Fingerprint }

func (e unknownKeyError) Error() string {
	return fmt.Sprintf("no peer has the key %s", e.key.short())
}

// refusedByPeer reports whether err is that the other end has refused the handshake.
func refusedByPeer(err error) bool {
	var alert *net.OpError
	return errors.As(err, &alert) && alert.Op == "remote error"
}
