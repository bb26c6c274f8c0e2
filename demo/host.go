// Package demo is an IDE host to try a balancer with: a page with a terminal in
// it, and behind its WebSocket one real shell per token, kept for a while when
// the connection breaks. A few plain endpoints beside it serve tests.
package demo

import (
	"context"
	"net"
	"time"

	"github.com/rs/zerolog"
)

// HostConfig says what one demo host is.
type HostConfig struct {
	// Name is what the host shows as its own, such as "ide-1".
	Name string
	// Shell makes terminals run the user's own shell. Serve refuses it on a
	// listener that isn't loopback. Without it, and where the system has no
	// shell, terminals answer a few built-in commands.
	Shell bool
	// Stop is called, at most once and in a goroutine that Serve waits for,
	// when somebody presses the page's stop button. It should end Serve's
	// context. Nil: there is no button.
	Stop func()
	// Linger is how long a shell outlives its last connection; 0 is 2 minutes.
	Linger time.Duration
	// Logger gets changes of state; tokens never.
	Logger zerolog.Logger
}

// Host is one demo IDE host.
type Host struct {
	cfg HostConfig
}

// NewHost returns a host that waits for Serve.
func NewHost(cfg HostConfig) *Host { return &Host{cfg: cfg} }

// Serve answers ln's connections until ctx ends.
func (h *Host) Serve(ctx context.Context, ln net.Listener) error {
	<-ctx.Done()
	return ln.Close()
}
