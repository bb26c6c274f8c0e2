package announcement

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"time"

	"tokenring/route"
)

// The bounds of what is kept of keys, whatever is sent.
const (
	MaxKeys        = 8192 // names of which a key is known: several times as many as a pool can have hosts
	maxClaims      = 256  // names for which another key was announced
	maxClaimsAName = 4
)

// ClaimEnds is the time after which a claim is over if it isn't made again.
const ClaimEnds = 5 * time.Minute

// A Reason says in a word why an announcement was refused.
type Reason string

// The reasons.
const (
	Unsigned     Reason = "unsigned"  // it needs a signature
	BadSignature Reason = "signature" // somebody else has made or sent it
	OtherKey     Reason = "key"       // it has another key than the one that is known of the host
)

// ErrOld is no refusal: members that haven't heard the latest announcement of a host pass
// on the one before.
var ErrOld = errors.New("it is an older announcement than the last one")

// ErrUnreached is no refusal: whether the host is where it says isn't known yet.
var ErrUnreached = errors.New("it isn't known yet whether it is where it says")

// Keys are the keys by which a balancer knows hosts again. A name has the key that the
// configuration says, or else the one with which it was announced first, until SetKey gives
// it another one. Once the key of a name is known, announcements without it are refused,
// and so are those that are older than the last one. Keys is safe for concurrent use.
type Keys struct {
	require bool

	mu         sync.Mutex
	configured map[string]route.HostKey // by host; nil if the configuration has none
	hosts      map[string]*knownHost
	claims     map[string][]Claim // by host; sorted by Last
}

// A knownHost is what is known of a host that signs.
type knownHost struct {
	key      route.HostKey
	kept     bool   // SetKey has set the key
	sequence uint64 // of the last announcement with the key
	raw      string // that announcement
}

// A Claim is the latest announcement that was refused because it has another key than
// the one that is known of the host.
type Claim struct {
	Metadata Metadata
	Last     time.Time // when it came last
}

// fresh reports whether the claim goes on.
func (c Claim) fresh(now time.Time) bool { return now.Sub(c.Last) < ClaimEnds }

// NewKeys returns Keys that know no key yet. If require is true, it refuses announcements
// that aren't signed; and if the configuration has keys, also names that have none there.
func NewKeys(require bool) *Keys {
	return &Keys{require: require, hosts: map[string]*knownHost{}, claims: map[string][]Claim{}}
}

// Configure sets the keys of the configuration; nil if it has none.
func (k *Keys) Configure(keys map[string]route.HostKey) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.configured = keys
}

// SetKey sets the key of a host. After the zero value, the next key that comes is learned.
func (k *Keys) SetKey(host string, key route.HostKey) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if key.IsZero() {
		delete(k.hosts, host)
		return
	}
	k.knownLocked(host, key).kept = true
}

// Claims returns the claims of a host's name that go on; the latest is the last.
func (k *Keys) Claims(host string, now time.Time) []Claim {
	k.mu.Lock()
	defer k.mu.Unlock()
	key := k.keyLocked(host)
	return slices.DeleteFunc(slices.Clone(k.claims[host]), func(c Claim) bool { return !c.fresh(now) || c.Metadata.Key == key })
}

// Restore takes in what was known of a host when the last run ended. It returns false, and
// takes nothing in, if another key is known now.
func (k *Keys) Restore(m Metadata) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if key := k.keyLocked(m.Name); !key.IsZero() && m.Key != key {
		return false
	}
	if !m.IsSigned() {
		return true
	}
	known := k.knownLocked(m.Name, m.Key)
	known.sequence = max(known.sequence, m.Sequence)
	return true
}

// Last returns the wire form of the last announcement that a host has signed; nil if it hasn't
// come to this process.
func (k *Keys) Last(host string) []byte {
	k.mu.Lock()
	defer k.mu.Unlock()
	if known := k.hosts[host]; known != nil && known.raw != "" {
		return []byte(known.raw)
	}
	return nil
}

// Allows reports whether a host with a key, or without one, may be announced at all: see
// NewKeys. Whether it is the key that is known of the host isn't asked.
func (k *Keys) Allows(host string, key route.HostKey) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	_, configured := k.configured[host]
	return !k.require || !key.IsZero() && (configured || k.configured == nil)
}

// knownLocked returns what is known of a host with a key; the caller may change it. It
// forgets what was known of the host with another key.
func (k *Keys) knownLocked(host string, key route.HostKey) *knownHost {
	known := k.hosts[host]
	if known == nil || known.key != key {
		known = &knownHost{key: key}
		k.hosts[host] = known
	}
	return known
}

