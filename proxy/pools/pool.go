// Package pools has what the data path knows of each pool of hosts: where requests have their
// key, how keys are hashed, for how long hosts are waited for, and the hosts of this moment with
// the connections to them. It chooses no host.
package pools

import (
	"cmp"
	"sync/atomic"
	"time"

	"tokenring/answers"
	"tokenring/balancer"
	"tokenring/hosttls"
	"tokenring/http1"
	"tokenring/proxy/affinity"
	"tokenring/proxy/fields"
	"tokenring/proxy/hashkey"
	"tokenring/proxy/limit"
	"tokenring/proxy/queue"
	"tokenring/proxy/upstream"
	"tokenring/route"
)

// Config configures a pool.
type Config struct {
	Name     string                 // "" for the main pool
	Key      hashkey.Rules          // where requests have their key
	Affinity *affinity.CookieConfig // with its defaults; nil for no cookies
	Secrets  [][]byte               // the contents of Affinity's secret files; empty for a random key
	Timeouts Timeouts
	TLS      *hosttls.Client // nil if the hosts speak no TLS
	Upgrades Upgrades
	// SendProxy: see upstream.Config.
	SendProxy bool
	Fields    *fields.Config // changes of fields of its requests and answers; nil for none
	Queue     queue.Config   // of requests to hosts that have as many as they may have
}

// Timeouts bound what a request waits for at a host. A zero field means that of the main pool.
type Timeouts struct {
	Connect  time.Duration `yaml:"connect"`   // a TCP connection to a host
	Response time.Duration `yaml:"response"`  // a host that sends no byte of its answer
	Body     time.Duration `yaml:"body"`      // a client that neither sends nor takes a byte of a body
	Tunnel   time.Duration `yaml:"tunnel"`    // a WebSocket on which nothing moves in either direction
	HostIdle time.Duration `yaml:"host_idle"` // a connection to a host between two requests
}

// Or returns t with its zero fields set to those of other.
func (t Timeouts) Or(other Timeouts) Timeouts {
	return Timeouts{
		Connect:  cmp.Or(t.Connect, other.Connect),
		Response: cmp.Or(t.Response, other.Response),
		Body:     cmp.Or(t.Body, other.Body),
		Tunnel:   cmp.Or(t.Tunnel, other.Tunnel),
		HostIdle: cmp.Or(t.HostIdle, other.HostIdle),
	}
}

// Shared is what all pools of a proxy have in common.
type Shared struct {
	Digest balancer.Digester // see balancer.Digester.Pool
	Heads  http1.Limits      // of the heads of answers
	Idle   *limit.Idle       // counts the idle connections to all hosts
}

// A Pool is one pool of hosts. Its exported fields must not be changed. Safe for concurrent use.
type Pool struct {
	Name     string // "" for the main pool
	Key      hashkey.Rules
	Timeouts Timeouts
	Affinity *affinity.Cookies // nil for none
	Upgrades Upgrades
	Queue    queue.Config   // with its defaults
	Answers  answers.Counts // to requests for which there was a host, or should have been one
	Hashing

	SendProxy bool     // see upstream.Config
	Untrusted []string // fields that hosts get from trusted networks only: see hashkey.Rules

	connections upstream.Config
	hosts       atomic.Pointer[Hosts]
}

// New returns a pool without hosts.
func New(c Config, s Shared) *Pool {
	p := &Pool{
		Name: c.Name, Key: c.Key, Untrusted: c.Key.Untrusted(), Timeouts: c.Timeouts, Upgrades: c.Upgrades, Queue: c.Queue.WithDefaults(),
		Affinity: affinity.New(c.Affinity, c.Secrets), Hashing: newHashing(s.Digest.Pool(c.Name)), SendProxy: c.SendProxy,
		connections: upstream.Config{Limits: s.Heads, MaxIdle: c.Timeouts.HostIdle, Idle: s.Idle, TLS: c.TLS, SendProxy: c.SendProxy},
	}
	p.hosts.Store(&Hosts{Snapshot: route.NewSnapshot(nil, nil), Replaced: make(chan struct{})})
	return p
}

// Hosts returns the hosts of this moment.
func (p *Pool) Hosts() *Hosts { return p.hosts.Load() }

// Snapshot returns the latest snapshot.
func (p *Pool) Snapshot() *route.Snapshot { return p.Hosts().Snapshot }

// Bounded reports whether loads are bounded, and so whether placements are remembered.
func (p *Pool) Bounded() bool { return p.Snapshot().BoundedLoad > 0 }
