// Package pool decides which IDE hosts belong in the ring. It learns of hosts and of
// other balancers from lists, gossip, health checks and operators, and
// publishes immutable snapshots.
//
// # Which hosts are in the ring
//
// A host comes into the ring when it is ready, has a weight, doesn't announce that it is
// leaving, and passes its checks. It stays out if the table can't hold it beside the
// other hosts: see capacity.
//
// If only its checks fail, a host stays in the ring. Its keys go to their successors, and
// come back when the checks pass again. A host is removed when gossip has lost it and its
// checks fail, and both last for the loss window. Gossip doesn't know the hosts that are
// listed, so only an operator takes them out, or a list that has them no longer.
//
// # When the ring is frozen
//
// If too many hosts of the ring begin to fail their checks within one loss window, the
// ring is frozen (FreezeConfig). The reason: a broken network is likelier than so many
// dead hosts, and two hosts that serve one key are worse than none. While the ring is
// frozen, no host joins it, no lost host is removed, no weight changes, and no host
// serves the keys of the vanished hosts. The freeze ends when enough of these hosts pass
// their checks, when new hosts have replaced them, or after some minutes. A small ring
// isn't frozen while some of its hosts are left: these serve all keys.
//
// # When a balancer starts
//
// It waits for the hosts that were in the ring when it stopped. A host that doesn't come
// for some seconds counts as a host of the ring whose checks fail. So a partition freezes
// the ring also if the balancer starts during the partition.
//
// # How state changes
//
// A machine owns all state: step takes an event and the time, and returns effects. One
// goroutine, in Pool.Run, gives it events and performs the effects. Gossip, checks and
// operators only leave notes and requests for this goroutine. Readers get a Snapshot,
// which is immutable.
package pool

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/rs/zerolog"

	"tokenring/balancer"
	"tokenring/builder"
	"tokenring/filewatch"
	"tokenring/gossip"
	"tokenring/gossip/announcement"
	"tokenring/hostkeys"
	"tokenring/notify"
	"tokenring/peers"
	"tokenring/pool/gossips"
	"tokenring/pool/handed"
	"tokenring/pool/hostlist"
	"tokenring/pool/ringfile"
	"tokenring/resolver"
	"tokenring/ringlog"
	"tokenring/route"
	"tokenring/statefile"
)

// ErrStopped is the error of Override when Run has ended.
var ErrStopped = errors.New("the pool has stopped")

// ErrRetired is the cause of the end of Run's context (see context.WithCancelCause) if another
// process takes the place of this one: peers and hosts aren't told that this balancer
// leaves.
var ErrRetired = errors.New("another process takes the place of this one")

// A Pool has the hosts and their ring. Its methods are safe for concurrent use.
type Pool struct {
	log  zerolog.Logger
	self announcement.Metadata // what this balancer announces
	published
	gossips *gossips.Gossips
	watched
	builder  *builder.Builder
	resolver *resolver.Resolver
	disk
	machine *machine // once Run is called, only its goroutine uses it, until stopped is closed
	takeover
	dns    dnsHosts
	others sync.Map // of the main pool: those beside it, by name

	ready    chan struct{}
	stopped  chan struct{}
	requests chan request
	checks   checks

	streams
}

// published is what others see of the machine.
type published struct {
	publish func(*route.Snapshot)
	current atomic.Pointer[route.Snapshot]
	ring    atomic.Pointer[handed.Ring] // of current
	rings   atomic.Pointer[ringlog.Log]
}

// watched are the files of hosts and keys that are read again when they change.
type watched struct {
	keysFile   *hostkeys.Watch
	configured map[string]route.HostKey // in keysFile at first
	hostsFile  *filewatch.Watch[[]hostlist.Host]
	listed     atomic.Pointer[map[string]bool] // the names of the hosts that are listed
}

