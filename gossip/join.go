package gossip

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"tokenring/gossip/announcement"
)

// maxCalls bounds the lost members that one round calls, and calls at a time.
const maxCalls = 8

// A seed is one of Config.Join with its addresses.
type seed struct {
	name string // as it is configured
	at   []netip.AddrPort
	err  error // of the lookup
}

// call exchanges state with the seeds and lost members that aren't living members. It
// logs which seeds don't answer.
func (g *Gossip) call(ctx context.Context) {
	seeds, members := g.seeds(ctx), g.members.list()
	results := g.callAll(ctx, addressesToCall(g.self, seeds, members))
	if ctx.Err() != nil { // the dials have ended for that
		return
	}
	for _, s := range seeds {
		g.report(s, s.outcome(g.self, members, results), time.Now())
	}
}

// callAll exchanges state with the members at addresses, and returns how that went.
func (g *Gossip) callAll(ctx context.Context, addresses []netip.AddrPort) map[netip.AddrPort]error {
	var mu sync.Mutex
	var calls errgroup.Group
	results := map[netip.AddrPort]error{}
	calls.SetLimit(maxCalls)
	for _, at := range addresses {
		calls.Go(func() error {
			if ctx.Err() != nil {
				return nil
			}
			err := g.exchange(at)
			mu.Lock()
			defer mu.Unlock()
			results[at] = err
			return nil
		})
	}
	_ = calls.Wait() // results has the errors
	return results
}

// exchange exchanges state with the member at an address.
func (g *Gossip) exchange(at netip.AddrPort) error {
	// The address alone: memberlist would cut a node's name off at the first
	// slash, and ours contain one.
	_, err := g.list.Join([]string{at.String()})
	g.log.Debug().Stringer("member", at).Err(err).Msg("member called")
	return err
}

// callMember exchanges state with one living member. An agent calls a balancer, if
// there is one, to find out whether the balancer has its host.
func (g *Gossip) callMember(ctx context.Context) {
	all := living(g.members.list())
	if ctx.Err() != nil {
		return
	}
	if g.acceptance == nil {
		if len(all) > 0 {
			_ = g.exchange(all[rand.N(len(all))].Addr) // memberlist notices itself if a member doesn't answer
		}
		return
	}
	balancers := slices.DeleteFunc(slices.Clone(all), func(m Member) bool { return m.Metadata.Role != announcement.BalancerRole })
	if len(balancers) == 0 {
		g.acceptance.unanswered(len(all), time.Now())
		return
	}
	m := balancers[rand.N(len(balancers))]
	_, before := g.members.lastOwnEntry()
	if err := g.exchange(m.Addr); err != nil || ctx.Err() != nil {
		return
	}
	own, after := g.members.lastOwnEntry()
	if after == before+1 { // else another member has called us meanwhile, and own may be from its list
		g.acceptance.answered(m.Metadata.Name, own, time.Now())
	}
}

// report logs that a seed doesn't answer, once and then rarely, and that it does
// again.
func (g *Gossip) report(s seed, err error, now time.Time) {
	if err == nil {
		if times := g.silent.End(s.name); times > 0 {
			g.log.Info().Str("member", s.name).Int("failures", times).Msg("a member of join answers now")
		}
		return
	}
	if f, log := g.silent.Add(s.name, now); log {
		f.On(g.log.Warn()).Str("member", s.name).Str("why", noAnswerReason(err)).Msg("a member of join doesn't answer")
	}
}

// outcome returns why a seed can't be reached; nil if one of its addresses is ours, a
// living member's, or has answered.
func (s seed) outcome(self netip.AddrPort, members map[string]Member, results map[netip.AddrPort]error) error {
	err := s.err
	for _, at := range s.at {
		alive := slices.ContainsFunc(living(members), func(m Member) bool { return m.Addr == at })
		called, was := results[at]
		if at == self || alive || was && called == nil {
			return nil
		}
		if called != nil {
			err = called
		}
	}
	return err
}

