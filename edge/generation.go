package edge

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"

	"github.com/rs/zerolog"

	"tokenring/config"
	"tokenring/handover"
	"tokenring/proxy/tunnel"
)

// A Generation is one process of a balancer, which a parent has started: see package parent.
//
//	        start            serve             retire            last connection
//	(new) ─────────▶ ready ─────────▶ serving ─────────▶ retired ─────────▶ (ended)
//
// From start on it has an Edge, which touches nothing that is shared with other generations
// until serve. Calls of the parent change the state, one after the other.
type Generation struct {
	opt    GenerationOptions
	parent *handover.Conn
	log    zerolog.Logger
	logs   *Logs // set by start
	edge   *Edge // set by start, before all other calls; see built
	ready  atomic.Bool
	begin  chan struct{}
	stop   context.CancelFunc // stops the Edge
	result chan error         // of the Edge's Run

	links
	serving int // the generation before, 0 for none
	id      int

	last    *Handed // what was handed over when this one retired; nil before, and when nobody can want it any more; guarded by mu
	retired atomic.Bool
	saving  sync.WaitGroup // saveCounts
}

// GenerationOptions are what a Generation needs besides its configuration.
type GenerationOptions struct {
	Version string
	File    string // of the configuration
	Output  io.Writer
	Errors  io.Writer
	Started func() // called before the first client is served, when the process is no longer watched as a new one; may be nil
}

// RunGeneration serves as the parent at the other end of conn says, until the last connection
// has ended. If the parent ends, it stops as after KindStop.
func RunGeneration(ctx context.Context, conn *handover.Conn, opt GenerationOptions) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	g := &Generation{
		opt: opt, parent: conn, begin: make(chan struct{}), stop: stop, result: make(chan error, 1), links: newLinks(),
	}
	var parts sync.WaitGroup
	defer func() { g.logs.Close() }() // after all others
	defer parts.Wait()
	defer conn.Close()
	gone := make(chan error, 1)
	parts.Go(func() {
		gone <- conn.Run(context.WithoutCancel(ctx), func(_ context.Context, m handover.Message) (handover.Reply, error) { return g.handle(ctx, m) })
	})
	defer g.links.close()
	defer g.saving.Wait()
	defer stop()
	select {
	case err := <-g.result:
		g.reportLast()
		return err
	case err := <-gone: // without a parent nobody could end this process
		stop()
		if g.built() == nil {
			return err
		}
		g.log.Error().Msg("the parent has ended: stopping")
		return errors.Join(err, <-g.result)
	}
}

// handle does what the parent says.
func (g *Generation) handle(ctx context.Context, m handover.Message) (handover.Reply, error) {
	if m.Kind == handover.KindStart {
		return reply(g.start(ctx, m))
	}
	if g.built() == nil {
		return handover.Reply{}, fmt.Errorf("%s before start", m.Kind)
	}
	switch m.Kind {
	case handover.KindServe:
		return reply(nil, g.serve(ctx))
	case handover.KindLink:
		return reply(nil, g.addNewer(m))
	case handover.KindPrepare:
		g.edge.proxy.PrepareRetire()
	case handover.KindResume:
		g.edge.proxy.CancelRetire()
	case handover.KindRetire:
		g.retire(ctx)
	case handover.KindNewest:
		return reply(nil, g.setNewest(m))
	case handover.KindCommit:
		g.forget()
	case handover.KindEnd:
		return reply(nil, g.end(ctx, m))
	case handover.KindStop:
		g.stop()
	case handover.KindReopen:
		if err := g.logs.Reopen(); err != nil {
			g.log.Error().Err(err).Msg("a log can't be opened anew: lines go on to the file before")
		}
	case handover.KindPlan:
		return reply(g.plan(m))
	case handover.KindStatus:
		return reply(g.edge.status(), nil)
	default:
		return handover.Reply{}, fmt.Errorf("generation of a version that doesn't know %q", m.Kind)
	}
	return handover.Reply{}, nil
}

// built returns the Edge, nil before start has built it.
func (g *Generation) built() *Edge {
	if g.ready.Load() {
		return g.edge
	}
	return nil
}

// reply returns an answer without files.
func reply(body any, err error) (handover.Reply, error) { return handover.Reply{Body: body}, err }