// disk is what is in the state directory, and what writes it.
type disk struct {
	store     *peers.Store
	aside     *statefile.Aside
	operators *hostlist.File
	cache     *gossip.Cache
	ringsFile *ringfile.File
	dir       string // Options.StateDir
}

// dnsHosts are the hosts that a DNS name has.
type dnsHosts struct {
	address string // NAME:PORT; "" if there is no name
	pool    string // of the hosts
	lookup  resolver.Lookup
	found   notify.Latest[[]hostlist.Host]
}

// takeover is what a Pool needs to take the place of another process, or to be replaced.
type takeover struct {
	decoder *balancer.Builder // of tables of other processes; nil if there are none
	begin   <-chan struct{}   // nil if everything is open before Run
	last    handedEvent       // Run's: the last one
	final   sync.Mutex        // guards machine when stopped is closed
}

// New returns a Pool. It sets the defaults of cfg and peers, and reads the overrides in
// o.StateDir. If a gossip is configured, it answers other members on the sockets of the
// gossip, and calls no member before Run. With o.Handed or o.Begin, all that waits for
// o.Begin. The Pool owns the sockets from now on: New closes them if it fails, else Run or
// Close does.
func New(cfg Config, peers gossip.Config, o Options) (*Pool, error) {
	return newPool(cfg, peers, o, gossip.LAN)
}

func newPool(cfg Config, pc gossip.Config, o Options, timing gossip.Timing) (*Pool, error) {
	p, err := join(cfg, pc, o, timing)
	if err != nil {
		o.Gossip.Close()
		o.Peers.Close()
		return nil, err
	}
	return p, nil
}

// join returns a Pool with the gossips that are configured.
func join(cfg Config, pc gossip.Config, o Options, timing gossip.Timing) (*Pool, error) {
	cfg, pc = cfg.WithDefaults(), pc.WithLabel(gossip.PeersLabel)
	if o.Pool.Main != nil && o.Pool.Main.gossips.OfPool(o.Pool.Name) == nil {
		return nil, fmt.Errorf("the main pool doesn't know the pool %q", o.Pool.Name)
	}
	if err := route.CheckName(o.Name); err != nil {
		return nil, fmt.Errorf("balancer %q: %w", o.Name, err)
	}
	filter, err := checkHosts(cfg)
	if err != nil {
		return nil, err
	}
	p, listed, err := build(cfg, o)
	if err != nil {
		return nil, err
	}
	filter.Own, filter.Proven, filter.Serving = o.Own, p.isProven, p.isServing
	filter.Listed = p.isListed
	if main := o.Pool.Main; main != nil {
		main.others.Store(o.Pool.Name, p)
	} else if err := p.gossips.Configure(gossips.Options{Hosts: cfg.Config, Peers: pc, HostsSockets: o.Gossip, PeersSockets: o.Peers, Filter: filter, Stream: o.Stream, Timing: timing}); err != nil {
		return nil, err
	}
	if o.Handed == nil && o.Begin == nil {
		err = p.openAtOnce(settingsOf(cfg, o), listed)
	} else {
		err = p.openLater(settingsOf(cfg, o), listed, o)
	}
	if err != nil {
		p.Close()
		return nil, err
	}
	return p, nil
}

// isProven reports whether a host has passed a check. It is safe for concurrent use.
func (p *Pool) isProven(host string) bool {
	h := p.anyHost(host)
	return h != nil && h.Proven
}

// isServing reports whether a host passes its checks. It is safe for concurrent use.
func (p *Pool) isServing(host string) bool {
	h := p.anyHost(host)
	return h != nil && h.Verdict == route.Up
}

// ofHost returns the pool of a host: the main one, or one beside it; nil if there is no such pool.
func (p *Pool) ofHost(host string) *Pool {
	name := route.PoolOf(host)
	if name == "" {
		return p
	}
	if other, ok := p.others.Load(name); ok {
		return other.(*Pool)
	}
	return nil
}

