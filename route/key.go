package route

// A Key stands for the token of a request. It holds the hash of the token by the table's
// policy, and not the token. Snapshot.Key makes it; Choose, Place and Explain take it.
// The zero Key means that the request has no token.
//
// A Key is valid for all snapshots whose tables are made from the same balancer.Config.
// If Hashed reports false, it is valid only for tables without hosts.
type Key struct {
	hash  uint64
	state keyState
}

type keyState uint8

const (
	absent  keyState = iota
	present          // there was no table to hash the token by
	hashed
)

// Key returns the key of a token; the zero Key if the token is empty. It doesn't keep
// the token, and makes no allocation.
func (s *Snapshot) Key(token []byte) Key {
	switch {
	case len(token) == 0:
		return Key{}
	case len(s.Table.Hosts()) == 0:
		return Key{state: present}
	}
	return Key{hash: s.Table.Hash(token), state: hashed}
}

// KeyOf returns the key whose Hash is hash. The hash must be that of a table which is made
// from the same balancer.Config.
func KeyOf(hash uint64) Key { return Key{hash: hash, state: hashed} }

// Present reports whether there is a token.
func (k Key) Present() bool { return k.state != absent }

// Hashed reports whether there is a token and the table had hosts to hash it for.
func (k Key) Hashed() bool { return k.state == hashed }

// Hash returns the token's hash, as balancer.Table.Hash does; 0 if Hashed reports false.
func (k Key) Hash() uint64 { return k.hash }
