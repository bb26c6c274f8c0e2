package parent

import (
	"context"
	"time"

	"tokenring/handover"
)

// A backOff delays restarts of a program that crashes again and again. The zero value
// allows the first restart at once.
type backOff struct {
	crashes int
	last    time.Time
	retryAt time.Time // zero while nothing waits
}

const (
	longestPause = 30 * time.Second
	stableAfter  = time.Minute // a crash later than this after the one before is a first one
)

// crashed takes a crash in, and sets when to restart.
func (b *backOff) crashed(now time.Time) {
	if now.Sub(b.last) > stableAfter+longestPause {
		b.crashes = 0
	}
	pause := time.Duration(0)
	if b.crashes > 0 {
		pause = min(time.Second<<min(b.crashes-1, 10), longestPause)
	}
	b.crashes++
	b.last, b.retryAt = now, now.Add(pause)
}

// due reports whether a restart waits and its time has come.
func (b *backOff) due(now time.Time) bool { return !b.retryAt.IsZero() && !now.Before(b.retryAt) }

// mend notes that the generation that served has ended, and starts another one unless that
// has just been in vain.
func (p *Parent) mend(ctx context.Context) {
	p.Logger.Error().Int("generation", p.serving.id).Int("pid", p.serving.pid).Str("state", p.serving.state.String()).
		Msg("the generation that serves has crashed; new connections wait until another one serves")
	p.setServing(nil)
	p.putBack(time.Now())
	p.crashes.crashed(time.Now())
	if p.crashes.due(time.Now()) {
		p.restart(ctx)
	}
}

// putBack makes what was before the newest generation in force again, if the newest was on
// probation. It stays so, however often starting it fails.
func (p *Parent) putBack(now time.Time) {
	if p.previous.binary == nil || !now.Before(p.previous.until) {
		return
	}
	p.Logger.Warn().Msg("the newest generation has failed soon: putting back what was before")
	if p.binary != p.previous.binary {
		p.binary.close()
	}
	p.source = p.previous.source
}

// restart starts a generation of the program and the configuration that are in force. If that
// fails, it tries again later.
func (p *Parent) restart(ctx context.Context) {
	p.crashes.retryAt = time.Time{}
	g, err := p.prepare(ctx, p.source)
	if err == nil {
		if err = g.call(ctx, p.serveWithin(), handover.KindServe, nil, nil); err != nil {
			p.discard(g)
		}
	}
	if err != nil {
		p.crashes.crashed(time.Now())
		p.Logger.Error().Err(err).Time("again_at", p.crashes.retryAt).Msg("no generation serves")
		return
	}
	p.forgetPrevious()
	p.adopt(g, p.binary)
	p.sockets.keep(g)
	p.Notifier.Ready(p.status())
}

// serveWithin returns how long a generation may take until it serves. One to which nobody has
// handed over may have to wait for its hosts, and to build its table.
func (p *Parent) serveWithin() time.Duration {
	if p.serving != nil {
		return serveTimeout
	}
	return max(serveTimeout, p.bounds.Ready)
}

// discard kills a generation that has never served, and closes the sockets that were opened
// for it alone.
func (p *Parent) discard(g *generation) {
	g.kill()
	p.sockets.discard(g, p.generations())
}
