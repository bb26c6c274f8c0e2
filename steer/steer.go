// Package steer says which addresses of a region the users of a network are sent to by a name of
// the DNS, and why. It is arithmetic: what is known of regions comes in, an outcome comes out, and
// the same goes in as comes out on every server of a zone.
package steer

import (
	"net/netip"
	"slices"
	"time"
)

// A Mode says what counts of a region or an address: its checks or an operator's word.
type Mode string

// The modes, as operators write them.
const (
	Obey   Mode = "obey"   // it is answered while its checks pass
	Remove Mode = "remove" // as Obey, but once it has failed it stays away until an operator recovers it
	Always Mode = "always" // it is answered whatever its checks say
	No     Mode = "no"     // it isn't answered
)

// Modes are all modes.
var Modes = []Mode{Obey, Remove, Always, No}

// A Region is a place with balancers.
type Region struct {
	Name      string
	Mode      Mode
	Addresses []Address
	// Failover are the regions, by index, that get its users first when it doesn't serve.
	Failover []int
	// MinHealthy is how many addresses of each family must serve for the region to serve; at
	// least 1.
	MinHealthy int
}

// An Address is where a region's users are sent to.
type Address struct {
	Addr netip.Addr
	Mode Mode
	// Weight is its share of the region's networks; an address of weight 0 is in every answer.
	Weight int
}

// A Service is what regions serve under a name.
type Service struct {
	Name    string
	Regions []int // by index, in the order in which they are tried at last
	// Serve is how many addresses an answer has at most; at least 1. Those of weight 0 count.
	Serve int
	TTL   TTL
}

// A TTL is for how long resolvers keep an answer: Normal, or Change while the answer may change.
type TTL struct{ Normal, Change time.Duration }

// A State is what is known of all regions. It must not be changed.
type State []RegionState

// A RegionState is what is known of a region.
type RegionState struct {
	// Mode is an operator's, in the place of the configured one; "" for none.
	Mode Mode
	// Away says that the region has failed and waits for an operator's word to come back.
	Away bool
	// Draining says that the region has asked for its users to be sent elsewhere.
	Draining  bool
	Addresses []AddressState // in the order of the region's
	// Changing says that the answer may soon differ from now, or differs since a short time.
	Changing bool
}

// An AddressState is what is known of an address.
type AddressState struct {
	Mode Mode // an operator's; "" for none
	Up   bool // what its checks say
	Away bool // it has failed, and waits for an operator's word to come back
}

// A Reason says why a region is answered.
type Reason string

// The reasons, from the best to the worst.
const (
	First    Reason = "first"    // it is the first of the network's regions
	Next     Reason = "next"     // the ones before it don't serve
	Failover Reason = "failover" // it is the failover of one that doesn't serve
	Other    Reason = "other"    // it is the first of the service's others that serves
	Fallback Reason = "fallback" // no region serves: it is answered as if all its addresses were up
)

// An Outcome is what a network is answered.
type Outcome struct {
	Region  int
	Reason  Reason
	For     int // the region in whose place it is; Region itself if it is its own
	TTL     time.Duration
	Varies  bool // the addresses depend on the network: see Choose
	Serving Set  // the addresses to choose from
}

// A Set is a set of a region's addresses, by index. A region has up to 64.
type Set uint64

// Has reports whether an address is in s.
func (s Set) Has(i int) bool { return s&(1<<i) != 0 }

// Decide returns what a network is answered whose regions are in an order of preference, by index.
//
// The candidates are those of order that the service has, then their failovers, then the service's
// others. The first that serves is answered. If none serves, it is the first that operators
// haven't taken out: a name is never answered empty, because resolvers would keep that.
func Decide(regions []Region, s *Service, state State, order []int) Outcome {
	all := candidates(regions, s, order)
	for _, c := range all {
		if set, serves := serving(&regions[c.region], &state[c.region]); serves {
			return s.outcome(regions, state, c, set)
		}
	}
	last := all[0]
	for _, c := range all {
		if ModeOf(regions[c.region].Mode, state[c.region].Mode) != No {
			last = c
			break
		}
	}
	o := s.outcome(regions, state, candidate{last.region, Fallback, all[0].region}, allOf(&regions[last.region], &state[last.region]))
	o.TTL = s.TTL.Change
	return o
}

