// Package oracle says from what hosts have recorded, from what users have seen and from the
// faults of a run whether the promises of docs/guarantees.md were kept. It is arithmetic.
// Times are those of package record.
package oracle

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// A Kind is a kind of fault.
type Kind string

// The kinds of faults. Drain is over when the host is made ready again; Deadline is the part
// of a drain after its deadline.
const (
	Join     Kind = "join"
	Leave    Kind = "leave"
	Drain    Kind = "drain"
	Deadline Kind = "deadline"
	Weight   Kind = "weight"
	Crash    Kind = "crash"
	Power    Kind = "power"
	Freeze   Kind = "freeze"
	Agent    Kind = "agent"
	Address  Kind = "address"
	CutOne   Kind = "cut-one"
	CutMost  Kind = "cut-most"
	OneWay   Kind = "one-way"

	BalancerCrash   Kind = "balancer-crash"
	BalancerStop    Kind = "balancer-stop"
	BalancerRestart Kind = "balancer-restart"
	Reload          Kind = "reload"
	Upgrade         Kind = "upgrade"
	Partition       Kind = "partition"

	Delay Kind = "delay"
	Loss  Kind = "loss"
	Stall Kind = "stall" // this machine didn't run its processes
)

// A Fault is what was wrong from when to when.
type Fault struct {
	Kind      Kind
	Hosts     []string // those that it concerns; none for all
	Balancers []string // the same of balancers
	From, To  time.Duration
	Detail    string
}

func (f Fault) String() string {
	return strings.TrimSpace(fmt.Sprintf("%s %s %s", f.Kind, strings.Join(slices.Concat(f.Hosts, f.Balancers), " "), f.Detail))
}

// A bound says what a kind of fault may do, and until how long after its end. Never is that it
// may not at all.
type bound struct {
	overlap time.Duration // two hosts serve a token of its hosts
	move    time.Duration // a token of its hosts gets another host before it has been left alone for sessions.linger
	cut     time.Duration // a terminal on its hosts or through its balancers ends, or answers nothing
	fail    time.Duration // a request for its hosts or through its balancers fails
	why     string
}

// Never is a bound of what a fault may not do.
const Never time.Duration = -1 << 62

// The times that bounds are made of.
const (
	Found  = 8 * time.Second  // until a host that answers nothing is down by vote: interval 1s, timeout 800ms, fall 3, and the news
	back   = 12 * time.Second // until a host that returns is up by the votes of all, and its splits have ended
	moment = 2 * time.Second  // until processes and connections have noticed an end
	resent = 4 * time.Second  // until TCP has sent again what a cut has swallowed: its pause has doubled meanwhile
)

// bounds are what the promises G1 to G5 allow.
var bounds = map[Kind]bound{
	Join:     {Never, Never, Never, Never, "a host that joins moves no live or lingering token (G2)"},
	Weight:   {Never, Never, Never, Never, "another weight moves no live or lingering token (G2)"},
	Drain:    {Never, Never, Never, Never, "a drain moves no live or lingering token before its deadline (G2)"},
	Deadline: {Never, moment, moment, moment, "after the deadline of a drain terminals are closed, and tokens move (G2)"},
	Leave:    {Never, Found, moment, Found, "a host that leaves stops some seconds later; then its terminals end (G4)"},
	Crash:    {Never, Found, moment, Found, "the tokens of a dead host have another one at once (G4)"},
	Power:    {back, back, back, Found, "the tokens of a dead host have another one when the balancers have found it down (G4); if it returns before its old terminals have ended, splits of these end soon (G5)"},
	Freeze:   {back, back, back, Found, "a host that is stopped is found down like a dead one, and serves nobody meanwhile (G4); its terminals are still there when it goes on, and splits end soon (G5)"},
	Agent:    {Never, Never, Never, Never, "a host whose agent is dead serves on"},
	Address:  {Never, Found, moment, Found, "another address is another machine: what is open to the old one ends (docs/hosts.md)"},
	CutOne:   {Never, Never, moment, Found, "a balancer that alone can't reach a host answers 503 for its tokens, and no other host gets them"},
	OneWay:   {Never, Never, moment, Found, "the same of a cut in one direction"},
	CutMost:  {back, back, back, back, "a host that most balancers can't reach is down, and what is left there goes on until the cut heals (G5)"},

	BalancerCrash:   {Never, Never, moment, moment, "terminals through a balancer that crashes end; their users find their hosts through the others"},
	BalancerStop:    {Never, Never, moment, moment, "terminals through a balancer that stops end; their users find their hosts through the others"},
	BalancerRestart: {Never, Never, moment, moment, "the same of a restart"},
	Reload:          {Never, Never, Never, Never, "a reload cuts nothing (G1)"},
	Upgrade:         {Never, Never, Never, Never, "an upgrade cuts nothing (G1)"},
	Partition:       {Never, Never, Never, Never, "balancers that are cut off from one another move nothing by themselves (G3); see partitioned"},

	Delay: {Never, Never, Never, Never, "delay moves and cuts nothing"},
	Loss:  {Never, Never, moment, Found, "lost packets may have a balancer believe that it can't reach a host, and connections wait"},
	Stall: {Found, back, Found, Found, "while this machine runs no processes, nothing of them can be said"},
}

// partitioned bounds a partition while one of the hosts in question has a fault of its own: the
// balancers' votes and sessions then don't reach each other (G5).
var partitioned = bound{back, back, back, back, "a host fails while balancers are cut off from one another (G5)"}

// slack is how long two hosts may have recorded one token without a violation: a process writes
// the end down when it gets to run, and a FIN may be lost.
const (
	slack     = 400 * time.Millisecond
	lossSlack = 3 * time.Second
)

// concerns reports whether the fault is about one of the hosts or one of the balancers. A fault
// that names neither is about all.
func (f Fault) concerns(hosts []string, balancer string) bool {
	if len(f.Hosts) == 0 && len(f.Balancers) == 0 {
		return true
	}
	host := slices.ContainsFunc(hosts, func(h string) bool { return slices.Contains(f.Hosts, h) })
	through := balancer != "" && slices.Contains(f.Balancers, balancer)
	switch {
	case len(f.Hosts) == 0:
		return through || balancer == ""
	case len(f.Balancers) == 0 || f.Kind == CutMost:
		return host
	case balancer == "":
		return host
	}
	return host && through
}

// between reports whether the fault, and so long after its end, meets a time.
func (f Fault) between(from, to, after time.Duration) bool {
	return after != Never && f.From <= to && from <= later(f.To, after)
}

// later adds to a time, which may be the end of all times.
func later(at, d time.Duration) time.Duration {
	if at > 1<<62 {
		return at
	}
	return at + d
}

// bound returns what the fault may do to tokens of hosts, when others may be wrong too.
func (f Fault) bound(all []Fault, hosts []string) bound {
	if f.Kind != Partition {
		return bounds[f.Kind]
	}
	for _, o := range all {
		if o.Kind != Partition && len(o.Hosts) > 0 && o.concerns(hosts, "") && bounds[o.Kind].move != Never && o.between(f.From, f.To, back) {
			return partitioned
		}
	}
	return bounds[Partition]
}

// allowed reports whether a fault allows something at a time.
func allowed(faults []Fault, from, to time.Duration, hosts []string, balancer string, part func(bound) time.Duration) bool {
	return slices.ContainsFunc(faults, func(f Fault) bool {
		return f.concerns(hosts, balancer) && f.between(from, to, part(f.bound(faults, hosts)))
	})
}
