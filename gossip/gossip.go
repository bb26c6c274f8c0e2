// Package gossip is a process's membership in one pool of memberlist: it announces
// what the process is, keeps the list of the other members, and carries messages.
// The list of members is a hint: the user of the package decides what follows from it.
package gossip

import (
	"context"
	"fmt"
	"log"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/memberlist"
	"github.com/rs/zerolog"

	"tokenring/gossip/announcement"
	"tokenring/gossip/inspect"
	"tokenring/loglimit"
	"tokenring/notify"
	"tokenring/route"
)

// A Gossip is the membership in one pool. Its methods are safe for concurrent use.
type Gossip struct {
	cfg       Config
	timing    Timing
	log       zerolog.Logger
	sockets   Sockets
	options   Options
	list      *memberlist.Memberlist // nil before Start
	members   *members
	refusals  *refusals
	delegate  *delegate
	transport *transport
	self      netip.AddrPort // advertised
	secrets   *secrets
	places    *places // nil: nodes may be anywhere

	meetings

	announcing
}

// meetings are what becomes of calls to members.
type meetings struct {
	calls      *calls
	joined     chan struct{}    // closed when the first attempt to join is over
	silent     loglimit.Limiter // the seeds that don't answer, by name
	acceptance *acceptance      // nil but for an agent
}

// announcing guards what is announced, and the end.
type announcing struct {
	mu        sync.Mutex // held while something is announced
	announced announcement.Metadata
	closed    atomic.Bool // nothing is announced any more
	ending    sync.Mutex  // held while the gossip leaves, and while its sockets are closed
}

// Open returns a Gossip that answers other members on sockets. It is New and Start.
func Open(cfg Config, sockets Sockets, o Options) (*Gossip, error) {
	g, err := New(cfg, sockets, o)
	if err != nil {
		return nil, err
	}
	if err := g.Start(); err != nil {
		return nil, err
	}
	return g, nil
}

// New returns a Gossip that reads nothing from sockets before Start, so that another
// process can use them until then. It finds what is wrong with the configuration.
// cfg.Bind isn't used: the sockets are there already; see Listen. They belong to the
// Gossip from now on, also if New fails: Run or Close closes them.
//
// Before Start, members can be added (AddCached), and what is announced at first can be
// changed (Announce). There are no other members, and nothing is sent.
func New(cfg Config, sockets Sockets, o Options) (*Gossip, error) {
	g, err := newGossip(cfg, sockets, o)
	if err != nil {
		sockets.Close()
		return nil, err
	}
	return g, nil
}

func newGossip(cfg Config, sockets Sockets, o Options) (*Gossip, error) {
	secrets, err := openSecrets(cfg.SecretFile, o.Log)
	if err != nil {
		return nil, err
	}
	at, err := sockets.addr()
	if err != nil {
		return nil, err
	}
	self, err := advertised(at, cfg.Advertise, cfg.Join)
	if err != nil {
		return nil, err
	}
	if o.Timing == (Timing{}) {
		o.Timing = LAN
	}
	o.Filter.Loopback = o.Filter.Loopback || self.Addr().IsLoopback()
	o.Filter.Own = append(slices.Clone(o.Filter.Own), self)
	g := &Gossip{
		cfg:        cfg,
		timing:     o.Timing,
		log:        o.Log,
		sockets:    sockets,
		options:    o,
		members:    newMembers(o.Self.Node(), o.Filter, signatures{keys: o.Keys, label: cfg.Label}, o.Log),
		self:       self,
		secrets:    secrets,
		meetings:   meetings{joined: make(chan struct{})},
		announcing: announcing{announced: o.Self},
	}
	g.refusals = g.members.refusals
	if o.Filter.Only == 0 && !o.Filter.Anywhere {
		g.places = newPlaces(func(ctx context.Context, p place) error { return g.transport.reach(ctx, p) }, g.placeAsked)
		g.members.places = g.places
	}
	g.secrets.heard = newSecretLog(g.members.list)
	g.delegate = newDelegate(o.Messages, signer{identity: o.Identity, label: cfg.Label, at: self, log: o.Log}, func() int { return 1 + len(g.members.list()) })
	if err := g.delegate.announce(o.Self); err != nil {
		return nil, err
	}
	g.calls = newCalls(at.Addr())
	return g, nil
}

