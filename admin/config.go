package admin

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/danielgtaylor/huma/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"tokenring/balancer"
	"tokenring/counters"
	"tokenring/maintenance"
	"tokenring/ringlog"
	"tokenring/route"
	"tokenring/session"
	"tokenring/stream"
	"tokenring/tlsterm"
)

// DefaultAddress is the default of Config.Address. It is on loopback, because a client
// that reaches the endpoint and knows the token controls the region.
const DefaultAddress = "127.0.0.1:7000"

// Config is the admin section of lb.yaml.
type Config struct {
	Address   string `yaml:"address"`    // host:port to listen on; empty: DefaultAddress
	TokenFile string `yaml:"token_file"` // holds the bearer token, on one line
	// ReadTokenFile holds a token that may read, and change nothing. Default: none.
	ReadTokenFile string `yaml:"read_token_file"`
	// MetricsAddress is host:port of a further listener, in clear and without a token, that has
	// /metrics, /healthz and /readyz alone. Default: none.
	MetricsAddress string `yaml:"metrics_address"`
	// TLS, if not nil, is the endpoint's certificate. An address that isn't loopback
	// needs TLS, or Insecure to serve without it.
	TLS      *tlsterm.Pair `yaml:"tls"`
	Insecure bool          `yaml:"insecure"`
	// ConfirmShare is a share of the keys, 0 to 1. lb ctl and the dashboard ask the
	// operator to confirm an override that would move more than that. With 1 they
	// never ask. Default 0.5.
	ConfirmShare *float64 `yaml:"confirm_share"`
}

const defaultConfirmShare = 0.5

// WithDefaults returns c with its empty fields filled in, except TokenFile: see
// TokenFileIn.
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

// CheckToken returns an error if text can't be the bearer token of a request
// (RFC 9110 §5.5). The error doesn't show text.
func CheckToken(text string) error {
	switch {
	case text == "":
		return errors.New("the token is empty")
	case strings.ContainsFunc(text, unicode.IsControl):
		return errors.New("the token must be one line of text, without control characters")
	}
	return nil
}

// Region is what operators watch and control: the hosts and balancers that this
// balancer knows. *pool.Pool is a Region.
type Region interface {
	// Snapshot returns the state in force. It is never nil, and must not be modified.
	Snapshot() *route.Snapshot
	// Override announces an operator's override to all balancers. It returns when
	// the override is in force here.
	Override(context.Context, route.Override) error
	// RingLog returns what the ring was. It is never nil.
	RingLog() *ringlog.Log
	// EditHosts changes the hosts that operators have added to this balancer. It returns
	// when that is in force here. Errors wrap route.ErrHostEdit if it can't be made.
	EditHosts(context.Context, route.HostEdit) error
	// Rekey announces what an operator says of a host's key to all balancers. It
	// returns the key by which they know the host from now on, zero if they are to
	// learn it, when that is in force here. Errors wrap route.ErrRekey if nothing was
	// changed.
	Rekey(context.Context, route.Rekey) (route.HostKey, error)
}

// Deps is what a Server needs from the rest of the program. Region, Digester,
// Metrics and Token are required. A nil func means "none", a nil Ready "always".
type Deps struct {
	Zone   *Zone           // of a server of names, which has no Region; nil for a balancer
	Region Region          // all pools, as one
	Pools  map[string]Pool // those beside the main one, by name
	Users
	Hash      balancer.Config // what the tables are built from
	Cookie    string          // the name of the affinity cookie, "" if there is none
	Metrics   prometheus.Gatherer
	Elsewhere func() counters.Counts // what the other processes of the balancer have counted
	Identity
	Trust
	Problems    func() []string            // what is wrong elsewhere, a sentence each, with what to do
	Ready       func() error               // nil error: this balancer takes traffic
	Generations Generations                // nil if the balancer is one process
	Streams     func() []stream.PeerStatus // nil: there are none
	Insist      Insist                     // nil: nothing ever waits
	Routes      func() Routes              // nil: there are none
	Limits      func() Limits              // nil: there are none
	Maintenance Maintenance                // nil funcs: there is none
	Logger      zerolog.Logger
}

// A Pool is what belongs to one pool beside the main one.
type Pool struct {
	Name         string
	Region       Region
	Hash         balancer.Config
	ConfirmShare float64
	MinServing   float64
	Digester     balancer.Digester
	Cookie       string // the name of the affinity cookie, "" if there is none
}

