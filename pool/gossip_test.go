package pool

import (
	"bytes"
	"context"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/memberlist"
	"github.com/rs/zerolog"

	"tokenring/gossip"
	"tokenring/gossip/announcement"
	"tokenring/route"
)

// fast is the timing for tests over loopback: gossip notices a crash after about half a
// second, and forgets a dead node soon after. An exchange has long enough on a machine with
// much to do: one that was cut off would count as an attempt to join.
var fast = gossip.Timing{
	Probe:        100 * time.Millisecond,
	ProbeTimeout: 50 * time.Millisecond,
	Gossip:       10 * time.Millisecond,
	PushPull:     300 * time.Millisecond,
	Stream:       time.Minute,
	ToTheDead:    100 * time.Millisecond,
	Reclaim:      50 * time.Millisecond,
	Rejoin:       50 * time.Millisecond,
	RejoinAlone:  20 * time.Millisecond,
	Leave:        time.Second,
	Forget:       time.Hour,
	Secret:       20 * time.Millisecond,
}

// trusting is fast without probes: whoever is slow, on a machine with much to do, stays
// a member.
var trusting = func() gossip.Timing {
	t := fast
	t.Probe = time.Hour
	return t
}()

// waitLimit bounds how long a test waits for what must come.
const waitLimit = time.Minute

// eventually waits until ok returns true. It asks every few milliseconds.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.After(waitLimit)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("it never came true: %s", what)
		}
	}
}