// Start answers other members from now on, but calls none before Run. After an error the
// Gossip is closed. It may be called once.
func (g *Gossip) Start() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed.Load() {
		return errClosed
	}
	if err := g.create(); err != nil {
		g.Close()
		return fmt.Errorf("gossip on %s: %w", g.sockets.Streams.Addr(), err)
	}
	return nil
}

// create starts memberlist on the sockets.
func (g *Gossip) create() error {
	lines := log.New(newLogWriter(g.calls.ctx, g.log), "", 0)
	i := inspection{
		inspector: newInspector(g.cfg.Label, g.options, g.secrets.inspect),
		refuse:    g.refusals.refuse,
		count:     g.refusals.count,
		heard:     g.secrets.heard.note,
		called:    g.places.called,
		member:    g.members.anyAt,
		patience:  g.timing.Stream,
	}
	t, err := newTransport(g.sockets, i, g.calls, lines)
	if err != nil {
		return err
	}
	g.transport = t
	c := g.memberlistConfig(lines)
	c.Transport = t
	if wrap := g.options.wrap; wrap != nil {
		c.Transport = wrap(t)
	}
	list, err := memberlist.Create(c)
	if err != nil {
		t.Shutdown()
		return err
	}
	g.list = list
	return nil
}

// The greatest size of what a message of state may have beside the nodes, in bytes: of a
// gossip with Messages, which the balancers' registers need, and of one without, for later
// versions.
const (
	maxState   = 8 << 20
	spareState = 64 << 10
)

// newInspector returns the inspector of a gossip. There may be as many dead nodes as
// living ones.
func newInspector(label string, o Options, keys *inspect.Keys) *inspect.Inspector {
	i := &inspect.Inspector{Label: label, Self: o.Self.Node(), Keys: keys, MaxNodes: 2 * (MaxHosts + MaxBalancers), MaxState: spareState}
	if o.Filter.Only == announcement.BalancerRole {
		i.MaxNodes = 2 * MaxBalancers
	}
	if o.Messages != nil {
		i.MaxState = maxState
	}
	return i
}

// memberlistConfig is memberlist's preset for a LAN with our differences.
// CIDRsAllowed stays nil: an empty list wouldn't mean what it says.
func (g *Gossip) memberlistConfig(lines *log.Logger) *memberlist.Config {
	c := memberlist.DefaultLANConfig()
	c.Name = g.members.self
	c.Label = g.cfg.Label
	c.Keyring = g.secrets.ring
	c.EnableCompression = false
	c.AdvertiseAddr, c.AdvertisePort = g.self.Addr().String(), int(g.self.Port())
	c.ProbeInterval, c.ProbeTimeout = g.timing.Probe, g.timing.ProbeTimeout
	c.GossipInterval, c.PushPullInterval = g.timing.Gossip, g.timing.PushPull
	c.GossipToTheDeadTime, c.DeadNodeReclaimTime = g.timing.ToTheDead, g.timing.Reclaim
	c.TCPTimeout = g.timing.Stream
	c.Delegate, c.Events, c.Alive, c.Merge, c.Conflict = g.delegate, g.members, g.members, g.members, g.members
	c.Logger = lines
	return c
}

// Addr returns the advertised ip:port; "" for a nil Gossip. It is known once Open has
// returned, even with port 0.
func (g *Gossip) Addr() string {
	if g == nil {
		return ""
	}
	return g.self.String()
}

// Members returns a copy of the list of members by node: the living and the lost ones,
// without ourselves.
func (g *Gossip) Members() map[string]Member { return g.members.list() }

// Changed returns the note that is left when Members has changed, and when the first
// attempt to join is over.
func (g *Gossip) Changed() notify.Note { return g.members.changed }

