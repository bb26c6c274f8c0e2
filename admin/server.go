// Package admin is how operators see and steer a balancer: an HTTP API with an
// OpenAPI document, Prometheus metrics, and a live dashboard for browsers, all
// behind one bearer token. It shows a pool's snapshots and passes decisions on;
// it keeps no state but its visitors' sign-ins.
package admin

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"fmt"
	stdlog "log"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

const (
	maxBody      = 64 << 10 // bytes of a request's body
	maxHead      = 32 << 10 // bytes of a request's head
	headTimeout  = 5 * time.Second
	readTimeout  = 15 * time.Second
	writeTimeout = 30 * time.Second // of an answer; event streams renew theirs
	idleTimeout  = 2 * time.Minute
	graceTimeout = 3 * time.Second // for answers under way when the server ends
)

// A Server answers operators. Its methods are safe for concurrent use.
type Server struct {
	deps     Deps
	started  time.Time
	token    [sha256.Size]byte // the digest of Deps.Token
	sessions sessions
	refusals *refusals
	conns    *connections
	planner  *planner
	all      everybody
	streams  chan struct{} // has room for as many event streams as may be open
	handler  http.Handler
}

// New returns a server that is ready to serve. It refuses dependencies that
// leave it without a region, metrics or a token.
func New(d Deps) (*Server, error) {
	if err := d.check(); err != nil {
		return nil, err
	}
	s := &Server{
		deps:     d.withDefaults(),
		started:  time.Now(),
		token:    sha256.Sum256([]byte(d.Token)),
		sessions: newSessions(),
		refusals: newRefusals(d.Logger),
		conns:    newConnections(),
		planner:  newPlanner(d.Hash),
		all:      everybody{hash: d.Hash},
		streams:  make(chan struct{}, maxStreams),
	}
	handler, err := s.routes()
	if err != nil {
		return nil, err
	}
	s.handler = handler
	return s, nil
}

// routes wires everything together. The order of the wrappers matters: no
// answer goes without the security headers, nothing past the guard without
// having shown who it is.
func (s *Server) routes() (http.Handler, error) {
	mux := http.NewServeMux()
	if err := s.registerAPI(mux); err != nil {
		return nil, err
	}
	mux.HandleFunc("GET /healthz", s.healthz)
	mux.HandleFunc("GET /readyz", s.readyz)
	mux.Handle("GET /metrics", promhttp.HandlerFor(s.deps.Metrics, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /events", s.events)
	mux.HandleFunc("GET /{$}", s.page)
	mux.HandleFunc("GET /assets/{file}", asset)
	mux.HandleFunc("POST /signin", s.signIn)
	mux.HandleFunc("POST /signout", s.signOut)
	mux.HandleFunc("/", noRoute(mux))
	return secure(http.MaxBytesHandler(s.guard(mux), maxBody)), nil
}

// Serve answers on ln until ctx ends, then lets answers under way finish for a
// moment. It closes ln, and returns when every connection has ended; the error
// is nil if ctx has ended it. It is called once. With Deps.TLS it speaks TLS on ln.
func (s *Server) Serve(ctx context.Context, ln net.Listener) error {
	bounded := s.conns.listen(ln)
	if s.deps.TLS != nil {
		bounded = tls.NewListener(bounded, s.deps.TLS.TLSConfig())
	}
	srv := &http.Server{
		Handler:           s.handler,
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
	go func() { served <- srv.Serve(bounded) }()

	var err error
	select {
	case <-ctx.Done():
		s.shutDown(ctx, srv)
		<-served
	case err = <-served:
		err = fmt.Errorf("serve admin endpoint on %s: %w", ln.Addr(), err)
		_ = srv.Close() // all that is left is connections; they can't tell us more
	}
	s.sessions.endAll()
	s.conns.open.Wait()
	return err
}

// shutDown waits for answers under way, but not for long.
func (s *Server) shutDown(ctx context.Context, srv *http.Server) {
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), graceTimeout)
	defer cancel()
	if err := srv.Shutdown(grace); err != nil {
		s.deps.Logger.Warn().Err(err).Msg("admin endpoint closed with answers under way")
		_ = srv.Close()
	}
}

// Collectors returns the metrics of the endpoint itself.
func (s *Server) Collectors() []prometheus.Collector {
	return append(s.conns.collectors(), s.refusals.total)
}

// healthz says that the process answers, which it shows by answering.
func (s *Server) healthz(w http.ResponseWriter, _ *http.Request) {
	plain(w, http.StatusOK, "ok")
}

// readyz says whether this balancer takes traffic, and if not, why.
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
