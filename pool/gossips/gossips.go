// Package gossips has the two gossips of a balancer: that of hosts and balancers, and that
// among balancers, whose secret no host has. Each may be missing from the configuration: then
// it has no members, sends nothing and takes nothing.
package gossips

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"tokenring/gossip"
	"tokenring/gossip/announcement"
	"tokenring/notify"
	"tokenring/route"
)

// The names of the gossips in logs and metrics, and of their sections in lb.yaml.
const (
	HostsName = "pool"
	PeersName = "peers"
)

// Gossips are the two gossips.
type Gossips struct {
	Hosts   *gossip.Gossip     // of hosts and balancers; nil if it isn't configured
	Members Members            // of Hosts
	Keys    *announcement.Keys // by which hosts are known
	Peers   *Peers             // among balancers

	self   announcement.Metadata // what this balancer announces to hosts and balancers
	log    zerolog.Logger
	labels map[string]string // of those that are configured, by name

	parts map[string]*Gossips // of the pools beside the main one
	of    *Gossips            // whose part it is; nil for the whole
	joins bool                // of a part: its hosts may come by gossip
}

// New returns gossips of which none is configured. self is what this balancer announces, and
// pools are its pools beside the main one.
func New(self announcement.Metadata, keys *announcement.Keys, log zerolog.Logger, pools ...PoolName) *Gossips {
	g := &Gossips{Members: NoMembers{}, Keys: keys, Peers: NewPeers(log), self: self, log: log, labels: map[string]string{}, parts: map[string]*Gossips{}}
	g.addPools(pools)
	return g
}

// Options are what Configure needs.
type Options struct {
	Hosts, Peers               gossip.Config // with their labels; without Bind a gossip isn't configured
	HostsSockets, PeersSockets gossip.Sockets
	Filter                     gossip.Filter       // of hosts
	Stream                     announcement.Stream // where this balancer accepts streams of its peers
	Timing                     gossip.Timing
}

// Configure sets up what o says. It touches no socket before Start.
func (g *Gossips) Configure(o Options) error {
	if o.Hosts.Bind != "" {
		hosts, err := gossip.New(o.Hosts, o.HostsSockets, gossip.Options{Self: g.self, Filter: o.Filter, Keys: g.Keys, Timing: o.Timing, Log: g.logger(HostsName)})
		if err != nil {
			return fmt.Errorf("%s: %w", HostsName, err)
		}
		g.Hosts, g.Members, g.labels[HostsName] = hosts, hostsOfPool{hosts, "", hosts.Changed()}, o.Hosts.Label
	}
	if o.Peers.Bind == "" {
		g.joinPools()
		return nil
	}
	self := g.self
	self.Stream = o.Stream
	err := g.Peers.configure(o.Peers, o.PeersSockets, gossip.Options{Self: self, Timing: o.Timing, Log: g.logger(PeersName)})
	if err == nil && g.Hosts != nil {
		err = g.Hosts.KeepApart(g.Peers.Gossip)
	}
	if err != nil {
		g.Close()
		return fmt.Errorf("%s: %w", PeersName, err)
	}
	g.labels[PeersName] = o.Peers.Label
	g.joinPools()
	return nil
}

func (g *Gossips) logger(name string) zerolog.Logger {
	return g.log.With().Str("gossip", name).Logger()
}

// Start opens those that are configured.
func (g *Gossips) Start() error {
	if g.of != nil {
		return nil
	}
	if g.Hosts != nil {
		if err := g.Hosts.Start(); err != nil {
			return fmt.Errorf("%s: %w", HostsName, err)
		}
	}
	if err := g.Peers.start(); err != nil {
		return fmt.Errorf("%s: %w", PeersName, err)
	}
	return nil
}

// Run takes part in those that are configured until ctx ends, and then leaves them. It returns
// when it has left.
func (g *Gossips) Run(ctx context.Context) {
	var all sync.WaitGroup
	defer all.Wait()
	for _, one := range g.configured() {
		all.Go(func() { one.Run(ctx) })
	}
}

// Close closes their sockets. Members aren't told.
func (g *Gossips) Close() {
	for _, one := range g.configured() {
		one.Close()
	}
}

// configured returns those that are configured, by name. A part has none.
func (g *Gossips) configured() map[string]*gossip.Gossip {
	all := map[string]*gossip.Gossip{}
	if g.of != nil {
		return all
	}
	if g.Hosts != nil {
		all[HostsName] = g.Hosts
	}
	if g.Peers.Gossip != nil {
		all[PeersName] = g.Peers.Gossip
	}
	return all
}