// startGossip runs a member that announces m. It ends with the test or by the returned
// crash, and announces no departure.
func startGossip(t *testing.T, m announcement.Metadata, cfg gossip.Config, timing gossip.Timing) (g *gossip.Gossip, crash func()) {
	t.Helper()
	cfg.Bind, cfg.Label = "127.0.0.1:0", "test"
	g, err := gossip.Open(cfg, listen(t, cfg), gossip.Options{Self: m, Filter: gossip.Filter{Anywhere: true}, Timing: timing, Log: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		g.Run(context.Background())
	}()
	crash = func() {
		g.Close()
		<-ended
	}
	t.Cleanup(crash)
	return g, crash
}

// listen opens the sockets of a gossip, if it is configured.
func listen(t *testing.T, cfg gossip.Config) (s gossip.Sockets) {
	t.Helper()
	if cfg.Bind == "" {
		return s
	}
	s, err := gossip.Listen(cfg.Bind)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// sees reports whether node is alive for a member.
func sees(g *gossip.Gossip, node string) bool {
	m, ok := g.Members()[node]
	return ok && !m.Lost
}

func localHost(name, address string) announcement.Metadata {
	return announcement.Metadata{Role: announcement.HostRole, Spec: route.Spec{Name: name, Address: address, Weight: 1}}
}

// startPool runs a Pool. It ends with the test or by the returned stop.
func startPool(t *testing.T, cfg Config, pc gossip.Config, name string) (p *Pool, stop func()) {
	t.Helper()
	return startPoolWith(t, cfg, pc, Options{Name: name, Version: "1.0", Hash: small, Logger: zerolog.Nop()})
}

func startPoolWith(t *testing.T, cfg Config, pc gossip.Config, o Options) (p *Pool, stop func()) {
	t.Helper()
	return startPoolTimed(t, cfg, pc, o, fast)
}

func startPoolTimed(t *testing.T, cfg Config, pc gossip.Config, o Options, timing gossip.Timing) (p *Pool, stop func()) {
	t.Helper()
	o.Gossip, o.Peers = listen(t, cfg.Config), listen(t, pc)
	p, err := newPool(cfg, pc, o, timing)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		p.Run(ctx)
	}()
	stop = func() {
		cancel()
		<-ended
	}
	t.Cleanup(stop)
	return p, stop
}

func TestAnAgentJoinsServesAndLeaves(t *testing.T) {
	t.Parallel()
	key := secretFile(t, 2)
	cfg := Config{Config: gossip.Config{Bind: "127.0.0.1:0", SecretFile: key}, Hosts: statics("s1", "s2").Hosts}
	p, _ := startPool(t, cfg, gossip.Config{}, "lb-1")
	ctx, cancel := context.WithCancel(context.Background())
	ended, weights := make(chan error, 1), make(chan int)
	agent := gossip.Config{Bind: "127.0.0.1:0", Join: []string{p.GossipAddr()}, SecretFile: key}
	sockets := listen(t, agent)
	go func() {
		ended <- gossip.RunAgent(ctx, gossip.AgentConfig{
			Config:  agent,
			Spec:    route.Spec{Name: "ide-1", ID: 7, Address: "127.0.0.1:4000", Weight: 2, Zone: "a"},
			Weights: weights, Version: "9", Timing: fast,
		}, sockets, zerolog.Nop())
	}()
	defer cancel()
	host := func() route.Host {
		if h := p.Snapshot().Host("ide-1"); h != nil {
			return *h
		}
		return route.Host{}
	}
	eventually(t, "the host is known", func() bool { return host().Contact == route.Alive })
	if h := host(); h.ID != 7 || h.Address != "127.0.0.1:4000" || h.Weight != 2 || h.Zone != "a" || h.Version != "9" || h.InRing {
		t.Errorf("announced: %+v", h)
	}
	p.checked("ide-1", route.Up, "", time.Now())
	eventually(t, "the host serves", func() bool { h := host(); return h.Serving() && h.Share > 0 })

	weights <- 5
	weights <- 257 // can't be announced
	eventually(t, "the host has another weight, and still serves", func() bool { h := host(); return h.Weight == 5 && h.Serving() })
	weights <- 6
	eventually(t, "the host has yet another weight", func() bool { return host().Weight == 6 })

	cancel()
	eventually(t, "the host is out of the ring because it is leaving", func() bool { h := host(); return h.WhyNot == route.WhyLeaving && h.Share == 0 })
	if err := <-ended; err != nil {
		t.Errorf("the agent: %v", err)
	}
	eventually(t, "the host has left", func() bool { return host().Contact == route.Lost })
	if h := host(); !h.Leaving || h.WhyNot != route.WhyLeaving || h.Weight != 6 {
		t.Errorf("after it left: %+v", h)
	}
}

// TestADepartureIsNoticedThoughNoPacketArrives: else a host that leaves
// would count as crashed.
func TestADepartureIsNoticedThoughNoPacketArrives(t *testing.T) {
	t.Parallel()
	key := secretFile(t, 6)
	p, _ := startPool(t, Config{Config: gossip.Config{Bind: "127.0.0.1:0", SecretFile: key, Label: "test"}}, gossip.Config{}, "lb-1")
	silent := fast // but for the first exchange
	silent.Gossip, silent.PushPull, silent.Rejoin, silent.Leave = time.Hour, time.Hour, time.Hour, 20*time.Millisecond
	cfg := gossip.Config{Bind: "127.0.0.1:0", SecretFile: key, Label: "test", Join: []string{p.GossipAddr()}}
	g, err := gossip.Open(cfg, listen(t, cfg), gossip.Options{Self: localHost("ide-1", "127.0.0.1:4000"), Timing: silent, Log: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		g.Run(ctx)
	}()
	eventually(t, "the host is known", func() bool { return p.Snapshot().Host("ide-1") != nil && sees(g, "lb/lb-1") })
	cancel()
	eventually(t, "it is known to leave", func() bool {
		h := p.Snapshot().Host("ide-1")
		return h == nil || h.Leaving
	})
}

func TestHostReturnsFromAnotherAddress(t *testing.T) {
	t.Parallel()
	key := secretFile(t, 3)
	p, _ := startPool(t, Config{Config: gossip.Config{Bind: "127.0.0.1:0", SecretFile: key, Label: "test"}}, gossip.Config{}, "lb-1")
	cfg := gossip.Config{SecretFile: key, Join: []string{p.GossipAddr()}}
	_, crash := startGossip(t, localHost("ide-1", "127.0.0.1:4000"), cfg, fast)
	knownAt := func(address string) func() bool {
		return func() bool {
			h := p.Snapshot().Host("ide-1")
			return h != nil && h.Address == address && h.Contact == route.Alive
		}
	}
	eventually(t, "the host is known", knownAt("127.0.0.1:4000"))
	gauges := p.Snapshot().Host("ide-1").Gauges
	crash()
	startGossip(t, localHost("ide-1", "127.0.0.1:5000"), cfg, fast)
	eventually(t, "it is known by its new address", knownAt("127.0.0.1:5000"))
	if p.Snapshot().Host("ide-1").Gauges != gauges {
		t.Error("it got new gauges: it isn't the same host any more")
	}
}

// startNoisy runs a member of memberlist that announces m, and later the arguments of
// announce.
func startNoisy(t *testing.T, m announcement.Metadata, join string, key byte) (announce func([]byte)) {
	t.Helper()
	b, err := m.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	c := memberlist.DefaultLANConfig()
	d := new(noisyDelegate)
	d.metadata.Store(&b)
	c.Name, c.Label, c.SecretKey, c.Delegate, c.LogOutput = m.Node(), "test", bytes.Repeat([]byte{key}, 32), d, io.Discard
	c.EnableCompression = false // else all that it sends is refused
	c.BindAddr, c.AdvertiseAddr, c.BindPort, c.AdvertisePort = "127.0.0.1", "127.0.0.1", 0, 0
	list, err := memberlist.Create(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { list.Shutdown() })
	if _, err := list.Join([]string{join}); err != nil {
		t.Fatal(err)
	}
	return func(b []byte) {
		d.metadata.Store(&b)
		list.UpdateNode(time.Second)
	}
}

type noisyDelegate struct{ metadata atomic.Pointer[[]byte] }

func (d *noisyDelegate) NodeMeta(int) []byte             { return *d.metadata.Load() }
func (d *noisyDelegate) NotifyMsg([]byte)                {}
func (d *noisyDelegate) GetBroadcasts(_, _ int) [][]byte { return nil }
func (d *noisyDelegate) LocalState(bool) []byte          { return nil }
func (d *noisyDelegate) MergeRemoteState([]byte, bool)   {}

func TestRogueMembersHarmNothing(t *testing.T) {
	t.Parallel()
	key := secretFile(t, 4)
	cfg := Config{Config: gossip.Config{Bind: "127.0.0.1:0", SecretFile: key, Label: "test"}, Hosts: statics("static").Hosts}
	p, _ := startPool(t, cfg, gossip.Config{}, "lb-1")
	gossiping := gossip.Config{SecretFile: key, Join: []string{p.GossipAddr()}}
	startGossip(t, localHost("static", "127.0.0.1:1"), gossiping, fast)
	noisy := startNoisy(t, localHost("noisy", "127.0.0.1:2"), p.GossipAddr(), 4)
	eventually(t, "noisy is known", func() bool { return p.Snapshot().Host("noisy") != nil })
	noisy([]byte("no metadata at all"))

	foreign := gossiping
	foreign.SecretFile = secretFile(t, 5)
	startGossip(t, localHost("foreign", "127.0.0.1:3"), foreign, fast)
	startGossip(t, localHost("honest", "127.0.0.1:4"), gossiping, fast)
	eventually(t, "an honest host joins among them", func() bool { return p.Snapshot().Host("honest") != nil })
	s := p.Snapshot()
	if h := s.Host("static"); h.Origin != route.OriginConfig || h.Contact != route.NoGossip || h.Address != cfg.Hosts[0].Address {
		t.Errorf("the static host was changed: %+v", h)
	}
	if s.Host("foreign") != nil {
		t.Error("a host with another key joined")
	}
	if h := s.Host("noisy"); h == nil || h.Address != "127.0.0.1:2" {
		t.Errorf("noise changed what was known: %+v", h)
	}
}

func TestBalancersShareOverridesAndDigests(t *testing.T) {
	t.Parallel()
	cfg, pc := statics("a", "b", "c"), gossip.Config{Bind: "127.0.0.1:0", SecretFile: secretFile(t, 6)}
	first, _ := startPool(t, cfg, pc, "lb-1")
	pc.Join = []string{first.PeersAddr()}
	second, stopSecond := startPool(t, cfg, pc, "lb-2")
	for _, p := range []*Pool{first, second} {
		for _, name := range []string{"a", "b", "c"} {
			p.checked(name, route.Up, "", time.Now())
		}
	}
	agree := func(p *Pool, peers int) bool {
		list := p.Snapshot().Peers
		for _, peer := range list {
			if !peer.Agrees || !peer.Alive || peer.Digest == "" {
				return false
			}
		}
		return len(list) == peers
	}
	eventually(t, "they agree", func() bool { return agree(first, 1) && agree(second, 1) })
	if peer := first.Snapshot().Peers[0]; peer.Name != "lb-2" || peer.Version != "1.0" || peer.Address != second.PeersAddr() {
		t.Errorf("the first sees %+v", peer)
	}

	ctx, cancel := context.WithTimeout(t.Context(), waitLimit)
	defer cancel()
	if err := second.Override(ctx, route.Override{Host: "b", State: route.Maint, Reason: "disk", By: "ops"}); err != nil {
		t.Fatal(err)
	}
	maint := func(p *Pool) bool {
		h := p.Snapshot().Host("b")
		return h.State == route.Maint && h.StateOverride.Reason == "disk" && h.StateOverride.By == "ops" && h.WhyNot == route.WhyMaint
	}
	eventually(t, "the override reaches the other", func() bool { return maint(first) })
	eventually(t, "they agree again", func() bool { return agree(first, 1) && agree(second, 1) })

	start := time.Now()
	third, _ := startPool(t, cfg, pc, "lb-3")
	for _, name := range []string{"a", "b", "c"} {
		third.checked(name, route.Up, "", time.Now())
	}
	<-third.Ready()
	// It waits for its peers, but not for longer than readyLimit.
	if known, took := maint(third), time.Since(start); !known && took < readyLimit {
		t.Errorf("a balancer was ready after %v without the overrides of its peers: %+v", took, third.Snapshot().Host("b"))
	}
	eventually(t, "the third has the override", func() bool { return maint(third) })
	stopSecond()
	eventually(t, "one that leaves is no peer any more", func() bool { return agree(first, 1) && first.Snapshot().Peers[0].Name == "lb-3" })
}

func TestBalancersShareSlowStarts(t *testing.T) {
	t.Parallel()
	cfg, pc := slowly("a", "b", "c"), gossip.Config{Bind: "127.0.0.1:0", SecretFile: secretFile(t, 8)}
	checked := func(p *Pool, c route.Verdict) {
		for host, v := range map[string]route.Verdict{"a": route.Up, "b": route.Up, "c": c} {
			p.checked(host, v, "", time.Now())
		}
		<-p.Ready()
	}
	first, _ := startPool(t, cfg, pc, "lb-1")
	checked(first, route.Down)
	first.checked("c", route.Up, "", time.Now())
	slowStart := func(p *Pool) route.Progress { return p.Snapshot().Host("c").SlowStart }
	eventually(t, "the host is in slow start for the first balancer", func() bool { return slowStart(first) != route.Progress{} })
	pc.Join = []string{first.PeersAddr()}
	second, _ := startPool(t, cfg, pc, "lb-2")
	eventually(t, "the other has heard of it", func() bool { return strings.Contains(string(second.gossips.Peers.State(1<<30)), "warm_ups") })
	checked(second, route.Up)
	eventually(t, "the second balancer has the same slow start", func() bool { return slowStart(second).Since.Equal(slowStart(first).Since) })
}

func TestReadyWaitsForTheFirstHostOfTheGossip(t *testing.T) {
	t.Parallel()
	key := secretFile(t, 7)
	p, _ := startPool(t, Config{Config: gossip.Config{Bind: "127.0.0.1:0", SecretFile: key, Label: "test"}}, gossip.Config{}, "lb-1")
	startGossip(t, localHost("ide-1", "127.0.0.1:4000"), gossip.Config{SecretFile: key, Join: []string{p.GossipAddr()}}, fast)
	eventually(t, "the host is known", func() bool { return p.Snapshot().Host("ide-1") != nil })
	select {
	case <-p.Ready():
		t.Error("ready with an unchecked host")
	default:
	}
	p.checked("ide-1", route.Up, "", time.Now())
	<-p.Ready()
	if got, ok := p.Snapshot().Choose(p.Snapshot().Key([]byte("k")), nil); !ok || got.Host.Name != "ide-1" {
		t.Errorf("ready, and the key goes to %+v %t", got, ok)
	}
}
