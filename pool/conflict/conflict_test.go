package conflict

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tokenring/route"
)

// at returns the time so many seconds after the first host came.
func at(seconds int) time.Time {
	return time.Date(2026, 1, 2, 3, 4, 5+seconds, 0, time.UTC)
}

// host returns a host that is in conflict with no other, changed by what follows.
func host(name string, changes ...func(*Host)) Host {
	h := Host{Name: name, Address: name + ":4000", Weight: 1, Machine: name, Claims: true, Proven: true, Since: at(0)}
	for _, change := range changes {
		change(&h)
	}
	return h
}

func address(a string) func(*Host)      { return func(h *Host) { h.Address = a } }
func id(n uint32) func(*Host)           { return func(h *Host) { h.ID = n } }
func since(t time.Time) func(*Host)     { return func(h *Host) { h.Since = t } }
func weight(n int) func(*Host)          { return func(h *Host) { h.Weight = n } }
func machine(name string) func(*Host)   { return func(h *Host) { h.Machine = name } }
func static(h *Host)                    { h.Static = true }
func operator(h *Host)                  { h.Operator = true }
func away(h *Host)                      { h.Away = true }
func up(h *Host)                        { h.Up = true }
func maint(h *Host)                     { h.Maint = true }
func noClaim(h *Host)                   { h.Claims = false }
func weightSet(h *Host)                 { h.WeightSet = true }
func unproven(h *Host)                  { h.Proven = false }
func rules(change func(r *Rules)) Rules { r := Rules{MaxHosts: 8}; change(&r); return r }

// text returns what hosts can't have, and with whom they are in conflict, in one line.
func (r Result) text() string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(r.Barred)) {
		all = append(all, name+" barred: "+r.Barred[name])
	}
	for _, name := range slices.Sorted(maps.Keys(r.Limited)) {
		all = append(all, fmt.Sprintf("%s limited: %d", name, r.Limited[name]))
	}
	for _, name := range slices.Sorted(maps.Keys(r.Unset)) {
		all = append(all, fmt.Sprintf("%s would have: %d", name, r.Unset[name]))
	}
	for _, name := range slices.Sorted(maps.Keys(r.Contested)) {
		all = append(all, name+" contested")
	}
	return strings.Join(all, "; ")
}

func TestOfSeveralHostsTheFirstHasWhatAllAnnounce(t *testing.T) {
	x, unique := address("x:1"), rules(func(r *Rules) { r.UniqueIDs = true })
	barred := func(name, other, why string) string { return name + " barred: " + why + "; " + other + " contested" }
	for what, row := range map[string]struct {
		hosts []Host
		rules Rules
		want  string
	}{
		"addresses of their own":            {hosts: []Host{host("a"), host("b")}},
		"the first stays":                   {hosts: []Host{host("a", x, since(at(2))), host("b", x, since(at(1)))}, want: barred("a", "b", route.WhyAddress)},
		"one that never served comes last":  {hosts: []Host{host("a", x, since(time.Time{})), host("b", x)}, want: barred("a", "b", route.WhyAddress)},
		"at one time, the name decides":     {hosts: []Host{host("b", x), host("a", x)}, want: barred("b", "a", route.WhyAddress)},
		"one in maintenance yields":         {hosts: []Host{host("a", x, maint), host("b", x, since(at(9)))}, want: barred("a", "b", route.WhyAddress)},
		"one that is away yields":           {hosts: []Host{host("a", x, away), host("b", x, since(at(9)))}, want: barred("a", "b", route.WhyAddress)},
		"though checks pass at the address": {hosts: []Host{host("a", x, away, up), host("b", x, since(at(9)))}, want: barred("a", "b", route.WhyAddress)},
		"maintenance yields to away":        {hosts: []Host{host("a", x, maint), host("b", x, away)}, want: barred("a", "b", route.WhyAddress)},
		"one without a place claims none":   {hosts: []Host{host("a", x, noClaim), host("b", x, since(at(9)))}},
		"the config file comes first":       {hosts: []Host{host("a", x), host("b", x, static)}, want: "a barred: " + route.WhyAddress},
		"the config file is never barred":   {hosts: []Host{host("a", x, static), host("b", x, static)}},
		"operators' come before others":     {hosts: []Host{host("a", x), host("b", x, operator, since(time.Time{}))}, want: "a barred: " + route.WhyAddress},
		"also in maintenance":               {hosts: []Host{host("a", x), host("b", x, operator, maint)}, want: "a barred: " + route.WhyAddress},
		"but after the config file":         {hosts: []Host{host("a", x, static), host("b", x, operator)}, want: "b barred: " + route.WhyAddress},
		"ids count where they are unique":   {hosts: []Host{host("a", id(3), since(at(1))), host("b", id(3))}, rules: unique, want: barred("a", "b", route.WhyID)},
		"ids don't count elsewhere":         {hosts: []Host{host("a", id(3)), host("b", id(3))}},
		"no id is nobody's":                 {hosts: []Host{host("a", id(0)), host("b", id(0))}, rules: unique},
		"away but up, one keeps its id":     {hosts: []Host{host("a", id(3), away, up), host("b", id(3), since(at(9)))}, rules: unique, want: barred("b", "a", route.WhyID)},
		"away and down, one loses its id":   {hosts: []Host{host("a", id(3), away), host("b", id(3), since(at(9)))}, rules: unique, want: barred("a", "b", route.WhyID)},
		"no claim to an id when barred":     {hosts: []Host{host("a", x), host("b", x, id(3), since(at(1))), host("c", id(3), since(at(2)))}, rules: unique, want: barred("b", "a", route.WhyAddress)},
	} {
		row.rules.MaxHosts = 8
		if diff := cmp.Diff(row.want, Resolve(row.hosts, row.rules).text()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", what, diff)
		}
	}
}

