// Package pool knows the IDE hosts and the other balancers: from the config
// file, from gossip, from health checks and from operators. It judges which
// hosts form the ring and publishes that as immutable snapshots.
//
// # Who is in the ring
//
// A host is in the ring when it is ready, doesn't announce that it is leaving,
// and has passed its checks at least once. Failing checks alone don't take it
// out again: its keys go to their heirs, and come back with it. It is taken out
// when gossip has lost it and its checks fail, both for a while. A host from the
// config file isn't known by gossip, so only an operator takes it out.
//
// When many hosts of the ring begin to fail their checks within one settle window
// (FreezeConfig), the ring is frozen until enough of them pass, others have come in
// their stead, or some minutes have gone by: nothing joins, nothing is removed as lost,
// no weight changes, and the keys of the hosts that vanished are answered by nobody. A
// partition is likelier than so many deaths, and two hosts serving one key are worse
// than none. In a small ring, those that are left serve instead.
//
// A balancer that starts waits for the hosts that were in the ring when it
// stopped. Those that don't come for a while fail as if they had been there, so
// that a partition freezes the ring of one that starts in the midst of it, too.
//
// A host for which the policy has no room beside the others stays out, too: see share.
//
// # Who decides
//
// One goroutine, in Pool.Run, owns all state. Gossip, checks and operators only
// leave it notes; readers get a Snapshot, which nobody changes any more.
package pool

import (
	"cmp"
	"sync/atomic"
	"time"
)

// A State is what an operator wants of a host.
type State string

// The states. A host about which no operator has decided is ready.
const (
	Ready State = "ready" // serves
	Drain State = "drain" // no new sessions; those that live stay
	Maint State = "maint" // nothing
)

// Valid reports whether s is one of the states.
func (s State) Valid() bool { return s == Ready || s == Drain || s == Maint }

// A Verdict is what the health checks say about a host.
type Verdict uint8

// The verdicts.
const (
	Unchecked Verdict = iota // nothing yet, or nothing since the address changed
	Up
	Down
)

// String returns "unchecked", "up" or "down".
func (v Verdict) String() string {
	switch v {
	case Up:
		return "up"
	case Down:
		return "down"
	}
	return "unchecked"
}

// A Contact is what gossip says about a host.
type Contact uint8

// The contacts.
const (
	NoGossip Contact = iota // from the config file: gossip has no say
	Alive
	Lost
	Missing // it was there in an earlier run of this balancer, and hasn't come in this one
)

// String returns "none", "alive", "lost" or "missing".
func (c Contact) String() string {
	switch c {
	case Alive:
		return "alive"
	case Lost:
		return "lost"
	case Missing:
		return "missing"
	}
	return "none"
}

// Gauges are the live numbers of one host. The proxy changes them. There is one
// per host name, and it outlives snapshots, changes of address and absences.
type Gauges struct {
	Sessions      atomic.Int64  // open tunnels
	InFlight      atomic.Int64  // requests being forwarded, tunnels not among them
	Requests      atomic.Uint64 // requests sent to the host
	ConnectErrors atomic.Uint64 // connections that couldn't be opened
	Resets        atomic.Uint64 // connections that ended in mid-exchange

	arrivals arrivals // by Expect and Meet, while loads are bounded
}

// A Session is what one key has open through this balancer. The key itself is
// nowhere in it.
type Session struct {
	Host    string // the name of the one that all its tunnels are on
	Hash    uint64 // of the key, by balancer.Table.Hash; what it tells of a key is told there
	Away    bool   // the key stays on Host for as long as that one serves, whatever the ring says: see Placement
	Keyed   bool   // Hash means something: there was a key, and a table to hash it by
	Tunnels int    // open, or about to be; at least 1
}

// busy reports whether somebody still uses the host.
func (g *Gauges) busy() bool { return g.Sessions.Load() != 0 || g.InFlight.Load() != 0 }

// A Host is one IDE host as of one snapshot. Nobody changes it, only what Gauges
// points to.
type Host struct {
	Name    string // its identity
	ID      uint32 // a stable number, 0 for none
	Address string // ip:port of its service, where it is dialled and checked; "" as long as DNSName hasn't resolved
	DNSName string // host:port, if that is how the config file names its address; else ""
	Weight  int    // its share in relation to the others: by operators' decision, else as Announced
	Zone    string
	Version string // of the agent's software, "" for a host from the config file

	State  State     // by operators' decision
	Reason string    // the operator's words
	By     string    // the operator
	Since  time.Time // of the decision; zero if there is none

	Announced int  // the weight that it gives itself, or has in the config file
	Weighed   Word // by whom Weight was decided; zero if it is the host's own

	Leaving bool    // the host says that it is about to go
	Static  bool    // from the config file
	Contact Contact // what gossip says

	Moving     bool // it has got another address a moment ago: its keys wait for the first check there, see RuleMoving
	Verdict    Verdict
	CheckError string    // why the last check failed, "" if it passed
	CheckedAt  time.Time // when the last check ended; zero before the first. May lag a second behind

	Warming Warming // zero unless it is in service and hasn't all its keys yet

	InRing bool    // it belongs in the table (which may lag behind: Snapshot.Rebuilding)
	WhyNot string  // why it isn't in the ring: one of the constant texts below; "" if it is
	Share  float64 // of the slots of the table, 0..1

	// FailedBefore is whether the ring is frozen and the host failed its checks long
	// before that: others have its keys, and keep them.
	FailedBefore bool

	Gauges *Gauges
}

// A Word is who decided something, why, and since when. Its zero value means that
// nobody has.
type Word struct {
	By, Reason string
	Since      time.Time
}

// A Warming is a host's warm-up: it takes a growing part of its keys.
type Warming struct {
	Since, Until time.Time
	Taken        float64 // of its keys, 0..1
}

// Why a host isn't in the ring.
const (
	WhyMaint     = "in maintenance"
	WhyDrain     = "draining"
	WhyUnchecked = "not checked yet"
	WhyFailing   = "failing its checks"
	WhyLeaving   = "leaving"
	WhyLost      = "lost by gossip and checks"
	WhyFrozen    = "the ring is frozen"
	WhyWeight    = "weight 0"
	WhyRoom      = "no room in the ring" // its weight is too much beside the others', or the policy needs an id of its own
)

// Authority returns host:port for a request that is about h itself: the name that
// the config file gives it, if any, and else its address.
func (h *Host) Authority() string { return cmp.Or(h.DNSName, h.Address) }

// Serving reports whether h may get new requests now: it is in the ring and its
// last verdict is Up.
func (h *Host) Serving() bool { return h.InRing && h.Verdict == Up }

// Keeps reports whether live sessions stay on h, and with them their keys: those
// on a draining or leaving host do.
func (h *Host) Keeps() bool { return h.State != Maint && h.Verdict != Down }
