package pool

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"tokenring/balancer"
	"tokenring/gossip"
	"tokenring/gossip/announcement"
	"tokenring/pool/eligibility"
	"tokenring/pool/handed"
	"tokenring/pool/hostlist"
	"tokenring/route"
)

// overJSON returns s as another process gets it.
func overJSON(t testing.TB, s handed.State) (got handed.State) {
	t.Helper()
	b, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &got); err != nil {
		t.Fatal(err)
	}
	return got
}

// duplicate returns sockets that share theirs with s, as another process has them.
func duplicate(t *testing.T, s gossip.Sockets) (copied gossip.Sockets) {
	t.Helper()
	streams, err := s.Streams.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer streams.Close()
	packets, err := s.Packets.(*net.UDPConn).File()
	if err != nil {
		t.Fatal(err)
	}
	defer packets.Close()
	if copied.Streams, err = net.FileListener(streams); err != nil {
		t.Fatal(err)
	}
	if copied.Packets, err = net.FilePacketConn(packets); err != nil {
		t.Fatal(err)
	}
	return copied
}

// patient is fast, but notices a crash ten times as late as a balancer does: so long others
// wait for the new process, which may have to share its processor with other tests.
var patient = func() gossip.Timing {
	t := fast
	t.Probe, t.ProbeTimeout, t.ToTheDead = 10*gossip.LAN.Probe, 10*gossip.LAN.ProbeTimeout, gossip.LAN.ToTheDead
	return t
}()

// A process is a Pool that runs.
type process struct {
	*Pool
	t     *testing.T
	end   context.CancelCauseFunc
	ended chan error
}

func startProcess(t *testing.T, cfg Config, pc gossip.Config, o Options) *process {
	t.Helper()
	p, err := newPool(cfg, pc, o, patient)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	proc := &process{Pool: p, t: t, end: cancel, ended: make(chan error, 1)}
	go func() { proc.ended <- p.Run(ctx) }()
	t.Cleanup(func() { cancel(nil) })
	return proc
}

// state returns what p hands over.
func (p *process) state() handed.State {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), waitLimit)
	defer cancel()
	s, err := p.State(ctx)
	if err != nil {
		p.t.Fatal(err)
	}
	return overJSON(p.t, s)
}

// getsReady waits until p is ready.
func (p *process) getsReady() {
	p.t.Helper()
	select {
	case <-p.Ready():
	case <-time.After(waitLimit):
		p.t.Fatal("it never gets ready")
	}
}

// An observer watches what a member sees of lb-1.
type observer struct {
	stop chan struct{}
	done sync.WaitGroup
	seen map[string]bool // what is wrong
}

func watch(g *gossip.Gossip) *observer {
	w := &observer{stop: make(chan struct{}), seen: map[string]bool{}}
	w.done.Go(func() {
		for {
			switch m, ok := g.Members()["lb/lb-1"]; {
			case !ok:
				w.seen["it isn't there"] = true
			case m.Lost:
				w.seen["it is lost"] = true
			case m.Metadata.Leaving:
				w.seen["it leaves"] = true
			}
			select {
			case <-w.stop:
				return
			case <-time.After(time.Millisecond):
			}
		}
	})
	return w
}

// ends returns what was wrong.
func (w *observer) ends() (wrong []string) {
	close(w.stop)
	w.done.Wait()
	for what := range w.seen {
		wrong = append(wrong, what)
	}
	return wrong
}

