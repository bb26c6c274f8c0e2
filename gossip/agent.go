package gossip

import (
	"context"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"github.com/hashicorp/memberlist"
	"github.com/rs/zerolog"

	"tokenring/gossip/announcement"
	"tokenring/loglimit"
	"tokenring/route"
)

// AgentConfig is what an agent needs to announce its host.
type AgentConfig struct {
	Config                               // of the gossip of hosts and balancers; see Open
	route.Spec                           // the host; its address is the ip:port at which balancers reach it
	Identity   *announcement.Identity    // signs what is announced; nil if nothing is signed
	Weights    <-chan int                // later weights; never closed, nil if Weight stays
	Drains     <-chan announcement.Drain // drains that begin; never closed, nil if there are none
	Version    string                    // of the software
	Timing     Timing                    // zero for LAN

	// Status is told what the agent does, in a line for operators: first when it has begun,
	// then after each round of calls, which takes RoundLimit at most. It is called by one
	// goroutine at a time; nil if nobody wants to know.
	Status func(status string)
}

// RoundLimit is longer than any round of calls takes, with the pause before it.
const RoundLimit = 5 * time.Minute

// RunAgent announces the host it runs on to the pool until ctx ends, another weight as
// soon as cfg.Weights has one, and a drain as soon as cfg.Drains has one. Then it announces that the host is leaving,
// waits for the news to spread, so that every balancer takes the host out of its
// ring, leaves, and returns nil. An error means that it never began. The sockets belong
// to it and are closed when it returns. The label is PoolLabel by default.
func RunAgent(ctx context.Context, cfg AgentConfig, sockets Sockets, log zerolog.Logger) error {
	self := announcement.Metadata{Role: announcement.HostRole, Spec: cfg.Spec, Version: announcement.Printable(cfg.Version)}
	// Which members an agent talks to is of no consequence: it routes nothing.
	g, err := Open(cfg.WithLabel(PoolLabel), sockets, Options{Self: self, Identity: cfg.Identity, Filter: Filter{Anywhere: true}, Timing: cfg.Timing, Log: log})
	if err != nil {
		return fmt.Errorf("agent: %w", err)
	}
	g.acceptance = &acceptance{log: log, self: self, at: g.self, status: "looks for a balancer", report: cfg.Status}
	g.acceptance.tell()
	log.Info().Str("host", self.Name).Str("address", self.Address).Str("gossip", g.Addr()).Strs("join", cfg.Join).
		Strs("secrets", secretDigests(g.secrets.keys())).Msg("looking for a balancer")
	var announcing sync.WaitGroup
	announcing.Go(func() { g.announceChanges(ctx, self, cfg) })
	g.Run(ctx)
	announcing.Wait()
	return nil
}

// announceChanges announces each weight and each drain that comes, until ctx ends. What
// can't be announced is logged, and what was announced before stays.
func (g *Gossip) announceChanges(ctx context.Context, self announcement.Metadata, cfg AgentConfig) {
	for {
		next := self
		select {
		case <-ctx.Done():
			return
		case next.Weight = <-cfg.Weights:
		case next.Drain = <-cfg.Drains:
		}
		if next == self {
			continue
		}
		if err := next.Check(); err != nil {
			g.log.Error().Err(err).Int("weight", next.Weight).Int("stays", self.Weight).Msg("change not announced")
			continue
		}
		if next.Weight != self.Weight {
			g.log.Info().Int("from", self.Weight).Int("weight", next.Weight).Msg("announcing another weight")
		}
		if next.Drain != self.Drain {
			line := g.log.Info()
			if !next.Drain.Deadline.IsZero() {
				line.Time("deadline", next.Drain.Deadline)
			}
			line.Msg("announcing that the host drains")
		}
		self = next
		if err := g.Announce(self); err != nil { // it is on its way still
			g.log.Debug().Err(err).Msg("no member has taken the change up yet")
		}
	}
}

