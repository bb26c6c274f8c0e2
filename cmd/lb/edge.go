package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"

	"tokenring/admin"
	"tokenring/balancer"
	"tokenring/config"
	"tokenring/health"
	"tokenring/pool"
	"tokenring/proxy"
	"tokenring/tlsterm"
)

// An edge is one balancer, wired together:
//
//	pool ──snapshots──▶ proxy, monitor
//	monitor ──results──▶ pool
//	proxy ──suspicions──▶ monitor
//	admin ──decisions──▶ pool
type edge struct {
	digester  balancer.Digester
	cfg       *config.Config
	log       zerolog.Logger
	metrics   *prometheus.Registry
	pool      *pool.Pool
	monitor   *health.Monitor
	proxy     *proxy.Proxy
	certs     *tlsterm.Source // nil without a TLS listener
	admin     *admin.Server
	adminTLS  *tlsterm.Source // nil if the admin endpoint is in clear
	adminLn   net.Listener
	fronts    []front
	stopping  atomic.Bool
	ran       bool // Run has begun
	readiness readiness
	changes   prometheus.Counter // of the ring's table
	table     string             // the digest of the last one; use alone touches it
	flush     func()             // the access log
}

// A front is a listening socket for clients.
type front struct {
	ln net.Listener
	l  proxy.Listener
}

// newEdge builds a balancer and binds its sockets, so that whatever can be
// wrong with a configuration on this machine is found before anything runs.
// Run closes what newEdge opened.
func newEdge(cfg *config.Config, log zerolog.Logger, accessOut io.Writer) (*edge, error) {
	e := &edge{cfg: cfg, log: log, metrics: prometheus.NewRegistry(), flush: func() {}}
	e.changes = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "lb_ring_changes_total", Help: "Tables swapped in that place some key elsewhere than the one before.",
	})
	for _, build := range []func() error{
		func() error { return makeStateDir(cfg.StateDir) },
		e.buildCertificates,
		func() error { return e.buildProxy(accessOut) },
		e.listen,
		e.buildPool,
		e.buildAdmin,
	} {
		if err := build(); err != nil {
			e.close()
			return nil, err
		}
	}
	return e, nil
}

func (e *edge) buildCertificates() error {
	log := e.log.With().Str("part", "tls").Logger()
	var err error
	if len(e.cfg.TLS.Certificates) > 0 || e.cfg.TLS.ACME != nil {
		if e.certs, err = tlsterm.New(e.cfg.TLS, log); err != nil {
			return fmt.Errorf("tls: %w", err)
		}
	}
	if pair := e.cfg.Admin.TLS; pair != nil {
		if e.adminTLS, err = tlsterm.New(tlsterm.Config{Certificates: []tlsterm.Pair{*pair}}, log); err != nil {
			return fmt.Errorf("admin.tls: %w", err)
		}
	}
	return nil
}

func (e *edge) buildProxy(accessOut io.Writer) error {
	var err error
	if e.digester, err = newDigester(e.cfg); err != nil {
		return err
	}
	trusted, err := pool.ParseNetworks(e.cfg.TrustedNetworks)
	if err != nil {
		return fmt.Errorf("trusted_networks: %w", err)
	}
	secrets, err := affinitySecrets(e.cfg, e.log)
	if err != nil {
		return err
	}
	access, flush := newAccessLog(e.cfg.Log, accessOut, e.metrics)
	e.flush = flush
	e.monitor = health.New(e.cfg.Health, e.log.With().Str("part", "health").Logger(), e.checked)
	e.proxy = proxy.New(
		proxy.Config{
			Timeouts: e.cfg.Timeouts, Limits: e.cfg.Limits, Key: e.cfg.Hash.Key, TrustedNetworks: trusted,
			Affinity: e.cfg.Affinity, AffinitySecrets: secrets, DownGrace: e.cfg.Health.Detection(),
		},
		proxy.Options{
			Logger:  e.log.With().Str("part", "proxy").Logger(),
			Access:  access,
			Metrics: proxy.NewMetrics(e.metrics),
			Suspect: e.monitor.Suspect,
			Digest:  e.digester,
		})
	return nil
}