// keyLocked returns the key of a host; zero if none is known.
func (k *Keys) keyLocked(host string) route.HostKey {
	if key, ok := k.configured[host]; ok {
		return key
	}
	if known := k.hosts[host]; known != nil {
		return known.key
	}
	return route.HostKey{}
}

// A Received is what came as the announcement of a host.
type Received struct {
	Metadata
	Raw   string         // its wire form
	Label string         // of the gossip that it came by
	From  netip.AddrPort // the gossip address of the node that has it

	// MayLearn returns why the key mustn't be learned, nil if it may. An error other than
	// ErrUnreached makes the announcement one of Claims. nil: it may.
	MayLearn func() error
}

// Admit returns an error, and the reason in a word, if an announcement isn't the host's
// own. It learns the key if none is known. present reports whether a host is a member.
func (k *Keys) Admit(a Received, present func(host string) bool) (Reason, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	key := k.keyLocked(a.Name)
	if !a.IsSigned() {
		return Unsigned, k.admitUnsigned(key)
	}
	known := k.hosts[a.Name]
	again := known != nil && known.key == a.Key && known.raw == a.Raw // then its signature is right
	switch {
	case a.Gossip != a.From:
		return BadSignature, fmt.Errorf("it is signed for the gossip address %s", a.Gossip)
	case !again && Verify([]byte(a.Raw), a.Key, a.Label) != nil:
		return BadSignature, errSignature
	case key.IsZero() && k.configured != nil && k.require:
		return OtherKey, fmt.Errorf("it has the key %s, and hosts_keys has no key of that name", a.Key.Fingerprint())
	case !key.IsZero() && a.Key != key:
		k.claimLocked(a.Metadata, time.Now())
		return OtherKey, fmt.Errorf("it has the key %s, and the host's is %s", a.Key.Fingerprint(), key.Fingerprint())
	case again:
		return "", nil
	case key.IsZero() && a.MayLearn != nil:
		if err := a.MayLearn(); errors.Is(err, ErrUnreached) {
			return "", err
		} else if err != nil {
			k.claimLocked(a.Metadata, time.Now())
			return OtherKey, err
		}
	}
	if known == nil || known.key != a.Key {
		k.makeRoomLocked(present)
		known = k.knownLocked(a.Name, a.Key)
	}
	if a.Sequence <= known.sequence && (known.raw != "" || a.Sequence < known.sequence) {
		return "", ErrOld
	}
	known.sequence, known.raw = a.Sequence, a.Raw
	return "", nil
}

func (k *Keys) admitUnsigned(key route.HostKey) error {
	switch {
	case !key.IsZero():
		return fmt.Errorf("it isn't signed, and the host has the key %s", key.Fingerprint())
	case k.require:
		return errors.New("it isn't signed, and pool.signatures is require")
	}
	return nil
}

// makeRoomLocked forgets hosts that aren't members any more, if there are too many. Keys that
// SetKey has set stay: their number is bounded elsewhere.
func (k *Keys) makeRoomLocked(present func(host string) bool) {
	if len(k.hosts) >= MaxKeys {
		maps.DeleteFunc(k.hosts, func(host string, known *knownHost) bool { return !known.kept && !present(host) })
	}
}

// claimLocked keeps a refused announcement.
func (k *Keys) claimLocked(m Metadata, now time.Time) {
	all := k.claims[m.Name]
	if all == nil && len(k.claims) >= maxClaims {
		maps.DeleteFunc(k.claims, func(_ string, all []Claim) bool { return !all[len(all)-1].fresh(now) })
		if len(k.claims) >= maxClaims {
			return
		}
	}
	for _, c := range all {
		if c.Metadata.Key == m.Key && c.Metadata.Sequence > m.Sequence {
			m = c.Metadata
		}
	}
	all = slices.DeleteFunc(all, func(c Claim) bool { return c.Metadata.Key == m.Key })
	all = append(all, Claim{Metadata: m, Last: now})
	k.claims[m.Name] = all[max(0, len(all)-maxClaimsAName):]
}

// TakeClaim returns the refused announcement that has the key which is known now. From now
// on, it counts as the host's last one. TakeClaim returns false if there is none, or if it
// is older than the last one.
func (k *Keys) TakeClaim(host string) (Metadata, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	key := k.keyLocked(host)
	for _, c := range slices.Backward(k.claims[host]) {
		if c.Metadata.Key != key {
			continue
		}
		known := k.knownLocked(host, key)
		if c.Metadata.Sequence < known.sequence {
			return Metadata{}, false
		}
		known.sequence = c.Metadata.Sequence
		return c.Metadata, true
	}
	return Metadata{}, false
}
