package dnswire

import (
	"encoding/binary"
	"math/bits"
	"net/netip"
	"time"
)

// A CookieSecret is the key of servers' cookies. All servers of a zone need the same.
type CookieSecret [16]byte

const (
	cookieVersion = 1
	cookieBytes   = clientCookie + 16

	cookieRenew  = 30 * time.Minute // after which a client gets a newer one, RFC 9018 §4.3
	cookieOld    = time.Hour        // after which it doesn't count any more
	cookieFuture = 5 * time.Minute  // how far it may be ahead
)

// AppendCookie appends the cookie option's data of an answer to a client at an address: the
// client's cookie, and the server's of RFC 9018 §4. valid reports whether the query had a cookie of
// ours, so its sender receives what is sent to that address. The query must have a cookie.
func (s *CookieSecret) AppendCookie(b, cookie []byte, from netip.Addr, now time.Time) (_ []byte, valid bool) {
	seconds := uint32(now.Unix())
	if len(cookie) == cookieBytes {
		made := binary.BigEndian.Uint32(cookie[clientCookie+4:])
		age := time.Duration(int32(seconds-made)) * time.Second // RFC 1982
		var again [cookieBytes]byte
		same := string(s.appendCookie(again[:0], cookie[:clientCookie], from, made)) == string(cookie)
		if valid = same && age <= cookieOld && age >= -cookieFuture; valid && age <= cookieRenew {
			return append(b, cookie...), true
		}
	}
	return s.appendCookie(b, cookie[:clientCookie], from, seconds), valid
}

// appendCookie appends the cookie that was made at a time.
func (s *CookieSecret) appendCookie(b, client []byte, from netip.Addr, made uint32) []byte {
	b = append(b, client...)
	b = append(b, cookieVersion, 0, 0, 0)
	b = binary.BigEndian.AppendUint32(b, made)
	var hashed [cookieBytes + 16]byte
	n := copy(hashed[:], b[len(b)-clientCookie-8:])
	if from.Is4() {
		address := from.As4()
		n += copy(hashed[n:], address[:])
	} else {
		address := from.As16()
		n += copy(hashed[n:], address[:])
	}
	return binary.LittleEndian.AppendUint64(b, sipHash(s, hashed[:n]))
}

// sipHash returns SipHash-2-4 (Aumasson and Bernstein, 2012) of b.
func sipHash(key *CookieSecret, b []byte) uint64 {
	k0, k1 := binary.LittleEndian.Uint64(key[:]), binary.LittleEndian.Uint64(key[8:])
	v := sipState{k0 ^ 0x736f6d6570736575, k1 ^ 0x646f72616e646f6d, k0 ^ 0x6c7967656e657261, k1 ^ 0x7465646279746573}
	last := uint64(len(b)) << 56
	for ; len(b) >= 8; b = b[8:] {
		v.add(binary.LittleEndian.Uint64(b))
	}
	for i, c := range b {
		last |= uint64(c) << (8 * i)
	}
	v.add(last)
	v[2] ^= 0xff
	for range 4 {
		v.round()
	}
	return v[0] ^ v[1] ^ v[2] ^ v[3]
}

type sipState [4]uint64

func (v *sipState) add(m uint64) {
	v[3] ^= m
	v.round()
	v.round()
	v[0] ^= m
}

func (v *sipState) round() {
	v[0] += v[1]
	v[1] = bits.RotateLeft64(v[1], 13) ^ v[0]
	v[0] = bits.RotateLeft64(v[0], 32)
	v[2] += v[3]
	v[3] = bits.RotateLeft64(v[3], 16) ^ v[2]
	v[0] += v[3]
	v[3] = bits.RotateLeft64(v[3], 21) ^ v[0]
	v[2] += v[1]
	v[1] = bits.RotateLeft64(v[1], 17) ^ v[2]
	v[2] = bits.RotateLeft64(v[2], 32)
}