func (e *edge) buildPool() error {
	var err error
	e.pool, err = pool.New(e.cfg.Pool, e.cfg.Peers, pool.Options{
		Name:       e.cfg.Name,
		Version:    version(),
		StateDir:   e.cfg.StateDir,
		Hash:       e.cfg.Hash,
		Logger:     e.log.With().Str("part", "pool").Logger(),
		Settle:     e.settle(),
		OnSnapshot: e.use,
	})
	return err
}

// settle is how long a lost host stays in the ring, so that hosts which vanish
// together are seen to: twice what checks take to notice one.
func (e *edge) settle() time.Duration {
	return max(5*time.Second, 2*time.Duration(e.cfg.Health.Fall)*e.cfg.Health.Interval)
}

func (e *edge) buildAdmin() error {
	token, err := adminToken(e.cfg, e.log)
	if err != nil {
		return err
	}
	e.register()
	cookie := ""
	if c := e.cfg.Affinity.Cookie; c != nil {
		cookie = c.Name
	}
	e.admin, err = admin.New(admin.Deps{
		Region:       e.pool,
		Sessions:     e.proxy.Session,
		Live:         e.proxy.Live,
		Placement:    e.proxy.Placement,
		Digester:     e.digester,
		Hash:         e.cfg.Hash,
		Cookie:       cookie,
		Metrics:      e.metrics,
		Token:        token,
		Name:         e.cfg.Name,
		Version:      version(),
		Address:      e.cfg.Admin.Address,
		ConfirmShare: *e.cfg.Admin.ConfirmShare,
		TLS:          e.adminTLS,
		Certificates: e.expiries,
		Ready:        e.ready,
		Logger:       e.log.With().Str("part", "admin").Logger(),
	})
	if err == nil {
		e.metrics.MustRegister(e.admin.Collectors()...)
	}
	return err
}

// register adds the metrics that no part registers for itself.
func (e *edge) register() {
	checks := func(result string, count func() uint64) prometheus.Collector {
		return prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "lb_checks_total", Help: "Health checks of hosts, by result.",
			ConstLabels: prometheus.Labels{"result": result},
		}, func() float64 { return float64(count()) })
	}
	e.metrics.MustRegister(
		e.changes,
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		admin.NewCollector(e.pool, e.expiries),
		checks("ok", func() uint64 { ok, _ := e.monitor.Counts(); return ok }),
		checks("failed", func() uint64 { _, failed := e.monitor.Counts(); return failed }),
	)
}

func (e *edge) listen() error {
	gate := tlsterm.NewGate(e.cfg.TLS.MaxHandshakes)
	for _, item := range e.cfg.Listen {
		ln, err := net.Listen("tcp", item.Address)
		if err != nil {
			return fmt.Errorf("listen: %w", err)
		}
		f := front{ln: ln, l: proxy.Listener{HalfCloseAborts: item.HalfClose == proxy.HalfCloseAbort}}
		if item.TLS {
			f.l = proxy.Listener{TLS: e.certs.TLSConfig(), Gate: gate, HTTP2: item.HTTP2 == nil || *item.HTTP2}
		}
		if item.RedirectHTTPS {
			f.l.Redirect, f.l.RedirectKey = e.httpsPort(), item.RedirectKeepKey
		}
		e.fronts = append(e.fronts, f)
	}
	var err error
	if e.adminLn, err = net.Listen("tcp", e.cfg.Admin.Address); err != nil {
		return fmt.Errorf("admin: %w", err)
	}
	return nil
}

// httpsPort is where redirects lead: the port of the first TLS listener.
func (e *edge) httpsPort() string {
	for _, item := range e.cfg.Listen {
		if item.TLS {
			_, port, _ := net.SplitHostPort(item.Address)
			return port
		}
	}
	return "443"
}

// Run serves until ctx ends or a part fails, and returns when everything has
// ended. The clients' side ends first; the rest goes on until it has.
func (e *edge) Run(ctx context.Context) error {
	e.ran = true
	defer e.close()
	e.log.Info().Stringer("address", e.adminLn.Addr()).Msg("admin endpoint listening")
	front, frontCtx := errgroup.WithContext(ctx)
	back, backCtx := errgroup.WithContext(context.WithoutCancel(ctx))
	backCtx, stopBack := context.WithCancel(backCtx)
	defer stopBack()
	for name, part := range e.backParts() {
		back.Go(func() error {
			if err := part(backCtx); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			return nil
		})
	}
	front.Go(func() error { return e.serveClients(frontCtx, backCtx) })
	err := front.Wait()
	stopBack()
	if err = errors.Join(err, back.Wait()); err == nil {
		e.log.Info().Msg("stopped")
	}
	return err
}

