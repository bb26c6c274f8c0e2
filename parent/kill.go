package parent

import (
	"context"
	"errors"
	"fmt"
	"time"

	"tokenring/handover"
)

// A generation that doesn't obey is killed. As long as it hangs it does no harm; but when it
// runs again, it would carry on with terminals that it should have ended, of keys that have
// another host by then. One that hangs, and has been told nothing, is left alone.

// limits are how long a generation may take until it is killed. An answer wants some
// processor time only, so they are long even for a machine that is much too busy.
type limits struct {
	link   time.Duration // to tell the next one its terminals, while nobody serves
	retire time.Duration
	close  time.Duration // to begin to close its terminals
}

var usualLimits = limits{link: 5 * time.Second, retire: 10 * time.Second, close: 10 * time.Second}

// exitTime is how long a process may take to end that has closed its connection to the parent.
const exitTime = 5 * time.Second

// killFor does what the generation that decides asks for: it returns when an older one has ended.
func (p *Parent) killFor(asker *generation, k handover.Kill) error {
	if k.ID >= asker.id {
		return fmt.Errorf("generation %d isn't older than generation %d, which wants it to end", k.ID, asker.id)
	}
	for _, g := range p.generations() {
		if g.id != k.ID {
			continue
		}
		if !g.endsWithin(k.Patience) {
			p.Logger.Error().Int("generation", g.id).Int("pid", g.pid).Str("why", k.Why).Int("terminals", k.Terminals).
				Msg("killing a generation that doesn't obey: its terminals are cut")
			g.kill()
		}
	}
	return nil
}

// mustObey sees to it that a generation ends that hasn't done what it was told. err says what
// has come instead of its answer. It returns when the process has ended. The next generation
// logs how many terminals that has cost.
func (p *Parent) mustObey(ctx context.Context, g *generation, err error) {
	switch {
	case err == nil || ctx.Err() != nil: // the service stops
		return
	case errors.Is(err, handover.ErrGone) && g.endsWithin(exitTime):
		return
	}
	p.Logger.Error().Err(err).Int("generation", g.id).Int("pid", g.pid).Msg("killing a generation that doesn't obey: its terminals are cut")
	g.kill()
}

// endsWithin reports whether the process ends within a time.
func (g *generation) endsWithin(within time.Duration) bool {
	select {
	case <-g.exited:
		return true
	case <-time.After(within):
		return false
	}
}

// kill ends the process at once, and waits for that.
func (g *generation) kill() {
	_ = g.process.Kill() // an error means that it has ended
	<-g.exited
}
