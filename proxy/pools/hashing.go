package pools

import (
	"tokenring/balancer"
	"tokenring/route"
	"tokenring/session"
)

// Hashing turns tokens into keys. It is used once for each request, when the request is
// admitted; everything later uses the key. Tests replace its functions to count calls.
type Hashing struct {
	Digest func(token []byte) balancer.Digest
	Place  func(s *route.Snapshot, token []byte) route.Key
}

// newHashing returns a Hashing that makes digests by d.
func newHashing(d balancer.Digester) Hashing {
	return Hashing{Digest: d.Digest, Place: (*route.Snapshot).Key}
}

// KeyOf returns the key of a token. It is the zero Key if the token is empty.
func (h *Hashing) KeyOf(s *route.Snapshot, token []byte) session.Key {
	if len(token) == 0 {
		return session.Key{}
	}
	return session.Key{Digest: h.Digest(token), Key: h.Place(s, token)}
}
