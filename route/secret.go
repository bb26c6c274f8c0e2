package route

import (
	"net/netip"
	"time"
)

// A SecretUse says which secrets a gossip has on this balancer, and which of them its
// members use. A secret is named by a short digest that doesn't give it away.
type SecretUse struct {
	Gossip  string   // its name: pool or peers
	Secrets []string // in use here; the first is used to send, all to read
	Since   time.Time
	Problem string         // why what the secret's file holds isn't in use; "" if it is
	Members []SecretMember // sorted by name; those without a name last
}

// A SecretMember is a member of a gossip, or an address from which somebody else sends
// what a secret decrypts.
type SecretMember struct {
	Host, Balancer string         // its name is in one of them; in none if it is no member
	Address        netip.AddrPort // of its gossip
	Lost           bool           // gossip has lost it
	Secret         string         // by which its last packet was decrypted; "" if none has come
	HeardAt        time.Time      // when that came
}