// anyHost returns a host of the main pool or of one beside it, nil if it isn't known.
func (p *Pool) anyHost(host string) *route.Host {
	if one := p.ofHost(host); one != nil {
		return one.Snapshot().Host(host)
	}
	return nil
}

// build returns a Pool without a machine and without gossip, and the hosts that are listed.
// It opens no file that the Pool writes to.
func build(cfg Config, o Options) (*Pool, map[route.Origin][]hostlist.Host, error) {
	keysFile, configured, err := hostkeys.Open(cfg.HostsKeys)
	if err != nil {
		return nil, nil, fmt.Errorf("keys of hosts: %w", err)
	}
	tables, err := builder.New(o.Hash)
	if err != nil {
		return nil, nil, err
	}
	hostsFile, inFile, err := openHostsFile(cfg, o)
	if err != nil {
		return nil, nil, err
	}
	p := &Pool{
		log:       o.Logger,
		self:      announcement.Metadata{Role: announcement.BalancerRole, Spec: route.Spec{Name: o.Name}, Version: o.Version},
		published: published{publish: o.OnSnapshot},
		watched:   watched{keysFile: keysFile, configured: configured, hostsFile: hostsFile},
		builder:   tables,
		resolver:  resolver.New(o.Lookup, o.Logger),
		disk: disk{
			dir: o.StateDir, store: peers.NewStore(o.Logger), operators: hostlist.NewFile(), ringsFile: ringfile.New(o.Hash.Seed, o.Logger),
			aside: statefile.WatchAside(o.StateDir, peers.FileName, peers.JournalName, gossip.CacheName, hostlist.FileName, ringfile.Name),
		},
		ready:    make(chan struct{}),
		stopped:  make(chan struct{}),
		requests: make(chan request),
		checks:   newChecks(),

		streams: streams{connected: notify.NewLatest[[]string](), clock: o.Clock},
		dns:     dnsHosts{pool: o.Pool.Name, lookup: o.Lookup, found: notify.NewLatest[[]hostlist.Host]()},
	}
	if cfg.DNS != nil {
		p.dns.address = cfg.DNS.Name
	}
	if main := o.Pool.Main; main != nil {
		p.gossips = main.gossips.OfPool(o.Pool.Name)
	} else {
		p.gossips = gossips.New(p.self, announcement.NewKeys(cfg.Signatures == SignaturesRequired), o.Logger, o.Pool.Others...)
		p.gossips.Keys.Configure(configured)
	}
	return p, map[route.Origin][]hostlist.Host{route.OriginConfig: cfg.Hosts, route.OriginFile: inFile}, nil
}

// Close closes the sockets of a Pool. It is only for a Pool that Run isn't called for.
func (p *Pool) Close() { p.gossips.Close() }

// GossipAddr returns the ip:port that the gossip of hosts and balancers advertises, "" if
// it isn't configured.
func (p *Pool) GossipAddr() string { return p.gossips.Hosts.Addr() }

// PeersAddr returns the ip:port that the gossip among balancers advertises, "" if it isn't
// configured.
func (p *Pool) PeersAddr() string { return p.gossips.Peers.Gossip.Addr() }

// Run updates the ring until ctx ends. Then it leaves the gossip, which may take some
// seconds, unless ErrRetired is the cause. It returns nil when everything that it started
// has ended: after ErrRetired that may be later than State returns, because a table that is
// being verified can't be given up. It may be called only once. An error says why the
// gossips or the files can't be opened.
func (p *Pool) Run(ctx context.Context) error {
	var others sync.WaitGroup // parts that have no gossip and no file of StateDir
	defer others.Wait()
	calm, end := context.WithCancel(ctx)
	defer end()
	defer close(p.stopped)
	for _, run := range []func(context.Context){p.builder.Run, p.resolver.Run, p.keysFile.Run, p.hostsFile.Run} {
		others.Go(func() { run(calm) })
	}
	if p.dns.address != "" {
		others.Go(func() { p.followDNS(calm) })
	}
	waiting := requests{}
	if p.machine.waiting {
		if !p.awaitBegin(ctx, waiting) {
			p.Close()
			return nil
		}
		e, err := p.open()
		if err != nil {
			p.Close()
			return err
		}
		p.advance(e, waiting)
	}
	others.Go(func() { p.gossips.Peers.AnnounceDigests(calm) })
	p.serve(ctx, waiting)
	return nil
}

