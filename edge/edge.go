// Package edge is one balancer: it builds the parts that a configuration asks for, joins
// them by functions, and runs them. The parts don't import one another.
package edge

import (
	"context"
	"io"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"tokenring/admin"
	"tokenring/balancer"
	"tokenring/config"
	"tokenring/counters"
	"tokenring/filewatch"
	"tokenring/gossip/announcement"
	"tokenring/health"
	"tokenring/maintenance"
	"tokenring/notify"
	"tokenring/pool"
	"tokenring/proxy"
	"tokenring/proxy/quota"
	"tokenring/route"
	"tokenring/session"
	"tokenring/stream"
)

// An Edge is one balancer:
//
//	pool ──snapshots──▶ proxy, monitor
//	monitor ──results──▶ pool
//	proxy ──suspicions──▶ monitor
//	admin ──overrides──▶ pool
type Edge struct {
	cfg       *config.Config
	opt       Options
	sockets   Sockets
	digestKey []byte // of digester
	digester  balancer.Digester
	components
	secrets
	announced announcement.Stream // what peers are told of the streams
	tables    tableChanges
	life
	flush func() // flushes the access log
}

// components are what a balancer is made of.
type components struct {
	metrics *prometheus.Registry
	pool    *pool.Pool
	monitor *health.Monitor
	parts   []*part // the pools beside the main one
	proxy   *proxy.Proxy
	quotas  *quota.Quotas // nil for none
	streams *stream.Hub   // nil without peers
	admin   *admin.Server
	// maintenance is what operators have put into maintenance.
	maintenance  *maintenance.Switches
	peersChanged notify.Note // other peers may be connected than before
}

// secrets are what is read again when its file changes.
type secrets struct {
	certificates certificates
	token        *filewatch.Watch[string]
	readToken    *filewatch.Watch[string]              // likewise, of the token that may only read
	access       accessRules                           // read again when their files change
	users        basicUsers                            // likewise
	affinity     map[string]*filewatch.Watch[[][]byte] // secrets of cookies, by pool; "" is the main one
	hostFiles    map[string]hostFiles                  // by setting, such as pool.tls
}

// life is how far an Edge is: it serves, and decides, until it ends.
type life struct {
	stopping     atomic.Bool
	deciding     context.Context // ends when nothing is decided any more
	stopDeciding context.CancelCauseFunc
	accepts      chan struct{} // closed when clients are served
	ran          bool          // Run has begun
	readiness    readiness
}

// Options are what a balancer needs besides its configuration.
type Options struct {
	Version   string // of the program
	Logger    zerolog.Logger
	AccessLog io.Writer // gets the lines of the access log

	// Handed is what another process of this balancer hands over, whose place this one
	// takes; nil if there is none.
	Handed *Handed
	// Begin is closed when that process has let go of everything that both use: until then
	// nobody is served and nothing outside of this process is touched. nil if there is no
	// need to wait.
	Begin <-chan struct{}
	// Generations are the processes of this balancer; nil if this is the only one.
	Generations admin.Generations
	// Number is this process's among them; 0 if it is the only one.
	Number int
	// OtherTerminals lists the terminals of these other processes; nil if there are none.
	OtherTerminals func(ctx context.Context, sel session.Selection) session.Listing
	// OtherCounts returns what these other processes have counted; nil if there are none.
	OtherCounts func() counters.Counts
	// Counted gets what this process has counted whenever that is shown; may be nil.
	Counted func(counters.Counts)
}

// gatherer returns the metrics of this balancer.
func (e *Edge) gatherer() prometheus.Gatherer {
	if e.opt.OtherCounts == nil {
		return e.metrics
	}
	return counters.Merged{Own: e.metrics, Others: e.opt.OtherCounts, Shown: e.opt.Counted}
}

// New builds a balancer that accepts connections on sockets. It finds everything that can
// be wrong with a configuration on this machine before any part runs. The balancer owns
// the sockets from now on: New closes them if it fails, else Run or Close does.
func New(cfg *config.Config, sockets Sockets, opt Options) (*Edge, error) {
	e := &Edge{cfg: cfg, opt: opt, sockets: sockets, components: components{metrics: prometheus.NewRegistry()}, tables: newTableChanges("lb_ring_changes_total", nil), flush: func() {}, life: life{accepts: make(chan struct{})}}
	e.deciding, e.stopDeciding = context.WithCancelCause(context.Background())
	for _, build := range []func() error{
		func() error { return sockets.check(cfg) },
		func() error { return makeStateDir(cfg.StateDir) },
		e.buildCertificates,
		e.buildMaintenance,
		e.buildProxy,
		e.buildStreams,
		e.buildPool,
		e.buildParts,
		e.buildAdmin,
	} {
		if err := build(); err != nil {
			e.Close()
			return nil, err
		}
	}
	return e, nil
}

// Close closes the sockets and the access log. Run calls it. It is for callers that don't
// call Run.
func (e *Edge) Close() {
	if e.pool != nil && !e.ran {
		e.closeParts()
		e.pool.Close() // before its sockets, or it logs that they are closed
	}
	e.sockets.Close()
	e.flush()
}

// Snapshot returns the latest snapshot of the hosts. It is immutable.
func (e *Edge) Snapshot() *route.Snapshot { return e.pool.Snapshot() }

// GossipAddr returns the ip:port that the gossip of hosts and balancers advertises, "" if
// it isn't configured.
func (e *Edge) GossipAddr() string { return e.pool.GossipAddr() }

// SessionHost returns the host of a token's live sessions, "" if it has none.
func (e *Edge) SessionHost(token []byte) string {
	host, _ := e.proxy.Session(e.digester.Digest(token))
	return host
}

// part returns the logger for a part.
func (e *Edge) part(name string) zerolog.Logger {
	return e.opt.Logger.With().Str("part", name).Logger()
}

// use passes a new snapshot of the hosts to the parts.
func (e *Edge) use(s *route.Snapshot) {
	e.proxy.Use(s)
	e.lease(s)
	e.tables.observe(s.Table.Digest())
	e.monitor.Watch(targets(s))
	e.usePeers(s.Peers)
	e.noteReadiness()
}

// checked passes the result of a check to the pool.
func (e *Edge) checked(name string, s health.Status) {
	verdict := route.Unchecked
	switch {
	case s.Known && s.Up:
		verdict = route.Up
	case s.Known:
		verdict = route.Down
	}
	e.poolOf(name).Checked(name, pool.CheckResult{Address: s.Address, Verdict: verdict, Error: s.Error, Refused: s.Refused, Gate: s.Gate, At: s.At})
}
