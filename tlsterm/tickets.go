package tlsterm

import (
	"crypto/rand"
	"crypto/tls"
	"sync"
	"time"
)

// Times of session tickets. crypto/tls takes no ticket that is older than seven days (RFC 8446
// §4.6.1), so no key is needed longer.
const (
	ticketKeyPeriod = 24 * time.Hour // for which a key encrypts
	ticketKeyLife   = 8 * 24 * time.Hour
)

// A TicketKey encrypts session tickets. It is a secret: whoever has it can read the TLS 1.2
// sessions that were resumed with its tickets. It is kept in memory only, and handed to the
// next process of the balancer.
type TicketKey struct {
	Key  [32]byte  `json:"key"`
	Made time.Time `json:"made"`
}

// tickets encrypt and decrypt the session tickets of all listeners. crypto/tls would have
// random keys for each clone of a Config. The newest key encrypts, all decrypt.
type tickets struct {
	config *tls.Config // has the keys; used for nothing else

	mu   sync.Mutex
	keys []TicketKey // the newest first
}

func newTickets() *tickets {
	t := &tickets{config: new(tls.Config)}
	t.rotate(time.Now())
	return t
}

// use has cfg and its clones use the tickets.
func (t *tickets) use(cfg *tls.Config) {
	cfg.WrapSession = func(state tls.ConnectionState, session *tls.SessionState) ([]byte, error) {
		t.rotate(time.Now())
		return t.config.EncryptTicket(state, session)
	}
	cfg.UnwrapSession = func(ticket []byte, state tls.ConnectionState) (*tls.SessionState, error) {
		return t.config.DecryptTicket(ticket, state)
	}
}

// rotate makes a new key if it is time, and forgets keys that no ticket can need.
func (t *tickets) rotate(now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.keys) > 0 && now.Sub(t.keys[0].Made) < ticketKeyPeriod {
		return
	}
	fresh := TicketKey{Made: now}
	_, _ = rand.Read(fresh.Key[:]) // never fails
	t.set(append([]TicketKey{fresh}, t.keys...), now)
}

// set replaces the keys. Those that are too old are left out.
func (t *tickets) set(keys []TicketKey, now time.Time) {
	t.keys = nil
	var plain [][32]byte
	for _, k := range keys {
		if now.Sub(k.Made) < ticketKeyLife {
			t.keys, plain = append(t.keys, k), append(plain, k.Key)
		}
	}
	t.config.SetSessionTicketKeys(plain)
}

// TicketKeys returns the keys of session tickets, for another process of the balancer.
func (s *Source) TicketKeys() []TicketKey {
	s.tickets.mu.Lock()
	defer s.tickets.mu.Unlock()
	return append([]TicketKey(nil), s.tickets.keys...)
}

// RestoreTicketKeys has the keys of another process decrypt and encrypt. It does nothing if
// there are none, or only old ones.
func (s *Source) RestoreTicketKeys(keys []TicketKey) {
	now := time.Now()
	if len(keys) == 0 || now.Sub(keys[0].Made) >= ticketKeyLife {
		return
	}
	s.tickets.mu.Lock()
	s.tickets.set(keys, now)
	s.tickets.mu.Unlock()
	s.tickets.rotate(now)
}
