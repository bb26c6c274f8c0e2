// Package votes says whether a host is down, by what the checks of all balancers say of it.
// It knows no gossip and no ring: its caller hands it what each balancer says.
package votes

import (
	"slices"
	"time"

	"tokenring/mutant"
	"tokenring/route"
)

// A Vote is what the checks of one balancer say of one host.
type Vote struct {
	Verdict route.Verdict
	Since   time.Time // when Verdict became Down; zero for other verdicts
	Refused bool      // with Down: the host's machine refuses connections, so nobody is served there
	Traffic bool      // the balancer's terminals there work, though some balancer has the host down: see Ballot.NoteTraffic
	// Returning, with Down: the checks pass again, and haven't for long enough: see Steadiness.
	Returning bool
}

// A Decision is what follows from the votes on one host.
//
//	                  a majority of the known balancers has it down, or it refuses connections
//	up ◀──────▶ held ───────────────────────────────────────────────────────────────────────▶ down
//	 checks here                ◀───────────────────────────────────────────────────────────
//	 fail or pass                 another balancer reaches it, and no majority has it down
//
// From down to up it goes when all balancers have it up; or when this one has, they have differed for
// DisputedAfter, and no majority has it down. Who has voted a host down has it up when it is steady:
// see Steadiness.
type Decision struct {
	// Verdict is the one by which keys are served: Down if the host is down, and also if
	// only the checks of this balancer fail.
	Verdict route.Verdict
	// Held reports that the checks of this balancer fail, and that too few others say the
	// same. The host keeps its keys, which this balancer can't serve.
	Held bool
	// Reached reports, of a host that is held, that another balancer reaches it. Otherwise
	// too few balancers say anything.
	Reached bool
	// Outvoted reports that the checks of this balancer pass, and that a majority of the
	// known balancers has the host down.
	Outvoted bool
}

// Decide returns the decision on a host. before is the last one, and own the vote of this
// balancer.
//
// A host that is down stays down while the checks here fail and no other balancer reaches it,
// though balancers that have voted may be gone: its keys are elsewhere, and must not come
// back for that. It also stays down while it returns: settling reports that balancers have
// differed about it for a short while only, and those that still have it down check it soon. Else
// they would refuse its keys until then.
func Decide(before Decision, own Vote, others Poll, settling bool) Decision {
	up, down, known := len(others.Up), len(others.Down), others.Known
	switch {
	case before.isDown() && settling && own.Verdict != route.Unchecked:
		return Decision{Verdict: route.Down, Outvoted: own.Verdict == route.Up}
	case own.Verdict == route.Unchecked && before.Held && up > 0: // its keys stay where they are until it is checked
		return Decision{Held: true, Reached: true}
	case own.Verdict == route.Unchecked:
		return Decision{}
	case own.Verdict == route.Up && isMajority(down, known):
		return Decision{Verdict: route.Down, Outvoted: true}
	case own.Verdict == route.Up:
		return Decision{Verdict: route.Up}
	case own.Refused, isMajority(down+1, known), up == 0 && before.isDown():
		return Decision{Verdict: route.Down}
	case own.Returning: // others serve its keys there: they can be served here, too
		return Decision{Verdict: route.Up}
	}
	return Decision{Verdict: route.Down, Held: true, Reached: up > 0}
}

// isMajority reports whether so many of the known balancers are more than half of them.
func isMajority(votes, known int) bool {
	if mutant.On(mutant.Minority) {
		return votes > 0
	}
	return 2*votes > known
}

// isDown reports whether the keys of the host are elsewhere.
func (d Decision) isDown() bool { return d.Verdict == route.Down && !d.Held }

// A Balancer is another balancer than this one.
type Balancer struct {
	Name   string
	Alive  bool
	LostAt time.Time // when it was lost, if it isn't alive
	Speaks bool      // it has told what its checks say
}

// A Roll says which other balancers have a vote.
type Roll struct {
	Speaking []string // they are alive and tell what their checks say; sorted
	Silent   []string // they were lost a short while ago: they may reach hosts; sorted
	Unseen   int      // so many more are expected
}

// NewRoll returns the roll of now. A balancer that was lost less than patience ago is on it.
// One of an earlier version, which tells nothing of its checks, has no vote. expect is how many
// balancers there should be at least, this one among them. next is when a balancer drops out
// though nothing happens; zero if there is no such time.
func NewRoll(expect int, others []Balancer, patience time.Duration, now time.Time) (r Roll, next time.Time) {
	for _, b := range others {
		switch due := b.LostAt.Add(patience); {
		case !b.Speaks && b.Alive:
			expect--
		case !b.Speaks:
		case b.Alive:
			r.Speaking = append(r.Speaking, b.Name)
		case now.Before(due):
			r.Silent = append(r.Silent, b.Name)
			if next.IsZero() || due.Before(next) {
				next = due
			}
		}
	}
	slices.Sort(r.Speaking)
	slices.Sort(r.Silent)
	r.Unseen = max(0, expect-1-len(r.Speaking)-len(r.Silent))
	return r, next
}

