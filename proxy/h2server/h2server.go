// Package h2server serves HTTP/2 on connections that are handed to it. net/http reads and
// writes the frames. A guard sees each frame before net/http does, and bounds what a
// connection may cost.
package h2server

import (
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"time"

	"tokenring/http2"
)

// Bounds of an HTTP/2 connection, which limit the memory that one client can use.
const (
	maxStreamWindow = 512 << 10 // bytes of a body that the host hasn't taken yet
	maxConnWindow   = 1 << 20   // the same, of all streams together
	maxFrame        = 16 << 10
	headerTable     = 4 << 10
	pingAfter       = 30 * time.Second // without a frame
	pingTimeout     = 15 * time.Second
)

// Config says how connections are served.
type Config struct {
	Streams      int           // how many a connection may have at a time
	Head         int           // how many bytes the head of a request may have
	HeadTimeout  time.Duration // of the connection preface
	IdleTimeout  time.Duration // of a connection without a stream; it ends up to a quarter later
	WriteTimeout time.Duration // of a client that takes nothing
}

// maxSection returns the largest header section that net/http reads if MaxHeaderBytes is
// head: net/http adds the overhead of ten fields.
func maxSection(head int) int { return head + 10*32 }

// A Server is net/http's server. Its methods are safe for concurrent use.
type Server struct {
	cfg      Config
	http     *http.Server
	accepted *handed

	mu    sync.Mutex
	conns map[*Conn]struct{} // that Hand was called for, until they are closed
}

// New returns a server that waits for connections once Serve runs.
func New(c Config) *Server {
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true) // for net/http: connections are handed over after the TLS handshake
	return &Server{
		cfg:      c,
		conns:    map[*Conn]struct{}{},
		accepted: &handed{conns: make(chan net.Conn), closed: make(chan struct{})},
		http: &http.Server{
			Handler:           http.HandlerFunc(serveStream),
			ConnContext:       func(ctx context.Context, nc net.Conn) context.Context { return context.WithValue(ctx, connKey{}, nc) },
			ReadHeaderTimeout: c.HeadTimeout,
			MaxHeaderBytes:    c.Head,
			ErrorLog:          log.New(io.Discard, "", 0), // its lines could contain what clients send
			Protocols:         protocols,
			HTTP2: &http.HTTP2Config{
				MaxConcurrentStreams:          c.Streams,
				MaxDecoderHeaderTableSize:     headerTable,
				MaxEncoderHeaderTableSize:     headerTable,
				MaxReadFrameSize:              maxFrame,
				MaxReceiveBufferPerConnection: maxConnWindow,
				MaxReceiveBufferPerStream:     maxStreamWindow,
				SendPingTimeout:               pingAfter,
				PingTimeout:                   pingTimeout,
				WriteByteTimeout:              c.WriteTimeout,
			},
			DisableGeneralOptionsHandler: true, // the host answers OPTIONS *
		},
	}
}

type connKey struct{}

// serveStream is net/http's handler of all streams.
func serveStream(w http.ResponseWriter, r *http.Request) {
	c := r.Context().Value(connKey{}).(*Conn)
	if !c.retain() {
		return
	}
	defer c.finished()
	c.owner.ServeStream(w, r)
}

// Serve serves connections until Stop or Close is called.
func (s *Server) Serve() error {
	if err := s.http.Serve(s.accepted); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// NewConn returns a connection for Hand, from a TLS connection and the socket below it.
// From Hand on both belong to the server.
func (s *Server) NewConn(nc, socket net.Conn, owner Owner) *Conn {
	c := &Conn{
		Conn: nc, socket: socket, server: s, owner: owner, idleTimeout: s.cfg.IdleTimeout, began: time.Now(),
		guard: http2.NewGuard(maxSection(s.cfg.Head)),
	}
	c.users.Store(1)
	return c
}

// Hand gives c to the server, which will close it. It blocks until Serve takes c. A server
// that takes no more connections tells the client to open another one, and closes c.
func (s *Server) Hand(c *Conn) {
	s.mu.Lock()
	s.conns[c] = struct{}{}
	s.mu.Unlock()
	c.watchIdle()
	select {
	case s.accepted.conns <- c:
	case <-s.accepted.closed:
		if c.turnAway() {
			_, _ = c.drain()
		}
		c.Close()
	}
}

// forget ends what Hand began.
func (s *Server) forget(c *Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
}

// Stop tells all clients to open no more streams, and waits until all streams have ended,
// or ctx has.
func (s *Server) Stop(ctx context.Context) { _ = s.http.Shutdown(ctx) }

// Close closes all connections, and ends Serve.
func (s *Server) Close() error { return s.http.Close() }

// handed is the net.Listener of connections that are handed to the server.
type handed struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

// Accept implements net.Listener.
func (h *handed) Accept() (net.Conn, error) {
	select {
	case nc := <-h.conns:
		return nc, nil
	case <-h.closed:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (h *handed) Close() error {
	h.once.Do(func() { close(h.closed) })
	return nil
}

// Addr implements net.Listener.
func (h *handed) Addr() net.Addr { return &net.TCPAddr{} }