// Watch returns a note of its own for one more receiver, which is left as that of Changed is.
func (g *Gossip) Watch() notify.Note { return g.members.watched.Add() }

// Forget removes a lost member from the list, so that it isn't called any more. A
// member that has come back stays.
func (g *Gossip) Forget(node string) { g.members.forget(node) }

// AddCached adds members of an earlier run to the list, as lost ones, and returns those
// that it has added: members that were seen too long ago, or that Filter refuses, are
// left out. They are called like other lost members.
func (g *Gossip) AddCached(cached []CachedMember) (added []CachedMember) {
	return g.members.addCached(recent(cached, time.Now(), g.timing.Forget))
}

// Admits reports whether Options.Filter takes m, which gossips at an address, for a member.
func (g *Gossip) Admits(m announcement.Metadata, at netip.AddrPort) bool {
	return m.Check() == nil && g.members.filter.admit(m, at) == nil
}

// SetHostKey sets the key of a host in Options.Keys; the zero value has the next one
// learned. An announcement with the key that was refused before is in force at once.
func (g *Gossip) SetHostKey(host string, key route.HostKey) { g.members.setKey(host, key) }

// ConfigureHostKeys sets the keys of the configuration in Options.Keys; nil if it has none.
func (g *Gossip) ConfigureHostKeys(keys map[string]route.HostKey) { g.members.configure(keys) }

// Joined reports whether the first attempt to join is over; a nil Gossip has none.
func (g *Gossip) Joined() bool {
	if g == nil {
		return true
	}
	select {
	case <-g.joined:
		return true
	default:
		return false
	}
}

// Broadcast sends a message to all members, each of which may get it several times or
// not at all. It takes the place of an earlier message on the same topic that is still
// being sent.
func (g *Gossip) Broadcast(topic string, message []byte) { g.delegate.broadcast(topic, message) }

// Run looks for members until ctx ends or Close is called. When ctx ends, it tells the
// others that this process leaves, which takes some seconds, and closes the sockets.
// It returns when all that it started has ended; memberlist's own goroutines end by
// themselves soon after. It may be called once, after Start.
func (g *Gossip) Run(ctx context.Context) {
	var watching sync.WaitGroup
	defer watching.Wait()
	watching.Go(func() { g.secrets.watch(g.calls.ctx, g.timing.Secret) })
	watching.Go(func() { g.places.run(g.calls.ctx) })
	g.search(ctx)
	pause := time.Duration(0)
	if role, name := announcement.SplitNode(g.members.self); role == announcement.HostRole {
		g.log.Info().Str("host", name).Msg("leaving")
		pause = spread * g.timing.Gossip
	}
	g.leave(pause)
}

// placeAsked takes in whether a node is at a place. If it is, the announcement that was
// kept out until then is asked for again.
func (g *Gossip) placeAsked(p place, err error) {
	if err != nil {
		g.refusals.refuse(Unreached, p.node, p.at, err)
		return
	}
	_ = g.exchange(p.at) // if that fails, the next announcement is taken
}

// search keeps looking for members until ctx ends, and leaves a note after the first
// attempt.
//
// memberlist forgets a dead node after a while, and then two sides of a
// partition never call each other again. So every 10 to 30 s the seeds and the
// lost members are called anew, and one member that is alive: an exchange with
// it repairs what got lost, such as our own return from another address.
func (g *Gossip) search(ctx context.Context) {
	defer g.calls.end()
	stop := context.AfterFunc(ctx, g.calls.end)
	defer stop()
	g.call(g.calls.ctx)
	close(g.joined)
	g.members.noteChange()
	for {
		g.callMember(g.calls.ctx)
		g.acceptance.tell()
		pause := g.timing.Rejoin
		if len(living(g.members.list())) == 0 || g.acceptance.callSoon() {
			pause = g.timing.RejoinAlone
		}
		select {
		case <-g.calls.ctx.Done():
			return
		case <-time.After(pause + rand.N(2*pause)):
			g.members.prune(time.Now(), g.timing.Forget)
			g.pushAgain()
			g.call(g.calls.ctx)
		}
	}
}
