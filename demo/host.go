// Package demo is an IDE host to try a balancer with. It has a page with a terminal, and
// behind the terminal's WebSocket one real shell per token, which stays for a while when
// the connection breaks. A few plain endpoints are for tests.
package demo

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"
)

const (
	defaultLinger = 2 * time.Minute
	stopGrace     = 3 * time.Second // what plain requests get to finish when the host stops
)

// HostConfig says what one demo host is.
type HostConfig struct {
	// Name is the host's name that users see, such as "ide-1".
	Name string
	// Shell makes terminals run the user's own shell. Serve refuses it on a
	// listener that isn't loopback. Without it, and where the system has no
	// shell, terminals answer a few built-in commands.
	Shell bool
	// Stop is called, at most once, when a user presses the page's stop button. It
	// should end Serve's context, and must not wait for Serve to return. If Stop is
	// nil, there is no button.
	Stop func()
	// Linger is how long a shell outlives its last connection; 0 is 2 minutes.
	Linger time.Duration
	// Logger gets changes of state, never tokens.
	Logger zerolog.Logger
}

// Host is one demo IDE host. Its methods are safe for concurrent use.
type Host struct {
	cfg     HostConfig
	origins originCheck
	shells  *shells
	started time.Time
	busy    sync.WaitGroup // handlers, those of hijacked connections included
	stop    sync.Once
}

// NewHost returns a host that waits for Serve.
func NewHost(cfg HostConfig) *Host {
	if cfg.Linger == 0 {
		cfg.Linger = defaultLinger
	}
	h := &Host{cfg: cfg, started: time.Now()}
	shell := ""
	if cfg.Shell {
		shell = findShell()
	}
	h.origins = originCheck{loopbackOnly: cfg.Shell}
	h.shells = newShells(cfg.Linger, func() (program, error) {
		if shell != "" {
			return startShell(shell, cfg.Name)
		}
		return newBuiltin(cfg.Name, h.started, h.shells.count), nil
	})
	return h
}

// Serve answers on ln until ctx ends, and closes ln. When ctx ends, it closes the
// terminals, gives plain requests a few seconds, ends every shell, and returns nil when
// all of that is done. It may be called once.
func (h *Host) Serve(ctx context.Context, ln net.Listener) error {
	if h.cfg.Shell && !loopback(ln.Addr()) {
		_ = ln.Close()
		return fmt.Errorf("demo host %s: a real shell is only served on loopback, not on %s", h.cfg.Name, ln.Addr())
	}
	ctx, end := context.WithCancel(ctx)
	base, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	srv := &http.Server{
		Handler:           h.handler(ctx),
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       5 * time.Minute,
		BaseContext:       func(net.Listener) context.Context { return base },
		ErrorLog:          log.New(h.cfg.Logger, "", 0),
	}
	served := make(chan error, 1)
	go func() { defer end(); served <- srv.Serve(ln) }()
	h.cfg.Logger.Info().Str("host", h.cfg.Name).Str("address", ln.Addr().String()).Msg("demo host serves")

	<-ctx.Done()
	h.shutDown(srv, cut)
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("demo host %s: %w", h.cfg.Name, err)
	}
	return nil
}

// ServeWhile is Serve as long as announce runs, and returns the error of the two. When ctx
// ends, announce ends first, because a host announces that it leaves before it stops.
func (h *Host) ServeWhile(ctx context.Context, ln net.Listener, announce func(context.Context) error) error {
	g, group := errgroup.WithContext(context.WithoutCancel(ctx))
	serving, stop := context.WithCancel(group)
	g.Go(func() error { return h.Serve(serving, ln) })
	g.Go(func() error {
		defer stop()
		ctx, cancel := context.WithCancel(ctx)
		defer context.AfterFunc(group, cancel)()
		return announce(ctx)
	})
	return g.Wait()
}

// shutDown ends what srv serves; cut ends the requests that outlive the grace.
func (h *Host) shutDown(srv *http.Server, cut context.CancelFunc) {
	grace, done := context.WithTimeout(context.Background(), stopGrace)
	defer done()
	if srv.Shutdown(grace) != nil {
		cut()
		_ = srv.Close() // Shutdown has closed the listener; this cuts connections.
	}
	h.busy.Wait()
	h.shells.wait()
	h.cfg.Logger.Info().Str("host", h.cfg.Name).Msg("demo host has stopped")
}

// handler returns the handler of all paths. ctx is Serve's; terminals close when it ends.
func (h *Host) handler(ctx context.Context) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", h.page)
	mux.HandleFunc("GET /demo/{file}", asset)
	mux.HandleFunc("POST /demo/stop", h.serveStop)
	mux.HandleFunc("GET /environment/websocket", func(w http.ResponseWriter, r *http.Request) { h.webSocket(ctx, w, r) })
	mux.HandleFunc("GET /whoami", h.whoami)
	mux.HandleFunc("GET /blob", blob)
	mux.HandleFunc("GET /slow", h.slow)
	mux.HandleFunc("POST /upload", h.upload)

	all := http.NewServeMux()
	all.HandleFunc("GET /healthz", healthz)
	all.Handle("/", h.checked(mux))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.busy.Add(1)
		defer h.busy.Done()
		all.ServeHTTP(w, r)
	})
}

// checked refuses requests for other hosts, and sets the fields that every answer has.
func (h *Host) checked(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if why := h.origins.refuseHost(r.Host); why != "" {
			http.Error(w, why, http.StatusForbidden)
			return
		}
		head := w.Header()
		head.Set("X-Content-Type-Options", "nosniff")
		head.Set("Referrer-Policy", "no-referrer") // the page's URL has the token
		head.Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}

// serveStop answers the page's stop button. The request names its host, because it may
// reach another host after the first has stopped.
func (h *Host) serveStop(w http.ResponseWriter, r *http.Request) {
	origin := r.Header.Get("Origin")
	switch {
	case h.cfg.Stop == nil:
		http.Error(w, "this host can't be stopped from here", http.StatusNotFound)
	case origin == "" || !sameOrigin(origin, r.Host):
		http.Error(w, "only the host's own page may stop it", http.StatusForbidden)
	case r.URL.Query().Get("host") != h.cfg.Name:
		writeJSON(w, http.StatusConflict, map[string]string{"host": h.cfg.Name})
	default:
		writeJSON(w, http.StatusAccepted, map[string]string{"host": h.cfg.Name})
		h.cfg.Logger.Info().Str("host", h.cfg.Name).Msg("stop button pressed")
		h.stop.Do(h.cfg.Stop)
	}
}