// Any reports whether any gossip is configured.
func (g *Gossips) Any() bool { return len(g.configured()) > 0 }

// Label returns the label of a gossip, "" if it isn't configured.
func (g *Gossips) Label(name string) string { return g.labels[name] }

// Admits reports whether the gossip of hosts takes a host with this announcement and this
// address of its gossip for a member.
func (g *Gossips) Admits(host announcement.Metadata, at netip.AddrPort) bool {
	return g.Hosts != nil && g.Keys.Allows(host.Name, host.Key) && g.Hosts.Admits(host, at)
}

// AddCached adds members that were known before. It returns those of the gossip of hosts that
// are new there.
func (g *Gossips) AddCached(hosts, peers []gossip.CachedMember) []gossip.CachedMember {
	g.Peers.Members.AddCached(peers)
	return g.Members.AddCached(hosts)
}

// ToCache returns the members of both for the cache.
func (g *Gossips) ToCache(inRing func(host string) bool, now time.Time) gossip.CachedMembers {
	none := func(string) bool { return false }
	all := gossip.NewCachedMembers(gossip.ToCache(g.Members.Members(), inRing, now), gossip.ToCache(g.Peers.Members.Members(), none, now))
	all.Sequences = g.Keys.Sequences()
	return all
}

// SecretUse returns the secrets of each gossip that is configured, and which of them its
// members use.
func (g *Gossips) SecretUse() (all []route.SecretUse) {
	for _, name := range []string{HostsName, PeersName} {
		if one, ok := g.configured()[name]; ok {
			use := one.SecretUse()
			use.Gossip = name
			all = append(all, use)
		}
	}
	return all
}

// Refused returns the notes of what each gossip refuses, and those of what becomes of their
// secrets. A part has none: whoever has the whole takes them.
func (g *Gossips) Refused() (hosts, peers, hostsSecret, peersSecret notify.Note) {
	if g.of != nil {
		return nil, nil, nil, nil
	}
	return g.Hosts.Refused(), g.Peers.Gossip.Refused(), g.Hosts.SecretChanged(), g.Peers.Gossip.SecretChanged()
}

// SecretProblems returns, by name, why what the file of a gossip's secret holds isn't in use,
// "" if it is.
func (g *Gossips) SecretProblems() map[string]string {
	all := map[string]string{}
	for name, one := range g.configured() {
		all[name] = one.SecretProblem()
	}
	return all
}

// A RefusedTotal says how often a gossip has refused something for one reason.
type RefusedTotal struct {
	Gossip, Reason string
	Times          uint64
}

// RefusedTotals returns how often each gossip has refused something, by reason.
func (g *Gossips) RefusedTotals() (totals []RefusedTotal) {
	for name, one := range g.configured() {
		for reason, times := range one.RefusedTotals() {
			totals = append(totals, RefusedTotal{name, string(reason), times})
		}
	}
	return totals
}

// PassOn has peers told what hosts have announced that the gossip of hosts has lost. Announcements
// that aren't signed aren't passed on.
func (g *Gossips) PassOn(hosts []string) {
	var all [][]byte
	for _, host := range hosts {
		if raw := g.Keys.Last(host); raw != nil {
			all = append(all, raw)
		}
	}
	g.Peers.PassOn(all)
}

// PassedOn returns what peers have passed on, as far as its hosts themselves have signed it and
// the gossip of hosts would take it.
func (g *Gossips) PassedOn() (all []announcement.Metadata) {
	members := g.Members.Members()
	present := func(host string) bool {
		_, here := members[announcement.HostRole.Prefix()+host]
		return here
	}
	for _, raw := range g.Peers.TakeAnnouncements() {
		m, err := announcement.Decode(raw)
		if err != nil || m.Role != announcement.HostRole || route.PoolOf(m.Name) != g.Peers.pool || !m.IsSigned() || m.Leaving || !g.Admits(m, m.Gossip) {
			continue
		}
		received := announcement.Received{Metadata: m, Raw: string(raw), Label: g.Label(HostsName), From: m.Gossip}
		if reason, err := g.Keys.Admit(received, present); err == nil {
			all = append(all, m)
		} else if !errors.Is(err, announcement.ErrOld) {
			g.Peers.log.Warn().Err(err).Str("host", m.Name).Str("reason", string(reason)).Msg("an announcement of a host that a peer has passed on isn't taken")
		}
	}
	return all
}
