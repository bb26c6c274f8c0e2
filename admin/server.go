// Package admin is how operators watch and control a balancer: an HTTP API with an
// OpenAPI document, Prometheus metrics, and a live dashboard for browsers, all
// behind bearer tokens: the operators', and one that may only read. It shows snapshots of a Region and passes overrides on.
// The sign-ins of browsers are its only state.
package admin

import (
	"context"
	"crypto/tls"
	"fmt"
	stdlog "log"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/rs/zerolog"
	"golang.org/x/time/rate"
)

const (
	maxBody      = 64 << 10 // bytes of a request's body
	maxHead      = 32 << 10 // bytes of a request's head
	headTimeout  = 5 * time.Second
	readTimeout  = 15 * time.Second
	writeTimeout = 30 * time.Second // of an answer; event streams extend it
	idleTimeout  = 2 * time.Minute
)

// A Server answers operators. Its methods are safe for concurrent use.
type Server struct {
	deps        Deps
	started     time.Time
	tokens      tokens
	signIns     signIns
	wrongTokens *wrongTokens
	conns       *connections
	forecaster  *forecaster
	elsewhere   *elsewhere
	full        map[string]*fullTable // by pool
	pastRings   pastRings
	streams     chan struct{} // capacity: how many event streams may be open
	changing    sync.RWMutex  // held for reading while a change of the generation is under way
	grace       time.Duration // graceTimeout, but in tests
	handler     http.Handler
}

// New returns a server that is ready to serve. The error says which of d's required
// fields is missing, or why the token can't be used.
func New(d Deps) (*Server, error) {
	if err := d.check(); err != nil {
		return nil, err
	}
	s := &Server{
		deps:        d.withDefaults(),
		started:     time.Now(),
		signIns:     newSignIns(),
		wrongTokens: newWrongTokens(d.Logger),
		conns:       newConnections(),
		forecaster:  newForecaster(),
		elsewhere:   &elsewhere{ask: d.Elsewhere},
		full:        d.fullTables(),
		streams:     make(chan struct{}, maxStreams),
		grace:       graceTimeout,
	}
	if err := s.SetToken(d.Token); err != nil {
		return nil, fmt.Errorf("admin: %w", err)
	}
	if d.ReadToken != "" {
		if err := s.SetReadToken(d.ReadToken); err != nil {
			return nil, fmt.Errorf("admin: readers: %w", err)
		}
	}
	s.handler = s.routes()
	return s, nil
}

// routes returns the handler of all paths. The order of the wrappers matters: every
// answer has the security headers, and a request reaches the paths behind
// authenticate only with the rights to them.
func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", s.healthz)
	mux.HandleFunc("GET /readyz", s.readyz)
	mux.Handle("GET /metrics", promhttp.HandlerFor(s.deps.Metrics, promhttp.HandlerOpts{}))
	if s.deps.Zone != nil {
		s.registerZone(mux)
	} else {
		s.registerAPI(mux)
		mux.HandleFunc("GET /events", s.events)
		mux.HandleFunc("GET /{$}", s.page)
		mux.HandleFunc("GET /assets/{file}", asset)
		mux.HandleFunc("POST /signin", s.signIn)
		mux.HandleFunc("POST /signout", s.signOut)
	}
	mux.HandleFunc("/", noRoute(mux))
	return secure(http.MaxBytesHandler(s.authenticate(mux), maxBody))
}

// metricsRoutes returns the handler of what needs no token.
func (s *Server) metricsRoutes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", s.healthz)
	mux.HandleFunc("GET /readyz", s.readyz)
	mux.Handle("GET /metrics", promhttp.HandlerFor(s.deps.Metrics, promhttp.HandlerOpts{}))
	return secure(http.MaxBytesHandler(mux, maxBody))
}

// Serve answers on ln until ctx ends. Then it gives answers in progress graceTimeout
// to finish. It closes ln, and returns when every connection has ended. The error is
// nil if ctx ended it. It may be called once. With Deps.TLS it speaks TLS on ln.
func (s *Server) Serve(ctx context.Context, ln net.Listener) error {
	bounded := s.conns.listen(ln)
	if s.deps.TLS != nil {
		bounded = tls.NewListener(bounded, s.deps.TLS.TLSConfig())
	}
	err := s.serve(ctx, bounded, s.handler)
	s.signIns.endHere()
	return err
}

// ServeMetrics is Serve for Config.MetricsAddress.
func (s *Server) ServeMetrics(ctx context.Context, ln net.Listener) error {
	return s.serve(ctx, s.conns.listen(ln), s.metricsRoutes())
}

// serve has handler answer on ln until ctx ends.
func (s *Server) serve(ctx context.Context, ln net.Listener, handler http.Handler) error {
	srv := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: headTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHead,
		BaseContext:       func(net.Listener) context.Context { return ctx }, // ends event streams
		ConnContext:       withConn,
		ConnState:         s.conns.changed,
		ErrorLog:          stdlog.New(newErrorLog(s.deps.Logger), "", 0),
	}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(ln) }()

	var err error
	select {
	case <-ctx.Done():
		s.shutDown(ctx, srv)
		<-served
	case err = <-served:
		err = fmt.Errorf("serve admin endpoint on %s: %w", ln.Addr(), err)
		_ = srv.Close() // only connections are left; their errors say nothing new
	}
	s.conns.open.Wait()
	return err
}

// Collectors returns the metrics of the endpoint itself.
func (s *Server) Collectors() []prometheus.Collector {
	return append(s.conns.collectors(), s.wrongTokens.total)
}

// healthz answers as long as the process can.
func (s *Server) healthz(w http.ResponseWriter, _ *http.Request) {
	plain(w, http.StatusOK, "ok")
}

// readyz says whether this balancer takes traffic, and why not.
func (s *Server) readyz(w http.ResponseWriter, _ *http.Request) {
	if err := s.deps.Ready(); err != nil {
		plain(w, http.StatusServiceUnavailable, "not ready: "+err.Error())
		return
	}
	plain(w, http.StatusOK, "ready")
}

func plain(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = fmt.Fprintln(w, text)
}

// An errorLog logs net/http's messages about connections, such as a failed handshake.
// Strangers can cause these, so their rate is limited.
type errorLog struct {
	log   zerolog.Logger
	lines *rate.Limiter
}

func newErrorLog(log zerolog.Logger) errorLog {
	return errorLog{log, rate.NewLimiter(rate.Every(logEvery), logBurst)}
}

// Write implements io.Writer for log.Logger, which writes one line at a time.
func (l errorLog) Write(line []byte) (int, error) {
	if l.lines.Allow() {
		l.log.Warn().Str("error", strings.TrimSpace(string(line))).Msg("connection to the admin endpoint failed")
	}
	return len(line), nil
}
