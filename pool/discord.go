package pool

import (
	"fmt"
	"slices"
	"time"
)

// How long another balancer may have another table than ours before somebody
// should look at it. What changes tables takes some rounds of gossip to get
// around.
const (
	discordAfter  = 10 * time.Second
	ringlessAfter = 30 * time.Second // one that has no table at all
)

// DisagreeSince returns since when another balancer that is alive has had
// another table than ours, the longest if there are several; zero if all agree.
func (s *Snapshot) DisagreeSince() (since time.Time) {
	for _, p := range s.Peers {
		if p.Alive && !p.Agrees {
			since = earliest(since, p.Since)
		}
	}
	return since
}

// discord returns those of the peers that have had another table for too long,
// and when the next one will have; zero if none will. before is what it returned
// the last time. While our own table isn't the ring's, ours may be the odd one:
// nobody new is blamed then.
func discord(peers, before []Peer, rebuilding bool, now time.Time) (late []Peer, next time.Time) {
	for _, p := range peers {
		switch due := p.due(); {
		case !p.Alive || p.Agrees:
		case slices.ContainsFunc(before, func(old Peer) bool { return old.Name == p.Name && old.Since.Equal(p.Since) }):
			late = append(late, p)
		case rebuilding:
		case now.Before(due):
			next = earliest(next, due)
		default:
			late = append(late, p)
		}
	}
	return late, next
}

// due is when p's disagreement, if it lasts, becomes an alarm.
func (p Peer) due() time.Time {
	if p.Digest == "" {
		return p.Since.Add(ringlessAfter)
	}
	return p.Since.Add(discordAfter)
}

// maxNamed is how many balancers or hosts an alarm names.
const maxNamed = 4

// discordAlarm says who disagrees and what to look at.
func discordAlarm(late []Peer) string {
	var names []string
	for _, p := range late {
		names = append(names, fmt.Sprintf("%s (since %s)", p.Name, p.Since.UTC().Format(time.RFC3339)))
	}
	return "other balancers place tokens by another ring than this one, so that a user may be sent to two hosts: " + few(names) +
		". Compare GET /v1/ring of both: policy and parameters must be the same (hash in lb.yaml, its seed too), and so must hosts, ids and weights"
}

// compare looks at the other balancers' tables, and returns when to look again
// though nothing has happened; zero for never.
func (k *keeper) compare(now time.Time) (next time.Time) {
	before := k.discord
	k.others = view(k.p.peers.roster.list(), k.table.Digest(), k.others, now)
	k.discord, next = discord(k.others, before, k.rebuilding(), now)
	for _, p := range k.discord {
		if !slices.ContainsFunc(before, func(old Peer) bool { return old.Name == p.Name }) {
			k.log.Error().Str("peer", p.Name).Time("since", p.Since).Str("theirs", p.Digest).Str("ours", k.table.Digest()).
				Msg("another balancer places tokens by another ring")
		}
	}
	if len(before) > 0 && len(k.discord) == 0 {
		k.log.Info().Msg("no balancer places tokens by another ring any more")
	}
	return next
}
