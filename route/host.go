// Package route says which host serves a key at one moment, and why. A Snapshot holds
// the hosts and their table. Choose and Place choose one of the hosts, and Explain tells
// the reason. Nothing here has a socket, a goroutine or a clock: the time is an argument.
package route

import (
	"cmp"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"tokenring/answers"
	"tokenring/netaddr"
)

// A State says what operators let a host do.
type State string

// The states. A host without an operator's override is ready.
const (
	Ready State = "ready" // it serves
	Drain State = "drain" // it gets no new sessions; its live sessions stay
	Maint State = "maint" // it gets no requests, and its sessions end
)

// Valid reports whether s is one of the states.
func (s State) Valid() bool { return s == Ready || s == Drain || s == Maint }

// A Verdict is the result of a host's health checks.
type Verdict uint8

// The verdicts.
const (
	Unchecked Verdict = iota // no check has counted yet, or none since the address changed
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

// MarshalText implements encoding.TextMarshaler.
func (v Verdict) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler. What it doesn't know is Unchecked.
func (v *Verdict) UnmarshalText(text []byte) error {
	*v = parse(text, Up, Down)
	return nil
}

// An Origin says how a balancer knows of a host. If it does in several ways, the greatest
// counts.
type Origin uint8

// The origins.
const (
	OriginGossip   Origin = iota // its agent announces it
	OriginOperator               // operators have added it: lb ctl hosts add
	OriginDNS                    // it is an address of the pool's DNS name
	OriginFile                   // it is in pool.hosts_file
	OriginConfig                 // it is in pool.hosts, in the config file
)

// String returns "gossip", "operator", "file" or "config".
func (o Origin) String() string {
	switch o {
	case OriginOperator:
		return "operator"
	case OriginDNS:
		return "dns"
	case OriginFile:
		return "file"
	case OriginConfig:
		return "config"
	}
	return "gossip"
}

// MarshalText implements encoding.TextMarshaler.
func (o Origin) MarshalText() ([]byte, error) { return []byte(o.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler. What it doesn't know is OriginGossip.
func (o *Origin) UnmarshalText(text []byte) error {
	*o = parse(text, OriginOperator, OriginDNS, OriginFile, OriginConfig)
	return nil
}

// A Contact says whether gossip sees a host.
type Contact uint8

// The contacts.
const (
	NoGossip Contact = iota // a host that is listed: gossip doesn't matter
	Alive
	Lost
	Missing // it was a member in an earlier run of this balancer, and hasn't come in this run
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

// MarshalText implements encoding.TextMarshaler.
func (c Contact) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler. What it doesn't know is NoGossip.
func (c *Contact) UnmarshalText(text []byte) error {
	*c = parse(text, Alive, Lost, Missing)
	return nil
}

// parse returns the one of all whose text it is, the zero value if none is.
func parse[T fmt.Stringer](text []byte, all ...T) (zero T) {
	for _, one := range all {
		if one.String() == string(text) {
			return one
		}
	}
	return zero
}

// IsLost reports whether gossip knew the host and doesn't find it.
func (c Contact) IsLost() bool { return c == Lost || c == Missing }

// Gauges are the live numbers of one host. The proxy changes them. All snapshots share
// the Gauges of a host name, also when the host's address changes.
type Gauges struct {
	Sessions      atomic.Int64   // open tunnels
	AtPeers       atomic.Int64   // open tunnels through other balancers, as of a moment ago; 0 unless loads are bounded
	InFlight      atomic.Int64   // requests being forwarded, tunnels not among them
	Queued        atomic.Int64   // requests that wait because MaxConnections of them are in progress
	Requests      atomic.Uint64  // requests sent to the host
	ConnectErrors atomic.Uint64  // connections that couldn't be opened
	Resets        atomic.Uint64  // connections that ended in the middle of an exchange
	GivenAway     atomic.Uint64  // requests that the host has given away; see RuleSecondChance
	Answers       answers.Counts // to requests that were sent to the host
	LastByte      LastByte       // when a byte has come from the host last, on any tunnel

	reservations reservations // see Reserve and Release
}

// Busy reports whether the host has an open tunnel or a request in flight.
func (g *Gauges) Busy() bool { return g.Sessions.Load() != 0 || g.InFlight.Load() != 0 }

// An Endpoint is a host at one of its addresses. A host that has got another address is
// on another machine, which has none of the old sessions.
type Endpoint struct {
	Name    string // of the host
	Address string // of its service; see Host.Address
}

// A Host is one IDE host as of one snapshot. It is immutable, except for the values
// that Gauges points to.
type Host struct {
	// Spec describes the host. Address is where the host is dialled and checked; it is
	// "" until DNSName has resolved. Weight is the weight in force: the operator's
	// override, or else Counted.
	Spec
	DNSName string // host:port if a list gives the host a DNS name; else ""
	Membership
	AdminState
	Weights
	Health
	Standing
	AddressChanges AddressChanges
	Gauges         *Gauges
	// MaxConnections is how many requests may be in progress on it through a balancer; 0: any
	// number.
	MaxConnections int
	Backup         bool // it is in the ring only while no other host of its pool serves
}

// AdminState is what operators have set of a host, and the drain that it has begun itself.
type AdminState struct {
	State         State       // set by operators, see Override; or Drain if the host itself says so
	StateOverride Attribution // of State; zero if no operator has set it
	DrainEnd      DrainEnd    // of the state Drain
	ListedBy      Attribution // which operator has added it; zero unless Origin is OriginOperator
}

// Weights are where the weight of a host comes from.
type Weights struct {
	Announced      int         // the host's own weight: from its announcement or a list
	Counted        int         // of Announced, what counts where no operator has set a weight: a machine has a limit
	WeightOverride Attribution // of Weight; zero if it is the host's own
}

// Membership is how a host is known, and what it announces beside its Spec.
type Membership struct {
	Version string  // of the agent's software, "" for a host that is listed
	Leaving bool    // the host announces that it is leaving
	Key     HostKey // with which it has signed its announcement; zero if it hasn't
	Origin  Origin  // how this balancer knows of it
	Contact Contact
}

// Health is what checks say of a host.
type Health struct {
	Moving     bool      // it has just got another address: its keys wait for the first check there, see RuleMoving
	Held       bool      // Verdict is Down by this balancer's checks, and balancers don't agree on that: see RuleUnreachable
	AwaitsGate bool      // with Held: a majority of the balancers has it down, and its keys wait until its gate has closed its terminals
	Leased     bool      // the gate of the host gets leases from this balancer; false if hosts don't fence themselves
	Own        Verdict   // by this balancer's checks alone
	Views      Views     // the verdicts of other balancers
	Traffic    bool      // this balancer has terminals there that work, though some balancer has it down
	Verdict    Verdict   // by the votes of all balancers
	DownSince  time.Time // since when it is down by them, and by this balancer's checks, too; zero if it isn't
	Passes     bool      // it is down by them only because it has to be steady: its checks pass
	Return     Return    // zero unless it was down, and its checks pass again
	CheckError string    // why the last check failed, or which balancers have it down; "" if it is up
	CheckedAt  time.Time // when the last check ended, up to a second too early; zero before the first check
	Proven     bool      // it is listed, has passed a check, or was in the ring when this balancer ran last
}

// A Return is that of a host that was down, and passes its checks. It gets its keys back when it has
// passed them for long enough.
type Return struct {
	Since time.Time // since when its checks have passed without a failure; zero if one has failed lately
	At    time.Time // when it gets its keys back, if no check fails and no other balancer has it down
}

// Standing is the place of a host in the ring.
type Standing struct {
	SlowStart Progress // zero unless the host is in slow start
	InRing    bool     // it belongs in the table; the table may be an older one, see Snapshot.Rebuilding
	WhyNot    string   // why it isn't in the ring: one of the constants below; "" if it is
	Share     float64  // of the slots of the table, 0..1
	// Waits reports that it passes its checks again, and that the keys which went elsewhere when
	// it failed stay there for now: see Waiting.
	Waits bool
	// FailedBefore reports that the ring is frozen, and that the host failed its checks
	// long before the freeze. Other hosts have its keys, and keep them.
	FailedBefore bool
}

// AddressChanges count how often a host has got another address that no operator has
// written down. They count since this process began.
type AddressChanges struct {
	Service uint64 // it has announced another address of its service
	Gossip  uint64 // it has announced another address of its gossip
	Name    uint64 // its DNS name has led to another address
}

// An Attribution says which operator has set a value, why, and when. The zero value
// means that no operator has set it.
type Attribution struct {
	By     string    `json:"by,omitempty"`
	Reason string    `json:"reason,omitempty"`
	Since  time.Time `json:"since,omitzero"`
}

// Why a host isn't in the ring.
const (
	WhyMaint     = "in maintenance"
	WhyDrain     = "draining"
	WhyUnchecked = "not checked yet"
	WhyFailing   = "failing its checks"
	WhyLeaving   = "leaving"
	WhyKey       = "announced with another key" // than the one by which balancers know it, or without one
	WhyLost      = "lost by gossip and checks"
	WhyFrozen    = "the ring is frozen"
	WhyWaits     = "waits for a missing balancer" // see Waiting
	WhyWeight    = "weight 0"
	WhyBackup    = "a backup, not in use because another host serves"
	WhyAddress   = "another host has its address"
	WhyID        = "another host has its id"
	WhyBalancer  = "at the address of a balancer"
	WhyAtAddress = "too many hosts at its address"
	WhyMaxWeight = "its machine has the most weight that it may have"
	WhyNoRoom    = "no room in the ring" // the table can't hold its weight beside the others', or the policy needs an id that no other host has
)

// DrainsItself reports whether h is in drain because it says so itself, not by an operator.
func (h *Host) DrainsItself() bool { return h.State == Drain && h.StateOverride == Attribution{} }

// Authority returns host:port for a request that is about h itself: DNSName if there is
// one, else Address. For a unix socket it is "localhost".
func (h *Host) Authority() string { return Authority(cmp.Or(h.DNSName, h.Address)) }

// Authority returns address, or "localhost" if that is a unix socket, for the Host field of
// requests.
func Authority(address string) string {
	if _, ok := netaddr.UnixPath(address); ok {
		return "localhost"
	}
	return address
}

// Serving reports whether h may get new requests now: it is in the ring and its
// verdict is Up, and its keys don't wait elsewhere.
func (h *Host) Serving() bool { return h.InRing && h.Verdict == Up && !h.Waits }

// KeepsSessions reports whether live sessions stay on h, and their keys with them. A
// host that drains or leaves keeps its sessions, and so does one that is held.
func (h *Host) KeepsSessions() bool { return h.State != Maint && (h.Verdict != Down || h.Held) }

// SilentSince returns since when h is down and no byte has come from it through this balancer; zero if
// it isn't down. Checks may fail while terminals work.
func (h *Host) SilentSince() time.Time {
	if h.DownSince.IsZero() || h.Gauges.LastByte.At().Before(h.DownSince) {
		return h.DownSince
	}
	return h.Gauges.LastByte.At()
}

// KeepsSessionsOf reports whether live sessions through a balancer stay on h, and their keys
// with them; "" is this balancer. A host that is down keeps those through a balancer to whose
// terminals it still sends bytes: terminals that work aren't cut because checks fail. It keeps all
// if its checks pass again.
func (h *Host) KeepsSessionsOf(balancer string) bool {
	return h.KeepsSessions() || h.passes() || h.sendsTo(balancer)
}

// passes reports whether h is down only until it is steady.
func (h *Host) passes() bool { return h.Passes && h.State != Maint && !h.Leaving }

// sendsTo reports whether terminals of a balancer work, though h is down.
func (h *Host) sendsTo(balancer string) bool {
	if !h.Sends() {
		return false
	}
	return balancer == "" && h.Traffic || balancer != "" && slices.Contains(Names(h.Views.Traffic), balancer)
}

// Sends reports whether terminals on h work, of whatever balancer, though h is down.
func (h *Host) Sends() bool {
	return h.Verdict == Down && !h.Held && h.State != Maint && !h.Leaving && (h.Traffic || h.Views.Traffic != "")
}

// Disputed reports whether h is down by votes and passes its checks here: another balancer may have
// heard a moment ago that all say so.
func (h *Host) Disputed() bool {
	return h.Verdict == Down && h.Own == Up && h.State != Maint && !h.Leaving
}

// KeepsLingering reports whether keys that linger on h stay there: as long as sessions do, but
// only until the deadline of a drain. Sessions that live are closed from then on.
func (h *Host) KeepsLingering(now time.Time) bool {
	return h.KeepsSessions() && (h.State != Drain || !h.DrainEnd.Over(now))
}

// YieldsLingering reports whether a key that lingers on h, and that another balancer claims, is
// on no host any more: that balancer is about to use it elsewhere. It may have found a host
// gone that leaves, and that is back before it is found gone here.
func (h *Host) YieldsLingering(now time.Time) bool { return h.Leaving || !h.KeepsLingering(now) }