// TestAnotherProcessTakesThePlaceOfABalancer: with the same sockets, while hosts and peers
// see the same balancer all the time.
func TestAnotherProcessTakesThePlaceOfABalancer(t *testing.T) {
	t.Parallel()
	key, peersKey, dir := secretFile(t, 1), secretFile(t, 2), t.TempDir()
	host, _ := startGossip(t, localHost("ide-1", "127.0.0.1:4001"), gossip.Config{SecretFile: key}, patient)
	startGossip(t, localHost("ide-2", "127.0.0.1:4002"), gossip.Config{SecretFile: key, Join: []string{host.Addr()}}, patient)
	peer, _ := startGossip(t, announcement.Metadata{Role: announcement.BalancerRole, Spec: route.Spec{Name: "lb-2"}}, gossip.Config{SecretFile: peersKey}, patient)
	cfg := Config{Config: gossip.Config{Bind: "127.0.0.1:0", SecretFile: key, Label: "test", Join: []string{host.Addr()}}}
	pc := gossip.Config{Bind: "127.0.0.1:0", SecretFile: peersKey, Label: "test", Join: []string{peer.Addr()}}
	o := Options{Name: "lb-1", Version: "1", StateDir: dir, Hash: small, Logger: zerolog.Nop(), Sockets: Sockets{Gossip: listen(t, cfg.Config), Peers: listen(t, pc)}}
	theirs := o
	theirs.Gossip, theirs.Peers = duplicate(t, o.Gossip), duplicate(t, o.Peers)

	old := startProcess(t, cfg, pc, o)
	if _, err := old.State(t.Context()); !errors.Is(err, ErrNotReady) {
		t.Errorf("the state before it is ready: %v", err)
	}
	eventually(t, "both hosts have joined", func() bool { return len(old.Snapshot().Hosts) == 2 })
	for _, h := range []string{"ide-1", "ide-2"} {
		old.checked(h, route.Up, "", time.Now())
	}
	old.getsReady()
	eventually(t, "they know each other", func() bool { return sees(host, "lb/lb-1") && sees(peer, "lb/lb-1") && len(old.Snapshot().Peers) == 1 })
	atHost, atPeer := watch(host), watch(peer)

	begin := make(chan struct{})
	first := old.state()
	theirs.Handed, theirs.Begin, theirs.Version = &first, begin, "2"
	next := startProcess(t, cfg, pc, theirs)
	next.getsReady()
	if got, want := next.Snapshot().Table.Digest(), old.Snapshot().Table.Digest(); got != want {
		t.Errorf("the ring of the new process is %s, want %s", got, want)
	}
	if err := old.Override(t.Context(), route.Override{Host: "ide-2", State: route.Maint, By: "eva"}); err != nil {
		t.Fatal(err)
	}

	start := time.Now()
	old.end(ErrRetired)
	last := old.state()
	t.Logf("the old process has let go after %v", time.Since(start))
	if err := next.Update(t.Context(), last); err != nil {
		t.Fatal(err)
	}
	if h := next.Snapshot().Host("ide-2"); h.State != route.Maint || h.StateOverride.By != "eva" || len(next.Snapshot().Table.Hosts()) != 1 {
		t.Errorf("what was overridden last isn't in force: %+v", h)
	}
	start = time.Now()
	close(begin)
	eventually(t, "the new process has joined", func() bool { return next.gossips.Hosts.Joined() && next.gossips.Peers.Gossip.Joined() })
	eventually(t, "it meets all", func() bool {
		return sees(next.gossips.Hosts, "host/ide-2") && sees(next.gossips.Peers.Gossip, "lb/lb-2")
	})
	t.Logf("the members of both gossips are known %v after Begin", time.Since(start))
	eventually(t, "others see the new process", func() bool {
		return host.Members()["lb/lb-1"].Metadata.Version == "2" && peer.Members()["lb/lb-1"].Metadata.Version == "2"
	})
	if err := next.Update(t.Context(), last); !errors.Is(err, errBegun) {
		t.Errorf("a state after Begin: %v", err)
	}
	if wrong := append(atHost.ends(), atPeer.ends()...); len(wrong) > 0 {
		t.Errorf("what others saw of lb-1: %s", strings.Join(wrong, ", "))
	}
	if s := next.Snapshot(); len(s.Peers) != 1 || s.Host("ide-1").Contact != route.Alive || s.Alarm != "" {
		t.Errorf("peers %+v, host %+v, alarm %q", s.Peers, s.Host("ide-1"), s.Alarm)
	}
	if err := next.Override(t.Context(), route.Override{Host: "ide-1", State: route.Drain}); err != nil {
		t.Fatal(err)
	}
	if s := onDisk(t, dir); s.State("ide-1").State != route.Drain || s.State("ide-2").State != route.Maint {
		t.Errorf("on disk: %+v", s.All())
	}
	next.end(nil)
	for _, p := range []*process{old, next} {
		if err := <-p.ended; err != nil {
			t.Error(err)
		}
	}
	eventually(t, "the new process leaves", func() bool { // a member that has left is forgotten soon
		m, ok := host.Members()["lb/lb-1"]
		return !ok || m.Lost // it may miss what was announced before the departure
	})
}

// stateOf returns what a Pool of these static hosts knows when they are up.
func stateOf(t *testing.T, cfg Config, o Options) handed.State {
	t.Helper()
	p := startProcess(t, cfg, gossip.Config{}, o)
	for _, h := range cfg.Hosts {
		p.checked(h.Name, route.Up, "", time.Now())
	}
	p.getsReady()
	defer func() { <-p.ended }()
	defer p.end(nil)
	return p.state()
}

func TestNothingIsWrittenBeforeBegin(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "state")
	cfg, o := statics("a", "b"), Options{Name: "lb-1", Hash: small, Logger: zerolog.Nop()}
	s := stateOf(t, cfg, o)
	begin := make(chan struct{})
	o.StateDir, o.Handed, o.Begin = dir, &s, begin
	p := startProcess(t, cfg, gossip.Config{}, o)
	p.getsReady()
	answer := make(chan error)
	go func() { answer <- p.Override(t.Context(), route.Override{Host: "a", State: route.Maint}) }()
	eventually(t, "an override is in force", func() bool { return p.Snapshot().Host("a").State == route.Maint })
	if _, err := os.Stat(dir); err == nil || len(answer) > 0 {
		t.Errorf("there is something in the state directory: %v", err)
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	put(t, dir, "decisions.json", `{"version":1,"decisions":[{"host":"b","state":"drain","at":"2026-01-02T03:04:05Z","origin":"lb-1"}]}`)
	close(begin)
	if err := <-answer; err != nil {
		t.Error(err)
	}
	eventually(t, "what the other process wrote last is in force", func() bool { return p.Snapshot().Host("b").State == route.Drain })
	if s := onDisk(t, dir); s.State("a").State != route.Maint || s.State("b").State != route.Drain {
		t.Errorf("on disk: %+v", s.All())
	}
	p.end(nil)
	<-p.ended
}

