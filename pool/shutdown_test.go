package pool

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"tokenring/gossip"
	"tokenring/peers"
	"tokenring/route"
)

// TestAnOverrideThatIsConfirmedWhileThePoolStopsIsOnDisk: and each request has one answer,
// at whatever moment Run ends.
func TestAnOverrideThatIsConfirmedWhileThePoolStopsIsOnDisk(t *testing.T) {
	t.Parallel()
	var confirmed, stopped int
	for range 20 {
		dir := t.TempDir()
		cfg := statics("a", "b", "c", "d", "e", "f", "g", "h")
		p, err := New(cfg, gossip.Config{}, Options{Name: "lb-1", Hash: small, StateDir: dir, Logger: zerolog.Nop()})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { p.Run(ctx) })
		answers := make([]error, len(cfg.Hosts))
		for i, h := range cfg.Hosts {
			running.Go(func() {
				time.Sleep(rand.N(40 * time.Millisecond))
				answers[i] = p.Override(context.Background(), route.Override{Host: h.Name, State: route.Maint, Reason: fmt.Sprint(i)})
			})
		}
		time.Sleep(rand.N(80 * time.Millisecond))
		cancel()
		running.Wait()
		_, saved, err := peers.OpenStore(dir, zerolog.Nop())
		if err != nil {
			t.Fatal(err)
		}
		set := peers.NewSet(nil)
		set.Restore(saved, time.Now())
		for i, h := range cfg.Hosts {
			switch {
			case answers[i] == nil:
				confirmed++
				if set.State(h.Name).State != route.Maint {
					t.Errorf("the maintenance of %s is confirmed and not on disk", h.Name)
				}
			case errors.Is(answers[i], ErrStopped):
				stopped++
			default:
				t.Errorf("%s: %v", h.Name, answers[i])
			}
		}
	}
	if confirmed == 0 || stopped == 0 {
		t.Errorf("%d confirmed, %d stopped: the test tests nothing", confirmed, stopped)
	}
}
