package pool

import (
	"context"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"tokenring/gossip"
	"tokenring/gossip/announcement"
	"tokenring/route"
)

// TestABalancerLearnsFromPeersOfAHostWhoseAgentIsGone has an agent die that has signed what it
// announced. A balancer that has never heard of the host comes then.
func TestABalancerLearnsFromPeersOfAHostWhoseAgentIsGone(t *testing.T) {
	t.Parallel()
	secret := secretFile(t, 5)
	cfg := Config{Config: gossip.Config{Bind: "127.0.0.1:0", SecretFile: secret, Label: "test"}}
	pc := gossip.Config{Bind: "127.0.0.1:0", SecretFile: secretFile(t, 6)}
	first, _ := startPool(t, cfg, pc, "lb-1")

	host := localHost("a", "127.0.0.1:4000")
	agent := gossip.Config{Bind: "127.0.0.1:0", Label: "test", SecretFile: secret, Join: []string{first.GossipAddr()}}
	g, err := gossip.Open(agent, listen(t, agent), gossip.Options{Self: host, Filter: gossip.Filter{Anywhere: true}, Identity: announcement.NewIdentity(), Timing: fast, Log: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		g.Run(context.Background())
	}()
	eventually(t, "the first balancer knows the host", func() bool { return first.Snapshot().Host("a") != nil })
	first.checked("a", route.Up, "", time.Now())
	g.Close()
	<-ended
	eventually(t, "the first balancer has lost the agent, and keeps the host", func() bool {
		h := first.Snapshot().Host("a")
		return h.Contact == route.Lost && h.Serving()
	})

	cfg.Join, pc.Join = []string{first.GossipAddr()}, []string{first.PeersAddr()}
	second, _ := startPool(t, cfg, pc, "lb-2")
	eventually(t, "the second one knows the host", func() bool {
		h := second.Snapshot().Host("a")
		return h != nil && h.Contact == route.Lost && h.Address == host.Address && h.Key == first.Snapshot().Host("a").Key
	})
	second.checked("a", route.Up, "", time.Now())
	eventually(t, "both have one table", func() bool {
		return second.Snapshot().Host("a").Serving() && second.Snapshot().Table.Digest() == first.Snapshot().Table.Digest()
	})
}
