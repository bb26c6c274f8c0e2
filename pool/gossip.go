package pool

import (
	"context"
	"fmt"
	"log"
	"math/rand/v2"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/hashicorp/memberlist"
	"github.com/rs/zerolog"
)

// A pace is how fast gossip goes.
type pace struct {
	probe        time.Duration // between two probes
	probeTimeout time.Duration
	gossip       time.Duration // between two rounds of messages
	pushPull     time.Duration // between two exchanges of all state
	stream       time.Duration // bounds a TCP connect and an exchange
	toTheDead    time.Duration // how long a dead node is still told the news; then memberlist forgets it
	reclaim      time.Duration // how long a dead node keeps its name from another address
	rejoin       time.Duration // between two attempts to find more members: this to three times as long
	lonely       time.Duration // the same while there is nobody
	farewell     time.Duration // bounds each step of a departure
	remember     time.Duration // how long a lost member is still called
	quiet        time.Duration // without a new host, until a balancer that remembers none takes those it has for all
}

// lanPace notices a crash after about 3 s.
var lanPace = pace{
	probe:        500 * time.Millisecond,
	probeTimeout: 200 * time.Millisecond,
	gossip:       200 * time.Millisecond,
	pushPull:     15 * time.Second,
	stream:       3 * time.Second,
	toTheDead:    30 * time.Second,
	reclaim:      5 * time.Second,
	rejoin:       10 * time.Second,
	lonely:       time.Second,
	farewell:     3 * time.Second,
	remember:     7 * 24 * time.Hour,
	quiet:        2 * time.Second,
}

// maxCalls bounds the lost members that one round calls, and calls at a time.
const maxCalls = 8

// gossipConfig is what the gossip pools of balancers and agents have in common.
type gossipConfig struct {
	bind, advertise, secretFile, label string
	join                               []string
	pace                               pace
	log                                zerolog.Logger
	wrap                               func(memberlist.NodeAwareTransport) memberlist.NodeAwareTransport // nil but in tests
}

// A gossip is our membership in one memberlist pool.
type gossip struct {
	cfg    gossipConfig
	list   *memberlist.Memberlist
	roster *roster
	voice  *voice
	self   netip.AddrPort // advertised
	secret []byte

	calls   context.Context // ends the dials under way
	hangUp  context.CancelFunc
	leaving atomic.Bool   // dials begin although calls has ended
	joined  chan struct{} // closed when the first attempt to join is over

	silent       repeats       // the seeds that don't answer, by name
	announcement *announcement // nil but for an agent
}

// A voice is what memberlist asks about ourselves: a memberlist.Delegate that
// announces metadata and has no messages.
type voice struct{ meta atomic.Pointer[[]byte] }

// say sets what is announced from the next UpdateNode on.
func (v *voice) say(m meta) error {
	b, err := m.encode()
	if err != nil {
		return fmt.Errorf("announce %s: %w", m.node(), err)
	}
	v.meta.Store(&b)
	return nil
}

func (v *voice) NodeMeta(int) []byte             { return *v.meta.Load() }
func (v *voice) NotifyMsg([]byte)                {}
func (v *voice) GetBroadcasts(_, _ int) [][]byte { return nil }
func (v *voice) LocalState(bool) []byte          { return nil }
func (v *voice) MergeRemoteState([]byte, bool)   {}

// openGossip listens as r.self and answers, but calls nobody before run. v must
// have said something; delegate is v or embeds it. The caller ends it with leave
// or shutdown.
func openGossip(cfg gossipConfig, r *roster, v *voice, delegate memberlist.Delegate) (*gossip, error) {
	secret, err := ReadSecret(cfg.secretFile)
	if err != nil {
		return nil, err
	}
	bind, err := parseBind(cfg.bind)
	if err != nil {
		return nil, err
	}
	at, err := advertised(bind, cfg.advertise, cfg.join)
	if err != nil {
		return nil, err
	}
	r.door.loopback = r.door.loopback || at.Addr().IsLoopback()
	g := &gossip{cfg: cfg, roster: r, voice: v, self: at, secret: secret, joined: make(chan struct{})}
	g.calls, g.hangUp = context.WithCancel(context.Background())
	if err := g.create(bind, delegate); err != nil {
		g.hangUp()
		return nil, err
	}
	return g, nil
}

