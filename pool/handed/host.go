package handed

import (
	"net/netip"
	"time"

	"tokenring/gossip"
	"tokenring/gossip/announcement"
	"tokenring/pool/eligibility"
	"tokenring/pool/moment"
	"tokenring/route"
)

// A Host is what is known of one host. The address in Spec may be a DNS name.
type Host struct {
	route.Spec
	Announced
	Origin   route.Origin      `json:"origin,omitempty"`
	ListedBy route.Attribution `json:"listed_by,omitzero"`
	Several  bool              `json:"several,omitempty"` // the DNS name has several addresses
	Proven   bool              `json:"proven,omitempty"`
	Contact  route.Contact     `json:"contact,omitempty"`
	LostAt   time.Time         `json:"lost_at,omitzero"`
	Location
	Check
	eligibility.Eligibility
	Service
}

// Announced is what a host has announced beside its Spec.
type Announced struct {
	Version  string             `json:"version,omitempty"`
	Leaving  bool               `json:"leaving,omitempty"`
	Drain    announcement.Drain `json:"drain,omitzero"`
	Gossip   netip.AddrPort     `json:"gossip,omitzero"`
	Key      route.HostKey      `json:"key,omitzero"`
	Sequence uint64             `json:"sequence,omitempty"`
}

// A Location is where a host is, and where it was before.
type Location struct {
	Resolved string    `json:"resolved,omitempty"` // ip:port
	Since    time.Time `json:"since,omitzero"`     // when it first was in the ring there
	Moved    time.Time `json:"moved,omitzero"`
	Moving   bool      `json:"moving,omitempty"`
	Passed   bool      `json:"passed,omitempty"` // a check there has passed since this balancer began

	ServiceChange AddressChange `json:"service_change,omitzero"`
	GossipChange  AddressChange `json:"gossip_change,omitzero"`
}

// An AddressChange is that an address was another one before. It is zero if there was no
// change, or none that operators have to know of still.
type AddressChange struct {
	From string    `json:"from"`
	At   time.Time `json:"at"`
}

// A Check is the result of the last check of a host.
type Check struct {
	Verdict   route.Verdict `json:"verdict,omitempty"`
	Error     string        `json:"error,omitempty"`
	Refused   bool          `json:"refused,omitempty"` // the host's machine refuses connections
	Gate      bool          `json:"gate,omitempty"`    // a gate stands before the host
	Held      bool          `json:"held,omitempty"`    // it fails, and balancers don't agree that the host is down
	Leased    bool          `json:"leased,omitempty"`  // its gate gets leases
	FailedAt  time.Time     `json:"failed_at,omitzero"`
	CheckedAt time.Time     `json:"checked_at,omitzero"`

	DownSince   time.Time `json:"down_since,omitzero"`  // since when it is down by the votes, too
	VotedDown   bool      `json:"voted_down,omitempty"` // see votes.Steadiness
	Excused     bool      `json:"excused,omitempty"`
	SteadySince time.Time `json:"steady_since,omitzero"`
}

// A Service says when a host began and ceased to serve.
type Service struct {
	Serving  bool      `json:"serving,omitempty"`
	Began    time.Time `json:"began,omitzero"`      // when it began to serve; zero if that was before this balancer was ready
	Ceased   time.Time `json:"ceased,omitzero"`     // when it ceased to serve the last time; zero if it never has since this balancer was ready
	KeysKept bool      `json:"keys_kept,omitempty"` // a frozen ring has kept its keys for it since it ceased to serve
	Away     bool      `json:"away,omitempty"`      // its keys are with other hosts, because it is down or was: see waits.Place

	// NoneEstablished reports that no host had served here for long when this host began
	// to serve. Balancers that have run longer know better whether it is new.
	NoneEstablished bool `json:"none_established,omitempty"`
}

// Metadata returns what the host has announced.
func (h Host) Metadata() announcement.Metadata {
	m := announcement.Metadata{Role: announcement.HostRole, Spec: h.Spec, Version: h.Version, Leaving: h.Leaving, Drain: h.Drain}
	if !h.Key.IsZero() {
		m.Signature = announcement.Signature{Key: h.Key, Sequence: h.Sequence, Gossip: h.Gossip}
	}
	return m
}

// Cached returns h as the cache of a gossip has its members. seen is when it was a member the
// last time, unless it is lost.
func (h Host) Cached(seen time.Time) gossip.CachedMember {
	return gossip.CachedMember{Node: h.Metadata().Node(), Gossip: h.Gossip, Seen: moment.OrElse(h.LostAt, seen), InRing: h.InRing, Spec: h.Spec, Key: h.Key, Sequence: h.Sequence}
}

// Past returns h as of now: none of its times is later, though the clock may have been set back.
func (h Host) Past(now time.Time) Host {
	for _, t := range []*time.Time{
		&h.LostAt, &h.Since, &h.Moved, &h.ServiceChange.At, &h.GossipChange.At, &h.CheckedAt,
		&h.FailedAt, &h.DownSince, &h.SteadySince, &h.DeadSince, &h.FailingSince, &h.Began, &h.Ceased,
	} {
		*t = moment.Past(*t, now)
	}
	return h
}