// noAnswerReason says in plain words why an exchange of state failed.
func noAnswerReason(err error) string {
	var lookup *net.DNSError
	text := err.Error()
	switch {
	case errors.As(err, &lookup):
		return "its name can't be looked up: " + lookup.Err
	case strings.Contains(text, "could decrypt"):
		return "it has another secret"
	case strings.Contains(text, syscall.ECONNREFUSED.Error()):
		return "nothing listens there: connection refused"
	case strings.Contains(text, io.EOF.Error()), strings.Contains(text, syscall.ECONNRESET.Error()), strings.Contains(text, syscall.EPIPE.Error()):
		return "it closes the connection without an answer: it has another label, or isn't a member"
	case strings.Contains(text, os.ErrDeadlineExceeded.Error()):
		return "no answer in time: it is down, or a firewall is between (TCP and UDP are both needed)"
	}
	if _, after, ok := strings.Cut(text, "failed to join "); ok {
		text = after
	}
	return strings.ToValidUTF8(strings.TrimSpace(text[:min(len(text), 200)]), "?")
}

// addressesToCall returns the addresses for one round: the seeds that aren't living
// members, and some of the lost members.
func addressesToCall(self netip.AddrPort, seeds []seed, members map[string]Member) []netip.AddrPort {
	known := map[netip.AddrPort]bool{self: true}
	for _, m := range living(members) {
		known[m.Addr] = true
	}
	var candidates, lost []netip.AddrPort
	for _, s := range seeds {
		candidates = append(candidates, s.at...)
	}
	for _, m := range members {
		if m.Lost && !m.Metadata.Leaving {
			lost = append(lost, m.Addr)
		}
	}
	rand.Shuffle(len(lost), func(i, j int) { lost[i], lost[j] = lost[j], lost[i] })
	var addresses []netip.AddrPort
	for _, at := range append(candidates, lost[:min(len(lost), maxCalls)]...) {
		if !known[at] {
			known[at] = true
			addresses = append(addresses, at)
		}
	}
	return addresses
}

// addressesToTell returns the addresses of the balancers that a departure matters to:
// those that are alive, and some that are lost for us, as we may be for them.
func addressesToTell(members map[string]Member) (addresses []netip.AddrPort) {
	lost := 0
	for _, m := range members {
		if m.Metadata.Role != announcement.BalancerRole || m.Left() || m.Lost && lost == maxCalls {
			continue
		}
		if m.Lost {
			lost++
		}
		addresses = append(addresses, m.Addr)
	}
	return addresses
}

// living returns those of the members that are alive.
func living(members map[string]Member) []Member {
	return slices.DeleteFunc(slices.Collect(maps.Values(members)), func(m Member) bool { return m.Lost })
}

// anyStays reports whether a member is alive that isn't leaving.
func anyStays(members map[string]Member) bool {
	return slices.ContainsFunc(living(members), func(m Member) bool { return !m.Metadata.Leaving })
}

// seeds looks the seeds up. We do it ourselves, because memberlist would try a
// slow TCP query first.
func (g *Gossip) seeds(ctx context.Context) []seed {
	ctx, cancel := context.WithTimeout(ctx, g.timing.Stream)
	defer cancel()
	var all []seed
	for _, name := range g.cfg.Join {
		host, port, err := net.SplitHostPort(name)
		if err != nil {
			continue // refused by CheckAddress before
		}
		s := seed{name: name}
		number, _ := net.DefaultResolver.LookupPort(ctx, "tcp", port)
		ips, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
		if err != nil {
			s.err = fmt.Errorf("look up %s: %w", host, err)
		}
		for _, ip := range ips {
			s.at = append(s.at, netip.AddrPortFrom(ip.Unmap(), uint16(number)))
		}
		all = append(all, s)
	}
	return all
}