// Users are the sessions of users and their tokens.
type Users struct {
	Sessions func(key balancer.Digest) (host string, tunnels int) // the live session of the key of this digest
	Live     func() []session.Session                             // all live sessions
	// Stays returns why the key of this digest is to stay on hosts, besides a live session
	// here: the first one counts if there is none. See route.Snapshot.Stay.
	Stays func(key balancer.Digest) []route.Stay
	// Placement returns the earlier placement of the key of this digest, if loads are
	// bounded or a host has given the key away.
	Placement func(key balancer.Digest) route.Placement
	Digester  balancer.Digester     // short names for users' tokens
	Terminals Terminals             // nil: there are none
	AtPeers   func(host string) int // how many terminals a host has through other balancers
}

// Identity is who the balancer is, and how operators reach it.
type Identity struct {
	Token         string // the bearer token, the operator's password, until SetToken replaces it
	ReadToken     string // a bearer token that may read, and change nothing, until SetReadToken replaces it; "" for none
	Name, Version string
	Address       string  // as configured; if it has a host name, requests may have this name as Host
	ConfirmShare  float64 // see Config
	MinServing    float64 // the share of the hosts' weight that must serve when an operator takes a host out
}

// Trust are the certificates and the secrets of the balancer.
type Trust struct {
	// TLS, if not nil, has the endpoint's certificates.
	TLS          *tlsterm.Source
	Secrets      func() []route.SecretUse // those of the gossips
	Certificates func() []tlsterm.Expiry  // all certificates of the balancer, also those in TLS
}

func (d Deps) check() error {
	switch {
	case d.Region == nil && d.Zone == nil:
		return errors.New("admin: no region")
	case d.Metrics == nil:
		return errors.New("admin: no metrics")
	}
	return nil
}

func (d Deps) withDefaults() Deps {
	if d.Sessions == nil {
		d.Sessions = func(balancer.Digest) (string, int) { return "", 0 }
	}
	if d.Streams == nil {
		d.Streams = func() []stream.PeerStatus { return nil }
	}
	if d.Limits == nil {
		d.Limits = func() Limits { return Limits{} }
	}
	if d.Routes == nil {
		d.Routes = func() Routes { return Routes{Routes: []RouteStatus{}, Unmatched: RouteStatus{Does: "pool pool"}} }
	}
	if d.Insist == nil {
		d.Insist = func(context.Context, []string) (Insisted, error) { return Insisted{}, route.ErrNothingWaits }
	}
	if d.Maintenance.Set == nil {
		d.Maintenance = Maintenance{
			Active: func() []maintenance.Switch { return nil },
			Set: func(context.Context, maintenance.Switch) (MaintenanceSet, error) {
				return MaintenanceSet{}, ErrNoSuchRoute
			},
		}
	}
	if d.Terminals == nil {
		d.Terminals = noTerminals{}
	}
	if d.Live == nil {
		d.Live = func() []session.Session { return nil }
	}
	if d.AtPeers == nil {
		d.AtPeers = func(string) int { return 0 }
	}
	if d.Stays == nil {
		d.Stays = func(balancer.Digest) []route.Stay { return nil }
	}
	if d.Placement == nil {
		d.Placement = func(balancer.Digest) route.Placement { return route.Placement{} }
	}
	if d.Secrets == nil {
		d.Secrets = func() []route.SecretUse { return nil }
	}
	if d.Certificates == nil {
		d.Certificates = func() []tlsterm.Expiry { return nil }
	}
	if d.Problems == nil {
		d.Problems = func() []string { return nil }
	}
	if d.Ready == nil {
		d.Ready = func() error { return nil }
	}
	return d
}

// when returns a pointer to t, nil if t is zero. JSON leaves nil out.
func when(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// pool returns what belongs to a pool: "" is the main one. A pool that isn't known has the main
// one's.
func (s *Server) pool(name string) Pool {
	if p, ok := s.deps.Pools[name]; ok {
		return p
	}
	return Pool{Region: s.deps.Region, Hash: s.deps.Hash, ConfirmShare: s.deps.ConfirmShare, MinServing: s.deps.MinServing, Digester: s.deps.Digester, Cookie: s.deps.Cookie}
}

// poolAsked returns the pool of a question; "" is the main one. The error says which pools there are.
func (s *Server) poolAsked(name string) (Pool, error) {
	if _, ok := s.deps.Pools[name]; !ok && name != "" {
		names := slices.Sorted(maps.Keys(s.deps.Pools))
		names = slices.DeleteFunc(names, func(n string) bool { return n == "" })
		return Pool{}, huma.Error404NotFound(fmt.Sprintf("no pool is called %q beside the main one; there are: %s", name, cmp.Or(strings.Join(names, ", "), "none")))
	}
	return s.pool(name), nil
}

// liveIn returns the live sessions on the hosts of a pool.
func (s *Server) liveIn(pool string) []session.Session {
	return slices.DeleteFunc(s.deps.Live(), func(l session.Session) bool { return route.PoolOf(l.Host) != pool })
}
