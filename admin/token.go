package admin

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"sync/atomic"
)

// A bearerToken is a token as of one moment.
type bearerToken struct {
	digest  [sha256.Size]byte
	reads   bool            // it may read, and change nothing
	inForce context.Context // ends when another token replaces this one
	end     context.CancelFunc
}

// tokens are the operators' token, and that of readers, nil if there is none.
type tokens struct {
	operators, readers atomic.Pointer[bearerToken]
}

// SetToken replaces the operators' token. The sign-ins and the event streams that the token
// before has opened end. The error says why the token can't be used; nothing changes then.
func (s *Server) SetToken(token string) error {
	return s.setToken(&s.tokens.operators, token, false, "the admin token has changed; all sign-ins with it have ended")
}

// SetReadToken is SetToken for the token that may read, and change nothing.
func (s *Server) SetReadToken(token string) error {
	return s.setToken(&s.tokens.readers, token, true, "the readers' token has changed; all sign-ins with it have ended")
}

func (s *Server) setToken(which *atomic.Pointer[bearerToken], token string, reads bool, changed string) error {
	if err := CheckToken(token); err != nil {
		return err
	}
	digest := sha256.Sum256([]byte(token))
	before := which.Load()
	if before != nil && before.digest == digest {
		return nil
	}
	ctx, end := context.WithCancel(context.Background())
	which.Store(&bearerToken{digest: digest, reads: reads, inForce: ctx, end: end})
	if before != nil {
		before.end()
		s.signIns.endAll(reads)
		s.deps.Logger.Info().Msg(changed)
	}
	return nil
}

// admit returns the token in force that is equal to token, nil if there is none. It compares
// digests, so that the time it takes shows neither a token's content nor its length. If both
// are equal, it is the operators'.
func (s *Server) admit(token string) *bearerToken {
	sum := sha256.Sum256([]byte(token))
	for _, t := range []*bearerToken{s.tokens.operators.Load(), s.tokens.readers.Load()} {
		if t != nil && subtle.ConstantTimeCompare(sum[:], t.digest[:]) == 1 {
			return t
		}
	}
	return nil
}

// readingCalls are the calls of other methods than GET that change nothing: what they are asked
// doesn't fit into a URL, or is secret.
var readingCalls = map[string]bool{"/v1/explain": true, "/v1/whatif": true, "/v1/sessions/find": true, "/signin": true, "/signout": true}