// create opens the sockets and starts memberlist on them.
func (g *gossip) create(bind netip.AddrPort, delegate memberlist.Delegate) error {
	lines := log.New(&logLines{log: g.cfg.log, calls: g.calls, quiet: newQuiet()}, "", 0)
	net := &memberlist.NetTransportConfig{BindAddrs: []string{""}, BindPort: int(bind.Port()), Logger: lines}
	if bind.Addr().IsValid() {
		net.BindAddrs[0] = bind.Addr().String()
	}
	sockets, err := memberlist.NewNetTransport(net)
	if err != nil {
		return fmt.Errorf("gossip on %s: %w", g.cfg.bind, err)
	}
	port := sockets.GetAutoBindPort()
	if g.self.Port() == 0 {
		g.self = netip.AddrPortFrom(g.self.Addr(), uint16(port))
	}
	c := g.memberlistConfig(delegate, lines)
	c.BindPort = port
	c.Transport = &wire{NetTransport: sockets, calls: g.calls, leaving: &g.leaving}
	if g.cfg.wrap != nil {
		c.Transport = g.cfg.wrap(c.Transport.(*wire))
	}
	if g.list, err = memberlist.Create(c); err != nil {
		sockets.Shutdown()
		return fmt.Errorf("gossip on %s: %w", g.cfg.bind, err)
	}
	return nil
}

// memberlistConfig is memberlist's preset for a LAN with our differences.
// CIDRsAllowed stays nil: an empty list wouldn't mean what it says.
func (g *gossip) memberlistConfig(delegate memberlist.Delegate, lines *log.Logger) *memberlist.Config {
	c := memberlist.DefaultLANConfig()
	c.Name = g.roster.self
	c.Label = g.cfg.label
	c.SecretKey = g.secret
	c.EnableCompression = false
	c.AdvertiseAddr, c.AdvertisePort = g.self.Addr().String(), int(g.self.Port())
	c.ProbeInterval, c.ProbeTimeout = g.cfg.pace.probe, g.cfg.pace.probeTimeout
	c.GossipInterval, c.PushPullInterval = g.cfg.pace.gossip, g.cfg.pace.pushPull
	c.GossipToTheDeadTime, c.DeadNodeReclaimTime = g.cfg.pace.toTheDead, g.cfg.pace.reclaim
	c.TCPTimeout = g.cfg.pace.stream
	c.Delegate, c.Events, c.Alive, c.Merge, c.Conflict = delegate, g.roster, g.roster, g.roster, g.roster
	c.Logger = lines
	return c
}

// addr returns the advertised ip:port; "" for a nil gossip.
func (g *gossip) addr() string {
	if g == nil {
		return ""
	}
	return g.self.String()
}

// hasJoined reports whether the first attempt to join is over; a nil gossip has
// none.
func (g *gossip) hasJoined() bool {
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

// run keeps looking for members until ctx ends, and leaves a note with the
// roster after the first attempt. It doesn't leave the pool.
//
// memberlist forgets a dead node after a while, and then two sides of a
// partition never call each other again. So every 10 to 30 s the seeds and the
// lost members are called anew, and one member that is alive: an exchange with
// it settles what got lost, such as our own return from another address.
func (g *gossip) run(ctx context.Context) {
	defer g.hangUp()
	stop := context.AfterFunc(ctx, g.hangUp)
	defer stop()
	g.call(ctx)
	close(g.joined)
	g.roster.note()
	for {
		g.callMember(ctx)
		pause := g.cfg.pace.rejoin
		if len(living(g.roster.list())) == 0 || g.announcement.hasty() {
			pause = g.cfg.pace.lonely
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause + rand.N(2*pause)):
			g.roster.prune(time.Now(), g.cfg.pace.remember)
			g.call(ctx)
		}
	}
}

// announce says m from now on, and waits until the news is on its way, for a
// bounded time. One goroutine at a time, and none of memberlist's.
func (g *gossip) announce(m meta) error {
	if err := g.voice.say(m); err != nil {
		return err
	}
	return g.list.UpdateNode(g.cfg.pace.farewell)
}

// leave tells the others that we are going, first in the metadata, so that they
// can tell it from a crash, then after a pause by departing, and ends the gossip.
// Balancers are told over TCP as well: the news that gossip spreads may be lost, and
// whoever takes us for dead at that moment doesn't believe them. It doesn't wait for
// members that are leaving themselves: the news matters to them no more.
// It must not run beside announce. memberlist's own goroutines end by themselves
// soon after.
func (g *gossip) leave(last meta, pause time.Duration) {
	last.Leaving = true
	if err := g.announce(last); err != nil {
		g.cfg.log.Debug().Err(err).Msg("departure not announced")
	}
	g.leaving.Store(true)
	telling, cancel := context.WithTimeout(context.Background(), g.cfg.pace.stream) // for the calls to begin
	g.callAll(telling, whomToTell(g.roster.list()))
	cancel()
	g.leaving.Store(false)
	if anyoneStays(g.roster.list()) {
		<-time.After(pause)
	}
	if anyoneStays(g.roster.list()) {
		if err := g.list.Leave(g.cfg.pace.farewell); err != nil {
			g.cfg.log.Debug().Err(err).Msg("departure not confirmed")
		}
	}
	g.shutdown()
}

// shutdown ends the gossip without a word. There is no leave after it.
func (g *gossip) shutdown() {
	g.hangUp()
	g.list.Shutdown() // returns no error
}
