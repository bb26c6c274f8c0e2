package pools

import (
	"tokenring/proxy/upstream"
	"tokenring/route"
)

// Hosts are a snapshot of a pool's hosts together with the connections to them. They are
// immutable; Pool.Use swaps them whole.
type Hosts struct {
	Snapshot  *route.Snapshot
	Upstreams map[string]*upstream.Host // by host name
	Replaced  chan struct{}             // closed when Use has replaced these hosts
}

// A Change is what a new snapshot has changed.
type Change struct {
	Maint  map[string]bool           // hosts that went to maint
	Back   map[string]bool           // hosts whose checks here pass again
	Failed []*upstream.Host          // those that are down, or went to maint
	Gone   []*upstream.Host          // those that there are no more, or not at this address
	Fresh  map[string]*upstream.Host // those that weren't there before, or not at this address
}

// Use makes s the pool's snapshot, and returns what it changes. The caller closes what is gone,
// and then opens what is fresh, which has no connection before. Use must not be called
// concurrently with itself.
func (p *Pool) Use(s *route.Snapshot) Change {
	old := p.Hosts()
	next := &Hosts{Snapshot: s, Upstreams: make(map[string]*upstream.Host, len(s.Hosts)), Replaced: make(chan struct{})}
	c := Change{Maint: map[string]bool{}, Back: map[string]bool{}, Fresh: map[string]*upstream.Host{}}
	for _, h := range s.Hosts {
		u := old.Upstreams[h.Name]
		if u == nil || u.Address != h.Address || u.Gauges != h.Gauges {
			u = upstream.New(h, p.connections)
			c.Fresh[h.Name] = u
		}
		u.Slots.SetBound(h.MaxConnections)
		next.Upstreams[h.Name] = u
		if h.State == route.Maint && !InMaint(old.Snapshot, h.Name) {
			c.Maint[h.Name] = true
		}
		if h.Verdict == route.Down || c.Maint[h.Name] {
			c.Failed = append(c.Failed, u)
		}
		if was := old.Snapshot.Host(h.Name); was != nil && was.Own == route.Down && h.Own == route.Up {
			c.Back[h.Name] = true
		}
	}
	for name, u := range old.Upstreams {
		if next.Upstreams[name] != u {
			c.Gone = append(c.Gone, u)
		}
	}
	p.hosts.Store(next)
	close(old.Replaced)
	return c
}

// Moved reports whether a connection to at leads to where a host isn't any more.
func (c *Change) Moved(at *route.Endpoint) bool {
	u := c.Fresh[at.Name]
	return u != nil && u.Endpoint != *at && u.Address != "" // "": its name isn't resolved yet
}

// Left returns the endpoints of what is gone.
func (c *Change) Left() (at []route.Endpoint) {
	for _, u := range c.Gone {
		at = append(at, u.Endpoint)
	}
	return at
}

// InMaint reports whether the named host is in maint.
func InMaint(s *route.Snapshot, name string) bool {
	h := s.Host(name)
	return h != nil && h.State == route.Maint
}
