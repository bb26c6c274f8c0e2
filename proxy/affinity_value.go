package proxy

import (
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"time"

	"golang.org/x/crypto/chacha20poly1305"
)

// A ticket is what an affinity cookie says. Dates are in seconds since 1970; 0 is
// no date.
type ticket struct {
	host  string
	first uint32 // when the client came to the host
	last  uint32 // when it was last seen there
}

// A vault makes the values of affinity cookies and reads them again. A value is
//
//	"1" base64url( nonce[24] XChaCha20-Poly1305( first[4] last[4] host 0… ) )
//
// in which the numbers are big-endian, and zeros fill the sealed part up to a
// multiple of 16 bytes, so that not even the length of the host's name shows. The
// nonce is random: two values for one host have nothing in common. The cookie's
// name is authenticated with it. A vault is immutable and safe for concurrent use.
type vault struct {
	seals []cipher.AEAD // the first makes values
	about []byte
}

const (
	cookieVersion = '1'
	ticketDates   = 8
	ticketBlock   = 16
	maxSealed     = 80 // the dates and the longest name of a host
	boxOverhead   = chacha20poly1305.NonceSizeX + chacha20poly1305.Overhead
	maxBox        = maxSealed + boxOverhead
	maxValue      = 1 + (maxBox*8+5)/6 // characters
)

// strictBase64 accepts one form of each value: bits that nothing needs are zero.
var strictBase64 = base64.RawURLEncoding.Strict()

// newVault returns a vault with a key from each of secrets, of which the first
// makes values. Without any it has a key of its own, which nobody else has.
func newVault(name string, secrets [][]byte) *vault {
	if len(secrets) == 0 {
		own := make([]byte, chacha20poly1305.KeySize)
		_, _ = rand.Read(own) // never fails
		secrets = [][]byte{own}
	}
	v := &vault{about: []byte(name)}
	for _, s := range secrets {
		key, err := hkdf.Key(sha256.New, s, nil, "tokenring affinity cookie", chacha20poly1305.KeySize)
		if err != nil { // only for a length that no hash can give
			panic(err)
		}
		seal, err := chacha20poly1305.NewX(key)
		if err != nil { // only for a key of another size
			panic(err)
		}
		v.seals = append(v.seals, seal)
	}
	return v
}

// append appends the value that says t. Names longer than pool.CheckName allows
// give a value that open doesn't take.
func (v *vault) append(dst []byte, t ticket) []byte {
	var room [maxBox + maxSealed]byte
	plain := binary.BigEndian.AppendUint32(room[maxBox:maxBox], t.first)
	plain = binary.BigEndian.AppendUint32(plain, t.last)
	plain = append(plain, t.host...)
	for len(plain)%ticketBlock != 0 {
		plain = append(plain, 0)
	}
	nonce := room[:chacha20poly1305.NonceSizeX]
	_, _ = rand.Read(nonce) // never fails
	box := v.seals[0].Seal(nonce[:len(nonce):maxBox], nonce, plain, v.about)
	return strictBase64.AppendEncode(append(dst, cookieVersion), box)
}

// open reads a value. old says that another key than the first made it. Whatever
// this vault's keys haven't made is refused, in a time that tells nothing of them.
func (v *vault) open(value []byte) (t ticket, old, ok bool) {
	if len(value) < 1 || len(value) > maxValue || value[0] != cookieVersion {
		return ticket{}, false, false
	}
	var room [maxBox + maxSealed]byte
	n, err := strictBase64.Decode(room[:maxBox], value[1:])
	sealed := n - boxOverhead
	if err != nil || strictBase64.EncodedLen(n) != len(value)-1 || sealed < ticketBlock || sealed%ticketBlock != 0 {
		return ticket{}, false, false
	}
	nonce, box := room[:chacha20poly1305.NonceSizeX], room[chacha20poly1305.NonceSizeX:n]
	for i, seal := range v.seals {
		if plain, err := seal.Open(room[maxBox:maxBox], nonce, box, v.about); err == nil {
			return readTicket(plain), i > 0, true
		}
	}
	return ticket{}, false, false
}

// readTicket reads what a vault has sealed.
func readTicket(plain []byte) ticket {
	name := plain[ticketDates:]
	for len(name) > 0 && name[len(name)-1] == 0 {
		name = name[:len(name)-1]
	}
	return ticket{
		first: binary.BigEndian.Uint32(plain),
		last:  binary.BigEndian.Uint32(plain[4:]),
		host:  string(name),
	}
}

// terms say how long a ticket holds. Zero durations are no limit.
type terms struct {
	idle, life time.Duration
}

// tomorrow is how far a date may lie in the future. What is further ahead was
// made by a clock that was wrong (HAProxy's rule).
const tomorrow = 24 * time.Hour

// hold tells whether t still counts at now. A date that the terms need and t
// doesn't have is no reason against it: the terms are younger than t.
func (r terms) hold(t ticket, now time.Time) bool {
	return fresh(t.last, r.idle, now) && fresh(t.first, r.life, now)
}

func fresh(date uint32, limit time.Duration, now time.Time) bool {
	if limit == 0 || date == 0 {
		return true
	}
	age := now.Sub(time.Unix(int64(date), 0))
	return age <= limit && age >= -tomorrow
}

// renew returns t with the dates that it is to have from now on, and whether they
// differ from those it has. The last one moves on only after a part of the idle
// time, so that not every answer sets a cookie.
func (r terms) renew(t ticket, now time.Time) (ticket, bool) {
	const parts = 16
	before, stamp := t, uint32(now.Unix())
	if r.idle == 0 {
		t.last = 0
	} else if age := now.Sub(time.Unix(int64(t.last), 0)); t.last == 0 || age >= max(r.idle/parts, time.Second) {
		t.last = stamp
	}
	if r.life == 0 {
		t.first = 0
	} else if t.first == 0 {
		t.first = stamp
	}
	return t, t != before
}