func TestRunFailsIfTheFilesCantBeOpenedAtBegin(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cfg := statics("a")
	begin := make(chan struct{})
	p := startProcess(t, cfg, gossip.Config{}, Options{Name: "lb-1", Hash: small, Logger: zerolog.Nop(), StateDir: dir, Takeover: Takeover{Begin: begin}})
	if err := os.Mkdir(filepath.Join(dir, "decisions.json"), 0o700); err != nil {
		t.Fatal(err)
	}
	p.checked("a", route.Up, "", time.Now())
	eventually(t, "the host serves", func() bool { return p.Snapshot().Host("a").Serving() })
	select {
	case <-p.Ready():
		t.Error("it is ready before Begin though nothing was handed over")
	default:
	}
	close(begin)
	if err := <-p.ended; err == nil {
		t.Error("no error")
	}
	if _, err := p.State(t.Context()); !errors.Is(err, ErrNotReady) {
		t.Errorf("the state afterwards: %v", err)
	}
}

func TestHostsThatTheNewConfigurationDoesntAdmitLeave(t *testing.T) {
	t.Parallel()
	signed := handed.Host{
		Spec: localHost("signed", "127.0.0.1:4001").Spec, Contact: route.Alive, Check: handed.Check{Verdict: route.Up}, Proven: true,
		Eligibility: eligibility.Eligibility{Admitted: true, InRing: true},
	}
	signed.Resolved, signed.Key[0], signed.Sequence, signed.Gossip = "127.0.0.1:4001", 1, 1, netip.MustParseAddrPort("127.0.0.1:7946")
	plain := signed
	plain.Spec, plain.Resolved, plain.Key = localHost("plain", "127.0.0.1:4002").Spec, "127.0.0.1:4002", route.HostKey{}
	listed := plain
	listed.Spec, listed.Resolved = localHost("listed", "127.0.0.1:4003").Spec, "127.0.0.1:4003"
	outside := signed
	outside.Spec, outside.Resolved = localHost("outside", "10.0.0.1:80").Spec, "10.0.0.1:80"
	s := handed.State{At: time.Now(), ReadyAt: time.Now(), PoolLabel: "test", Hosts: []handed.Host{listed, outside, plain, signed}}
	cfg := Config{Config: gossip.Config{Bind: "127.0.0.1:0", SecretFile: secretFile(t, 1), Label: "test"}, Signatures: SignaturesRequired}
	cfg.Hosts = []hostlist.Host{{Spec: listed.Spec}}
	other := cfg
	other.Label = "other"
	for name, row := range map[string]struct {
		cfg  Config
		want string
	}{
		"signatures are required": {cfg, "listed signed"},
		"another gossip":          {other, "listed"},
		"no gossip":               {Config{Hosts: cfg.Hosts}, "listed"},
	} {
		state := overJSON(t, s)
		o := Options{Name: "lb-1", Hash: small, Logger: zerolog.Nop(), Takeover: Takeover{Handed: &state, Begin: make(chan struct{})}, Sockets: Sockets{Gossip: listen(t, row.cfg.Config)}}
		p := startProcess(t, row.cfg, gossip.Config{}, o)
		p.getsReady()
		var ring []string
		for _, h := range p.Snapshot().Table.Hosts() {
			ring = append(ring, h.Name)
		}
		if got := strings.Join(ring, " "); got != row.want || len(p.Snapshot().Hosts) != 4 {
			t.Errorf("%s: ring %q of %d hosts, want %q of 4", name, got, len(p.Snapshot().Hosts), row.want)
		}
		p.end(nil)
		<-p.ended
	}
}

func TestAnotherPolicyBuildsItsTableBeforeItIsReady(t *testing.T) {
	t.Parallel()
	cfg, o := statics("a", "b", "c"), Options{Name: "lb-1", Hash: small, Logger: zerolog.Nop()}
	s := stateOf(t, cfg, o)
	for _, hash := range []balancer.Config{
		{Policy: balancer.PolicyRendezvous, Rendezvous: balancer.RendezvousConfig{Slots: 512}},
		{Policy: balancer.PolicyKetama},
	} {
		o.Hash, o.Handed, o.Begin = hash, &s, make(chan struct{})
		p := startProcess(t, cfg, gossip.Config{}, o)
		p.getsReady()
		if table := p.Snapshot().Table; table.Policy() != hash.Policy || len(table.Hosts()) != 3 || p.Snapshot().Rebuilding {
			t.Errorf("%s: the table is of %s, with %d hosts", hash.Policy, table.Policy(), len(table.Hosts()))
		}
		p.end(nil)
		<-p.ended
	}
}
