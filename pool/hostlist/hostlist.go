// Package hostlist has the hosts that are listed, which need no agent: in the config file, in
// a file that is read again when it changes, and those that operators have added, with the
// file that keeps these.
package hostlist

import (
	"maps"
	"slices"

	"tokenring/route"
)

// A Host is a host that is listed: in the config file, in pool.hosts_file, or by
// operators.
type Host struct {
	// Spec has the host's address as host:port. A DNS name is looked up again every few
	// seconds. It must be the name of only one machine: see docs/hosts.md. WithDefaults
	// sets the weight.
	route.Spec `yaml:",inline"`
	// ConfiguredWeight is 0..256; nil for the default, 1. A host with 0 gets no keys
	// until an operator sets another weight.
	ConfiguredWeight *int `yaml:"weight"`
	// MaxConnections is how many requests may be in progress on the host through a balancer; 0: as
	// many as the pool says.
	MaxConnections int `yaml:"max_connections"`
	// Backup has the host in the ring only while no other host of its pool serves.
	Backup bool `yaml:"backup"`

	// Of a host that an operator has added; zero in other lists.
	By      route.Attribution `yaml:"-"` // which one
	unknown string            // see savedHost
}

// WithDefaults returns h with its weight set.
func (h Host) WithDefaults() Host {
	switch {
	case h.ConfiguredWeight != nil:
		h.Weight = *h.ConfiguredWeight
	case h.Weight == 0:
		h.Weight = 1
	}
	return h
}

// Lists are the hosts that are listed, by origin and by name. If several lists have a name,
// the greatest origin counts: see route.Origin.
type Lists map[route.Origin]map[string]Host

// Set replaces the list of an origin. It returns the names that were in it or are now,
// sorted.
func (l Lists) Set(origin route.Origin, hosts []Host) []string {
	names := maps.Clone(l[origin])
	if names == nil {
		names = map[string]Host{}
	}
	l[origin] = make(map[string]Host, len(hosts))
	for _, h := range hosts {
		l[origin][h.Name], names[h.Name] = h, h
	}
	return slices.Sorted(maps.Keys(names))
}

// Find returns the host of a name and the list that counts for it. The origin is
// OriginGossip if no list has the name.
func (l Lists) Find(name string) (h Host, origin route.Origin) {
	for from, list := range l {
		if listed, ok := list[name]; ok && from > origin {
			h, origin = listed, from
		}
	}
	return h, origin
}
