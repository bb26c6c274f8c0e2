package pool

import (
	"context"
	"fmt"
	"sync"

	"github.com/rs/zerolog"
)

// spread is how many rounds of gossip the news that a host is leaving is given
// to reach all balancers. One that hears of the departure first doesn't believe
// the announcement any more, and needs its checks to find out.
const spread = 5

// RunAgent announces the host it runs on to the pool until ctx ends, with another
// weight as soon as cfg.Weights says one. Then it says that the host is leaving,
// waits for the news to spread, so that every balancer takes the host out of its
// ring, leaves, and returns nil. An error means that it never began.
func RunAgent(ctx context.Context, cfg AgentConfig, log zerolog.Logger) error {
	return runAgent(ctx, cfg, gossipConfig{pace: lanPace, log: log})
}

func runAgent(ctx context.Context, cfg AgentConfig, g gossipConfig) error {
	cfg = cfg.WithDefaults()
	g.bind, g.advertise, g.join = cfg.Bind, cfg.Advertise, cfg.Join
	g.secretFile, g.label = cfg.SecretFile, cfg.Label
	self := meta{
		Role:    roleHost,
		Name:    cfg.Name,
		ID:      cfg.ID,
		Address: cfg.Address,
		Weight:  *cfg.Weight,
		Zone:    cfg.Zone,
		Version: printable(cfg.Version),
	}
	v := new(voice)
	if err := v.say(self); err != nil {
		return fmt.Errorf("agent: %w", err)
	}
	// Whom an agent talks to is of no consequence: it routes nothing.
	everybody := doorman{loopback: true}
	gossip, err := openGossip(g, newRoster(self.node(), everybody, g.log), v, v)
	if err != nil {
		return fmt.Errorf("agent: %w", err)
	}
	gossip.announcement = &announcement{log: g.log, self: self, at: gossip.self}
	g.log.Info().Str("host", self.Name).Str("address", self.Address).Str("gossip", gossip.addr()).Strs("join", cfg.Join).Msg("looking for a balancer")
	var weighing sync.WaitGroup
	weighing.Go(func() { self = gossip.weigh(ctx, self, cfg.Weights) })
	gossip.run(ctx)
	weighing.Wait()
	g.log.Info().Str("host", self.Name).Msg("leaving")
	gossip.leave(self, spread*g.pace.gossip)
	return nil
}

// weigh announces each weight that comes, until ctx ends, and returns what was
// announced last. One that can't be announced is logged, and the one before stays.
func (g *gossip) weigh(ctx context.Context, self meta, weights <-chan int) meta {
	for {
		select {
		case <-ctx.Done():
			return self
		case weight := <-weights:
			if weight == self.Weight {
				continue
			}
			next := self
			next.Weight = weight
			if err := next.check(); err != nil {
				g.cfg.log.Error().Err(err).Int("weight", weight).Int("stays", self.Weight).Msg("weight not announced")
				continue
			}
			g.cfg.log.Info().Int("from", self.Weight).Int("weight", weight).Msg("announcing another weight")
			self = next
			if err := g.announce(self); err != nil { // it is on its way still
				g.cfg.log.Debug().Err(err).Msg("nobody has taken the weight up yet")
			}
		}
	}
}
