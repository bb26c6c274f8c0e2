package pool

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/memberlist"
	"github.com/rs/zerolog"
)

// fastPace is for tests over loopback: a crash is noticed after about half a
// second, and a dead node forgotten soon after.
var fastPace = pace{
	probe:        100 * time.Millisecond,
	probeTimeout: 50 * time.Millisecond,
	gossip:       10 * time.Millisecond,
	pushPull:     300 * time.Millisecond,
	stream:       time.Second,
	toTheDead:    100 * time.Millisecond,
	reclaim:      50 * time.Millisecond,
	rejoin:       50 * time.Millisecond,
	lonely:       20 * time.Millisecond,
	farewell:     time.Second,
	remember:     time.Hour,
	quiet:        20 * time.Millisecond,
}

// eventually waits until ok, looking every few milliseconds.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.After(20 * time.Second)
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

// A fence is a transport through which nothing goes while cut is set.
type fence struct {
	memberlist.NodeAwareTransport
	cut *atomic.Bool
}

func (f *fence) WriteToAddress(b []byte, a memberlist.Address) (time.Time, error) {
	if f.cut.Load() {
		return time.Now(), nil
	}
	return f.NodeAwareTransport.WriteToAddress(b, a)
}

func (f *fence) DialAddressTimeout(a memberlist.Address, timeout time.Duration) (net.Conn, error) {
	if f.cut.Load() {
		return nil, errors.New("cut off")
	}
	return f.NodeAwareTransport.DialAddressTimeout(a, timeout)
}

// startGossip runs a member that announces m until the test, or the returned
// crash, ends it without a word.
func startGossip(t *testing.T, m meta, cfg gossipConfig) (g *gossip, crash func()) {
	t.Helper()
	v := new(voice)
	if err := v.say(m); err != nil {
		t.Fatal(err)
	}
	if cfg.bind == "" {
		cfg.bind = "127.0.0.1:0"
	}
	cfg.label, cfg.log = "test", zerolog.Nop()
	g, err := openGossip(cfg, newRoster(m.node(), doorman{loopback: true}, cfg.log), v, v)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		g.run(ctx)
	}()
	crash = func() {
		cancel()
		<-ended
		g.shutdown()
	}
	t.Cleanup(crash)
	return g, crash
}

// sees reports whether a member holds node for alive.
func (g *gossip) sees(node string) bool {
	m, ok := g.roster.list()[node]
	return ok && !m.lost
}

func localHost(name, address string) meta {
	return meta{Role: roleHost, Name: name, Address: address, Weight: 1}
}

func TestPartitionHealsHoweverLong(t *testing.T) {
	never := fastPace
	never.rejoin, never.lonely, never.pushPull = time.Hour, time.Hour, 0
	forgetful := fastPace
	forgetful.remember = -1
	for name, row := range map[string]struct{ first, second pace }{
		"by the seeds":                 {never, forgetful},
		"by the members known at last": {fastPace, never},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			key, cut := secretFile(t, 1), new(atomic.Bool)
			cfg := gossipConfig{secretFile: key, pace: row.first}
			cfg.wrap = func(n memberlist.NodeAwareTransport) memberlist.NodeAwareTransport { return &fence{n, cut} }
			first, _ := startGossip(t, localHost("first", "127.0.0.1:1"), cfg)
			cfg.pace, cfg.join = row.second, []string{first.addr()}
			second, _ := startGossip(t, localHost("second", "127.0.0.1:2"), cfg)
			together := func() bool { return first.sees("host/second") && second.sees("host/first") }
			eventually(t, "they meet", together)

			cut.Store(true)
			eventually(t, "both lose the other", func() bool { return !first.sees("host/second") && !second.sees("host/first") })
			since := time.Now()
			eventually(t, "memberlist has forgotten the other", func() bool { return time.Since(since) > 5*fastPace.toTheDead })
			cut.Store(false)
			eventually(t, "they meet again", together)
		})
	}
}

