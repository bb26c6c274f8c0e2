package gossip

import (
	"context"
	"testing"

	"tokenring/gossip/announcement"
	"tokenring/route"
	"tokenring/testlog"
)

// startAgent runs an agent until the test ends.
func startAgent(t *testing.T, cfg AgentConfig) *testlog.Buffer {
	t.Helper()
	cfg.Timing = fast
	log := new(testlog.Buffer)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	sockets := listen(t)
	go func() { ended <- RunAgent(ctx, cfg, sockets, log.Logger()) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the agent: %v", err)
		}
	})
	return log
}

func TestAnAgentSaysThatItHasLostTheBalancers(t *testing.T) {
	t.Parallel()
	key := secretFile(t, 1)
	lb, crash := node{cfg: Config{SecretFile: key}}.start(t, announcement.Metadata{Role: announcement.BalancerRole, Spec: route.Spec{Name: "lb-1"}})
	address := lb.Addr()
	status := make(chan string, 100)
	said := startAgent(t, AgentConfig{Status: func(s string) { status <- s }, Config: Config{Join: []string{address}, SecretFile: key, Label: "test"}, Spec: route.Spec{Name: "ide-1", Address: "127.0.0.1:4000", Weight: 1}})
	next := func() string { return <-status }
	if first := <-status; first != "looks for a balancer" {
		t.Errorf("its first status is %q", first)
	}
	eventually(t, "its status is that it is announced", func() bool { return next() == "announced: balancer lb-1 has the host in its list" })
	eventually(t, "it is announced", func() bool { return len(said.Lines("host announced")) == 1 })
	crash()
	eventually(t, "its status is that no balancer is left", func() bool { return next() == "reaches no balancer any more, and keeps trying" })
	eventually(t, "it says that no balancer is left", func() bool { return len(said.Lines(`"level":"warn"`, "reaches no balancer any more")) == 1 })
	eventually(t, "and which seed doesn't answer", func() bool { return len(said.Lines(`"level":"warn"`, "doesn't answer", address)) == 1 })
	node{cfg: Config{Bind: address, SecretFile: key}}.start(t, announcement.Metadata{Role: announcement.BalancerRole, Spec: route.Spec{Name: "lb-1"}})
	eventually(t, "it is announced again", func() bool { return len(said.Lines("host announced")) == 2 })
	if n := len(said.Lines("a member of join answers now", "failures")); n != 1 {
		t.Errorf("it says %d times that the balancer answers again, want once", n)
	}
}
