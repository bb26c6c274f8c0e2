package gossip

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"time"

	"github.com/hashicorp/memberlist"

	"tokenring/gossip/announcement"
	"tokenring/route"
)

// signatures are how the announcements of hosts are verified.
type signatures struct {
	keys  *announcement.Keys // nil: they aren't
	label string             // of the gossip
}

// verifyLocked says why m isn't what the host of that name announces, nil if it is. What a
// host has signed is in force from now on, also if memberlist ignores it because of an
// incarnation that somebody else has made up.
func (l *members) verifyLocked(m announcement.Metadata, n *memberlist.Node) (Reason, error) {
	old, here := l.all[n.Name]
	a := announcement.Received{Metadata: m, Raw: string(n.Meta), Label: l.signatures.label, From: addrOf(n)}
	a.MayLearn = func() error { return l.mayLearnLocked(a) }
	if reason, err := l.signatures.keys.Admit(a, l.hasLocked); err != nil {
		return Reason(reason), err
	}
	if here && !old.Cached && m.IsSigned() && old.Metadata != m {
		l.replaceLocked(n.Name, m)
	}
	return "", nil
}

// isReachedLocked reports whether a node may be a member as far as its gossip address is
// concerned. It is the address that the node has had before, or one where it answers.
func (l *members) isReachedLocked(m announcement.Metadata, at netip.AddrPort, now time.Time) bool {
	old, here := l.all[m.Node()]
	return here && old.Addr == at || l.places == nil || !l.filter.mustReach(m, at) || l.places.has(place{node: m.Node(), at: at}, now)
}

// mayLearnLocked says why the key of an announcement mustn't be learned, nil if it may: a
// host of that name may be here that doesn't sign. Only this host may begin to, at its
// gossip address, where it announces the key itself; or another one that takes its place
// when it no longer serves.
func (l *members) mayLearnLocked(a announcement.Received) error {
	old, here := l.all[a.Node()]
	switch {
	case !here || old.Metadata.IsSigned():
	case old.Addr == a.From:
		if l.places != nil && !l.places.has(place{a.Node(), a.From, a.Key}, time.Now()) {
			return announcement.ErrUnreached
		}
	case !old.Lost, l.filter.Serving != nil && l.filter.Serving(a.Name):
		return fmt.Errorf("a host of that name that doesn't sign is at the gossip address %s", old.Addr)
	}
	return nil
}

// hasLocked reports whether a host is in the list.
func (l *members) hasLocked(host string) bool {
	_, ok := l.all[announcement.HostRole.Prefix()+host]
	return ok
}

// replaceLocked replaces what a member has announced by what it has signed.
func (l *members) replaceLocked(node string, m announcement.Metadata) {
	member := l.all[node]
	member.Metadata, member.Addr = m, m.Gossip
	l.all[node] = member
	l.noteChange()
}

// setKey sets the key of a host, and takes what was refused with that key before.
func (l *members) setKey(host string, key route.HostKey) {
	l.signatures.keys.SetKey(host, key)
	if !key.IsZero() {
		l.takeClaims(host)
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	node := announcement.HostRole.Prefix() + host
	if m, ok := l.all[node]; ok { // until its next announcement
		m.Metadata.Signature = announcement.Signature{}
		l.all[node] = m
	}
}

// configure sets the keys of the configuration, and takes what was refused with them before.
func (l *members) configure(keys map[string]route.HostKey) {
	l.signatures.keys.Configure(keys)
	l.takeClaims(slices.Collect(maps.Keys(keys))...)
}

func (l *members) takeClaims(hosts ...string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, host := range hosts {
		node := announcement.HostRole.Prefix() + host
		m, ok := l.all[node]
		if !ok || m.Cached {
			continue // it comes with the next announcement
		}
		if claim, ok := l.signatures.keys.TakeClaim(host); ok && m.Metadata.Key != claim.Key && l.filter.admit(claim, claim.Gossip) == nil && l.isReachedLocked(claim, claim.Gossip, time.Now()) {
			l.replaceLocked(node, claim)
		}
	}
}
