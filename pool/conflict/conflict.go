// Package conflict finds out which hosts announce what they can't have, because another
// host has it or because it is too much. It is arithmetic: of the same hosts it says the
// same on every balancer.
package conflict

import (
	"cmp"
	"slices"
	"strconv"
	"time"

	"tokenring/balancer"
	"tokenring/route"
)

// A Host is what the rules have to know of one host.
type Host struct {
	Name    string
	Address string // of its service: ip:port
	ID      uint32
	Weight  int    // its own
	Machine string // what it has in common with the other hosts of its machine

	Static    bool // it is of the config file or of pool.hosts_file: it has what that says, and is in no conflict
	Operator  bool // operators have added it: only hosts that are Static come before it
	Claims    bool // the ring keeps room for it
	Proven    bool // it exists, so that its weight counts for the median
	WeightSet bool // an operator has set its weight, which has no limit

	Maint bool      // an operator has it in maintenance: all others come before it
	Away  bool      // gossip has lost it for long: hosts that aren't away come before it
	Up    bool      // its checks pass
	Since time.Time // since when it has had what it announces; zero if it never had
}

// Rules are what hosts may announce.
type Rules struct {
	MaxWeight int  // of one machine; 0 for the default, which follows from the median
	MaxHosts  int  // of one machine
	UniqueIDs bool // no two hosts can have one id
}

// A Result says what hosts can't have of what they announce.
type Result struct {
	Barred    map[string]string // why hosts may not be in the ring: one of route's constants, by host
	Limited   map[string]int    // weights that count in place of greater announced ones, by host
	Unset     map[string]int    // those that would count if operators had not set another weight
	Contested map[string]bool   // the hosts that have what others announce, too
	MaxWeight int               // of one machine
}

// Of returns which conflict a host is in: one of route's constants, "" for none.
func (r Result) Of(host string) string {
	if _, limited := r.Limited[host]; limited {
		return route.WhyMaxWeight
	}
	return r.Barred[host]
}

// Resolve finds the conflicts between hosts. Hosts that are Static have none.
//
// Of hosts that announce one service address, or one id where ids are unique, the first
// contender has it. Of the hosts of one machine, the first ones are admitted and share the
// weight that a machine may have.
func Resolve(hosts []Host, rules Rules) Result {
	r := Result{Barred: map[string]string{}, Limited: map[string]int{}, Unset: map[string]int{}, Contested: map[string]bool{}}
	all := contenders(hosts)
	r.bar(all, hosts, route.WhyAddress, func(h *Host) string { return h.Address })
	keepIfUp(all)
	if rules.UniqueIDs {
		r.bar(all, hosts, route.WhyID, idKey)
	}
	r.MaxWeight = cmp.Or(rules.MaxWeight, r.defaultMaxWeight(hosts))
	r.limitMachines(all, rules.MaxHosts)
	return r
}

// A contender is a host that announces something that only one host can have.
type contender struct {
	*Host
	yields int // contenders that yield more come later
}

// compare orders contenders of which not all can have what they announce.
func (c contender) compare(d contender) int {
	return cmp.Or(cmp.Compare(c.yields, d.yields), compareSince(c.Since, d.Since), cmp.Compare(c.Name, d.Name))
}

// compareSince orders times. The zero time, never, is the last one.
func compareSince(a, b time.Time) int {
	switch {
	case a.IsZero() && b.IsZero():
		return 0
	case a.IsZero():
		return 1
	case b.IsZero():
		return -1
	}
	return a.Compare(b)
}

// contenders returns the hosts that can be in conflict, in their order: first those that
// operators have added, last those in maintenance, and before these the ones that are away.
func contenders(hosts []Host) []contender {
	all := make([]contender, 0, len(hosts))
	for i := range hosts {
		h := &hosts[i]
		if h.Static || !h.Claims {
			continue
		}
		c := contender{Host: h}
		switch {
		case h.Operator:
			c.yields = -1
		case h.Maint:
			c.yields = 2
		case h.Away:
			c.yields = 1
		}
		all = append(all, c)
	}
	slices.SortFunc(all, contender.compare)
	return all
}

// keepIfUp puts contenders that are away and pass their checks back to where they would be
// if they weren't away. Another host at the same address makes the checks pass, too, but
// it has been given that address already. Beyond that, what gossip says of a loss, which
// every member can forge, takes nothing from a host that is there.
func keepIfUp(all []contender) {
	for i, c := range all {
		if c.yields == 1 && c.Up {
			all[i].yields = 0
		}
	}
	slices.SortFunc(all, contender.compare)
}

// idKey returns what no two hosts may have in common of their ids with the policy haproxy;
// "" if it can't use the id.
func idKey(h *Host) string {
	if h.ID == 0 {
		return ""
	}
	return strconv.FormatUint(uint64(h.ID%balancer.HAProxyIDs), 10)
}

// bar bars the contenders that announce what an earlier one or a Static host
// has. key returns what they announce, "" for a host that can't be in conflict.
func (r Result) bar(all []contender, hosts []Host, why string, key func(*Host) string) {
	owner := make(map[string]*Host, len(hosts))
	for i := range hosts {
		if h := &hosts[i]; h.Static {
			owner[key(h)] = h
		}
	}
	for _, c := range all {
		k := key(c.Host)
		has, taken := owner[k]
		switch {
		case r.Barred[c.Name] != "" || k == "":
		case !taken:
			owner[k] = c.Host
		default:
			r.Barred[c.Name] = why
			if !has.Static && !has.Operator {
				r.Contested[has.Name] = true
			}
		}
	}
}
