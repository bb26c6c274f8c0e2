package pool

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"
)

// What Decide may return, besides the errors of a disk.
var (
	ErrUnknownHost = errors.New("no host of that name is known")
	ErrDecision    = errors.New("decision refused")
	ErrStopped     = errors.New("the pool has stopped")
)

// A Pool keeps the hosts and their ring. Its methods are safe for concurrent
// use.
type Pool struct {
	o      Options
	log    zerolog.Logger
	static []StaticHost
	self   meta // as balancers and hosts see us

	patience  patience
	slowStart time.Duration // 0: off
	roster    *roster
	gossip    *gossip // nil: only hosts of the config file
	peers     *peers
	builder   *builder
	resolver  *resolver
	scribe    *scribe
	asides    *asides
	diary     *diary
	keeper    *keeper // Run's, once it runs

	current  atomic.Pointer[Snapshot]
	settled  chan struct{}
	stopped  chan struct{}
	requests chan request

	heardNote chan struct{} // room for one: there is something in heard
	mu        sync.Mutex
	heard     map[string]CheckResult // the newest by host
}

// A CheckResult is what a health check has found out about a host.
type CheckResult struct {
	Address string    // ip:port that was asked: the result is about nothing else
	Verdict Verdict   // Unchecked if no check of this address has counted yet
	Error   string    // what the check ran into, "" if it passed; holds no foreign bytes
	At      time.Time // when it ended
}

// A request is an operator's decision on its way to Run.
type request struct {
	decision Decision
	done     chan error // room for one
}

// New returns a Pool for configurations that get their defaults here. It reads
// the decisions in o.StateDir and, with cfg.Bind or peers.Bind, opens the sockets
// of the gossip and answers on them; it calls nobody before Run. Run, or else
// Close, closes them.
func New(cfg Config, peers PeersConfig, o Options) (*Pool, error) {
	return newPool(cfg, peers, o, lanPace)
}

func newPool(cfg Config, pc PeersConfig, o Options, pace pace) (*Pool, error) {
	cfg, pc = cfg.WithDefaults(), pc.WithDefaults()
	if err := CheckName(o.Name); err != nil {
		return nil, fmt.Errorf("balancer %q: %w", o.Name, err)
	}
	door, err := checkHosts(cfg)
	if err != nil {
		return nil, err
	}
	builder, err := newBuilder(o.Hash)
	if err != nil {
		return nil, err
	}
	self := meta{Role: roleLB, Name: o.Name, Version: printable(o.Version)}
	p := &Pool{
		o:         o,
		log:       o.Logger,
		static:    cfg.Hosts,
		self:      self,
		patience:  defaultPatience,
		slowStart: cfg.SlowStart,
		roster:    newRoster(self.node(), door, o.Logger),
		peers:     newPeers(self, o.Logger),
		builder:   builder,
		resolver:  newResolver(cfg.Hosts, o.Lookup, o.Logger),
		scribe:    newScribe(o.StateDir, o.Logger),
		settled:   make(chan struct{}),
		stopped:   make(chan struct{}),
		requests:  make(chan request),
		heardNote: make(chan struct{}, 1),
		heard:     map[string]CheckResult{},
	}
	p.patience.freeze = cfg.Freeze
	if o.Settle > 0 {
		p.patience.settle = o.Settle
	}
	remembered, err := p.load()
	if err != nil {
		return nil, err
	}
	p.asides = newAsides(o.StateDir)
	p.begin(remembered)
	if err := p.open(cfg, pc, pace); err != nil {
		return nil, err
	}
	p.diary = p.recall(pace)
	p.asides.look() // which recall may have added to
	return p, nil
}

// begin puts the first snapshot in force: the hosts of the config file, of whom
// nobody serves yet.
func (p *Pool) begin(remembered memory) {
	p.keeper = newKeeper(p, remembered)
	p.peers.hold(remembered)
	p.keeper.fit()
	now := time.Now()
	p.keeper.judge(now)
	p.current.Store(p.keeper.snapshot(NewSnapshot(nil, nil), now))
}

// checkHosts refuses unusable hosts of the config file, and returns the doorman
// for those of the gossip.
func checkHosts(cfg Config) (doorman, error) {
	networks, err := ParseNetworks(cfg.AllowedNetworks)
	if err != nil {
		return doorman{}, fmt.Errorf("allowed networks: %w", err)
	}
	door := doorman{static: map[string]bool{}, networks: networks}
	for _, h := range cfg.Hosts {
		if err := h.check(); err != nil {
			return doorman{}, fmt.Errorf("host %q: %w", h.Name, err)
		}
		if door.static[h.Name] {
			return doorman{}, fmt.Errorf("host %q is there twice", h.Name)
		}
		door.static[h.Name] = true
	}
	return door, nil
}

// printable replaces what metadata can't hold.
func printable(version string) string {
	clean := []byte(version)
	for i, c := range clean {
		if c < ' ' || c > '~' {
			clean[i] = '?'
		}
	}
	return string(clean[:min(len(clean), maxVersion)])
}

// load reads the decisions of earlier runs. Without them a host in maintenance
// would serve; but without the balancer nobody would, and the peers know them
// too. So a corrupt file is put aside and an alarm logged.
func (p *Pool) load() (memory, error) {
	if p.o.StateDir == "" {
		return newMemory(), nil
	}
	m, rest, err := loadMemory(p.o.StateDir)
	p.scribe.rest = rest
	switch {
	case errors.Is(err, errCorrupt):
		p.log.Error().Err(err).Msg("operators' decisions are lost, unless a peer knows them")
		return m, nil
	case errors.Is(err, errLater):
		p.log.Error().Err(err).Msg("a later version of lb has written operators' decisions: those are in force that this one understands")
		return m, nil
	}
	if alarm := rest.alarm(decisionsName); alarm != "" {
		p.log.Error().Msg(alarm)
	}
	return m, err
}