func (s *Service) outcome(regions []Region, state State, c candidate, set Set) Outcome {
	o := Outcome{Region: c.region, Reason: c.reason, For: c.instead, TTL: s.TTL.Normal, Serving: set}
	o.Varies = varies(&regions[c.region], set, s.Serve)
	if state[c.region].Changing || state[c.instead].Changing {
		o.TTL = s.TTL.Change
	}
	return o
}

// A candidate is a region that may be answered.
type candidate struct {
	region  int
	reason  Reason
	instead int // the region in whose place it would be answered
}

// candidates returns the regions of a service in the order in which they are tried.
func candidates(regions []Region, s *Service, order []int) []candidate {
	var all []candidate
	add := func(region int, reason Reason, instead int) {
		if slices.Contains(s.Regions, region) && !slices.ContainsFunc(all, func(c candidate) bool { return c.region == region }) {
			all = append(all, candidate{region, reason, instead})
		}
	}
	for _, r := range order {
		reason, instead := Next, r
		if len(all) == 0 {
			reason = First
		} else {
			instead = all[0].region
		}
		add(r, reason, instead)
	}
	for _, c := range slices.Clone(all) {
		for _, r := range regions[c.region].Failover {
			add(r, Failover, c.region)
		}
	}
	for _, r := range s.Regions {
		first := r
		if len(all) > 0 {
			first = all[0].region
		}
		add(r, Other, first)
	}
	return all
}

// Serves reports whether a region serves, and so gets its networks.
func Serves(r *Region, state *RegionState) bool {
	_, serves := serving(r, state)
	return serves
}

// ModeOf returns the mode that counts: an operator's comes first.
func ModeOf(configured, operators Mode) Mode {
	switch {
	case operators != "":
		return operators
	case configured != "":
		return configured
	}
	return Obey
}

// serving returns the addresses of a region that serve, and whether the region does. It does if
// enough addresses of each family that it has serve: users would otherwise be torn between two
// regions, since browsers take whichever family is quicker.
func serving(r *Region, state *RegionState) (Set, bool) {
	mode := ModeOf(r.Mode, state.Mode)
	switch {
	case mode == No:
		return 0, false
	case mode == Always:
		return allOf(r, state), true
	case state.Away || state.Draining:
		return 0, false
	}
	var set Set
	for i, a := range r.Addresses {
		if addressServes(a.Mode, state.Addresses[i]) {
			set |= 1 << i
		}
	}
	for _, is4 := range []bool{true, false} {
		if have := count(r, is4, ^Set(0)); have > 0 && count(r, is4, set) < max(1, min(r.MinHealthy, have)) {
			return set, false
		}
	}
	return set, set != 0
}

func addressServes(configured Mode, state AddressState) bool {
	switch ModeOf(configured, state.Mode) {
	case Always:
		return true
	case No:
		return false
	case Remove:
		return state.Up && !state.Away
	}
	return state.Up
}

// allOf returns the addresses of a region as if all were up: those that operators haven't taken
// out, or all if they have taken out each of a family.
func allOf(r *Region, state *RegionState) Set {
	var in Set
	for i, a := range r.Addresses {
		if ModeOf(a.Mode, state.Addresses[i].Mode) != No {
			in |= 1 << i
		}
	}
	for _, is4 := range []bool{true, false} {
		if count(r, is4, in) == 0 {
			for i, a := range r.Addresses {
				if a.Addr.Is4() == is4 {
					in |= 1 << i
				}
			}
		}
	}
	return in
}

// count returns how many addresses of a family are in a set.
func count(r *Region, is4 bool, set Set) int {
	n := 0
	for i, a := range r.Addresses {
		if a.Addr.Is4() == is4 && set.Has(i) {
			n++
		}
	}
	return n
}
