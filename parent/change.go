package parent

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"tokenring/handover"
)

// How long a generation may take for a step, beside handover.Generations.Ready.
const (
	planTimeout    = 30 * time.Second // a forecast of a large ring
	prepareTimeout = 5 * time.Second
	serveTimeout   = 20 * time.Second
	// shortly is how long the generation that serves offers HTTP/1.1 alone before it
	// retires: handshakes that have agreed on HTTP/2 end meanwhile.
	shortly = 100 * time.Millisecond
)

// change starts a generation and has it serve. With an error nothing has changed, or what
// was before has been put back; the error is a handover.Failure.
func (p *Parent) change(ctx context.Context, c handover.Change) (handover.Result, error) {
	began := time.Now()
	p.Notifier.Reloading("starting a generation")
	defer func() { p.Notifier.Ready(p.status()) }()
	result, err := p.tryChange(ctx, c)
	result.Took = time.Since(began).Seconds()
	if err != nil {
		p.Logger.Error().Err(err).Bool("upgrade", c.Upgrade).Msg("nothing was changed")
		return result, err
	}
	p.Logger.Info().Int("generation", result.Generation).Str("version", result.Version).Float64("took_seconds", result.Took).
		Strs("changes", result.Changes).Msg("another generation serves")
	return result, nil
}

func (p *Parent) tryChange(ctx context.Context, c handover.Change) (r handover.Result, err error) {
	if err := p.room(); err != nil {
		return r, &handover.Failure{Code: handover.FailedRoom, Detail: err.Error()}
	}
	next := p.binary
	if c.Upgrade {
		if next, err = p.candidate(ctx, c.Binary); err != nil {
			return r, &handover.Failure{Code: handover.FailedProgram, Detail: err.Error()}
		}
		defer func() {
			if next != p.binary {
				next.close()
			}
		}()
	}
	if r.Plan, err = p.plan(ctx, c); err != nil {
		return r, err
	}
	g, err := p.prepare(ctx, source{binary: next})
	if err == nil {
		err = p.replaceServing(ctx, g, next)
	}
	if err != nil {
		return r, &handover.Failure{Code: handover.FailedStart, Detail: err.Error()}
	}
	info := g.info.Load()
	r.Generation, r.Version, r.Digest = g.id, info.Version, info.Digest
	return r, nil
}

// candidate opens another program, and has it say its version and check the configuration.
func (p *Parent) candidate(ctx context.Context, name string) (*binary, error) {
	name = cmp.Or(name, p.Program)
	if !filepath.IsAbs(name) {
		return nil, fmt.Errorf("program: %s isn't an absolute path", name)
	}
	b, err := openBinary(name)
	if err != nil {
		return nil, err
	}
	if _, err = b.run(ctx, "", "version"); err == nil {
		_, err = b.run(ctx, "", p.Check...)
	}
	if err != nil {
		b.close()
		return nil, err
	}
	return b, nil
}

// plan asks the generation that serves what a change would do. Without one, any change is
// good.
func (p *Parent) plan(ctx context.Context, c handover.Change) (plan handover.Plan, err error) {
	if p.serving == nil {
		return plan, nil
	}
	if err := p.serving.call(ctx, planTimeout, handover.KindPlan, c, &plan); err != nil {
		return plan, &handover.Failure{Code: handover.FailedStart, Detail: fmt.Sprintf("generation %d, which serves, doesn't answer: %v; have its process go on, or end it and its terminals with: kill -9 %d; then another one is started", p.serving.id, err, p.serving.pid)}
	}
	if plan.Failure != nil {
		return plan, plan.Failure
	}
	return plan, nil
}

// prepare starts a generation and waits until it could serve.
func (p *Parent) prepare(ctx context.Context, from source) (*generation, error) {
	g, err := p.spawn(from.binary)
	if err != nil {
		return nil, err
	}
	if err := p.start(ctx, g, from.config); err != nil {
		err = g.whyEnded(err)
		p.discard(g)
		return nil, fmt.Errorf("generation %d couldn't serve: %w%s", g.id, err, g.lines.quoted())
	}
	return g, nil
}

// start links a generation to the older ones, and waits until it could serve.
func (p *Parent) start(ctx context.Context, g *generation, config []byte) error {
	kept := p.keptCounts()
	message := handover.Start{ID: g.id, Config: config, Counts: kept.Counts, CountsOf: kept.By}
	if from := p.before(); from != nil {
		message.Serving = from.id
	}
	links, err := p.linkAll(ctx, g, &message)
	defer handover.CloseAll(links)
	if err != nil {
		return err
	}
	var started handover.Started
	if err := g.call(ctx, p.bounds.Ready, handover.KindStart, message, &started, links...); err != nil {
		return err
	}
	g.info.Store(&started)
	return nil
}

// linkAll links a generation to all older ones, names these in its message, and returns its
// ends of the links, which the caller closes.
func (p *Parent) linkAll(ctx context.Context, g *generation, message *handover.Start) (links []*os.File, err error) {
	olders := p.olders(g)
	ends, errs := make([]*os.File, len(olders)), make([]error, len(olders))
	var linking sync.WaitGroup
	for i, o := range olders {
		linking.Go(func() {
			if ends[i], errs[i] = p.link(ctx, o, g); p.serving == nil { // users can't wait until it answers
				p.mustObey(ctx, o, errs[i])
			}
		})
	}
	linking.Wait()
	for i, o := range olders {
		switch {
		case errs[i] == nil:
			links, message.Olders = append(links, ends[i]), append(message.Olders, o.id)
		case p.serving != nil && !errors.Is(errs[i], handover.ErrGone): // else it has ended
			err = fmt.Errorf("generation %d doesn't answer, and its terminals must be known: %w; have its process go on, or end it and its terminals with: kill -9 %d", o.id, errs[i], o.pid)
		}
	}
	return links, errors.Join(err, context.Cause(ctx))
}

