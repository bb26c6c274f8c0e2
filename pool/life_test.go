package pool

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"tokenring/balancer"
)

// A life is a Pool that runs in a bubble. Gossip is what the test writes into
// its roster.
type life struct {
	*Pool
	t     *testing.T
	shots []*Snapshot // OnSnapshot's
	stop  func()
}

// small keeps table building short.
var small = balancer.Config{Consistent: balancer.ConsistentConfig{Partitions: 509, Replicas: 10}}

func live(t *testing.T, cfg Config, o Options) *life {
	t.Helper()
	return liveFrom(t, cfg, o, func(*Pool) {})
}

// liveFrom is live after start has had the Pool. Unless cfg says otherwise, a ring of
// any size freezes, and for as long as a test lasts.
func liveFrom(t *testing.T, cfg Config, o Options, start func(*Pool)) *life {
	t.Helper()
	l := &life{t: t}
	if o.Name = "lb-1"; o.Hash.Policy == "" {
		o.Hash = small
	}
	if cfg.Freeze == (FreezeConfig{}) {
		cfg.Freeze = FreezeConfig{For: MaxFreeze, MinHosts: 1}
	}
	o.OnSnapshot = func(s *Snapshot) { l.shots = append(l.shots, s) }
	p, err := New(cfg, PeersConfig{}, o)
	if err != nil {
		t.Fatal(err)
	}
	l.Pool = p
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

// pass lets time go by, and everybody finish what follows from it.
func (l *life) pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// checked tells a result of the checks of a host, at the address that it has.
func (p *Pool) checked(host string, v Verdict, why string, at time.Time) {
	if h := p.Snapshot().Host(host); h != nil {
		p.Hear(host, CheckResult{Address: h.Address, Verdict: v, Error: why, At: at})
	}
}

// see tells a verdict about hosts, and waits for the table.
func (l *life) see(v Verdict, hosts ...string) {
	for _, host := range hosts {
		l.checked(host, v, map[Verdict]string{Down: "refused"}[v], time.Now())
	}
	l.pass(2 * gather)
}

// gossip tells what the gossip holds of a host.
func (l *life) gossips(m meta, lost bool) {
	l.roster.mu.Lock()
	l.roster.members[m.node()] = member{meta: m, lost: lost}
	l.roster.mu.Unlock()
	l.roster.note()
	l.pass(2 * gather)
}

func (l *life) decide(host string, state State) error {
	ctx, cancel := context.WithTimeout(l.t.Context(), time.Second)
	defer cancel()
	return l.Decide(ctx, Decision{Host: host, State: state, Reason: "disk", By: "ops"})
}

// ring returns the names in the table, joined.
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
		cfg.Hosts = append(cfg.Hosts, StaticHost{Name: name, Address: fmt.Sprintf("10.1.0.%d:80", i+1)})
	}
	return cfg
}

func quiet() Options { return Options{Logger: zerolog.Nop()} }