// backParts is everything that outlives the clients' side.
func (e *edge) backParts() map[string]func(context.Context) error {
	parts := map[string]func(context.Context) error{
		"pool":   e.pool.Run,
		"health": e.monitor.Run,
		"admin":  func(ctx context.Context) error { return e.admin.Serve(ctx, e.adminLn) },
	}
	if e.certs != nil {
		parts["tls"] = e.keepCertificates
	}
	if e.adminTLS != nil {
		parts["admin's certificate"] = e.adminTLS.Run
	}
	return parts
}

// keepCertificates begins when the listeners do: an ACME server proves a domain
// by connecting to them.
func (e *edge) keepCertificates(ctx context.Context) error {
	select {
	case <-e.pool.Settled():
		return e.certs.Run(ctx)
	case <-ctx.Done():
		return nil
	}
}

// serveClients waits until the hosts are known, because a balancer that knows
// only some of them would send users to the wrong ones, and then serves.
func (e *edge) serveClients(ctx, back context.Context) error {
	if !e.awaitHosts(ctx, back) {
		e.noteStop()
		return nil
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(back, cancel)()
	g, ctx := errgroup.WithContext(ctx)
	for _, f := range e.fronts {
		e.log.Info().Stringer("address", f.ln.Addr()).Bool("tls", f.l.TLS != nil).Msg("listening")
		g.Go(func() error { return e.proxy.Serve(ctx, f.ln, f.l) })
	}
	e.noteReadiness()
	g.Go(func() error {
		<-ctx.Done()
		e.noteStop()
		return nil
	})
	return g.Wait()
}

// close closes what Run hasn't closed, or hasn't come to.
func (e *edge) close() {
	for _, f := range e.fronts {
		f.ln.Close()
	}
	if e.adminLn != nil {
		e.adminLn.Close()
	}
	if e.pool != nil && !e.ran {
		e.pool.Close()
	}
	e.flush()
}

// use hands the parts a new snapshot of the hosts.
func (e *edge) use(s *pool.Snapshot) {
	e.proxy.Use(s)
	if digest := s.Table.Digest(); digest != e.table {
		e.table = digest
		e.changes.Inc()
	}
	targets := make([]health.Target, 0, len(s.Hosts))
	for _, h := range s.Hosts {
		if h.Address != "" && h.State != pool.Maint && h.Contact != pool.Missing { // who knows whose the address is now
			targets = append(targets, health.Target{Name: h.Name, Address: h.Address, Host: h.Authority()})
		}
	}
	e.monitor.Watch(targets)
	e.noteReadiness()
}

// checked hands the pool a result.
func (e *edge) checked(name string, s health.Status) {
	verdict := pool.Unchecked
	switch {
	case s.Known && s.Up:
		verdict = pool.Up
	case s.Known:
		verdict = pool.Down
	}
	e.pool.Hear(name, pool.CheckResult{Address: s.Address, Verdict: verdict, Error: s.Error, At: s.At})
}

// expiries lists the clients' certificates, and the admin endpoint's.
func (e *edge) expiries() (all []tlsterm.Expiry) {
	for _, source := range []*tlsterm.Source{e.certs, e.adminTLS} {
		if source != nil {
			all = append(all, source.Expiries()...)
		}
	}
	return all
}

// ready says why this balancer shouldn't be given clients, nil if it should.
func (e *edge) ready() error {
	select {
	case <-e.pool.Settled():
	default:
		return errors.New("the hosts haven't been checked yet")
	}
	if e.stopping.Load() {
		return errors.New("stopping")
	}
	return unable(e.pool.Snapshot())
}

// unable says why no token gets a host, nil if some do.
func unable(s *pool.Snapshot) error {
	for _, placed := range s.Table.Hosts() {
		if h := s.Host(placed.Name); h != nil && h.Serving() {
			return nil
		}
	}
	if slices.ContainsFunc(s.Hosts, (*pool.Host).Serving) {
		return errors.New("the hosts that can serve aren't in a ring yet")
	}
	return errors.New("no host can serve")
}
