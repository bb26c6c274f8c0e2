package peers

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"tokenring/route"
)

// How long another balancer may have another table than ours before an operator should
// look at it. What changes tables takes some rounds of gossip to get around.
const (
	divergentAfter = 10 * time.Second
	ringlessAfter  = 30 * time.Second // one that has no table at all
)

// Compare returns the peers, sorted by name, with whether their tables are ours, whose
// digest is given, and since when each is as it is. before is what it returned last.
func Compare(peers, before []route.Peer, ours string, now time.Time) []route.Peer {
	list := slices.Clone(peers)
	for i := range list {
		peer := &list[i]
		peer.Agrees, peer.Since = peer.Digest == ours, now
		for _, old := range before {
			if old.Name == peer.Name && old.Alive == peer.Alive && old.Agrees == peer.Agrees {
				peer.Since = old.Since
			}
		}
	}
	slices.SortFunc(list, func(a, b route.Peer) int { return cmp.Compare(a.Name, b.Name) })
	return list
}

// Divergent returns those of the peers that have had another table for too long, and
// when the next one will have; zero if none will. before is what it returned last.
// While our own table isn't the ring's, ours may be the odd one: then no peer is added.
func Divergent(peers, before []route.Peer, rebuilding bool, now time.Time) (late []route.Peer, next time.Time) {
	for _, p := range peers {
		switch due := due(p); {
		case !p.Alive || p.Agrees:
		case slices.ContainsFunc(before, func(old route.Peer) bool { return old.Name == p.Name && old.Since.Equal(p.Since) }):
			late = append(late, p)
		case rebuilding:
		case now.Before(due):
			if next.IsZero() || due.Before(next) {
				next = due
			}
		default:
			late = append(late, p)
		}
	}
	return late, next
}

// due returns when p's divergence, if it lasts, becomes an alarm.
func due(p route.Peer) time.Time {
	if p.Digest == "" {
		return p.Since.Add(ringlessAfter)
	}
	return p.Since.Add(divergentAfter)
}

// DivergenceAlarm says which peers have another table and what to look at; "" if none
// has.
func DivergenceAlarm(late []route.Peer) string {
	if len(late) == 0 {
		return ""
	}
	var names []string
	for _, p := range late {
		names = append(names, fmt.Sprintf("%s (since %s)", p.Name, p.Since.UTC().Format(time.RFC3339)))
	}
	return "other balancers place tokens by another ring than this one, so that a user may be sent to two hosts: " + route.ShortList(names) +
		". Compare GET /v1/ring of both: policy and parameters must be the same (hash in lb.yaml, its seed too), and so must hosts, ids and weights"
}
