package admin

import (
	"bytes"
	"crypto/sha256"
	"time"
)

// A State is what a Server hands over to that of another process of this balancer, which takes
// this one's place. It is meant for JSON. It names neither a cookie nor the token.
type State struct {
	Started time.Time `json:"started"`           // of the balancer
	Token   []byte    `json:"token"`             // digest of the operators' token
	Readers []byte    `json:"readers,omitempty"` // digest of the readers' token; nil if there is none
	SignIns []SignIn  `json:"sign_ins"`          // those of browsers
}

// A SignIn is one browser's.
type SignIn struct {
	Name    []byte    `json:"name"` // digest of the cookie's value
	Expires time.Time `json:"expires"`
	Reads   bool      `json:"reads,omitempty"` // by the readers' token
}

// State returns the State. It is the same when Serve has returned.
func (s *Server) State() State {
	return State{Started: s.started, Token: s.tokens.digest(false), Readers: s.tokens.digest(true), SignIns: s.signIns.list()}
}

// Restore replaces what there is by the State of another process. If that had another token,
// there are no sign-ins by it. It must be called before Serve.
func (s *Server) Restore(from State) {
	if !from.Started.IsZero() && from.Started.Before(s.started) {
		s.started = from.Started
	}
	for reads, digest := range map[bool][]byte{false: from.Token, true: from.Readers} {
		s.signIns.endAll(reads)
		if digest == nil || !bytes.Equal(s.tokens.digest(reads), digest) {
			continue
		}
		s.signIns.restore(from.SignIns, reads)
		if !bytes.Equal(s.tokens.digest(reads), digest) { // it was replaced meanwhile, and these aren't among those that have ended
			s.signIns.endAll(reads)
		}
	}
}

// digest returns the digest of the readers' token or of the operators'; nil if there is none.
func (t *tokens) digest(reads bool) []byte {
	token := t.operators.Load()
	if reads {
		token = t.readers.Load()
	}
	if token == nil {
		return nil
	}
	return token.digest[:]
}

// list returns the sign-ins that haven't expired.
func (s signIns) list() (all []SignIn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	for name, found := range s.byName {
		if found.expires.After(now) {
			all = append(all, SignIn{Name: bytes.Clone(name[:]), Expires: found.expires, Reads: found.reads})
		}
	}
	return all
}

// restore adds those sign-ins of another process that were by the readers' token, or by the
// operators'.
func (s signIns) restore(all []SignIn, reads bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	latest := time.Now().Add(signInLife)
	for _, in := range all {
		if in.Reads == reads && len(in.Name) == sha256.Size && !in.Expires.After(latest) {
			s.addLocked([sha256.Size]byte(in.Name), in.Expires, reads)
		}
	}
}
