package edge

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"tokenring/pool"
)

// Run serves until ctx ends or a part fails; or, if another process takes this one's place,
// until the last connection has ended. It returns when everything that it started has ended.
// Serving clients ends first, and the other parts run until it has ended, or until retire.
func (e *Edge) Run(ctx context.Context) error {
	e.ran = true
	defer e.Close()
	front, frontCtx := errgroup.WithContext(ctx)
	back, backCtx := errgroup.WithContext(e.deciding)
	for name, part := range e.deciders() {
		back.Go(func() error { return named(name, part(backCtx)) })
	}
	back.Go(func() error { return named("admin", e.serveAdmin(backCtx)) })
	if e.sockets.Metrics != nil {
		back.Go(func() error { return named("metrics", e.serveMetrics(backCtx)) })
	}
	front.Go(func() error { return e.serveClients(frontCtx, backCtx) })
	err := front.Wait()
	e.stopDeciding(nil)
	if err = errors.Join(err, back.Wait()); err == nil {
		e.opt.Logger.Info().Msg("stopped")
	}
	return err
}

// named returns err with the name of the part that has failed.
func named(part string, err error) error {
	if err != nil {
		return fmt.Errorf("%s: %w", part, err)
	}
	return nil
}

// deciders returns the parts that decide about hosts and certificates, by name. They end when
// no clients are served any more, and when another process takes this one's place.
func (e *Edge) deciders() map[string]func(context.Context) error {
	parts := map[string]func(context.Context) error{
		"pool":   e.pool.Run, // waits for Begin itself, and builds its table before
		"health": e.begun(e.monitor.Run),
		"region": e.proxy.Region().Run,

		"drains": e.begun(e.runDrains), "maintenance": e.begun(e.runMaintenance),

		"admin token": e.watchToken, "readers' token": e.watchReadToken, "affinity key": e.watchAffinity, "access": e.watchAccess, "users": e.watchUsers,
	}
	for _, p := range e.parts {
		parts["pool "+p.name], parts["health of "+p.name] = p.pool.Run, e.begun(p.monitor.Run)
	}
	if e.streams != nil {
		parts["streams"], parts["claims"] = e.begun(e.runStreams), e.proxy.Claims().Run
		parts["connected peers"] = e.runConnected
		parts["splits"] = e.begun(e.runSplits)
		if e.bounded() {
			parts["terminals at peers"] = e.begun(e.runAtPeers)
		}
	}
	if e.certificates.clients != nil {
		parts["tls"] = e.begun(e.renewCertificates)
	}
	for setting := range e.hostFiles {
		parts[setting] = e.watchHostFiles(setting)
	}
	for address, source := range e.certificates.own {
		parts["tls of "+address] = e.begun(source.Run)
	}
	if e.certificates.admin != nil {
		parts["admin's certificate"] = e.begun(e.certificates.admin.Run)
	}
	return parts
}

// begun returns part with a wait for Options.Begin before it.
func (e *Edge) begun(part func(context.Context) error) func(context.Context) error {
	return func(ctx context.Context) error {
		if !e.awaitBegin(ctx) {
			return nil
		}
		return part(ctx)
	}
}

// awaitBegin waits until this process may touch what another process has used before. It
// returns false if ctx ends first.
func (e *Edge) awaitBegin(ctx context.Context) bool {
	if e.opt.Begin == nil {
		return true
	}
	select {
	case <-e.opt.Begin:
		return true
	case <-ctx.Done():
		return false
	}
}

func (e *Edge) serveAdmin(ctx context.Context) error {
	if !e.awaitBegin(ctx) {
		return nil
	}
	return e.admin.Serve(ctx, e.sockets.Admin)
}

func (e *Edge) serveMetrics(ctx context.Context) error {
	if !e.awaitBegin(ctx) {
		return nil
	}
	return e.admin.ServeMetrics(ctx, e.sockets.Metrics)
}

// renewCertificates renews certificates until ctx ends. It begins when clients are served,
// because an ACME server connects to the listeners to validate a domain.
func (e *Edge) renewCertificates(ctx context.Context) error {
	select {
	case <-e.pool.Ready():
		return e.certificates.clients.Run(ctx)
	case <-ctx.Done():
		return nil
	}
}

// serveClients waits until the hosts are known, and then serves. A balancer that knows
// only some of the hosts would send users to the wrong hosts.
func (e *Edge) serveClients(ctx, back context.Context) error {
	if !e.awaitBegin(ctx) {
		return nil
	}
	e.opt.Logger.Info().Stringer("address", e.sockets.Admin.Addr()).Msg("admin endpoint listening")
	if !e.awaitHosts(ctx, back) {
		e.noteStop()
		return nil
	}
	accepting, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	defer context.AfterFunc(back, func() {
		if !errors.Is(context.Cause(back), pool.ErrRetired) {
			stop()
		}
	})()
	g, accepting := errgroup.WithContext(accepting)
	for i, l := range e.listeners() {
		ln := e.sockets.Clients[i]
		e.opt.Logger.Info().Stringer("address", ln.Addr()).Bool("tls", l.TLS != nil).Msg("listening")
		g.Go(func() error { return e.proxy.Serve(accepting, ln, l) })
	}
	close(e.accepts)
	e.noteReadiness()
	var stopping sync.WaitGroup
	stopping.Go(func() {
		e.awaitStop(ctx, accepting)
		stop()
	})
	defer stopping.Wait()
	return g.Wait()
}

// awaitStop waits for the stop signal, the end of ctx. From then on readiness checks fail.
// It returns after shutdown.delay, in which whatever asks these checks sends new clients
// elsewhere, and those that come nevertheless are served. It returns earlier if accepting
// ends.
func (e *Edge) awaitStop(ctx, accepting context.Context) {
	select {
	case <-ctx.Done():
	case <-accepting.Done():
	}
	if ctx.Err() == nil { // the last connection has ended, after retire
		return
	}
	e.noteStop()
	select {
	case <-time.After(e.cfg.Shutdown.Delay):
	case <-accepting.Done():
	}
}
