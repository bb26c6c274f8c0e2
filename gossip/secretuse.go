package gossip

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"time"

	"tokenring/gossip/announcement"
	"tokenring/route"
)

const (
	maxHeard     = 4096 // addresses; more than there are members
	maxStrangers = 64   // addresses of no member that are shown
)

// A secretLog knows the secret that decrypted the last packet from each address. Whoever
// has a secret can send from any address, so the number of addresses is bounded. It is
// safe for concurrent use.
type secretLog struct {
	members func() map[string]Member

	mu  sync.Mutex
	all map[netip.AddrPort]heard
}

// A heard is the secret of a packet, and when it came.
type heard struct {
	secret []byte
	at     time.Time
}

func newSecretLog(members func() map[string]Member) *secretLog {
	return &secretLog{members: members, all: map[netip.AddrPort]heard{}}
}

// note takes note that a packet was decrypted by a secret. If there are too many
// addresses, those that aren't of members are forgotten.
func (l *secretLog) note(from netip.AddrPort, secret []byte, now time.Time) {
	from = netip.AddrPortFrom(from.Addr().Unmap().WithZone(""), from.Port())
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, known := l.all[from]; !known && len(l.all) >= maxHeard {
		l.forgetStrangersLocked()
	}
	if len(l.all) < maxHeard {
		l.all[from] = heard{secret, now}
	}
}

func (l *secretLog) forgetStrangersLocked() {
	members := map[netip.AddrPort]bool{}
	for _, m := range l.members() {
		members[m.Addr] = true
	}
	maps.DeleteFunc(l.all, func(at netip.AddrPort, _ heard) bool { return !members[at] })
}

// use returns which secrets the members use that haven't left, and which secrets the other
// addresses use that have sent last.
func (l *secretLog) use() []route.SecretMember {
	members := l.members()
	l.mu.Lock()
	all := maps.Clone(l.all)
	l.mu.Unlock()
	var list, strangers []route.SecretMember
	for _, m := range members {
		if m.Left() {
			delete(all, m.Addr)
			continue
		}
		use := secretMember(m.Addr, all[m.Addr])
		use.Lost = m.Lost
		if m.Metadata.Role == announcement.HostRole {
			use.Host = m.Metadata.Name
		} else {
			use.Balancer = m.Metadata.Name
		}
		list = append(list, use)
		delete(all, m.Addr)
	}
	for at, h := range all {
		strangers = append(strangers, secretMember(at, h))
	}
	slices.SortFunc(list, func(a, b route.SecretMember) int {
		return cmp.Or(cmp.Compare(a.Balancer, b.Balancer), cmp.Compare(a.Host, b.Host))
	})
	slices.SortFunc(strangers, func(a, b route.SecretMember) int {
		return cmp.Or(b.HeardAt.Compare(a.HeardAt), a.Address.Compare(b.Address))
	})
	return append(list, strangers[:min(len(strangers), maxStrangers)]...)
}

func secretMember(at netip.AddrPort, h heard) route.SecretMember {
	m := route.SecretMember{Address: at, HeardAt: h.at}
	if h.secret != nil {
		m.Secret = SecretDigest(h.secret)
	}
	return m
}

// SecretUse returns the secrets of the gossip, and which of them its members use. It
// leaves the name of the gossip to the caller.
func (g *Gossip) SecretUse() route.SecretUse {
	s := g.secrets
	use := route.SecretUse{Secrets: secretDigests(s.keys()), Members: s.heard.use()}
	s.mu.Lock()
	defer s.mu.Unlock()
	use.Since, use.Problem = s.since, s.problem
	return use
}
