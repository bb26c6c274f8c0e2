package gossip

import (
	"fmt"
	"maps"
	"time"

	"tokenring/gossip/announcement"
)

const (
	// trial is how long a host that isn't proven stays in a full list. Its first check is
	// made at once, so an honest host is proven by then.
	trial = 30 * time.Second
	// barredFor is how long a host that was dropped from a full list isn't taken again while
	// the list is full.
	barredFor = 5 * time.Minute
)

// findRoomLocked returns the node that is to be dropped for a member, "" if there is room.
// It returns an error if there are absurdly many of its kind and all keep their places.
// Whether the ring has room for a host isn't decided here, where it would count which host
// came first.
//
// Anybody with the secret can announce hosts that don't exist, so a host that isn't proven
// keeps its place in a full list for a while only.
func (l *members) findRoomLocked(m announcement.Metadata, now time.Time) (drop string, err error) {
	if _, here := l.all[m.Node()]; here {
		return "", nil
	}
	limit, kind := MaxHosts, "hosts"
	if m.Role == announcement.BalancerRole {
		limit, kind = MaxBalancers, "balancers"
	}
	others := 0
	for _, other := range l.all {
		if other.Metadata.Role == m.Role {
			others++
		}
	}
	if others < limit {
		return "", nil
	}
	full := fmt.Errorf("there are %d %s already", others, kind)
	if m.Role != announcement.HostRole || l.filter.Proven == nil || now.Before(l.dropped[m.Node()]) {
		return "", full
	}
	if drop = l.oldestUnprovenLocked(now); drop == "" {
		return "", full
	}
	return drop, nil
}

// oldestUnprovenLocked returns the host that is to be dropped first from a full list: one
// that isn't proven and is lost, or else has been here longest. It returns "" if there is
// none whose trial is over.
func (l *members) oldestUnprovenLocked(now time.Time) (oldest string) {
	better := func(a, b Member) bool {
		if a.Lost != b.Lost {
			return a.Lost
		}
		return a.since.Before(b.since)
	}
	for node, m := range l.all {
		if m.Metadata.Role != announcement.HostRole || m.Cached || now.Sub(m.since) < trial || l.filter.Proven(m.Metadata.Name) {
			continue
		}
		if oldest == "" || better(m, l.all[oldest]) {
			oldest = node
		}
	}
	return oldest
}

// dropLocked drops a member of a full list.
func (l *members) dropLocked(node string, now time.Time) {
	delete(l.all, node)
	maps.DeleteFunc(l.dropped, func(_ string, until time.Time) bool { return !now.Before(until) })
	if len(l.dropped) < MaxHosts {
		l.dropped[node] = now.Add(barredFor)
	}
	l.noteChange()
}
