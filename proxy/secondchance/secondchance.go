package secondchance

import (
	"bytes"
	"cmp"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"tokenring/http1"
	"tokenring/session"
)

// Chances are the second chances of one balancer: which answers give a request away, how
// many a host may give, and where the keys are that were given away. Make them with New.
// They are safe for concurrent use. Nil *Chances find no such answer.
type Chances struct {
	header  []byte
	perHost int
	tries   int

	fencedOnly bool
	takers     *session.Takers

	mu      sync.Mutex
	budgets map[string]*rate.Limiter // by the name of the host
}

// defaultLinger is for how long a key stays with the host that has taken it if keys don't
// linger elsewhere.
const defaultLinger = 10 * time.Minute

// New returns nil if c is nil. The defaults of c needn't be set. s has the sessions of the
// keys. linger is how long a key without requests and terminals stays with the host that has
// taken it; 0 for 10 minutes.
func New(c *Config, s *session.Sessions, linger time.Duration) *Chances {
	if c == nil {
		return nil
	}
	full := c.WithDefaults()
	return &Chances{
		header: []byte(full.Header), perHost: full.PerHost, tries: full.Tries, fencedOnly: full.FencedOnly,
		takers: session.NewTakers(s, cmp.Or(linger, defaultLinger)), budgets: map[string]*rate.Limiter{},
	}
}

// fenced is the value of the field in the answers of a fenced host.
var fenced = []byte("fenced")

// GivesAway reports whether a host's answer gives the request away. Fenced says that it does so
// because the host is fenced (package gate): it may hold the container, and no other host may
// serve the request. GivesAway hides the fields of the configured name, in any answer.
func (c *Chances) GivesAway(resp *http1.Response) (gives, isFenced bool) {
	if !c.Hide(resp.Fields) || resp.Status != 421 {
		return false, false
	}
	for i := range resp.Fields {
		isFenced = isFenced || c.marks(&resp.Fields[i]) && bytes.Equal(resp.Fields[i].Value, fenced)
	}
	return isFenced || !c.fencedOnly, isFenced
}

// marks reports whether f has the configured name.
func (c *Chances) marks(f *http1.Field) bool {
	return len(f.Name) == len(c.header) && bytes.EqualFold(f.Name, c.header)
}

// Hide marks the fields of the configured name as hop-by-hop, so that the client doesn't get
// them. It reports whether there are any.
func (c *Chances) Hide(fields []http1.Field) (found bool) {
	if c == nil {
		return false
	}
	for i := range fields {
		if f := &fields[i]; c.marks(f) {
			f.Hop, found = true, true
		}
	}
	return found
}

// Takers returns where the keys are that were given away. It is nil, which knows no key, if c
// is nil.
func (c *Chances) Takers() *session.Takers {
	if c == nil {
		return nil
	}
	return c.takers
}

// Tries returns how many other hosts may be asked for one request.
func (c *Chances) Tries() int { return c.tries }

// manyHosts is how many budgets are kept before those that are whole are forgotten.
const manyHosts = 1024

// Allow counts that a host has given a request away at now. It returns false if the host
// has given away too many within the last second.
func (c *Chances) Allow(host string, now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	b := c.budgets[host]
	if b == nil {
		if len(c.budgets) >= manyHosts {
			c.forgetWhole(now)
		}
		b = rate.NewLimiter(rate.Limit(c.perHost), c.perHost)
		c.budgets[host] = b
	}
	return b.AllowN(now, 1)
}

// forgetWhole forgets the budgets that are as good as new. mu is held.
func (c *Chances) forgetWhole(now time.Time) {
	for host, b := range c.budgets {
		if b.TokensAt(now) >= float64(c.perHost) {
			delete(c.budgets, host)
		}
	}
}
