package pool

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"tokenring/gossip"
	"tokenring/gossip/announcement"
	"tokenring/pool/hostlist"
	"tokenring/route"
	"tokenring/testlog"
)

// startAgent runs an agent until the test ends.
func startAgent(t *testing.T, cfg gossip.AgentConfig) *testlog.Buffer {
	t.Helper()
	cfg.Timing = trusting
	log := new(testlog.Buffer)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	sockets := listen(t, cfg.Config)
	go func() { ended <- gossip.RunAgent(ctx, cfg, sockets, log.Logger()) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the agent: %v", err)
		}
	})
	return log
}

// TestAnAgentLogsWhetherABalancerAdmitsIt wants one line in the agent's log, and one in
// the balancer's log if it refuses the agent.
func TestAnAgentLogsWhetherABalancerAdmitsIt(t *testing.T) {
	t.Parallel()
	key, other := secretFile(t, 1), secretFile(t, 2)
	unused := fmt.Sprintf("127.%d.%d.%d:7946", 1+rand.IntN(254), rand.IntN(256), rand.IntN(256)) // of 16 million addresses of loopback
	for name, row := range map[string]struct {
		change   func(*gossip.AgentConfig)
		agent    []string // parts of a line of the agent's
		balancer []string // parts of a line of the balancer's; nil: none
	}{
		"a sound one":             {func(*gossip.AgentConfig) {}, []string{`"level":"info"`, "host announced", `"balancer":"lb-1"`}, nil},
		"another secret":          {func(c *gossip.AgentConfig) { c.SecretFile = other }, []string{`"level":"warn"`, "doesn't answer", "another secret"}, []string{`"level":"warn"`, "a member sends with another secret", `"from":"127.0.0.1"`, `"member":"host/taken"`}},
		"another label":           {func(c *gossip.AgentConfig) { c.Label = "other" }, []string{`"level":"warn"`, "doesn't answer", "another label"}, []string{`"level":"warn"`, "isn't of this gossip", `"from":"127.0.0.1"`, "another label"}},
		"no balancer is there":    {func(c *gossip.AgentConfig) { c.Join = []string{unused} }, []string{`"level":"warn"`, "doesn't answer", unused, "connection refused"}, nil},
		"an address that may not": {func(c *gossip.AgentConfig) { c.Address = "10.9.9.9:4000" }, []string{`"level":"warn"`, "refuses the host", `"balancer":"lb-1"`}, []string{`"level":"warn"`, "member refused", "allowed network"}},
		"another has the name":    {func(c *gossip.AgentConfig) { c.Name = "taken" }, []string{`"level":"warn"`, "another host of this name"}, []string{`"level":"warn"`, "one name"}},
		"the file has the name":   {func(c *gossip.AgentConfig) { c.Name = "static" }, []string{`"level":"warn"`, "refuses the host"}, []string{"member refused", "is listed"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			balancerLog := new(testlog.Buffer)
			p, _ := startPoolTimed(t, Config{
				Config:          gossip.Config{Bind: "127.0.0.1:0", SecretFile: key, Label: "test"},
				AllowedNetworks: []string{"127.0.0.0/8"},
				Hosts:           []hostlist.Host{{Spec: route.Spec{Name: "static", Address: "127.0.0.1:1"}}},
			}, gossip.Config{}, Options{Name: "lb-1", Hash: small, Logger: balancerLog.Logger()}, trusting)
			startGossip(t, localHost("taken", "127.0.0.1:2"), gossip.Config{SecretFile: key, Join: []string{p.GossipAddr()}}, trusting)
			eventually(t, "the first host is known", func() bool { return p.Snapshot().Host("taken") != nil })
			cfg := gossip.AgentConfig{
				Config: gossip.Config{Bind: "127.0.0.1:0", Join: []string{p.GossipAddr()}, SecretFile: key, Label: "test"},
				Spec:   route.Spec{Name: "ide-1", Address: "127.0.0.1:4000", Weight: 1},
			}
			row.change(&cfg)
			start := time.Now()
			said := startAgent(t, cfg)
			eventually(t, fmt.Sprintf("the agent says %q", row.agent), func() bool { return len(said.Lines(row.agent...)) > 0 })
			if row.balancer != nil {
				eventually(t, fmt.Sprintf("the balancer says %q", row.balancer), func() bool { return len(balancerLog.Lines(row.balancer...)) > 0 })
			}
			before := len(said.Lines("member called"))
			eventually(t, "it has gone on", func() bool { return len(said.Lines("member called")) > before+5 })
			most := 1 + int(time.Since(start)/time.Minute) // what goes on is logged again after a minute
			if n := len(said.Lines(row.agent...)); n > most {
				t.Errorf("the agent says so %d times, want %d at most", n, most)
			}
			if n := len(balancerLog.Lines(row.balancer...)); row.balancer != nil && n > most {
				t.Errorf("the balancer says so %d times, want %d at most", n, most)
			}
			if n := len(said.Lines("host announced")); n > 0 && row.agent[1] != "host announced" {
				t.Error("it says that the host is announced")
			}
		})
	}
}

// TestBalancersLogPeersThatDoNotAnswer: nothing else shows that the secret in
// the section peers is wrong.
func TestBalancersLogPeersThatDoNotAnswer(t *testing.T) {
	t.Parallel()
	peer, _ := startGossip(t, announcement.Metadata{Role: announcement.BalancerRole, Spec: route.Spec{Name: "lb-2"}}, gossip.Config{SecretFile: secretFile(t, 1)}, fast)
	said := new(testlog.Buffer)
	startPoolWith(t, statics("a"), gossip.Config{Bind: "127.0.0.1:0", SecretFile: secretFile(t, 2), Label: "test", Join: []string{peer.Addr()}},
		Options{Name: "lb-1", Hash: small, Logger: said.Logger()})
	eventually(t, "it logs which peer doesn't answer", func() bool {
		return len(said.Lines(`"level":"warn"`, `"gossip":"peers"`, peer.Addr(), "another secret")) == 1
	})
}