// startPool runs a Pool until the test, or the returned stop, ends it.
func startPool(t *testing.T, cfg Config, pc PeersConfig, name string) (p *Pool, stop func()) {
	t.Helper()
	return startPoolWith(t, cfg, pc, Options{Name: name, Version: "1.0", Hash: small, Logger: zerolog.Nop()})
}

func startPoolWith(t *testing.T, cfg Config, pc PeersConfig, o Options) (p *Pool, stop func()) {
	t.Helper()
	p, err := newPool(cfg, pc, o, fastPace)
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

func TestAgentJoinsServesAndLeaves(t *testing.T) {
	t.Parallel()
	key := secretFile(t, 2)
	cfg := Config{Bind: "127.0.0.1:0", SecretFile: key, Hosts: statics("s1", "s2").Hosts}
	p, _ := startPool(t, cfg, PeersConfig{}, "lb-1")
	ctx, cancel := context.WithCancel(context.Background())
	ended, weights := make(chan error, 1), make(chan int)
	go func() {
		ended <- runAgent(ctx, AgentConfig{
			Name: "ide-1", ID: 7, Address: "127.0.0.1:4000", Weight: new(2), Weights: weights, Zone: "a", Version: "9",
			Bind: "127.0.0.1:0", Join: []string{p.GossipAddr()}, SecretFile: key,
		}, gossipConfig{pace: fastPace, log: zerolog.Nop()})
	}()
	defer cancel()
	host := func() Host {
		if h := p.Snapshot().Host("ide-1"); h != nil {
			return *h
		}
		return Host{}
	}
	eventually(t, "the host is known", func() bool { return host().Contact == Alive })
	if h := host(); h.ID != 7 || h.Address != "127.0.0.1:4000" || h.Weight != 2 || h.Zone != "a" || h.Version != "9" || h.InRing {
		t.Errorf("announced: %+v", h)
	}
	p.checked("ide-1", Up, "", time.Now())
	eventually(t, "the host serves", func() bool { h := host(); return h.Serving() && h.Share > 0 })

	weights <- 5
	weights <- 257 // can't be announced
	eventually(t, "the host has another weight, and still serves", func() bool { h := host(); return h.Weight == 5 && h.Serving() })
	weights <- 6
	eventually(t, "the host has yet another weight", func() bool { return host().Weight == 6 })

	cancel()
	eventually(t, "the host is out of the ring because it is leaving", func() bool { h := host(); return h.WhyNot == WhyLeaving && h.Share == 0 })
	if err := <-ended; err != nil {
		t.Errorf("the agent: %v", err)
	}
	eventually(t, "the host has left", func() bool { return host().Contact == Lost })
	if h := host(); !h.Leaving || h.WhyNot != WhyLeaving || h.Weight != 6 {
		t.Errorf("after it left: %+v", h)
	}
}

// TestADepartureIsHeardThoughNoPacketArrives: else a host that says that it leaves
// counts as one that has crashed.
func TestADepartureIsHeardThoughNoPacketArrives(t *testing.T) {
	t.Parallel()
	key := secretFile(t, 6)
	p, _ := startPool(t, Config{Bind: "127.0.0.1:0", SecretFile: key, Label: "test"}, PeersConfig{}, "lb-1")
	silent := fastPace // but for the first exchange
	silent.gossip, silent.pushPull, silent.rejoin, silent.farewell = time.Hour, time.Hour, time.Hour, 20*time.Millisecond
	host := localHost("ide-1", "127.0.0.1:4000")
	g, _ := startGossip(t, host, gossipConfig{secretFile: key, pace: silent, join: []string{p.GossipAddr()}})
	eventually(t, "the host is known", func() bool { return p.Snapshot().Host("ide-1") != nil && g.sees("lb/lb-1") })
	g.hangUp()
	g.leave(host, 0)
	eventually(t, "it is known to leave", func() bool {
		h := p.Snapshot().Host("ide-1")
		return h == nil || h.Leaving
	})
}

// TestADepartureWaitsForNobodyWhoLeavesToo: when all are stopped at once, nobody
// is there any more who could confirm it.
func TestADepartureWaitsForNobodyWhoLeavesToo(t *testing.T) {
	t.Parallel()
	cfg := gossipConfig{secretFile: secretFile(t, 8), pace: fastPace}
	host, other := localHost("ide-1", "127.0.0.1:1"), localHost("ide-2", "127.0.0.1:2")
	first, _ := startGossip(t, host, cfg)
	cfg.join = []string{first.addr()}
	second, _ := startGossip(t, other, cfg)
	eventually(t, "they meet", func() bool { return first.sees("host/ide-2") && second.sees("host/ide-1") })
	other.Leaving = true
	if err := second.announce(other); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is known to leave", func() bool { return first.roster.list()["host/ide-2"].meta.Leaving })
	left := make(chan bool)
	go func() {
		defer close(left)
		first.leave(host, time.Hour)
	}()
	select {
	case <-left:
	case <-time.After(10 * time.Second):
		t.Fatal("it waits for a member that is leaving")
	}
}

func TestHostReturnsFromAnotherAddress(t *testing.T) {
	t.Parallel()
	key := secretFile(t, 3)
	p, _ := startPool(t, Config{Bind: "127.0.0.1:0", SecretFile: key, Label: "test"}, PeersConfig{}, "lb-1")
	cfg := gossipConfig{secretFile: key, pace: fastPace, join: []string{p.GossipAddr()}}
	_, crash := startGossip(t, localHost("ide-1", "127.0.0.1:4000"), cfg)
	knownAt := func(address string) func() bool {
		return func() bool {
			h := p.Snapshot().Host("ide-1")
			return h != nil && h.Address == address && h.Contact == Alive
		}
	}
	eventually(t, "the host is known", knownAt("127.0.0.1:4000"))
	gauges := p.Snapshot().Host("ide-1").Gauges
	crash()
	startGossip(t, localHost("ide-1", "127.0.0.1:5000"), cfg)
	eventually(t, "it is known by its new address", knownAt("127.0.0.1:5000"))
	if p.Snapshot().Host("ide-1").Gauges != gauges {
		t.Error("it got new gauges: it isn't the same host any more")
	}
}

func TestRogueMembersHarmNothing(t *testing.T) {
	t.Parallel()
	key := secretFile(t, 4)
	cfg := Config{Bind: "127.0.0.1:0", SecretFile: key, Label: "test", Hosts: statics("static").Hosts}
	p, _ := startPool(t, cfg, PeersConfig{}, "lb-1")
	gossiping := gossipConfig{secretFile: key, pace: fastPace, join: []string{p.GossipAddr()}}
	startGossip(t, localHost("static", "127.0.0.1:1"), gossiping)
	noisy, _ := startGossip(t, localHost("noisy", "127.0.0.1:2"), gossiping)
	eventually(t, "noisy is known", func() bool { return p.Snapshot().Host("noisy") != nil })
	noise := []byte("no metadata at all")
	noisy.voice.meta.Store(&noise)
	noisy.list.UpdateNode(time.Second)

	foreign := gossiping
	foreign.secretFile = secretFile(t, 5)
	startGossip(t, localHost("foreign", "127.0.0.1:3"), foreign)
	startGossip(t, localHost("honest", "127.0.0.1:4"), gossiping)
	eventually(t, "an honest host joins among them", func() bool { return p.Snapshot().Host("honest") != nil })
	s := p.Snapshot()
	if h := s.Host("static"); !h.Static || h.Contact != NoGossip || h.Address != cfg.Hosts[0].Address {
		t.Errorf("the static host was changed: %+v", h)
	}
	if s.Host("foreign") != nil {
		t.Error("a host with another key joined")
	}
	if h := s.Host("noisy"); h == nil || h.Address != "127.0.0.1:2" {
		t.Errorf("noise changed what was known: %+v", h)
	}
}

func TestBalancersShareDecisionsAndDigests(t *testing.T) {
	t.Parallel()
	cfg, pc := statics("a", "b", "c"), PeersConfig{Bind: "127.0.0.1:0", SecretFile: secretFile(t, 6)}
	first, _ := startPool(t, cfg, pc, "lb-1")
	pc.Join = []string{first.PeersAddr()}
	second, stopSecond := startPool(t, cfg, pc, "lb-2")
	for _, p := range []*Pool{first, second} {
		for _, name := range []string{"a", "b", "c"} {
			p.checked(name, Up, "", time.Now())
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

	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := second.Decide(ctx, Decision{Host: "b", State: Maint, Reason: "disk", By: "ops"}); err != nil {
		t.Fatal(err)
	}
	maint := func(p *Pool) bool {
		h := p.Snapshot().Host("b")
		return h.State == Maint && h.Reason == "disk" && h.By == "ops" && h.WhyNot == WhyMaint
	}
	eventually(t, "the decision reaches the other", func() bool { return maint(first) })
	eventually(t, "they agree again", func() bool { return agree(first, 1) && agree(second, 1) })

	third, _ := startPool(t, cfg, pc, "lb-3")
	for _, name := range []string{"a", "b", "c"} {
		third.checked(name, Up, "", time.Now())
	}
	select {
	case <-third.Settled():
	case <-ctx.Done():
		t.Fatal("the third never settles")
	}
	if !maint(third) {
		t.Errorf("a balancer settled without the decisions of its peers: %+v", third.Snapshot().Host("b"))
	}
	stopSecond()
	eventually(t, "one that leaves is no peer any more", func() bool { return agree(first, 1) && first.Snapshot().Peers[0].Name == "lb-3" })
}

func TestBalancersShareWarmUps(t *testing.T) {
	t.Parallel()
	cfg, pc := slowly("a", "b", "c"), PeersConfig{Bind: "127.0.0.1:0", SecretFile: secretFile(t, 8)}
	first, _ := startPool(t, cfg, pc, "lb-1")
	pc.Join = []string{first.PeersAddr()}
	second, _ := startPool(t, cfg, pc, "lb-2")
	for _, p := range []*Pool{first, second} {
		for host, v := range map[string]Verdict{"a": Up, "b": Up, "c": Down} {
			p.checked(host, v, "", time.Now())
		}
		<-p.Settled()
	}
	first.checked("c", Up, "", time.Now())
	warming := func(p *Pool) Warming { return p.Snapshot().Host("c").Warming }
	eventually(t, "the host warms up for the one", func() bool { return warming(first) != Warming{} })
	eventually(t, "the other has heard of it", func() bool { return strings.Contains(string(second.peers.LocalState(false)), "warm_ups") })
	second.checked("c", Up, "", time.Now())
	eventually(t, "it warms up alike for the other", func() bool { return warming(second).Since.Equal(warming(first).Since) })
}

func TestSettledWaitsForTheFirstHostOfTheGossip(t *testing.T) {
	t.Parallel()
	key := secretFile(t, 7)
	p, _ := startPool(t, Config{Bind: "127.0.0.1:0", SecretFile: key, Label: "test"}, PeersConfig{}, "lb-1")
	startGossip(t, localHost("ide-1", "127.0.0.1:4000"), gossipConfig{secretFile: key, pace: fastPace, join: []string{p.GossipAddr()}})
	eventually(t, "the host is known", func() bool { return p.Snapshot().Host("ide-1") != nil })
	select {
	case <-p.Settled():
		t.Error("settled with an unchecked host")
	default:
	}
	p.checked("ide-1", Up, "", time.Now())
	<-p.Settled()
	if got, ok := p.Snapshot().Choose([]byte("k"), nil); !ok || got.Host.Name != "ide-1" {
		t.Errorf("settled, and the key goes to %+v %t", got, ok)
	}
}
