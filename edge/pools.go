package edge

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/prometheus/client_golang/prometheus"

	"tokenring/admin"
	"tokenring/config"
	"tokenring/gossip"
	"tokenring/health"
	"tokenring/hosttls"
	"tokenring/pool"
	"tokenring/pool/gossips"
	"tokenring/pool/handed"
	"tokenring/ringlog"
	"tokenring/route"
	"tokenring/statefile"
)

// A part is a pool beside the main one, and what checks its hosts.
type part struct {
	name    string
	cfg     *config.Config // as it is for the pool
	pool    *pool.Pool
	monitor *health.Monitor
	tables  tableChanges
}

// newParts returns the pools beside the main one, without their pools and monitors.
func newParts(cfg *config.Config) (all []*part) {
	for _, name := range cfg.PoolNames() {
		all = append(all, &part{name: name, cfg: cfg.OfPool(name), tables: newTableChanges("lb_pool_ring_changes_total", prometheus.Labels{"pool": name})})
	}
	return all
}

// buildMonitors builds what checks the hosts of each pool. main is for the TLS of the main pool's
// hosts; nil if they speak none.
func (e *Edge) buildMonitors(main *hosttls.Client) error {
	e.monitor = e.newMonitor(e.cfg, main)
	e.parts = newParts(e.cfg)
	for _, p := range e.parts {
		tls, err := e.hostTLS(p.name)
		if err != nil {
			return err
		}
		p.monitor = e.newMonitor(p.cfg, tls)
	}
	return nil
}

// newMonitor returns what checks the hosts of a pool; tls is nil if they speak none.
func (e *Edge) newMonitor(cfg *config.Config, tls *hosttls.Client) *health.Monitor {
	m := health.New(cfg.Health.Config, e.part("health"), e.checked)
	m.SetTLS(tls)
	if cfg.Pool.SendProxy != "" {
		m.SendProxy()
	}
	return m
}

// poolNames returns the pools for the gossips.
func (e *Edge) poolNames() (all []gossips.PoolName) {
	for _, p := range e.parts {
		all = append(all, gossips.PoolName{Name: p.name, Gossip: e.cfg.Pools[p.name].Gossip})
	}
	return all
}

// buildParts builds the pools beside the main one. Their monitors are there already.
func (e *Edge) buildParts() error {
	for _, p := range e.parts {
		dir := poolDir(e.cfg, p.name)
		if err := statefile.MakeDir(dir); err != nil {
			return fmt.Errorf("state_dir: %w", err)
		}
		o := e.poolOptions(p.cfg)
		o.Pool, o.StateDir = pool.Membership{Name: p.name, Main: e.pool}, dir
		o.Logger = o.Logger.With().Str("pool", p.name).Logger()
		o.FenceWait = 0 // its hosts have no leases
		o.Handed = e.opt.Handed.ofPool(p.name)
		o.OnSnapshot = func(s *route.Snapshot) { e.usePart(p, s) }
		o.Gossip, o.Peers = gossip.Sockets{}, gossip.Sockets{}
		var err error
		if p.pool, err = pool.New(p.cfg.Pool, p.cfg.Peers.Config, o); err != nil {
			return fmt.Errorf("pools.%s: %w", p.name, err)
		}
	}
	return nil
}

// poolDir returns the directory of what a pool keeps; "" is the main pool.
func poolDir(cfg *config.Config, pool string) string {
	if pool == "" {
		return cfg.StateDir
	}
	return filepath.Join(cfg.StateDir, "pools", pool)
}

// ofPool returns what a pool beside the main one gets of it; nil if there is nothing.
func (h *Handed) ofPool(name string) *handed.State {
	if h == nil {
		return nil
	}
	if s, ok := h.Pools[name]; ok {
		return &s
	}
	return nil
}

// usePart passes a new snapshot of a pool's hosts to the parts of the balancer.
func (e *Edge) usePart(p *part, s *route.Snapshot) {
	e.proxy.UsePool(p.name, s)
	p.tables.observe(s.Table.Digest())
	p.monitor.Watch(targets(s))
}

// targets returns the hosts to check.
func targets(s *route.Snapshot) []health.Target {
	all := make([]health.Target, 0, len(s.Hosts))
	for _, h := range s.Hosts {
		if h.Address != "" && h.State != route.Maint && h.Contact != route.Missing { // a missing host's address may be another host's now
			all = append(all, health.Target{Name: h.Name, Address: h.Address, Host: h.Authority()})
		}
	}
	return all
}

// partOf returns the pool of a host, nil for the main one.
func (e *Edge) partOf(host string) *part {
	name := route.PoolOf(host)
	for _, p := range e.parts {
		if p.name == name {
			return p
		}
	}
	return nil
}

// poolOf returns the pool of a host; the main one if no other has it.
func (e *Edge) poolOf(host string) *pool.Pool {
	if p := e.partOf(host); p != nil {
		return p.pool
	}
	return e.pool
}

// suspect has a host checked at once.
func (e *Edge) suspect(host string) {
	if p := e.partOf(host); p != nil {
		p.monitor.Suspect(host)
		return
	}
	e.monitor.Suspect(host)
}