func TestAMachineHasBoundsForAllItsHosts(t *testing.T) {
	m, big := machine("m"), rules(func(r *Rules) { r.MaxWeight = 10 })
	for what, row := range map[string]struct {
		hosts []Host
		rules Rules
		want  string
	}{
		"within the bounds":                   {[]Host{host("a", m, weight(4)), host("b", m, weight(6))}, big, ""},
		"one alone announces too much":        {[]Host{host("a", m, weight(11))}, big, "a limited: 10"},
		"the second gets the rest":            {[]Host{host("a", m, weight(4)), host("b", m, weight(7))}, big, "b limited: 6; a contested; b contested"},
		"nothing is left for the second":      {[]Host{host("a", m, weight(10)), host("b", m, weight(1))}, big, "b barred: " + route.WhyMaxWeight + "; a contested"},
		"an operator's weight has no bound":   {[]Host{host("a", m, weight(10)), host("b", m, weight(9), weightSet)}, big, "b would have: 0"},
		"without it, what is left has one":    {[]Host{host("a", m, weight(11), weightSet), host("b", m, weight(10))}, big, "a would have: 10"},
		"nor has the weight of a listed host": {[]Host{host("a", m, weight(11), weightSet, operator)}, big, ""},
		"too many hosts":                      {[]Host{host("a", m, since(at(2))), host("b", m)}, rules(func(r *Rules) { r.MaxHosts = 1 }), "a barred: " + route.WhyAtAddress + "; b contested"},
		"a machine of its own has its bounds": {[]Host{host("a", m, weight(10)), host("b", weight(10))}, big, ""},
	} {
		if diff := cmp.Diff(row.want, Resolve(row.hosts, row.rules).text()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", what, diff)
		}
	}
}

func TestTheGreatestWeightFollowsFromTheMedianMachine(t *testing.T) {
	one := func(n int) []Host { return []Host{host("a", weight(n))} }
	for what, row := range map[string]struct {
		hosts []Host
		rules Rules
		want  int
	}{
		"no hosts":                          {nil, Rules{}, LeastMaxWeight},
		"one":                               {one(2), Rules{}, 16},
		"it is configured":                  {one(2), Rules{MaxWeight: 5}, 5},
		"of two, the lesser":                {append(one(1), host("b", weight(100))), Rules{}, 8},
		"hosts of a machine count together": {append(one(2), host("b", weight(1), machine("a")), host("c", weight(100))), Rules{MaxHosts: 8}, 24},
		"one that isn't proven":             {append(one(2), host("b", weight(1), unproven)), Rules{}, 16},
		"one of weight 0":                   {append(one(2), host("b", weight(0))), Rules{}, 16},
		"one that is barred":                {append(one(2), host("b", weight(1), address("a:4000"), since(at(1)))), Rules{}, 16},
	} {
		if got := Resolve(row.hosts, row.rules).MaxWeight; got != row.want {
			t.Errorf("%s: got %d, want %d", what, got, row.want)
		}
	}
}

// TestTheOrderOfHostsIsOfNoConsequence: balancers learn of hosts in different orders.
func TestTheOrderOfHostsIsOfNoConsequence(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		var hosts []Host
		for i := range 12 {
			hosts = append(hosts, host(fmt.Sprintf("h-%d", i), id(uint32(r.IntN(8))), weight(r.IntN(20)), since(at(r.IntN(3))),
				address(fmt.Sprintf("%d:1", r.IntN(9))), machine(fmt.Sprint(r.IntN(4))), func(h *Host) {
					h.Static, h.Away, h.Up, h.Maint = r.IntN(5) == 0, r.IntN(3) == 0, r.IntN(2) == 0, r.IntN(5) == 0
				}))
		}
		every := Rules{MaxHosts: 2, UniqueIDs: true}
		want := Resolve(hosts, every)
		r.Shuffle(len(hosts), func(i, j int) { hosts[i], hosts[j] = hosts[j], hosts[i] })
		if diff := cmp.Diff(want, Resolve(hosts, every)); diff != "" {
			t.Fatalf("another order of %+v (-want +got):\n%s", hosts, diff)
		}
	}
}