// serve runs the gossips and what writes to StateDir, until ctx ends and they have ended.
func (p *Pool) serve(ctx context.Context, waiting requests) {
	var parts sync.WaitGroup
	defer parts.Wait()
	gossiping, leave := context.WithCancel(context.WithoutCancel(ctx))
	defer leave()
	for _, run := range []func(context.Context){p.store.Run, p.aside.Run, p.runCache, p.operators.Run} {
		parts.Go(func() { run(ctx) })
	}
	parts.Go(p.ringsFile.Run)
	parts.Go(func() { p.gossips.Run(gossiping) })
	p.loop(ctx, nil, waiting)
	p.store.Close()
	p.ringsFile.Close()
	if errors.Is(context.Cause(ctx), ErrRetired) {
		p.Close()
	}
}

// Snapshot returns the latest snapshot. It is never nil.
func (p *Pool) Snapshot() *route.Snapshot { return p.current.Load() }

// WatchedFiles returns, by the setting that names it, each file that is read again when it
// changes: why what it holds isn't in use, "" if it is.
func (p *Pool) WatchedFiles() map[string]string {
	files := map[string]string{}
	if p.hostsFile.Watches() {
		files["pool.hosts_file"] = p.hostsFile.Problem()
	}
	if p.keysFile.Watches() {
		files["pool.hosts_keys"] = p.keysFile.Problem()
	}
	for name, problem := range p.gossips.SecretProblems() {
		files[name+".secret_file"] = problem
	}
	return files
}

// Ready returns a channel that is closed when this balancer may serve clients: the first
// attempts to join the gossips are over, each known host that isn't in maintenance has a
// verdict, and the table of these hosts is in force. If hosts can only come by gossip, at
// least one must have come. For up to eight seconds, Ready also waits for all hosts that
// were in the ring when the last run ended. If there were none, it waits until no new
// host has come for two seconds. Ten seconds after Run has begun, the channel is closed
// in any case. It stays open if Run ends before.
func (p *Pool) Ready() <-chan struct{} { return p.ready }

// Strays returns the hosts that announce a pool which this balancer doesn't have; sorted. Only the
// main pool knows them.
func (p *Pool) Strays() []string { return p.gossips.Strays() }

// SecretUse returns the secrets of each gossip that is configured, and which of them its
// members use.
func (p *Pool) SecretUse() []route.SecretUse { return p.gossips.SecretUse() }

// RefusedTotals returns how often each gossip has refused something, by reason.
func (p *Pool) RefusedTotals() []gossips.RefusedTotal { return p.gossips.RefusedTotals() }

// Checked passes on the result of a health check. A result about another address than the
// host has now doesn't count. If there are several results before the machine takes them,
// only the last result of each host counts. Checked never blocks.
func (p *Pool) Checked(host string, r CheckResult) { p.checks.add(host, r) }

// ask passes a request on to the machine, and returns its answer.
func (p *Pool) ask(ctx context.Context, r request) error {
	r.done = make(chan error, 1)
	select {
	case p.requests <- r:
	case <-ctx.Done():
		return fmt.Errorf("nothing was changed: %w", ctx.Err())
	case <-p.stopped:
		return fmt.Errorf("nothing was changed: %w", ErrStopped)
	}
	const taken = "%s has been taken, but isn't on disk and in the ring yet: %w"
	select {
	case err := <-r.done:
		return err
	case <-ctx.Done():
		return fmt.Errorf(taken, r.what(), ctx.Err())
	case <-p.stopped:
		return fmt.Errorf(taken, r.what(), ErrStopped)
	}
}