// keptCounts returns what the generations have counted. A generation that hands over knows
// better.
func (p *Parent) keptCounts() counted {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.counts
}

// before returns the generation that hands over to the next one: that which serves, or, if
// the newest has failed soon, the one before, which has kept what it knew. nil if there is
// none.
func (p *Parent) before() *generation {
	if p.serving != nil {
		return p.serving
	}
	return p.previous.generation
}

// link tells an older generation of a newer one, and returns the newer one's end of the
// link between them.
func (p *Parent) link(ctx context.Context, older, newer *generation) (*os.File, error) {
	olders, newers, err := handover.Pair()
	if err != nil {
		return nil, err
	}
	defer olders.Close()
	if err := older.call(ctx, p.limits.link, handover.KindLink, handover.Link{ID: newer.id}, nil, olders); err != nil {
		newers.Close()
		return nil, err
	}
	return newers, nil
}

// replaceServing has g serve in place of the generation that serves. If g fails, what was
// before is put back.
func (p *Parent) replaceServing(ctx context.Context, g *generation, b *binary) error {
	before := p.serving
	if before != nil {
		if err := p.announceRetire(ctx, before, g); err != nil {
			p.discard(g)
			return fmt.Errorf("generation %d didn't begin to serve: %w%s", g.id, err, g.lines.quoted())
		}
		p.retire(ctx, before)
	}
	p.forgetPrevious()
	err := g.call(ctx, p.serveWithin(), handover.KindServe, nil, nil)
	probation := g.info.Load().Generations.WithDefaults().Probation
	p.previous = previous{generation: before, source: p.source, until: time.Now().Add(probation)}
	if err != nil {
		err = g.whyEnded(err)
		p.discard(g)
		err = fmt.Errorf("generation %d didn't begin to serve: %w%s", g.id, err, g.lines.quoted())
		if before != nil {
			p.setServing(nil) // the next one gets what before has kept
			p.restart(ctx)
		}
		return err
	}
	p.adopt(g, b)
	return nil
}

// announceRetire has the generation that serves get ready to retire. With an error, the next
// one can't serve, and the one that serves goes on.
func (p *Parent) announceRetire(ctx context.Context, serving, next *generation) (err error) {
	if err := serving.call(ctx, prepareTimeout, handover.KindPrepare, nil, nil); err != nil {
		p.Logger.Error().Err(err).Int("generation", serving.id).Msg("a generation doesn't get ready to retire")
	}
	select {
	case <-time.After(shortly):
		return nil
	case <-serving.exited:
		return nil
	case <-next.exited:
		err = errors.New(next.state.String())
	case <-ctx.Done():
		err = errStopping
	}
	_ = serving.conn.Notify(handover.KindResume, nil) // an error means that it has just ended
	return err
}

// retire has a generation decide nothing any more, or ends it.
func (p *Parent) retire(ctx context.Context, g *generation) {
	p.mustObey(ctx, g, g.call(ctx, p.limits.retire, handover.KindRetire, nil, nil))
	g.retired = time.Now()
}

// adopt makes g, a process of b, the generation that serves.
func (p *Parent) adopt(g *generation, b *binary) {
	info := g.info.Load()
	p.setServing(g)
	p.source = source{b, info.Config}
	p.bounds, p.grace = info.Generations.WithDefaults(), info.StopWithin
	for _, o := range p.olders(g) {
		if err := o.conn.Notify(handover.KindNewest, handover.Link{ID: g.id}); err != nil {
			p.Logger.Error().Err(err).Int("generation", o.id).Msg("a generation can't be told which one serves")
		}
	}
}

// changeBySignal makes the change that a signal asks for. There is nobody who could confirm
// it.
func (p *Parent) changeBySignal(ctx context.Context, s os.Signal) {
	_, err := p.change(ctx, handover.Change{Upgrade: s == syscall.SIGUSR2})
	var f *handover.Failure
	if errors.As(err, &f) && f.Code == handover.FailedConfirm {
		p.Logger.Error().Msg(`a signal can't confirm a change: use "lb ctl reload --yes" or "lb ctl upgrade --yes"`)
	}
}

// whyEnded returns err, or how the process has ended if it has.
func (g *generation) whyEnded(err error) error {
	if !errors.Is(err, handover.ErrGone) {
		return err
	}
	select {
	case <-g.exited:
		return errors.New(g.state.String())
	case <-time.After(time.Second): // it has closed the connection and goes on
		return err
	}
}

// quoted returns the last lines for the end of an error's text.
func (l *lastLines) quoted() string {
	if text := l.String(); text != "" {
		return "; its last lines:\n" + text
	}
	return ""
}

// status is the line that the service manager shows.
func (p *Parent) status() string {
	if p.serving == nil {
		return "no generation serves"
	}
	return fmt.Sprintf("generation %d serves, %d older ones carry terminals", p.serving.id, len(p.olders(p.serving)))
}