// start builds everything, and takes over what older generations hand over. It returns when
// this generation could serve.
func (g *Generation) start(ctx context.Context, m handover.Message) (handover.Started, error) {
	var s handover.Start
	if err := m.Decode(&s); err != nil {
		return handover.Started{}, err
	}
	if len(s.Olders) != len(m.Files) {
		return handover.Started{}, fmt.Errorf("start: %d links to %d older generations", len(m.Files), len(s.Olders))
	}
	cfg, text, err := g.load(s.Config)
	if err != nil {
		return handover.Started{}, err
	}
	if g.logs, err = OpenLogs(cfg.Log, g.opt.Output, g.opt.Errors); err != nil {
		return handover.Started{}, err
	}
	g.log = NewLogger(cfg.Log, g.logs.Events).With().Int("generation", s.ID).Logger()
	LogStart(g.log, g.opt.Version, g.opt.File, cfg)
	g.serving = s.Serving
	if err := g.addOlders(s.Olders, m.Files); err != nil {
		return handover.Started{}, err
	}
	before, err := g.inherit(ctx)
	if err != nil {
		return handover.Started{}, err
	}
	g.inheritCounts(before, s)
	g.id = s.ID
	if err := g.build(ctx, cfg, before); err != nil {
		return handover.Started{}, err
	}
	digest := sha256.Sum256(text)
	return handover.Started{
		Version: g.opt.Version, Config: text, Digest: hex.EncodeToString(digest[:6]), Generations: cfg.Generations,
		StopWithin: cfg.Shutdown.Delay + cfg.Shutdown.Grace,
	}, nil
}

// inheritCounts takes over what other generations have counted. If one has crashed that was
// newer than that which hands over, the parent knows more.
func (g *Generation) inheritCounts(before *Handed, s handover.Start) {
	if before == nil || s.CountsOf > s.Serving {
		if err := g.counts.recover(s.Counts); err != nil {
			g.log.Error().Err(err).Msg("what earlier generations have counted is lost")
		}
	}
	if before != nil {
		g.counts.inherit(before.Counts)
	}
}

// load reads the configuration: text, or what is in the file if text is nil.
func (g *Generation) load(text []byte) (*config.Config, []byte, error) {
	if text == nil {
		var err error
		if text, err = config.Read(g.opt.File); err != nil {
			return nil, nil, err
		}
	}
	cfg, err := config.Parse(g.opt.File, text)
	return cfg, text, err
}

// build builds the Edge and runs it, and waits until it has what was handed over.
func (g *Generation) build(ctx context.Context, cfg *config.Config, before *Handed) error {
	sockets, err := Listen(cfg, handover.NewAsker(ctx, g.parent))
	if err != nil {
		return err
	}
	e, err := New(cfg, sockets, Options{
		Version: g.opt.Version, Logger: g.log, AccessLog: g.logs.Access, Handed: before, Begin: g.begin, Generations: &parentCalls{g.parent}, OtherCounts: g.others, Counted: g.save,
		Number: g.id, OtherTerminals: g.otherTerminals,
	})
	if err != nil {
		return err
	}
	if err := g.adoptOlders(ctx, e); err != nil {
		e.Close()
		return err
	}
	g.edge = e
	g.ready.Store(true)
	g.countElsewhere()
	go func() { g.result <- e.Run(ctx) }() // RunGeneration waits for the result
	if before == nil {
		return nil
	}
	select {
	case <-e.pool.Ready():
		return nil
	case err := <-g.result:
		g.result <- err
		return fmt.Errorf("it has ended before it could serve: %w", err)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// serve takes over what the generation before has decided last, and serves. It returns when
// clients are served.
func (g *Generation) serve(ctx context.Context) error {
	g.beginOrders()
	if err := g.inheritLast(ctx); err != nil {
		g.log.Error().Err(err).Msg("the generation before hasn't handed over its last state: serving from what it had before")
	}
	if g.opt.Started != nil {
		g.opt.Started()
	}
	g.counts.addEnded()
	close(g.begin)
	select {
	case <-g.edge.accepts:
		g.saving.Go(func() { g.saveCounts(ctx) })
		return nil
	case err := <-g.result:
		g.result <- err
		return fmt.Errorf("it has ended before it served: %w", err)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// end closes all terminals at a rate, until the Edge ends.
func (g *Generation) end(ctx context.Context, m handover.Message) error {
	var e handover.End
	if err := m.Decode(&e); err != nil {
		return err
	}
	g.log.Warn().Str("why", e.Why).Int("rate", e.Rate).Msg("closing all terminals")
	go g.edge.proxy.CloseTunnels(ctx, float64(max(e.Rate, 1)), tunnel.ByUpgrade) // it ends with the last of them, for which the Edge waits
	return nil
}

// parentCalls asks the parent for what operators want.
type parentCalls struct{ parent *handover.Conn }

// Change implements admin.Generations.
func (p *parentCalls) Change(ctx context.Context, c handover.Change) (r handover.Result, err error) {
	if _, err := p.parent.Call(ctx, handover.KindChange, c, &r); err != nil {
		return r, err
	}
	if r.Failure != nil {
		return r, r.Failure
	}
	return r, nil
}

// List implements admin.Generations.
func (p *parentCalls) List(ctx context.Context) (all []handover.Generation, err error) {
	_, err = p.parent.Call(ctx, handover.KindGenerations, nil, &all)
	return all, err
}
