package pool

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"maps"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"tokenring/balancer"
	"tokenring/builder"
	"tokenring/gossip"
	"tokenring/gossip/announcement"
	"tokenring/notify"
	"tokenring/peers"
	"tokenring/pool/eligibility"
	"tokenring/pool/hostlist"
	"tokenring/route"
)

// A life is a Pool that runs in a bubble. The test writes its lists of members instead of
// gossip.
type life struct {
	*Pool
	t     *testing.T
	hosts *fakeMembers      // of the gossip of hosts and balancers
	lbs   *fakeMembers      // of the gossip among balancers
	shots []*route.Snapshot // OnSnapshot's
	stop  func()
}

// small is a configuration whose tables are built fast.
var small = balancer.Config{Consistent: balancer.ConsistentConfig{Partitions: 509, Replicas: 10}}

func live(t *testing.T, cfg Config, o Options) *life {
	t.Helper()
	return liveFrom(t, cfg, o, func(*Pool) {})
}

// liveFrom is live, and calls start with the Pool first. If cfg has no section freeze, a
// ring of any size freezes, for longer than a test lasts.
func liveFrom(t *testing.T, cfg Config, o Options, start func(*Pool)) *life {
	t.Helper()
	l := &life{t: t, hosts: newFakeMembers(), lbs: newFakeMembers()}
	if o.Name = "lb-1"; o.Hash.Policy == "" {
		o.Hash = small
	}
	if cfg.Freeze == (eligibility.FreezeConfig{}) {
		cfg.Freeze = eligibility.FreezeConfig{For: eligibility.MaxFreeze, MinHosts: 1}
	}
	cfg.MaxWeight = cmp.Or(cfg.MaxWeight, route.MaxWeight)
	o.OnSnapshot = func(s *route.Snapshot) { l.shots = append(l.shots, s) }
	p, err := New(cfg, gossip.Config{}, o)
	if err != nil {
		t.Fatal(err)
	}
	l.Pool = p
	p.gossips.Members, p.gossips.Peers.Members = l.hosts, l.lbs
	start(p)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- p.Run(ctx) }()
	l.stop = func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	}
	l.pass(0)
	return l
}

// pass lets time pass, and waits until all goroutines have reacted.
func (l *life) pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// checked gives the Pool a result of a check of a host at its address.
func (p *Pool) checked(host string, v route.Verdict, why string, at time.Time) {
	if h := p.Snapshot().Host(host); h != nil {
		p.Checked(host, CheckResult{Address: h.Address, Verdict: v, Error: why, At: at})
	}
}

// see gives the Pool a verdict about hosts, and waits for the table.
func (l *life) see(v route.Verdict, hosts ...string) {
	for _, host := range hosts {
		l.checked(host, v, map[route.Verdict]string{route.Down: "refused"}[v], time.Now())
	}
	l.pass(2 * builder.GatherTime)
}

// announces gives the Pool a host as gossip has it.
func (l *life) announces(m announcement.Metadata, lost bool) {
	l.hosts.set(gossip.Member{Metadata: m, Lost: lost})
	l.pass(2 * builder.GatherTime)
}

func (l *life) override(host string, state route.State) error {
	ctx, cancel := context.WithTimeout(l.t.Context(), time.Second)
	defer cancel()
	return l.Override(ctx, route.Override{Host: host, State: state, Reason: "disk", By: "ops"})
}

// ring returns the names of the hosts in the table, separated by spaces.
func (l *life) ring() string {
	var names []string
	for _, h := range l.Snapshot().Table.Hosts() {
		names = append(names, h.Name)
	}
	return strings.Join(names, " ")
}

func (l *life) wantRing(want, why string) {
	l.t.Helper()
	if got := l.ring(); got != want {
		l.t.Errorf("%s: ring %q, want %q", why, got, want)
	}
}

func statics(names ...string) Config {
	var cfg Config
	for i, name := range names {
		cfg.Hosts = append(cfg.Hosts, hostlist.Host{Spec: route.Spec{Name: name, Address: fmt.Sprintf("10.1.0.%d:80", i+1)}})
	}
	return cfg
}

func quiet() Options { return Options{Logger: zerolog.Nop()} }

// A fakeMembers is a list of members that a test writes.
type fakeMembers struct {
	mu      sync.Mutex
	all     map[string]gossip.Member
	changed notify.Note
}

func newFakeMembers() *fakeMembers {
	return &fakeMembers{all: map[string]gossip.Member{}, changed: notify.NewNote()}
}

func (f *fakeMembers) set(m gossip.Member) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.all[m.Metadata.Node()] = m
	f.changed.Leave()
}

func (f *fakeMembers) Members() map[string]gossip.Member {
	f.mu.Lock()
	defer f.mu.Unlock()
	return maps.Clone(f.all)
}

func (f *fakeMembers) Changed() notify.Note { return f.changed }

func (f *fakeMembers) Forget(node string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.all[node].Lost {
		delete(f.all, node)
	}
}

func (f *fakeMembers) AddCached(cached []gossip.CachedMember) []gossip.CachedMember {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, c := range cached {
		f.all[c.Node] = gossip.Member{Metadata: c.Metadata(), Addr: c.Gossip, Lost: true, LostAt: c.Seen, Cached: true}
	}
	return cached
}

// hostMeta returns what a host announces on a machine of its own.
func hostMeta(name string) announcement.Metadata {
	n := crc32.ChecksumIEEE([]byte(name))
	address := fmt.Sprintf("10.%d.%d.%d:4000", n>>16&0xff, n>>8&0xff, n&0xff)
	return announcement.Metadata{Role: announcement.HostRole, Spec: route.Spec{Name: name, ID: 7, Address: address, Weight: 3, Zone: "a"}, Version: "1.0"}
}

func hostOf(name string, id uint32, weight int) announcement.Metadata {
	m := hostMeta(name)
	m.ID, m.Weight = id, weight
	return m
}

// tells sends the Pool overrides and slow starts of a peer.
func (l *life) tells(overrides []peers.Override, slowStarts ...peers.SlowStart) {
	l.t.Helper()
	l.gossips.Peers.Receive(message(l.t, overrides, slowStarts...))
	l.pass(2 * builder.GatherTime)
}

// message returns a message of a balancer of the version before this one. It may be
// invalid.
func message(t *testing.T, overrides []peers.Override, slowStarts ...peers.SlowStart) []byte {
	t.Helper()
	var m struct {
		Version int               `json:"version"`
		States  []peers.Override  `json:"decisions"`
		Weights []peers.Override  `json:"weights"`
		WarmUps []peers.SlowStart `json:"warm_ups"`
	}
	m.Version, m.WarmUps = 1, slowStarts
	for _, o := range overrides {
		state, weight := o, o
		state.Weight, weight.State = nil, ""
		if o.State != "" || o.Weight == nil {
			m.States = append(m.States, state)
		}
		if o.Weight != nil {
			m.Weights = append(m.Weights, weight)
		}
	}
	b, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// onDisk returns the registers in a state directory.
func onDisk(t *testing.T, dir string) *peers.Set {
	t.Helper()
	_, registers, err := peers.OpenStore(dir, zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	s := peers.NewSet(nil)
	s.Restore(registers, time.Now())
	return s
}

// weightOf returns the weight that operators have given a host, -1 for its own.
func weightOf(s *peers.Set, host string) int {
	o, _ := s.Weight(host)
	return o.WeightOrOwn()
}

// maxAt is the latest date that a register can have.
var maxAt = time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC)
