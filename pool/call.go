package pool

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
)

// A seed is an item of Config.Join, looked up.
type seed struct {
	name string // as it is configured
	at   []netip.AddrPort
	err  error // of the lookup
}

// call exchanges state with those who should be members but aren't. It logs which
// seeds don't answer.
func (g *gossip) call(ctx context.Context) {
	seeds, members := g.seeds(ctx), g.roster.list()
	results := g.callAll(ctx, whomToCall(g.self, seeds, members))
	if ctx.Err() != nil { // the dials have ended for that
		return
	}
	for _, s := range seeds {
		g.report(s, s.outcome(g.self, members, results), time.Now())
	}
}

// callAll exchanges state with all of whom, and returns how that went.
func (g *gossip) callAll(ctx context.Context, whom []netip.AddrPort) map[netip.AddrPort]error {
	var mu sync.Mutex
	var calls errgroup.Group
	results := map[netip.AddrPort]error{}
	calls.SetLimit(maxCalls)
	for _, at := range whom {
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

// exchange exchanges state with one.
func (g *gossip) exchange(at netip.AddrPort) error {
	// The address alone: memberlist would cut a node's name off at the first
	// slash, and ours contain one.
	_, err := g.list.Join([]string{at.String()})
	g.cfg.log.Debug().Stringer("member", at).Err(err).Msg("member called")
	return err
}

// callMember exchanges state with one living member. An agent calls a balancer, if
// there is one, and learns whether that has its host.
func (g *gossip) callMember(ctx context.Context) {
	all := living(g.roster.list())
	if ctx.Err() != nil {
		return
	}
	if g.announcement == nil {
		if len(all) > 0 {
			_ = g.exchange(all[rand.N(len(all))].at) // it is no news if a member doesn't answer
		}
		return
	}
	balancers := slices.DeleteFunc(slices.Clone(all), func(m member) bool { return m.meta.Role != roleLB })
	if len(balancers) == 0 {
		g.announcement.unheard(len(all), time.Now())
		return
	}
	m := balancers[rand.N(len(balancers))]
	g.roster.mirror.Store(nil)
	if err := g.exchange(m.at); err == nil && ctx.Err() == nil {
		g.announcement.seen(m.meta.Name, g.roster.mirror.Load(), time.Now())
	}
}

// report logs that a seed doesn't answer, once and then rarely, and that it does
// again.
func (g *gossip) report(s seed, err error, now time.Time) {
	if err == nil {
		if times := g.silent.over(s.name); times > 0 {
			g.cfg.log.Info().Str("member", s.name).Int("failures", times).Msg("a member of join answers now")
		}
		return
	}
	if f, tell := g.silent.again(s.name, now); tell {
		f.on(g.cfg.log.Warn()).Str("member", s.name).Str("why", whyNoAnswer(err)).Msg("a member of join doesn't answer")
	}
}

// outcome returns why a seed can't be reached; nil if one of its addresses is ours, a
// living member's, or has answered.
func (s seed) outcome(self netip.AddrPort, members map[string]member, results map[netip.AddrPort]error) error {
	err := s.err
	for _, at := range s.at {
		alive := slices.ContainsFunc(living(members), func(m member) bool { return m.at == at })
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

// whyNoAnswer says in plain words what an exchange of state failed of.
func whyNoAnswer(err error) string {
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
		return "it hangs up without an answer: it has another label, or isn't a member"
	case strings.Contains(text, os.ErrDeadlineExceeded.Error()):
		return "no answer in time: it is down, or a firewall is between (TCP and UDP are both needed)"
	}
	if _, after, ok := strings.Cut(text, "failed to join "); ok {
		text = after
	}
	return strings.ToValidUTF8(strings.TrimSpace(text[:min(len(text), 200)]), "?")
}

// whomToCall returns the addresses for one round: the seeds that aren't living
// members, and some of the lost members.
func whomToCall(self netip.AddrPort, seeds []seed, members map[string]member) []netip.AddrPort {
	known := map[netip.AddrPort]bool{self: true}
	for _, m := range living(members) {
		known[m.at] = true
	}
	var candidates, lost []netip.AddrPort
	for _, s := range seeds {
		candidates = append(candidates, s.at...)
	}
	for _, m := range members {
		if m.lost && !m.meta.Leaving {
			lost = append(lost, m.at)
		}
	}
	rand.Shuffle(len(lost), func(i, j int) { lost[i], lost[j] = lost[j], lost[i] })
	var whom []netip.AddrPort
	for _, at := range append(candidates, lost[:min(len(lost), maxCalls)]...) {
		if !known[at] {
			known[at] = true
			whom = append(whom, at)
		}
	}
	return whom
}

// whomToTell returns the balancers that a departure matters to: those that are alive,
// and some that seem lost, to whom we may seem so, too.
func whomToTell(members map[string]member) (whom []netip.AddrPort) {
	lost := 0
	for _, m := range members {
		if m.meta.Role != roleLB || m.left() || m.lost && lost == maxCalls {
			continue
		}
		if m.lost {
			lost++
		}
		whom = append(whom, m.at)
	}
	return whom
}

// living returns those of the members that are alive.
func living(members map[string]member) []member {
	return slices.DeleteFunc(slices.Collect(maps.Values(members)), func(m member) bool { return m.lost })
}

// anyoneStays reports whether a member is alive that isn't leaving.
func anyoneStays(members map[string]member) bool {
	return slices.ContainsFunc(living(members), func(m member) bool { return !m.meta.Leaving })
}

// seeds looks the seeds up. We do it ourselves, because memberlist would try a
// slow TCP query first.
func (g *gossip) seeds(ctx context.Context) []seed {
	ctx, cancel := context.WithTimeout(ctx, g.cfg.pace.stream)
	defer cancel()
	var all []seed
	for _, name := range g.cfg.join {
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
