// Package routing finds the route of a request: the first item of `routes` in lb.yaml that matches
// its host name, path and method. It opens and writes nothing.
package routing

import (
	"bytes"
	"math"
	"slices"
	"strings"
	"sync/atomic"
)

// A Route is one item of `routes`. What a route has beside its pool is found here as well.
type Route struct {
	*Config
	Index int    // its place among the routes
	Label string // its name, as operators and metrics see it

	challenges bool // its paths are all below Challenges

	requests atomic.Uint64
}

// Challenges is where certificate authorities ask for what proves that somebody has a name (RFC 8555
// §8.3). They ask without TLS.
const Challenges = "/.well-known/acme-challenge/"

// TakesChallenges reports whether a route is for such requests alone, and asks for no password. It
// counts before a redirect to https. A nil Route doesn't.
func (r *Route) TakesChallenges() bool { return r != nil && r.challenges && r.Users == nil }

// Requests returns how many requests the route has matched.
func (r *Route) Requests() uint64 { return r.requests.Load() }

// A Table has all routes, in their order. It is immutable, but for the routes' counters. Safe for
// concurrent use. A nil Table has no routes.
//
// Routes are found by the name of the host first, then in a tree of paths: the cost depends on
// the request, hardly on the number of routes. The first route in the order of the file is the
// one with the lowest index among those that match.
type Table struct {
	routes []*Route
	exact  map[string]*tree // by host name
	below  map[string]*tree // by what follows the * of a wildcard
	sizes  [maxHost]bool    // the lengths of the keys of below
	any    *tree
	paths  bool // some route asks for a path

	unmatched atomic.Uint64 // requests
}

// New returns a table of routes. Their host names and paths must be such as CheckHost and
// CheckPath accept. It returns nil if there are none.
func New(all []Config) *Table {
	if len(all) == 0 {
		return nil
	}
	t := &Table{exact: map[string]*tree{}, below: map[string]*tree{}, any: newTree()}
	for i := range all {
		c := &all[i]
		t.routes = append(t.routes, &Route{Config: c, Index: i, Label: c.Label(i), challenges: strings.HasPrefix(c.Path+c.PathPrefix, Challenges)})
		t.paths = t.paths || c.Path != "" || c.PathPrefix != ""
		t.treeOf(Host(c.Host)).insert(c.Path+c.PathPrefix, item{route: int32(i), exact: c.Path != "", methods: c.Method})
	}
	return t
}

// treeOf returns the tree of a host name, a wildcard, or any host.
func (t *Table) treeOf(host string) *tree {
	below, wild := strings.CutPrefix(host, "*")
	trees, key := t.exact, host
	switch {
	case host == "":
		return t.any
	case wild:
		trees, key = t.below, below
		t.sizes[len(below)] = true
	}
	if trees[key] == nil {
		trees[key] = newTree()
	}
	return trees[key]
}

// Routes returns all routes, in their order.
func (t *Table) Routes() []*Route {
	if t == nil {
		return nil
	}
	return t.routes
}

// Route returns the route with a label, nil if there is none.
func (t *Table) Route(label string) *Route {
	i := slices.IndexFunc(t.Routes(), func(r *Route) bool { return r.Label == label })
	if i < 0 {
		return nil
	}
	return t.routes[i]
}

// Match returns the first route that matches a request, nil if none does. host is the value of its
// Host field, path is what comes before "?", as it was sent. clear is false if the path can be
// read in several ways, and these match different routes: such a request must be refused, because
// its host may read the path in the other way. Match allocates for such paths only.
func (t *Table) Match(host, path, method []byte) (r *Route, clear bool) {
	if t == nil {
		return nil, true
	}
	var buf [maxHost]byte
	name := hostName(buf[:0], host)
	found := t.match(name, path, method)
	if t.paths && ambiguous(path) {
		same := func(reading []byte) bool { return t.match(name, reading, method) == found }
		if len(path) > maxAmbiguous || !eachReading(path, same) {
			return nil, false
		}
	}
	if found == none {
		return nil, true
	}
	return t.routes[found], true
}

// Count counts a request for the route that it matches, nil for none.
func (t *Table) Count(r *Route) {
	switch {
	case t == nil:
	case r == nil:
		t.unmatched.Add(1)
	default:
		r.requests.Add(1)
	}
}

// Unmatched returns how many requests no route has matched.
func (t *Table) Unmatched() uint64 {
	if t == nil {
		return 0
	}
	return t.unmatched.Load()
}

// none is the index of no route: it is beyond all others.
const none = math.MaxInt32

// match returns the index of the first route.
func (t *Table) match(name, path, method []byte) int32 {
	found := int32(none)
	if one := t.exact[string(name)]; one != nil {
		found = one.match(path, method, found)
	}
	if len(t.below) == 0 {
		return t.any.match(path, method, found)
	}
	for rest := name; ; rest = rest[1:] {
		i := bytes.IndexByte(rest, '.')
		if i < 0 {
			return t.any.match(path, method, found)
		}
		rest = rest[i:]
		if len(rest) >= maxHost || !t.sizes[len(rest)] {
			continue
		}
		if one := t.below[string(rest)]; one != nil {
			found = one.match(path, method, found)
		}
	}
}