// open opens the sockets of both gossips.
func (p *Pool) open(cfg Config, pc PeersConfig, pace pace) error {
	if cfg.Bind != "" {
		g := gossipConfig{bind: cfg.Bind, advertise: cfg.Advertise, join: cfg.Join, secretFile: cfg.SecretFile, label: cfg.Label, pace: pace}
		g.log = p.log.With().Str("gossip", "pool").Logger()
		v := new(voice)
		err := v.say(p.self)
		if err == nil {
			p.gossip, err = openGossip(g, p.roster, v, v)
		}
		if err != nil {
			return fmt.Errorf("pool: %w", err)
		}
	}
	if pc.Bind == "" {
		return nil
	}
	g := gossipConfig{bind: pc.Bind, advertise: pc.Advertise, join: pc.Join, secretFile: pc.SecretFile, label: pc.Label, pace: pace}
	g.log = p.log.With().Str("gossip", "peers").Logger()
	if err := p.openPeers(g); err != nil {
		p.Close()
		return fmt.Errorf("peers: %w", err)
	}
	return nil
}

func (p *Pool) openPeers(cfg gossipConfig) error {
	if err := p.peers.say(p.self); err != nil {
		return err
	}
	g, err := openGossip(cfg, p.peers.roster, &p.peers.voice, p.peers)
	if err != nil {
		return err
	}
	p.peers.gossip = g
	if p.gossip != nil && bytes.Equal(g.secret, p.gossip.secret) {
		return errors.New("the secret is the pool's, which hosts know too; balancers need their own")
	}
	return nil
}

// Close closes the sockets of a Pool for which Run has not been called and won't be.
func (p *Pool) Close() {
	for _, g := range []*gossip{p.gossip, p.peers.gossip} {
		if g != nil {
			g.shutdown()
		}
	}
}

// GossipAddr returns the ip:port that the pool's gossip advertises, "" without
// gossip. It is known once New has returned, even with port 0.
func (p *Pool) GossipAddr() string { return p.gossip.addr() }

// PeersAddr is GossipAddr for the balancers' own gossip.
func (p *Pool) PeersAddr() string { return p.peers.gossip.addr() }

// Run keeps the ring until ctx ends. Then it takes leave of the gossip, which may
// take some seconds, and returns nil when all that it started has ended. It may
// be called once.
func (p *Pool) Run(ctx context.Context) error {
	defer close(p.stopped)
	var parts errgroup.Group
	parts.Go(func() error { p.builder.run(ctx); return nil })
	parts.Go(func() error { p.peers.run(ctx, p.self); return nil })
	parts.Go(func() error { p.resolver.run(ctx); return nil })
	parts.Go(func() error { p.scribe.run(ctx); return nil })
	parts.Go(func() error { p.asides.run(ctx); return nil })
	parts.Go(func() error { p.diary.run(ctx); return nil })
	if p.gossip != nil {
		parts.Go(func() error {
			p.gossip.run(ctx)
			p.gossip.leave(p.self, 0)
			return nil
		})
	}
	p.keeper.run(ctx)
	p.scribe.close()
	return parts.Wait()
}

// Snapshot returns what is known now; never nil.
func (p *Pool) Snapshot() *Snapshot { return p.current.Load() }

// Settled is closed when the first attempts to join are over, every known host
// but those in maintenance has a verdict, and their table is in force. If hosts can
// only come by gossip, one must have come; and of those that were in the ring when
// the last run ended, all, for eight seconds. Who remembers none waits until no new
// host has come for two. It is closed in any case ten seconds after Run has begun,
// and stays open if Run ends before.
func (p *Pool) Settled() <-chan struct{} { return p.settled }

// Hear takes a result of the health checks into account, unless it is about
// another address than the host has now. It never blocks, and of results that come
// faster than they are looked at only the last counts.
func (p *Pool) Hear(host string, r CheckResult) {
	p.mu.Lock()
	p.heard[host] = r
	p.mu.Unlock()
	note(p.heardNote)
}

// note leaves a note on a channel with room for one: look again.
func note(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// overheard returns what Hear was told since the last call.
func (p *Pool) overheard() map[string]CheckResult {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := p.heard
	p.heard = map[string]CheckResult{}
	return all
}

// Decide takes an operator's decision: Host, State or Weight or both, Reason and
// By; At and Origin are set here. It returns when it is on disk and the snapshot with
// it and with the table that follows from it is in force, or ctx or Run ends. Errors are
// ErrUnknownHost and ErrDecision (wrapped; of a weight for which the policy has no
// room, too), or say how far the decision has come: nothing was decided, or it has
// been taken, but is not on disk, or not in the table.
func (p *Pool) Decide(ctx context.Context, d Decision) error {
	r := request{d, make(chan error, 1)}
	select {
	case p.requests <- r:
	case <-ctx.Done():
		return fmt.Errorf("nothing was decided: %w", ctx.Err())
	case <-p.stopped:
		return fmt.Errorf("nothing was decided: %w", ErrStopped)
	}
	const taken = "the decision has been taken, but isn't on disk and in the ring yet: %w"
	select {
	case err := <-r.done:
		return err
	case <-ctx.Done():
		return fmt.Errorf(taken, ctx.Err())
	case <-p.stopped:
		return fmt.Errorf(taken, ErrStopped)
	}
}