// Known returns how many balancers have a vote, this one among them.
func (r Roll) Known() int { return 1 + len(r.Speaking) + len(r.Silent) + r.Unseen }

// maxBalancers and maxHosts bound a Box.
const (
	maxBalancers = 256
	maxHosts     = 4096
)

// A Box has the votes of the other balancers. The zero Box has none. It is not safe for
// concurrent use.
type Box struct {
	voters map[string]*voter
}

// A voter has the votes of one balancer, by host.
type voter struct {
	boot  uint64
	votes map[string]numbered
}

// A numbered is a vote with the number that its balancer has given it.
type numbered struct {
	Vote
	boot, number uint64
}

// An Entry is one vote on several hosts.
type Entry struct {
	By     string // the balancer
	Boot   uint64 // of its process: a later one has a greater one, at the latest when it has heard of the one before (Council.Refute)
	Number uint64 // grows with each change of a verdict
	Vote
	Hosts []string
}

// Take takes in votes of another balancer. It reports whether any of them is new.
func (b *Box) Take(e Entry) (news bool) {
	if b.voters == nil {
		b.voters = map[string]*voter{}
	}
	v := b.voters[e.By]
	if v == nil {
		if len(b.voters) >= maxBalancers {
			return false
		}
		v = &voter{boot: e.Boot, votes: map[string]numbered{}}
		b.voters[e.By], news = v, true
	}
	if e.Boot < v.boot {
		return news
	}
	v.boot = e.Boot
	for _, host := range e.Hosts {
		old, ok := v.votes[host]
		switch {
		case ok && (old.boot > e.Boot || old.boot == e.Boot && old.number >= e.Number):
		case !ok && len(v.votes) >= maxHosts:
		default:
			v.votes[host] = numbered{e.Vote, e.Boot, e.Number}
			news = news || old.Vote != e.Vote
		}
	}
	return news
}

// Speaks reports whether a balancer has told what its checks say.
func (b *Box) Speaks(balancer string) bool { return b.voters[balancer] != nil }

// Outdates returns an entry that says nothing, by which the balancer of e learns that votes of a
// process with a greater boot are known; false if there are none.
func (b *Box) Outdates(e Entry) (_ Entry, outdates bool) {
	if v := b.voters[e.By]; v != nil && e.Boot < v.boot {
		return Entry{By: e.By, Boot: v.boot}, true
	}
	return Entry{}, false
}

// Keep forgets the votes of all balancers but those for which keep returns true.
func (b *Box) Keep(keep func(balancer string) bool) {
	for name := range b.voters {
		if !keep(name) {
			delete(b.voters, name)
		}
	}
}

// A Poll is what the other balancers say of one host.
type Poll struct {
	Up, Down  []string // which of those that speak have it so; sorted
	Traffic   []string // which of those that speak have terminals there that work; sorted
	Returning int      // how many of Down have it so only because it isn't steady yet
	Known     int      // how many balancers have a vote on it, this one among them
}

// On returns what the balancers of a roll say of a host. One that speaks and doesn't know the
// host sends no keys there, and has no vote on it.
func (b *Box) On(host string, r Roll) Poll {
	p := Poll{Known: r.Known()}
	for _, name := range r.Silent {
		if _, knows := b.of(name, host); !knows {
			p.Known--
		}
	}
	for _, name := range r.Speaking {
		v, knows := b.of(name, host)
		if !knows {
			p.Known--
			continue
		}
		switch v.Verdict {
		case route.Up:
			p.Up = append(p.Up, name)
		case route.Down:
			p.Down = append(p.Down, name)
			if v.Returning {
				p.Returning++
			}
		}
		if v.Traffic {
			p.Traffic = append(p.Traffic, name)
		}
	}
	return p
}

// of returns the vote of a balancer on a host, false if that balancer doesn't know the host.
func (b *Box) of(balancer, host string) (Vote, bool) {
	v := b.voters[balancer]
	if v == nil {
		return Vote{}, false
	}
	vote, knows := v.votes[host]
	return vote.Vote, knows
}

// Entries returns what is known of the votes of all balancers, sorted: a Box that takes them
// in has the same votes.
func (b *Box) Entries() (all []Entry) {
	for by, v := range b.voters {
		groups := map[numbered][]string{}
		for host, vote := range v.votes {
			groups[vote] = append(groups[vote], host)
		}
		if len(groups) == 0 {
			groups[numbered{boot: v.boot}] = nil
		}
		for vote, hosts := range groups {
			slices.Sort(hosts)
			all = append(all, Entry{By: by, Boot: vote.boot, Number: vote.number, Vote: vote.Vote, Hosts: hosts})
		}
	}
	slices.SortFunc(all, Entry.compare)
	return all
}