// handedParts returns the pools for which this process waits: all, but for those that the process
// before didn't have. Clients of other pools needn't wait for what a reload has added.
func (e *Edge) handedParts() []*part {
	if e.opt.Handed == nil {
		return e.parts
	}
	return slices.DeleteFunc(slices.Clone(e.parts), func(p *part) bool { return e.opt.Handed.ofPool(p.name) == nil })
}

// awaitParts waits until the tables of all pools beside the main one are in force. It returns
// false if ctx or back ends first.
func (e *Edge) awaitParts(ctx, back context.Context) bool {
	for _, p := range e.handedParts() {
		select {
		case <-p.pool.Ready():
		case <-ctx.Done():
			return false
		case <-back.Done():
			return false
		}
	}
	return true
}

// partsReady returns why a pool beside the main one isn't ready, nil if all are.
func (e *Edge) partsReady() error {
	for _, p := range e.handedParts() {
		select {
		case <-p.pool.Ready():
		default:
			return fmt.Errorf("the hosts of the pool %s haven't been checked yet", p.name)
		}
	}
	return nil
}

// partsState adds what the pools beside the main one know to h.
func (e *Edge) partsState(ctx context.Context, h *Handed) error {
	for _, p := range e.parts {
		s, err := p.pool.State(ctx)
		if err != nil {
			return fmt.Errorf("pool %s: %w", p.name, err)
		}
		if h.Pools == nil {
			h.Pools, h.PoolHealth = map[string]handed.State{}, map[string]health.State{}
		}
		h.Pools[p.name], h.PoolHealth[p.name] = s, p.monitor.State()
	}
	return nil
}

// updateParts replaces what the pools beside the main one have been handed. A pool that the other
// process doesn't have is left as it is.
func (e *Edge) updateParts(ctx context.Context, h Handed) error {
	for _, p := range e.parts {
		if s := h.ofPool(p.name); s != nil {
			if err := p.pool.Update(ctx, *s); err != nil {
				return fmt.Errorf("pool %s: %w", p.name, err)
			}
		}
	}
	return nil
}

// closeParts closes pools that haven't run.
func (e *Edge) closeParts() {
	for _, p := range e.parts {
		if p.pool != nil {
			p.pool.Close()
		}
	}
}

// strays returns an alarm about hosts that announce a pool which isn't configured.
func (e *Edge) strays() []string {
	if names := e.pool.Strays(); len(names) > 0 {
		return []string{"hosts announce a pool that this balancer doesn't have, or that has no gossip, and get no requests: " + route.ShortList(names) +
			". Add pools.NAME with gossip: true, or start their agents with another --pool"}
	}
	return nil
}

// poolRegions returns the pools beside the main one, as operators see them.
func (e *Edge) poolRegions() map[string]admin.Region {
	all := make(map[string]admin.Region, len(e.parts))
	for _, p := range e.parts {
		all[p.name] = p.pool
	}
	return all
}

// allPools are all pools of a balancer, as operators see them.
type allPools struct{ *Edge }

// Snapshot implements admin.Region.
func (r allPools) Snapshot() *route.Snapshot {
	others := make(map[string]*route.Snapshot, len(r.parts))
	for _, p := range r.parts {
		others[p.name] = p.pool.Snapshot()
	}
	return route.Together(r.pool.Snapshot(), others)
}

// Override implements admin.Region.
func (r allPools) Override(ctx context.Context, o route.Override) error {
	return r.poolOf(o.Host).Override(ctx, o)
}

// RingLog implements admin.Region. It is that of the main pool.
func (r allPools) RingLog() *ringlog.Log { return r.pool.RingLog() }

// EditHosts implements admin.Region.
func (r allPools) EditHosts(ctx context.Context, h route.HostEdit) error {
	return r.poolOf(h.Name).EditHosts(ctx, h)
}

// Rekey implements admin.Region.
func (r allPools) Rekey(ctx context.Context, k route.Rekey) (route.HostKey, error) {
	return r.poolOf(k.Host).Rekey(ctx, k)
}

// cookieOf returns the name of the affinity cookie, "" if there is none.
func cookieOf(cfg *config.Config) string {
	if c := cfg.Affinity.Cookie; c != nil {
		return c.Name
	}
	return ""
}

// adminPools returns the pools beside the main one for the admin endpoint.
func (e *Edge) adminPools() map[string]admin.Pool {
	all := map[string]admin.Pool{"": {
		Region: e.pool, Hash: e.cfg.Hash, ConfirmShare: *e.cfg.Admin.ConfirmShare, MinServing: e.cfg.Drain.MinServing, Digester: e.digester, Cookie: cookieOf(e.cfg),
	}}
	for _, p := range e.parts {
		all[p.name] = admin.Pool{
			Name: p.name, Region: p.pool, Hash: p.cfg.Hash, ConfirmShare: *e.cfg.Admin.ConfirmShare, MinServing: p.cfg.Drain.MinServing,
			Digester: e.digester.Pool(p.name), Cookie: cookieOf(p.cfg),
		}
	}
	return all
}
