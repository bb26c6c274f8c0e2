package gossips

import (
	"context"
	"fmt"

	"github.com/rs/zerolog"

	"tokenring/gossip"
	"tokenring/gossip/announcement"
	"tokenring/notify"
	"tokenring/peers"
	"tokenring/pool/votes"
)

// Peers is the gossip among balancers: the registers of its Exchange, and the digests of
// the tables. Hosts don't have its key. If it isn't configured, it sends and
// receives nothing.
type Peers struct {
	*peers.Exchange
	Gossip    *gossip.Gossip                     // nil if it isn't configured
	Members   Members                            // of Gossip
	Broadcast func(topic string, message []byte) // method of Gossip; nil if it isn't configured

	pool    string                // whose part it is; "" for the whole
	of      *Peers                // the whole; nil for itself
	self    announcement.Metadata // what this balancer announces, but for the digest
	log     zerolog.Logger
	digests notify.Latest[string] // the digest to announce
}

// NewPeers returns Peers that aren't configured.
func NewPeers(log zerolog.Logger) *Peers {
	return &Peers{Exchange: peers.NewExchange(log), Members: NoMembers{}, log: log, digests: notify.NewLatest[string]()}
}

// configure has it take part in the gossip among balancers, once that is started.
func (p *Peers) configure(cfg gossip.Config, sockets gossip.Sockets, o gossip.Options) error {
	o.Filter, o.Messages = gossip.Filter{Only: announcement.BalancerRole}, p
	g, err := gossip.New(cfg, sockets, o)
	if err != nil {
		return err
	}
	p.self, p.Gossip, p.Members, p.Broadcast = o.Self, g, g, g.Broadcast
	return nil
}

// start starts the gossip, if it is configured. It announces the digest at once.
func (p *Peers) start() error {
	if p.Gossip == nil {
		return nil
	}
	self := p.self
	select {
	case self.Digest = <-p.digests:
	default:
	}
	if err := p.Gossip.Announce(self); err != nil {
		return err
	}
	return p.Gossip.Start()
}

// AnnounceDigests announces what Digest has been given until ctx ends. An announcement takes
// up to some seconds, also when the gossip is closed meanwhile.
func (p *Peers) AnnounceDigests(ctx context.Context) {
	if p.Gossip == nil || p.of != nil {
		return
	}
	self := p.self
	for {
		select {
		case <-ctx.Done():
			return
		case self.Digest = <-p.digests:
			if err := p.Gossip.Announce(self); err != nil {
				p.log.Debug().Err(err).Msg("the digest of the table isn't announced yet")
			}
		}
	}
}

// Digest has the digest of the table in force announced. It doesn't block.
func (p *Peers) Digest(digest string) {
	if p.of == nil {
		p.digests.Set(digest)
		return
	}
	message := p.of.SetPoolDigest(p.pool, digest)
	if p.Broadcast != nil {
		p.Broadcast("digests of pools", message)
	}
}

// Tell sends new registers to all peers. Peers that join later get them in a state
// exchange.
func (p *Peers) Tell(news []peers.Register) {
	p.Hold(news...)
	if p.Broadcast == nil {
		return
	}
	for _, r := range news {
		p.Broadcast(r.Topic.String(), peers.EncodeMessage(r))
	}
}

// TellVerdicts sends what balancers say of hosts to all peers.
func (p *Peers) TellVerdicts(all []votes.Entry) {
	if p.Broadcast == nil {
		return
	}
	for i, e := range all {
		for part, message := range peers.EncodePoolVerdicts(p.pool, e) {
			p.Broadcast(fmt.Sprintf("verdicts %s %d %d %d %d", e.By, e.Boot, e.Number, i, part), message)
		}
	}
}
