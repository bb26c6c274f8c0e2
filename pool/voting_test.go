package pool

import (
	"testing"
	"time"

	"github.com/rs/zerolog"

	"tokenring/gossip"
	"tokenring/route"
)

// TestBalancersTellEachOtherWhatTheirChecksSay has two balancers, with gossip between them,
// agree on a host, differ, agree that it is down, and that it is back.
func TestBalancersTellEachOtherWhatTheirChecksSay(t *testing.T) {
	t.Parallel()
	cfg, pc := statics("a", "b"), gossip.Config{Bind: "127.0.0.1:0", SecretFile: secretFile(t, 6)}
	start := func(name string) *Pool { // neither takes the other for crashed, and so judges alone
		p, _ := startPoolTimed(t, cfg, pc, Options{Name: name, Hash: small, Logger: zerolog.Nop()}, trusting)
		return p
	}
	first := start("lb-1")
	pc.Join = []string{first.PeersAddr()}
	second := start("lb-2")
	for _, p := range []*Pool{first, second} {
		p.checked("a", route.Up, "", time.Now())
		p.checked("b", route.Up, "", time.Now())
	}
	at := func(p *Pool) *route.Host { return p.Snapshot().Host("b") }
	isDown := func(p *Pool) bool { return at(p).Verdict == route.Down && !at(p).Held }

	eventually(t, "each knows that the other one has b up", func() bool {
		return at(first).Views == route.Views{Up: "lb-2"} && at(second).Views == route.Views{Up: "lb-1"}
	})
	first.checked("b", route.Down, "timeout", time.Now())
	eventually(t, "b is held at lb-1", func() bool { return at(first).Held && at(second).Views == route.Views{Down: "lb-1"} })
	if !at(second).Serving() {
		t.Errorf("at lb-2, b is %+v", at(second))
	}
	second.checked("b", route.Down, "timeout", time.Now())
	eventually(t, "b is down at both", func() bool { return isDown(first) && isDown(second) })
	second.checked("b", route.Up, "", time.Now())
	eventually(t, "lb-1 knows that lb-2 reaches b", func() bool { return at(first).Views == route.Views{Up: "lb-2"} })
	if !isDown(first) || !isDown(second) {
		t.Errorf("b has returned before both reach it: %+v, %+v", at(first), at(second))
	}
	first.checked("b", route.Up, "", time.Now())
	eventually(t, "b is back at both", func() bool { return at(first).Serving() && at(second).Serving() })
}
