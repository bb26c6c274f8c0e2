package pool

import (
	"net/netip"
	"time"

	"github.com/hashicorp/memberlist"
	"github.com/rs/zerolog"
)

// An announcement is what an agent knows of how its host has been taken in.
//
//	looking ──a balancer has the host──▶ announced
//	   ▲                                    │
//	   └────────no balancer is left─────────┘
//
// One goroutine uses it, that of gossip.run.
type announcement struct {
	log      zerolog.Logger
	self     meta
	at       netip.AddrPort // of its gossip
	done     bool
	rounds   int            // in which it wasn't done, in a row
	refused  map[string]int // by balancer: answers in a row without the host
	troubles repeats        // by balancer, or noBalancer
}

// noBalancer is no name of a balancer.
const noBalancer = "-"

// A reflection is what a member that was called has in its list under our name.
type reflection struct {
	at    netip.AddrPort // zero: nothing
	alive bool
}

// patientRounds is how many rounds an answer may take without a word about it: a
// member sends its list before it takes in what it is told, and balancers tell each
// other of a host by gossip.
const patientRounds = 3

// hastyRounds is how many rounds follow each other fast while the host isn't announced.
const hastyRounds = 10

// reflectionOf returns what nodes, the list of a member, has under a name.
func reflectionOf(nodes []*memberlist.Node, name string) *reflection {
	for _, n := range nodes {
		if n.Name == name {
			return &reflection{at: addrOf(n), alive: n.State == memberlist.StateAlive}
		}
	}
	return &reflection{}
}

// hasty reports whether to look again soon; false for nil.
func (a *announcement) hasty() bool { return a != nil && !a.done && a.rounds < hastyRounds }

// seen takes down that a balancer has answered, and what it has under our name.
func (a *announcement) seen(balancer string, r *reflection, now time.Time) {
	if r != nil && r.alive && r.at == a.at {
		delete(a.refused, balancer)
		a.troubles.over(noBalancer)
		if times := a.troubles.over(balancer); !a.done || times > 0 {
			a.log.Info().Str("host", a.self.Name).Str("address", a.self.Address).Str("balancer", balancer).Msg("host announced")
		}
		a.done, a.rounds = true, 0
		return
	}
	a.rounds++
	if len(a.refused) > maxBalancers || a.refused == nil {
		a.refused = map[string]int{}
	}
	if a.refused[balancer]++; a.refused[balancer] < patientRounds {
		return
	}
	f, tell := a.troubles.again(balancer, now)
	if !tell {
		return
	}
	line := f.on(a.log.Warn()).Str("host", a.self.Name).Str("balancer", balancer)
	if r != nil && r.alive {
		line.Stringer("there", r.at).Msg("a balancer has another host of this name: each host needs a name of its own")
		return
	}
	line.Msg("a balancer answers and doesn't take the host in: its log says why, as a member that was refused")
}

// unheard takes down that no balancer is alive among so many members.
func (a *announcement) unheard(members int, now time.Time) {
	if a.done {
		a.log.Warn().Str("host", a.self.Name).Msg("this host reaches no balancer any more: it goes on calling")
		a.done, a.rounds = false, 0
		return
	}
	if a.rounds++; members == 0 || a.rounds < patientRounds {
		return // who doesn't answer is logged where it is called
	}
	if f, tell := a.troubles.again(noBalancer, now); tell {
		f.on(a.log.Warn()).Str("host", a.self.Name).Int("hosts", members).Msg("other hosts answer, but no balancer is among the members: the host isn't announced")
	}
}