// An acceptance is what an agent knows about whether balancers have its host in their
// lists.
//
//	looking ──a balancer has the host──▶ announced
//	   ▲                                    │
//	   └────────no balancer is left─────────┘
//
// One goroutine uses it, that of Gossip.Run.
type acceptance struct {
	log      zerolog.Logger
	self     announcement.Metadata
	at       netip.AddrPort // of its gossip
	done     bool
	rounds   int              // in which it wasn't done, in a row
	refused  map[string]int   // by balancer: answers in a row without the host
	failures loglimit.Limiter // by balancer, or noBalancer
	status   string           // for operators
	report   func(string)     // is told the status; may be nil
}

// tell tells the status. It does nothing for nil.
func (a *acceptance) tell() {
	if a != nil && a.report != nil {
		a.report(a.status)
	}
}

// noBalancer is no name of a balancer.
const noBalancer = "-"

// An ownEntry is what a member that was called has in its list under our name.
type ownEntry struct {
	at    netip.AddrPort // zero: nothing
	alive bool           // so far as the member knows: one that is suspected keeps its name
}

// graceRounds is how many rounds may pass until a balancer has the host, before that is
// logged: a member sends its list before it reads ours, and balancers tell each other
// of a host by gossip.
const graceRounds = 3

// fastRounds is how many rounds follow each other fast while the host isn't announced.
const fastRounds = 10

// ownEntryOf returns what nodes, the list of a member, has under our name.
func ownEntryOf(nodes []*memberlist.Node, name string) ownEntry {
	for _, n := range nodes {
		if n.Name == name {
			return ownEntry{at: addrOf(n), alive: n.State == memberlist.StateAlive || n.State == memberlist.StateSuspect}
		}
	}
	return ownEntry{}
}

// callSoon reports whether to call a balancer again soon; false for nil.
func (a *acceptance) callSoon() bool { return a != nil && !a.done && a.rounds < fastRounds }

// answered notes that a balancer has answered, and what it has under our name.
func (a *acceptance) answered(balancer string, e ownEntry, now time.Time) {
	if e.alive && e.at == a.at {
		delete(a.refused, balancer)
		a.failures.End(noBalancer)
		if times := a.failures.End(balancer); !a.done || times > 0 {
			a.log.Info().Str("host", a.self.Name).Str("address", a.self.Address).Str("balancer", balancer).Msg("host announced")
		}
		a.done, a.rounds = true, 0
		a.status = "announced: balancer " + balancer + " has the host in its list"
		return
	}
	a.rounds++
	if len(a.refused) > MaxBalancers || a.refused == nil {
		a.refused = map[string]int{}
	}
	if a.refused[balancer]++; a.refused[balancer] < graceRounds {
		return
	}
	a.status = "refused: balancer " + balancer + " doesn't take the host; its log says why"
	f, log := a.failures.Add(balancer, now)
	if !log {
		return
	}
	line := f.On(a.log.Warn()).Str("host", a.self.Name).Str("balancer", balancer)
	if e.alive {
		line.Stringer("there", e.at).Msg("a balancer has another host of this name: each host needs a name of its own")
		return
	}
	line.Msg("a balancer answers but refuses the host: its log says why, as a member that was refused")
}

// unanswered notes that no balancer is alive among so many members.
func (a *acceptance) unanswered(members int, now time.Time) {
	if a.done {
		a.log.Warn().Str("host", a.self.Name).Msg("this host reaches no balancer any more: it keeps trying")
		a.done, a.rounds = false, 0
		a.status = "reaches no balancer any more, and keeps trying"
		return
	}
	if a.rounds++; members == 0 || a.rounds < graceRounds {
		return // a seed that doesn't answer is logged where it is called
	}
	if f, log := a.failures.Add(noBalancer, now); log {
		f.On(a.log.Warn()).Str("host", a.self.Name).Int("hosts", members).Msg("other hosts answer, but no balancer is among the members: the host isn't announced")
	}
}
