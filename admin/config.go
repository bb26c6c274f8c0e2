package admin

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"
	"unicode"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"tokenring/balancer"
	"tokenring/pool"
	"tokenring/tlsterm"
)

// DefaultAddress is where the admin endpoint listens unless the config says
// otherwise: on loopback, because whoever reaches it and knows the token rules
// the region.
const DefaultAddress = "127.0.0.1:7000"

// Config is the admin section of lb.yaml.
type Config struct {
	Address   string `yaml:"address"`    // host:port to listen on; empty: DefaultAddress
	TokenFile string `yaml:"token_file"` // holds the bearer token, on one line
	// TLS, if not nil, is the certificate that the endpoint is served with. Beyond
	// loopback there must be one, or Insecure must say that there is none.
	TLS      *tlsterm.Pair `yaml:"tls"`
	Insecure bool          `yaml:"insecure"`
	// ConfirmShare is a share of the keys, 0 to 1. lb ctl and the dashboard have an
	// operator confirm what would move more than that; with 1 they never ask.
	// Default 0.5.
	ConfirmShare *float64 `yaml:"confirm_share"`
}

const defaultConfirmShare = 0.5

// WithDefaults returns c with its empty fields filled in. TokenFile has no
// default: without it there is no admin endpoint.
func (c Config) WithDefaults() Config {
	if c.Address == "" {
		c.Address = DefaultAddress
	}
	if c.ConfirmShare == nil {
		share := defaultConfirmShare
		c.ConfirmShare = &share
	}
	return c
}

// TokenFileIn returns the file that holds, or will hold, the bearer token of a
// balancer with this state directory.
func (c Config) TokenFileIn(stateDir string) string {
	return cmp.Or(c.TokenFile, filepath.Join(stateDir, "admin.token"))
}

// CheckToken says why no request could carry text as its bearer token (RFC 9110
// §5.5). The error doesn't show it.
func CheckToken(text string) error {
	switch {
	case text == "":
		return errors.New("the token is empty")
	case strings.ContainsFunc(text, unicode.IsControl):
		return errors.New("the token must be one line of text, without control characters")
	}
	return nil
}

// Region is what operators look at and steer: the hosts and balancers that
// this balancer knows. *pool.Pool is one.
type Region interface {
	// Snapshot returns the state in force; never nil, not to be modified.
	Snapshot() *pool.Snapshot
	// Decide makes an operator's decision known to all balancers and returns
	// when it is in force here.
	Decide(context.Context, pool.Decision) error
}

// Deps is what a Server needs from the rest of the program. Region, Digester,
// Metrics and Token are required; a nil func stands for "none" or "always".
type Deps struct {
	Region   Region
	Sessions func(key []byte) (host string, tunnels int) // the live session of a key
	Live     func() []pool.Session                       // all live sessions
	// Placement is where a key was sent before, while loads are bounded.
	Placement func(key []byte) pool.Placement
	Digester  balancer.Digester // short names for users' tokens
	Hash      balancer.Config   // what the tables are built from
	Cookie    string            // the name of the affinity cookie, "" without one
	Metrics   prometheus.Gatherer
	Token     string // the bearer token, the operator's password

	Name, Version string
	Address       string  // as configured; a host name in it may appear in the Host field of requests
	ConfirmShare  float64 // see Config

	// TLS, if not nil, has the certificates that the endpoint is served with.
	TLS          *tlsterm.Source
	Certificates func() []tlsterm.Expiry // all of the balancer, also those in TLS
	Ready        func() error            // nil error: this balancer takes traffic
	Logger       zerolog.Logger
}

func (d Deps) check() error {
	switch {
	case d.Region == nil:
		return errors.New("admin: no region")
	case d.Metrics == nil:
		return errors.New("admin: no metrics")
	}
	if err := CheckToken(d.Token); err != nil {
		return fmt.Errorf("admin: %w", err)
	}
	return nil
}

func (d Deps) withDefaults() Deps {
	if d.Sessions == nil {
		d.Sessions = func([]byte) (string, int) { return "", 0 }
	}
	if d.Live == nil {
		d.Live = func() []pool.Session { return nil }
	}
	if d.Placement == nil {
		d.Placement = func([]byte) pool.Placement { return pool.Placement{} }
	}
	if d.Certificates == nil {
		d.Certificates = func() []tlsterm.Expiry { return nil }
	}
	if d.Ready == nil {
		d.Ready = func() error { return nil }
	}
	return d
}

// when turns the zero time into nil, which JSON leaves out.
func when(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
