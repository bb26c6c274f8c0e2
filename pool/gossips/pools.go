package gossips

import (
	"maps"
	"slices"

	"tokenring/gossip"
	"tokenring/gossip/announcement"
	"tokenring/notify"
	"tokenring/peers"
	"tokenring/route"
)

// A PoolName is a pool beside the main one.
type PoolName struct {
	Name   string
	Gossip bool // its hosts may come by gossip
}

// addPools makes the parts of pools beside the main one.
func (g *Gossips) addPools(pools []PoolName) {
	names := make([]string, len(pools))
	for i, p := range pools {
		names[i] = p.Name
	}
	g.Peers.AddPools(g.self.Name, names)
	for _, p := range pools {
		own := &Peers{Exchange: g.Peers.OfPool(p.Name), Members: NoMembers{}, pool: p.Name, of: g.Peers, log: g.log, digests: notify.NewLatest[string]()}
		g.parts[p.Name] = &Gossips{Members: NoMembers{}, Keys: g.Keys, Peers: own, self: g.self, log: g.log, labels: g.labels, of: g, joins: p.Gossip}
	}
}

// joinPools has the parts of the pools look at the gossips that are configured.
func (g *Gossips) joinPools() {
	for name, part := range g.parts {
		if g.Hosts != nil && part.joins {
			part.Hosts, part.Members = g.Hosts, hostsOfPool{g.Hosts, name, g.Hosts.Watch()}
		}
		if on := g.Peers.Gossip; on != nil {
			changed := on.Watch()
			g.Peers.NotePoolDigests(changed)
			part.Peers.Gossip, part.Peers.Broadcast = on, on.Broadcast
			part.Peers.Members = peersOfPool{on, name, changed, g.Peers.Exchange}
		}
	}
}

// OfPool returns the part of the gossips that a pool beside the main one sees: its own hosts, and
// what peers say of these. Start, Run and Close of a part do nothing. It is nil if there is no such
// pool.
func (g *Gossips) OfPool(name string) *Gossips { return g.parts[name] }

// Strays returns the hosts that announce a pool that this balancer doesn't have, or whose hosts
// don't come by gossip; sorted.
func (g *Gossips) Strays() (names []string) {
	if g.Hosts == nil {
		return nil
	}
	for _, m := range g.Hosts.Members() {
		pool := route.PoolOf(m.Metadata.Name)
		if m.Metadata.Role != announcement.HostRole || m.Lost || pool == "" {
			continue
		}
		if part := g.parts[pool]; part == nil || !part.joins {
			names = append(names, m.Metadata.Name)
		}
	}
	slices.Sort(names)
	return names
}

// hostsOfPool are the members of the gossip of hosts and balancers, but for the hosts of other
// pools.
type hostsOfPool struct {
	*gossip.Gossip
	pool    string
	changed notify.Note
}

// Members implements Members.
func (h hostsOfPool) Members() map[string]gossip.Member {
	all := h.Gossip.Members()
	maps.DeleteFunc(all, func(_ string, m gossip.Member) bool {
		return m.Metadata.Role == announcement.HostRole && route.PoolOf(m.Metadata.Name) != h.pool
	})
	return all
}

// Changed implements Members.
func (h hostsOfPool) Changed() notify.Note { return h.changed }

// peersOfPool are the balancers that have a pool, with the digests of their tables of it.
type peersOfPool struct {
	*gossip.Gossip
	pool    string
	changed notify.Note
	told    *peers.Exchange
}

// Members implements Members.
func (p peersOfPool) Members() map[string]gossip.Member {
	all := p.Gossip.Members()
	for node, m := range all {
		digest, ok := p.told.PoolDigest(m.Metadata.Name, p.pool)
		if !ok {
			delete(all, node)
			continue
		}
		m.Metadata.Digest = digest
		all[node] = m
	}
	return all
}

// Changed implements Members.
func (p peersOfPool) Changed() notify.Note { return p.changed }
