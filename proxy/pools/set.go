package pools

import (
	"iter"
	"maps"
	"slices"
	"strings"

	"tokenring/proxy/hashkey"
	"tokenring/proxy/routing"
	"tokenring/proxy/upstream"
	"tokenring/route"
)

// A Set is the pools of a proxy. It is immutable. Safe for concurrent use.
type Set struct {
	Main   *Pool
	others map[string]*Pool
}

// NewSet returns a set of a main pool and others.
func NewSet(main Config, others []Config, s Shared) *Set {
	set := &Set{Main: New(main, s), others: map[string]*Pool{}}
	for _, c := range others {
		c.Timeouts = c.Timeouts.Or(main.Timeouts)
		set.others[c.Name] = New(c, s)
	}
	return set
}

// Named returns a pool by its name, nil if there is none. The main pool's name is "", and
// routing.MainPool in the configuration.
func (s *Set) Named(name string) *Pool {
	if name == "" || name == routing.MainPool {
		return s.Main
	}
	return s.others[name]
}

// Of returns the pool to which a host belongs by its name: the host a1 of the pool api is called
// api/a1, and hosts of the main pool have no slash in their names. It is the main pool if there
// is none of that name.
func (s *Set) Of(host string) *Pool {
	if name, _, ok := strings.Cut(host, "/"); ok {
		if p := s.others[name]; p != nil {
			return p
		}
	}
	return s.Main
}

// Host returns a host of the latest snapshot of its pool, nil if it isn't known.
func (s *Set) Host(name string) *route.Host { return s.Of(name).Snapshot().Host(name) }

// Upstream returns the connections to a host, nil if it isn't known.
func (s *Set) Upstream(name string) *upstream.Host { return s.Of(name).Hosts().Upstreams[name] }

// All returns the pools, the main one first, then by name.
func (s *Set) All() iter.Seq[*Pool] {
	return func(yield func(*Pool) bool) {
		if !yield(s.Main) {
			return
		}
		for _, name := range slices.Sorted(maps.Keys(s.others)) {
			if !yield(s.others[name]) {
				return
			}
		}
	}
}

// Upstreams returns the connections to the hosts of all pools, by host name.
func (s *Set) Upstreams() iter.Seq2[string, *upstream.Host] {
	return func(yield func(string, *upstream.Host) bool) {
		for p := range s.All() {
			for name, u := range p.Hosts().Upstreams {
				if !yield(name, u) {
					return
				}
			}
		}
	}
}

// Down returns the hosts of all pools that are down.
func (s *Set) Down() (names []string) {
	for p := range s.All() {
		for _, h := range p.Snapshot().Hosts {
			if h.Verdict == route.Down {
				names = append(names, h.Name)
			}
		}
	}
	return names
}

// Keys returns the places where requests have their key, of all pools together: what is in one
// of them is a secret, whichever pool serves the request.
func (s *Set) Keys() (all hashkey.Rules) {
	for p := range s.All() {
		for _, rule := range p.Key {
			if !slices.Contains(all, rule) {
				all = append(all, rule)
			}
		}
	}
	return all
}
